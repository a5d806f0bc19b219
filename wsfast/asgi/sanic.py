"""
WebSockets of Sanic: its routes and handlers, our connections.

``app.run(protocol=wsfast.asgi.sanic.WebSocketProtocol)``, and the same for
``app.prepare()`` and ``app.create_server()``: handlers get an object with the interface
of Sanic's own. The reactor takes over the socket where it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from ..asyncio._stream import StreamLink, link_for
from ..asyncio.server import Server, ServerConnection
from ..exceptions import ConcurrencyError, ConnectionClosed
from ..protocol.deflate import DeflateOptions
from ..protocol.heads import HeadError, parse_request
from ..protocol.http import Response
from ._needs import need
from .settings import deflate_from_environment

with need("wsfast.asgi.sanic", "sanic", "25.12", below="26"):
    from sanic.exceptions import SanicException, ServerError, WebsocketClosed
    from sanic.server.protocols import websocket_protocol

__all__ = ["WebSocketProtocol", "Websocket"]

_OPEN = 1
_CLOSED = 3

Message = str | bytes


class _Connection(ServerConnection):
    """A connection that tells Sanic of its end."""

    owner: Any = None

    @property
    def close_rcvd_then_sent(self) -> bool | None:
        """Whether the peer's close frame came first; Sanic's access log asks."""
        return self.closed_error().rcvd_then_sent

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended."""
        super().lost(exc)
        owner, self.owner = self.owner, None
        # The reactor leaves the transport to its owner, who hears it from there.
        if owner is not None and isinstance(self.link, StreamLink):
            owner.connection_lost(exc)


class Websocket:
    """
    What a handler gets: the interface of Sanic's, on a connection of ours.

    Args:
        connection: The connection.
        protocol: Sanic's side of the client.

    Attributes:
        connection: The connection, for what Sanic has no name for.
        told: Sanic knows of the end.

    """

    __slots__ = ("connection", "io_proto", "loop", "told")

    def __init__(self, connection: ServerConnection, protocol: Any) -> None:
        self.connection = connection
        self.io_proto = protocol
        self.told = False
        self.loop = connection.link.driver.loop

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, or None."""
        return self.connection.subprotocol

    @property
    def ws_proto(self) -> ServerConnection:
        """What tells of state and close codes, by the names of websockets."""
        return self.connection

    # ---- receiving ----

    async def recv(self, timeout: float | None = None) -> Message | None:
        """
        Receive the next message.

        Args:
            timeout: Seconds to wait; 0 to look whether there is one.

        Returns:
            The message, or None if there was none in time.

        Raises:
            WebsocketClosed: The connection is closed.
            asyncio.CancelledError: It was closed while waiting.
            ServerError: Another task waits for a message.

        """
        connection = self.connection
        if timeout is not None:
            return await self._recv_in_time(timeout)
        self._check_end()
        try:
            message: Message = await connection.recv()
        except ConnectionClosed:
            raise asyncio.CancelledError from None
        except ConcurrencyError as exc:
            raise ServerError(str(exc)) from None
        return message

    async def _recv_in_time(self, timeout: float) -> Message | None:
        self._check_end()
        if timeout <= 0:
            return await self.recv() if self.connection.queue_length() else None
        try:
            return await asyncio.wait_for(self.recv(), timeout)
        except asyncio.TimeoutError:
            return None

    def _check_end(self) -> None:
        connection = self.connection
        if connection.ready_state == _CLOSED and not connection.queue_length():
            raise WebsocketClosed(
                "Cannot receive from websocket interface after it is closed."
            )

    async def recv_burst(self, max_recv: int = 256) -> list[Message]:
        """
        Receive the messages that have arrived, which may be none.

        Args:
            max_recv: Return no more than this many.

        Raises:
            WebsocketClosed, ServerError: As :meth:`recv`.

        """
        messages: list[Message] = []
        while len(messages) < max_recv:
            if not self.connection.queue_length():
                await asyncio.sleep(0)  # more may be about to come
                if not self.connection.queue_length():
                    break
            message = await self.recv()
            assert message is not None
            messages.append(message)
        if not messages:
            self._check_end()
        return messages

    async def recv_streaming(self) -> AsyncIterator[Message]:
        """
        Receive the next message fragment by fragment.

        Raises:
            WebsocketClosed, asyncio.CancelledError, ServerError: As :meth:`recv`.

        """
        self._check_end()
        try:
            async for fragment in self.connection.recv_streaming():
                yield fragment
        except ConnectionClosed:
            raise asyncio.CancelledError from None
        except ConcurrencyError as exc:
            raise ServerError(str(exc)) from None

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            message = await self.recv()
            assert message is not None
            yield message

    # ---- sending ----

    async def send(self, message: Any) -> None:
        """
        Send a message; wait while the client takes less than is sent.

        Args:
            message: Text, or binary data.

        Raises:
            WebsocketClosed: The connection is closed.
            TypeError: That is no message.
            NotImplementedError: It is an iterable of fragments.

        """
        if not isinstance(message, (str, bytes, bytearray, memoryview)):
            if isinstance(message, Iterable) and not isinstance(message, Mapping):
                raise NotImplementedError(
                    "Fragmented websocket messages are not supported."
                )
            raise TypeError("Websocket data must be bytes, str.")
        try:
            await self.connection.send(message)
        except ConnectionClosed:
            raise WebsocketClosed(
                "Cannot write to websocket interface after it is closed."
            ) from None

    async def ping(self, data: Any = None) -> Any:
        """
        Send a ping.

        Args:
            data: Payload, at most 125 octets; random by default.

        Returns:
            A future of the pong.

        Raises:
            WebsocketClosed: The connection is closed.
            ValueError: A ping with this payload waits for its pong.

        """
        try:
            return asyncio.shield(await self.connection.ping(data))  # type: ignore[arg-type,unused-ignore]
        except ConnectionClosed:
            raise WebsocketClosed(
                "Cannot send a ping when the websocket interface is closed."
            ) from None
        except ConcurrencyError as exc:
            raise ValueError(str(exc)) from None

    async def pong(self, data: Any = b"") -> None:
        """Send an unsolicited pong; nothing once the connection is closed."""
        if self.connection.ready_state == _OPEN:
            await self.connection.pong(data)

    # ---- the end ----

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Begin the closing handshake; does nothing once that is done.

        Args:
            code: Close code; 1006 ends the stream at once.
            reason: Close reason.

        """
        self.end_connection(code, reason)

    def end_connection(self, code: int = 1000, reason: str = "") -> bool:
        """Do what :meth:`close` does, where nothing can be awaited."""
        if code == 1006:
            return self.fail_connection(code)
        if self.connection.ready_state == _OPEN:
            self.connection.close(code, reason)
        return False

    def fail_connection(self, code: int = 1006, reason: str = "") -> bool:
        """End the stream, after a close frame unless the code is 1006."""
        connection = self.connection
        if code == 1006:
            connection.abort()
        else:
            connection.fail(code, reason)
            connection.link.flush()
        return False

    async def wait_for_connection_lost(self, timeout: float | None = None) -> bool:
        """Wait until the connection has ended; tell whether it has."""
        try:
            await asyncio.wait_for(self.connection.wait_closed(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take Sanic's news of the end; the connection had them first."""


class WebSocketProtocol(websocket_protocol.WebSocketProtocol):  # type: ignore[misc]
    """
    Sanic's side of one client, whose WebSocket is ours.

    What Sanic has no configuration for is an attribute of the class, for a subclass to
    change; give Sanic the subclass then.

    Attributes:
        compression: Returns how to compress, or None; by default as ``WSFAST_DEFLATE``
            in the environment says.
        options: More arguments of :func:`~wsfast.asyncio.serve`, as pairs.
        reactor: Take over the sockets of plain connections.

    """

    websocket: Websocket | None
    websocket_url: str | None
    websocket_peer: str | None

    compression: Callable[[], DeflateOptions | None] = staticmethod(
        deflate_from_environment
    )
    options: tuple[tuple[str, Any], ...] = ()
    reactor = True

    async def websocket_handshake(
        self, request: Any, subprotocols: Iterable[str] | None = None
    ) -> Websocket:
        """
        Answer a handshake; the client is ours from then on.

        Args:
            request: Sanic's request.
            subprotocols: Those that the route supports, best first.

        Raises:
            SanicException: The request is no handshake that can be accepted.

        """
        server = _server_for(
            cast(Any, type(self)),
            self.websocket_max_size,
            self.websocket_ping_interval,
            self.websocket_ping_timeout,
            self.websocket_timeout,
            None if subprotocols is None else tuple(subprotocols),
        )
        handshake = server.handshake
        try:
            asked = parse_request(request.head + b"\r\n\r\n")
        except HeadError as exc:
            raise _refusal(handshake.refuse(exc)) from exc
        response = handshake.accept(asked)
        error, agreed = handshake.exception, handshake.deflate
        subprotocol = handshake.subprotocol
        handshake.forget()
        if response.status_code != 101:
            raise _refusal(response) from error
        transport = self.transport
        if transport is None or transport.is_closing():
            raise asyncio.CancelledError  # as if it had gone a moment later
        rest = bytes(self.recv_buffer)
        self.recv_buffer.clear()
        link = link_for(transport, self.reactor)
        connection = server.make_connection(link, asked, response, subprotocol, agreed)
        assert isinstance(connection, _Connection)
        connection.owner = self
        self.websocket = Websocket(connection, self)
        self.websocket_url = request.url
        self.websocket_peer = f"{id(self):X}"[-5:-1] + "unx"
        if ip := request.client_ip:
            self.websocket_peer = f"{ip}:{request.port}"
        link.write(response.serialize())
        connection.opened()
        link.start(connection, rest)
        self.log_websocket("OPEN")
        return self.websocket

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the news of the end, once."""
        if self.websocket is not None:
            if self.websocket.told:
                return
            self.websocket.told = True
        super().connection_lost(exc)


async def _never(connection: ServerConnection) -> None:
    """Stand for the handler of a server that accepts nobody by itself."""


@lru_cache(256)
def _server_for(
    protocol: Any,  # the class
    max_size: int | None,
    ping_interval: float | None,
    ping_timeout: float | None,
    close_timeout: float | None,
    subprotocols: tuple[str, ...] | None,
) -> Server:
    """Return what connections of the same class, settings and subprotocols share."""
    options: dict[str, Any] = {
        "max_size": max_size,
        "ping_interval": ping_interval,
        "ping_timeout": ping_timeout,
        "close_timeout": close_timeout,
        "compression": protocol.compression(),
        "overflow": "wait",
        "server_header": None,
        **dict(protocol.options),
    }
    # An address, because a server has one; it is never opened.
    return Server(
        _never,
        "",
        0,
        subprotocols=subprotocols,
        create_connection=_Connection,
        **options,
    )


def _refusal(response: Response) -> SanicException:
    """Return the exception with which Sanic sends a response that refuses a client."""
    names = ("upgrade", "sec-websocket-version", "allow")
    return SanicException(
        bytes(response.body).decode(),
        status_code=response.status_code,
        quiet=True,
        headers={
            name: value
            for name, value in response.headers.raw_items()
            if name.lower() in names
        },
    )
