"""How a WebSocket begins: under an ASGI server, and under ``wsfast.serve``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..attach.asgi import AsgiConnection
from ..exceptions import ConnectionClosed
from .exceptions import Refused
from .request import Request
from .websocket import WebSocketTransport

if TYPE_CHECKING:
    from .server import Server

__all__ = ["WebSocketHooks", "serve_websocket"]

_TEXT = "text/plain; charset=utf-8"


async def serve_websocket(server: Server, scope: Any, receive: Any, send: Any) -> None:
    """
    Serve a WebSocket of an ASGI server.

    Args:
        server: The server.
        scope: What the ASGI server calls the application with.
        receive: The same.
        send: The same.

    """
    if (await receive())["type"] != "websocket.connect":
        return
    request = Request(scope)
    known = scope.get("extensions") or {}
    try:
        socket = server.verify(request)
        if socket is None:
            await server.allow(request)
    except Refused as exc:
        server.refused(request, exc)
        await _deny(exc, "websocket.http.response" in known, send)
        return
    sid = server.generate_id() if socket is None else None
    fields: list[tuple[str, str]] = []
    if sid is not None and server.cookie is not None:
        fields.append(("set-cookie", server.cookie.value(sid)))
    server.add_headers(fields, request, sid is not None)
    message: dict[str, Any] = {
        "type": "websocket.accept",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in fields
        ],
    }
    transport = WebSocketTransport(server, request, sid)
    if "wsfast" not in known:
        await send(message)
        await _serve_events(server, transport, receive, send)
        return
    message["listener"] = transport
    message["max_size"] = server.max_http_buffer_size
    await send(message)
    event = await receive()  # there is nothing but the end
    if event["type"] != "websocket.disconnect":
        raise RuntimeError("something between has lost the listener of the accept")


async def _deny(exc: Refused, with_response: bool, send: Any) -> None:
    """Refuse a WebSocket, with an answer if the server can send one."""
    if not with_response:
        await send({"type": "websocket.close", "code": 1000})
        return
    body = str(exc).encode()
    fields = [
        (b"content-type", _TEXT.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    start = {"type": "websocket.http.response.start", "status": 400, "headers": fields}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": body})


class _Events(AsgiConnection):
    """A connection of another server's, that tells when its output is empty again."""

    def __init__(self, transport: WebSocketTransport, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.transport = transport
        self.was_high = False
        self._reader: asyncio.Future[None] | None = None

    def pause_reading(self) -> None:
        """Take no more messages until :meth:`resume_reading`."""
        if self._reader is None:
            self._reader = self._loop.create_future()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    async def recv(self) -> str | bytes:
        """Receive a message; while reading is paused, keep it."""
        message = await super().recv()
        while self._reader is not None:
            await self._reader
        return message

    def _put(self, event: dict[str, Any], size: int) -> Any:
        result = super()._put(event, size)
        self.was_high |= self.buffered_amount > self.transport.server.write_limit
        return result

    async def _flush(self) -> None:
        await super()._flush()
        if self.was_high and not self.buffered_amount:
            self.was_high = False
            self.transport.on_drain(self)


async def _serve_events(
    server: Server, transport: WebSocketTransport, receive: Any, send: Any
) -> None:
    """Serve a connection by the events of ASGI, in this task."""
    connection = _Events(transport, receive, send, None, server.max_http_buffer_size)
    transport.on_open(connection)
    try:
        while True:
            transport.on_message(connection, await connection.recv())
    except ConnectionClosed:
        pass
    finally:
        transport.on_close(
            connection, connection.close_code or 1006, connection.close_reason or ""
        )
    await connection.wait_closed()


class WebSocketHooks:
    """
    The hooks of ``wsfast.serve`` that refuse clients, and add to answers.

    Args:
        server: The server.

    """

    def __init__(self, server: Server) -> None:
        self._server = server

    async def process_request(self, connection: Any, handshake: Any) -> Any:
        """Return a response that refuses a client, or None."""
        server = self._server
        request = Request.of_connection(connection, handshake)
        if request.path.rstrip("/") != server.path.rstrip("/"):
            return connection.respond(404, "Not Found\n")
        try:
            if server.verify(request) is None:
                await server.allow(request)
                connection.engineio_id = server.generate_id()
        except Refused as exc:
            server.refused(request, exc)
            return connection.respond(400, str(exc))
        return None

    async def process_response(
        self, connection: Any, handshake: Any, response: Any
    ) -> None:
        """Add what the application adds, and the cookie."""
        server = self._server
        if response.status_code != 101:
            return
        request = Request.of_connection(connection, handshake)
        sid = getattr(connection, "engineio_id", None)
        fields: list[tuple[str, str]] = []
        if sid is not None and server.cookie is not None:
            fields.append(("Set-Cookie", server.cookie.value(sid)))
        server.add_headers(fields, request, sid is not None)
        for name, value in fields:
            response.headers[name] = value
