"""
The little of an ASGI server that the demo's SockJS needs.

All clients come here first. Requests of SockJS over HTTP are answered here; all others,
those for WebSockets among them, are handed to the server of WebSockets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import h11

from wsfast.asyncio.server import Server, ServerConnection
from wsfast.attach import is_websocket
from wsfast.exceptions import ConnectionClosed
from wsfast.protocol.heads import HeadError, HeadReader, parse_request

__all__ = ["Front", "serve_websocket"]

PREFIX = b"/sockjs/"
#: A frame in a page that is isolated has to be so, too: that of htmlfile is one.
FIELDS = [(b"connection", b"close"), (b"cross-origin-embedder-policy", b"require-corp")]
MAX_BODY = 1 << 20
App = Callable[[Any, Any, Any], Awaitable[None]]


class Front(asyncio.Protocol):
    """
    One client: its first request says who serves it.

    Args:
        app: Gets requests of HTTP below ``/sockjs/``, one on each connection.
        server: Gets all others.

    """

    def __init__(self, app: App, server: Server) -> None:
        self._app = app
        self._server = server
        self._head: HeadReader | None = HeadReader()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()
        self._body: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._size = 0
        self._whole = False  # the application has got all of the body
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Find out whose request it is, and hand it over."""
        try:
            if self._head is not None:
                if not self._head.feed(data):
                    return
                data, self._head = self._whose(self._head), None
            if data:
                self._take(data)
        except (HeadError, h11.RemoteProtocolError):
            self._transport.abort()

    def _whose(self, reader: HeadReader) -> bytes:
        """Hand a request over; return its octets if it is ours."""
        target = reader.head.split(b" ", 2)[1]
        ours = target.startswith(PREFIX)
        if ours and b"\r\nupgrade:" not in reader.head.lower():
            return reader.head + reader.rest
        request = parse_request(reader.head)
        if not ours or is_websocket(request):
            self._server.handle_upgrade(request, self._transport, reader.rest)
            return b""
        return reader.head + reader.rest

    def _take(self, data: bytes) -> None:
        self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._task = asyncio.ensure_future(self._serve(event))
            elif isinstance(event, h11.Data):
                self._size += len(event.data)
                if self._size > MAX_BODY:
                    self._transport.abort()
                    return
                self._body.put_nowait((bytes(event.data), True))
            elif isinstance(event, h11.EndOfMessage):
                self._body.put_nowait((b"", False))
            else:
                return

    async def _serve(self, request: h11.Request) -> None:
        path, _, query = request.target.partition(b"?")
        scope = {
            "type": "http",
            "method": request.method.decode(),
            "path": path.decode("latin-1"),
            "query_string": query,
            "http_version": request.http_version.decode(),
            "headers": list(request.headers),
            "scheme": "http",
            "client": self._transport.get_extra_info("peername"),
            "server": self._transport.get_extra_info("sockname"),
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if self._whole:
            await self._gone.wait()
        if self._gone.is_set():
            return {"type": "http.disconnect"}
        body, more = await self._body.get()
        self._whole = not more
        return {"type": "http.request", "body": body, "more_body": more}

    async def _send(self, event: dict[str, Any]) -> None:
        if self._gone.is_set():
            return
        if event["type"] == "http.response.start":
            headers = [*event["headers"], *FIELDS]
            head = h11.Response(status_code=event["status"], headers=headers)
            self._write(self._http.send(head))
            return
        self._write(self._http.send(h11.Data(data=event["body"])))
        if event.get("more_body"):
            await self._room.wait()
        else:
            self._write(self._http.send(h11.EndOfMessage()))
            self._transport.close()

    def _write(self, data: bytes | None) -> None:
        if data:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Have the application wait."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Let it go on."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that the client has gone."""
        self._gone.set()
        self._room.set()
        self._body.put_nowait((b"", False))


async def serve_websocket(app: App, ws: ServerConnection) -> None:
    """Serve a WebSocket by an ASGI application."""
    assert ws.request is not None
    came = False

    async def receive() -> dict[str, Any]:
        nonlocal came
        if not came:
            came = True
            return {"type": "websocket.connect"}
        try:
            message = await ws.recv()
        except ConnectionClosed:
            return {"type": "websocket.disconnect", "code": ws.close_code or 1006}
        return {
            "type": "websocket.receive",
            "text" if isinstance(message, str) else "bytes": message,
        }

    async def send(event: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):
            if event["type"] == "websocket.send":
                await ws.send(event["text"] if "text" in event else event["bytes"])
            elif event["type"] == "websocket.close":
                await ws.close(event.get("code", 1000), event.get("reason", ""))

    scope = {
        "type": "websocket",
        "path": ws.request.path.partition("?")[0],
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in ws.request.headers.raw_items()
        ],
        "client": ws.remote_address,
        "server": ws.local_address,
    }
    await app(scope, receive, send)
