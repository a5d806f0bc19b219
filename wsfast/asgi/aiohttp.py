"""
WebSockets of aiohttp's server: its handlers, our connections.

``setup(app)`` once, then ``ws = await upgrade(request)`` in a handler: aiohttp has read
the request, and from there on the client is ours. The reactor takes over the socket
where it can; a TLS transport gets another protocol. aiohttp keeps what belongs to it:
the handler's task, middlewares, the access log, and the count of its connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from ..asyncio._stream import link_for
from ..asyncio.server import Server, ServerConnection
from ..exceptions import ConnectionClosed
from ..protocol.heads import HeadError, parse_request
from ..protocol.http import Response
from ._needs import need

with need("wsfast.asgi.aiohttp", "aiohttp", "3.11"):
    from aiohttp import web

__all__ = ["Connection", "Upgraded", "Upgrades", "setup", "upgrade"]

#: Arguments of ``serve()`` that are about connections rather than listening.
_OPTIONS = frozenset(
    (
        "auto_pong",
        "binary",
        "close_timeout",
        "compression",
        "drain_timeout",
        "extensions",
        "logger",
        "max_buffered",
        "max_control_rate",
        "max_fragments",
        "max_queue",
        "max_queue_size",
        "max_send_buffer",
        "max_size",
        "origins",
        "overflow",
        "ping_interval",
        "ping_timeout",
        "reactor",
        "server_header",
        "subprotocols",
        "text",
        "validate_utf8",
        "write_limit",
    )
)

#: Header fields of a refusal that are aiohttp's to say.
_HTTP_FIELDS = ("connection", "content-length", "content-type", "date", "server")


class Upgraded(web.StreamResponse):  # type: ignore[misc]
    """
    What a handler returns after :func:`upgrade`: there is nothing left to send.

    aiohttp sends it as any response; that closes the connection with code 1000, unless
    it is closed already, and waits until the client is gone.

    Args:
        connection: The connection.

    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(status=101)
        self.force_close()  # no further request can follow
        self._connection = connection

    async def prepare(self, request: web.BaseRequest) -> None:
        """Begin the closing handshake: the handler has returned."""
        self._connection.close(1000)

    async def write_eof(self, data: bytes = b"") -> None:
        """Wait for the end of the connection."""
        await self._connection.wait_closed()


class Connection(ServerConnection):
    """
    A :class:`~wsfast.asyncio.ServerConnection` in a handler of aiohttp.

    Attributes:
        owner: aiohttp's side of the client; None once it knows of the end.
        upgraded: What the handler has to return.

    """

    owner: Any
    upgraded: Upgraded

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended, and pass it on to aiohttp."""
        super().lost(exc)
        owner, self.owner = self.owner, None
        if owner is not None:
            owner.connection_lost(exc)

    def request_done(self, task: asyncio.Task[Any]) -> None:
        """End the connection if the handler has failed, or returned something else."""
        away = self.server.closing or task.cancelled()
        self.close(1001 if away else 1011)


class Upgrades(Server):
    """
    The connections of one application; nobody listens.

    Args:
        options: Arguments of :func:`~wsfast.asyncio.serve` that are about connections.

    Raises:
        TypeError: There is no such argument.

    """

    def __init__(self, options: dict[str, Any]) -> None:
        unknown = options.keys() - _OPTIONS
        if unknown:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"not an option of a connection: {names}")
        # An address, because a server has one; it is never opened.
        super().__init__(_never, "", 0, create_connection=Connection, **options)

    def upgrade(
        self, request: web.Request, headers: Sequence[tuple[str, str]] = ()
    ) -> Connection:
        """
        Take over the client of a request; see :func:`upgrade`.

        Args:
            request: The request.
            headers: Header fields to add to the response.

        """
        if self.closing:
            raise web.HTTPServiceUnavailable(text="The server is shutting down.\n")
        protocol = request.protocol
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("Connection lost")
        if request.writer.output_size:
            raise RuntimeError("a response to this request has been sent")
        try:
            asked = parse_request(_head_of(request))
        except HeadError as exc:
            raise _Refusal(self.handshake.refuse(exc)) from exc
        response = self.handshake.accept(asked)
        error, agreed = self.handshake.exception, self.handshake.deflate
        subprotocol = self.handshake.subprotocol
        self.handshake.forget()
        if response.status_code != 101:
            raise _Refusal(response) from error
        for name, value in headers:
            response.headers[name] = value
        octets = response.serialize()

        # aiohttp must neither write to the transport any more, nor close it, nor end
        # it as idle; and it has kept what came behind the request.
        protocol.keep_alive(False)
        rest, protocol._message_tail = protocol._message_tail, b""
        protocol.transport = None
        link = link_for(transport, self._listening.where.reactor)
        connection = self.make_connection(link, asked, response, subprotocol, agreed)
        assert isinstance(connection, Connection)
        if headers:
            connection.response = response  # it cannot be made again of the request
        connection.owner = protocol
        connection.upgraded = request[_NAME] = Upgraded(connection)
        request.task.add_done_callback(connection.request_done)
        link.write(octets)
        self._connections.add(connection)
        connection.opened()
        link.start(connection, rest)
        return connection


async def _never(connection: ServerConnection) -> None:
    """Stand for the handler of a server that accepts nobody by itself."""


def _head_of(request: web.Request) -> bytes:
    """Return the head of a request as it was received, or one that says the same."""
    version = request.version
    lines = [
        b"%b %b HTTP/%d.%d"
        % (request.method.encode(), request.raw_path.encode(), *version),
        *(b"%b: %b" % field for field in request.raw_headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class _Refusal(web.HTTPException):  # type: ignore[misc]
    """The exception with which aiohttp sends a response that refuses a client."""

    def __init__(self, response: Response) -> None:
        self.status_code = response.status_code
        super().__init__(
            headers={
                name: value
                for name, value in response.headers.raw_items()
                if name.lower() not in _HTTP_FIELDS
            },
            reason=HTTPStatus(response.status_code).phrase,
            text=bytes(response.body).decode(),
        )


_KEY: Any = web.AppKey("wsfast", Upgrades)
#: Where a request has what its handler is to return; older versions have names alone.
_NAME: Any = (
    web.RequestKey("wsfast", Upgraded) if hasattr(web, "RequestKey") else "wsfast"
)


async def _end_well(
    request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]
) -> Any:
    """Take it for the end of a handler, not for its failure, that the client left."""
    try:
        return await handler(request)
    except ConnectionClosed:
        if _NAME not in request:
            raise
        return request[_NAME]


def setup(app: web.Application, **options: Any) -> None:
    """
    Prepare an application, and its subapplications, for :func:`upgrade`.

    When the application shuts down its connections are closed with code 1001. What is
    not gone after ``drain_timeout`` is cut.

    Args:
        app: The application, before it is started. A subapplication that is set up too
            has options of its own.
        options: Arguments of :func:`~wsfast.asyncio.serve`, but for those about
            listening and the hooks of the handshake, which a handler does not need.

    Raises:
        TypeError: There is no such option.
        RuntimeError: The application is set up already.

    """
    upgrades = Upgrades(options)
    if _KEY in app:
        raise RuntimeError("wsfast.asgi.aiohttp.setup() was called for this app before")
    app[_KEY] = upgrades
    app.on_shutdown.append(_shutdown)
    app.middlewares.append(web.middleware(_end_well))


async def _shutdown(app: web.Application) -> None:
    server = app[_KEY]
    server.close()
    await server.wait_closed()


async def upgrade(request: web.Request) -> Connection:
    """
    Answer a WebSocket handshake; the client is ours from then on.

    The handler returns ``ws.upgraded``. Until then the connection is as open as client
    and handler leave it; then it is closed with code 1000, and with 1011 if the handler
    fails or returns anything else. A :exc:`~wsfast.ConnectionClosed` that nobody
    catches is no failure.

    Args:
        request: The request that the handler got.

    Returns:
        The connection, after the response was queued.

    Raises:
        web.HTTPException: The request is no handshake, or not one to accept; left
            alone, it makes aiohttp answer accordingly.
        ConnectionResetError: The client has gone.
        RuntimeError: :func:`setup` was not called, or a response was sent.

    """
    server = request.config_dict.get(_KEY)
    if server is None:
        raise RuntimeError("call wsfast.asgi.aiohttp.setup(app) before the app starts")
    upgrades: Upgrades = server
    return upgrades.upgrade(request)
