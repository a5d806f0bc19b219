"""The server of Engine.IO 4: an ASGI application, or a handler of ``wsfast.serve``."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from ..asgi.exchange import Allowed, Exchange, origin_allowed, path_of
from ..asyncio.server import Server as WebSocketServer
from ..asyncio.server import serve
from ._packets import OPEN, Packet, message_packet
from ._serving import WebSocketHooks, serve_websocket
from .cookie import Cookie
from .exceptions import ErrorCode, Refused
from .polling import answer
from .request import Request
from .session import Socket
from .websocket import LimitedTransport, WebSocketTransport
from .wheel import Wheel

__all__ = ["Server"]

#: Revision of the protocol.
EIO: Final = "4"

_TRANSPORTS: Final = ("polling", "websocket")
_ENDLESS: Final = 1 << 62

#: Packets of a payload that is sent: python-engineio's client takes no more.
MOST_SENT: Final = 16

Fields = list[tuple[str, str]]
HeadersHook = Callable[[Fields, Request], object]


class Server:
    """
    A server of Engine.IO 4.

    It is an ASGI application; with ``--ws wsfast.asgi.uvicorn:WebSocketProtocol`` the
    packets of WebSockets take the way of callbacks, without a task. For WebSockets
    alone, :meth:`serve` needs no other server.

    Args:
        listener_factory: Called with the :class:`Socket` of each session; what it
            returns has the methods of :class:`Listener`, such as a subclass has.
        path: Path of its requests; others go to ``app``.
        transports: Those that clients may use.
        ping_interval: Seconds between pings, to the millisecond.
        ping_timeout: Seconds in which each has to be answered.
        max_http_buffer_size: Octets of a message, and of a payload; None for no limit.
        max_packets: Packets of a payload that is received; None for no limit. Clients
            of JavaScript put whatever they have into one.
        max_sessions: Sessions at a time; None for no limit. A handshake of polling
            holds one until its first ping is not answered.
        max_send_buffer: Octets that may wait for a client, above which its session is
            ended by one more message; None for no limit.
        write_limit: Octets that wait above which ``send()`` is to be awaited.
        upgrade_timeout: Seconds that the change to a WebSocket may take.
        allow_upgrades: Offer the change to clients that poll.
        cookie: Name of a cookie with the identifier, or a :class:`Cookie`.
        cors: Origins whose pages may come, as for
            :func:`~wsfast.asgi.exchange.origin_allowed`; ``"*"`` for all. By default
            none but the server's own.
        allow_request: ``allow_request(request)``, or a coroutine function, says whether
            there shall be a session: True, False, or a message of why not.
        initial_packet: Message that each client gets first.
        http_compression: Octets of a payload from which on it is compressed; None for
            never.
        deflate: Compress what goes over WebSockets, where the server below has agreed
            upon it and the message is long enough; a message can say so by itself.
        initial_headers: ``initial_headers(fields, request)`` may add to the header
            fields of the first answer to a client.
        headers: The same for each answer.
        on_connection_error: ``on_connection_error(request, code, message, context)`` is
            called for each request that is refused.
        app: ASGI application for all other requests; by default they get status 404.
        logger: Logger; by default ``wsfast.engineio``.

    Attributes:
        sockets: The sessions, by identifier.

    Raises:
        ValueError: An option makes no sense.

    """

    def __init__(
        self,
        listener_factory: Callable[[Socket], Any],
        *,
        path: str = "/engine.io/",
        transports: Sequence[str] = _TRANSPORTS,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        max_http_buffer_size: int | None = 1_000_000,
        max_packets: int | None = 1000,
        max_sessions: int | None = 100_000,
        max_send_buffer: int | None = 1 << 20,
        write_limit: int = 64 * 1024,
        upgrade_timeout: float = 10.0,
        allow_upgrades: bool = True,
        cookie: str | Cookie | None = None,
        cors: Allowed = None,
        allow_request: Callable[[Request], Any] | None = None,
        initial_packet: str | bytes | None = None,
        http_compression: int | None = 1024,
        deflate: bool = False,
        initial_headers: HeadersHook | None = None,
        headers: HeadersHook | None = None,
        on_connection_error: Callable[[Request, int, str, dict[str, Any]], object]
        | None = None,
        app: Any = None,
        logger: Any = None,
    ) -> None:
        unknown = set(transports) - set(_TRANSPORTS)
        if unknown or not transports:
            raise ValueError(f"transports must be some of {_TRANSPORTS}: {transports}")
        for name, seconds in (
            ("ping_interval", ping_interval),
            ("ping_timeout", ping_timeout),
            ("upgrade_timeout", upgrade_timeout),
        ):
            if seconds <= 0:
                raise ValueError(f"{name} must be positive, got {seconds}")
        for name, limit in (
            ("max_http_buffer_size", max_http_buffer_size),
            ("max_packets", max_packets),
            ("max_sessions", max_sessions),
        ):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} must be at least 1, got {limit}")
        self.listener_factory = listener_factory
        self.path = "/" + path.strip("/")
        self.transports = tuple(transports)
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_http_buffer_size = max_http_buffer_size
        self.max_body = max_http_buffer_size or _ENDLESS
        self.max_packets = max_packets
        self.most_sent = min(max_packets or MOST_SENT, MOST_SENT)
        self.max_sessions = _ENDLESS if max_sessions is None else max_sessions
        self.max_send_buffer = _ENDLESS if max_send_buffer is None else max_send_buffer
        self.write_limit = write_limit
        self.upgrade_timeout = upgrade_timeout
        self.allow_upgrades = allow_upgrades
        self.cookie = Cookie(cookie) if isinstance(cookie, str) else cookie
        self.cors = cors
        self.allow_request = allow_request
        self.initial_packet = initial_packet
        self.http_compression = http_compression
        self.compress = None if deflate else False
        self.initial_headers = initial_headers
        self.headers = headers
        self.on_connection_error = on_connection_error
        self.app = app
        self.logger = logging.getLogger("wsfast.engineio") if logger is None else logger
        self.sockets: dict[str, Socket] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wheel: Wheel | None = None
        self._told = {
            "pingInterval": round(ping_interval * 1000),
            "pingTimeout": round(ping_timeout * 1000),
            "maxPayload": max_http_buffer_size or 0,
        }

    # ---- serving ----

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request (ASGI 3)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
        elif path_of(scope).rstrip("/") != self.path.rstrip("/"):
            await self._pass_on(scope, receive, send)
        elif kind == "http":
            await answer(self, Exchange(scope, receive, send))
        else:
            await serve_websocket(self, scope, receive, send)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        """Begin and end with the server below."""
        if self.app is not None:
            try:
                await self.app(scope, receive, send)
            finally:
                self.close()
            return
        while True:
            event = await receive()
            if event["type"] == "lifespan.shutdown":
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        """Have the other application serve a request, or nobody."""
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await Exchange(scope, receive, send).respond(404, b"Not Found")
        else:
            await send({"type": "websocket.close", "code": 1000})

    @property
    def listener(self) -> type[WebSocketTransport]:
        """What :func:`wsfast.serve` takes as its handler; :meth:`serve` does more."""
        return self._transport(LimitedTransport)

    def _transport(self, kind: type[WebSocketTransport]) -> type[WebSocketTransport]:
        server = self

        class Transport(kind):  # type: ignore[misc,valid-type]
            __slots__ = ()

            def __init__(self) -> None:
                super().__init__(server)

        return Transport

    def serve(self, *args: Any, **kwargs: Any) -> WebSocketServer:
        """
        Return a server of WebSockets alone, without HTTP; see :func:`wsfast.serve`.

        Args:
            args: Host and port.
            kwargs: Arguments of :func:`wsfast.serve`, but those that are set here:
                ``process_request`` and ``process_response``.

        """
        kwargs.setdefault("compression", None if self.compress is False else "deflate")
        kwargs.setdefault("max_size", self.max_http_buffer_size)
        hooks = WebSocketHooks(self)
        return serve(
            self._transport(WebSocketTransport),
            *args,
            process_request=hooks.process_request,
            process_response=hooks.process_response,
            **kwargs,
        )

    def close(self) -> None:
        """End all sessions."""
        for socket in list(self.sockets.values()):
            socket.end("forced close", code=1001)
        if self._wheel is not None:
            self._wheel.stop()
            self._wheel = None

    # ---- requests ----

    def verify(self, request: Request) -> Socket | None:
        """
        Check a request as the reference does.

        Returns:
            The session that it is for; None if it asks for one.

        Raises:
            Refused: It is refused.

        """
        query, transport = request.query, request.transport
        if transport not in self.transports:
            raise Refused(ErrorCode.UNKNOWN_TRANSPORT, transport=transport)
        if not origin_allowed(request.scope, self.cors):
            raise Refused(ErrorCode.FORBIDDEN, name="ORIGIN_NOT_ALLOWED")
        upgrade = request.is_upgrade
        if upgrade and transport != "websocket":
            raise Refused(ErrorCode.BAD_REQUEST, name="TRANSPORT_HANDSHAKE_ERROR")
        sid = query.get("sid")
        if not sid:
            if request.method != "GET":
                raise Refused(ErrorCode.BAD_HANDSHAKE_METHOD, method=request.method)
            if transport == "websocket" and not upgrade:
                raise Refused(ErrorCode.BAD_REQUEST, name="TRANSPORT_HANDSHAKE_ERROR")
            if query.get("EIO") != EIO:
                raise Refused(
                    ErrorCode.UNSUPPORTED_PROTOCOL_VERSION, protocol=query.get("EIO")
                )
            return None
        socket = self.sockets.get(sid)
        if socket is None:
            raise Refused(ErrorCode.UNKNOWN_SID, sid=sid)
        if not upgrade and socket.transport != transport:
            raise Refused(
                ErrorCode.BAD_REQUEST,
                name="TRANSPORT_MISMATCH",
                transport=transport,
                previous_transport=socket.transport,
            )
        if query.get("EIO") != EIO:
            raise Refused(ErrorCode.BAD_REQUEST, name="PROTOCOL_MISMATCH")
        return socket

    def allow(self, request: Request) -> Awaitable[None]:
        """
        Ask the application whether there shall be a session, if there is room.

        Raises:
            Refused: There shall be none.

        """
        return self._allow(request)

    async def _allow(self, request: Request) -> None:
        if self.allow_request is not None:
            verdict = self.allow_request(request)
            if inspect.isawaitable(verdict):
                verdict = await verdict
            if verdict is not True:
                message = verdict if isinstance(verdict, str) else ""
                raise Refused(ErrorCode.FORBIDDEN, message)
        if len(self.sockets) >= self.max_sessions:
            raise Refused(ErrorCode.FORBIDDEN, "Too many sessions")

    def refused(self, request: Request, exc: Refused) -> None:
        """Tell of a request that is refused."""
        self.logger.info("refused: %s %s", exc, exc.context)
        if self.on_connection_error is not None:
            try:
                self.on_connection_error(
                    request, int(exc.error), str(exc), dict(exc.context)
                )
            except Exception as failure:
                self.logger.error("on_connection_error failed", exc_info=failure)

    def add_headers(self, fields: Fields, request: Request, first: bool) -> None:
        """Have the application add to the header fields of an answer."""
        if first and self.initial_headers is not None:
            self.initial_headers(fields, request)
        if self.headers is not None:
            self.headers(fields, request)

    # ---- sessions ----

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._wheel is not None:
                self._wheel.stop()
            self._loop, self._wheel = loop, None
        return loop

    @property
    def wheel(self) -> Wheel:
        """The timers of all sessions."""
        if self._wheel is None:
            self._wheel = Wheel(self.loop, self._timer_failed)
        return self._wheel

    def _timer_failed(self, exc: Exception) -> None:
        self.logger.error("a timer failed", exc_info=exc)

    def generate_id(self) -> str:
        """Return an identifier that nobody can guess: 128 bits of randomness."""
        return secrets.token_urlsafe(16)

    def open_session(
        self, request: Request, sid: str | None = None, websocket: Any = None
    ) -> Socket:
        """
        Begin a session: the client gets the packet that opens it.

        Args:
            request: Its request, verified.
            sid: Its identifier, where that is known already.
            websocket: The connection that it begins on, or None.

        """
        socket = Socket(self, sid or self.generate_id(), request)
        self.sockets[socket.id] = socket
        upgrades = []
        if websocket is None and self.allow_upgrades:
            upgrades = [name for name in self.transports if name == "websocket"]
        told = {"sid": socket.id, "upgrades": upgrades, **self._told}
        packets: list[Packet] = [OPEN + json.dumps(told, separators=(",", ":"))]
        if self.initial_packet is not None:
            packets.append(message_packet(self.initial_packet))
        for packet in packets:
            if websocket is None:
                socket.queue_packet(packet)
            else:
                websocket.send(packet, compress=self.compress)
        if websocket is not None:
            socket.attach(websocket)
        socket.begin_heartbeat()
        try:
            socket.listener = self.listener_factory(socket)
            socket.listener.on_open()
        except Exception as exc:
            socket.failed(exc)
        return socket

    def session_ended(self, socket: Socket) -> None:
        """Forget a session."""
        self.sockets.pop(socket.id, None)
        if self._wheel is not None:
            self._wheel.cancel(socket)
