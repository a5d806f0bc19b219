"""The server of SockJS: an ASGI application with all of its paths."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from ..asgi.exchange import (
    Allowed,
    BodyTooBig,
    ClientGone,
    Exchange,
    origin_allowed,
    path_of,
)
from ..attach.asgi import AsgiConnection, AsgiHost
from ..engine import decode_sockjs
from ..exceptions import InvalidHandshake
from . import _pages as pages
from ._http import DirectExchange
from ._polled import PolledSession
from ._pushed import Pushing
from ._responses import (
    EVENTSOURCE,
    HTMLFILE,
    JSONP,
    XHR,
    XHR_STREAMING,
    Listener,
    Transport,
    callback_of,
)
from ._sockets import RawSession, SocketSession
from .options import (
    Handler,
    JSessionID,
    Options,
    Overflow,
    checked_transports,
    default_logger,
)
from .serving import Server
from .session import Session

__all__ = ["SockJS"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Where clients find the script of sockjs-client, as sockjs-node has it.
SOCKJS_URL = "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js"

#: Parts of a path that name a server and a session: neither dots nor slashes, as the
#: protocol says; and, as nobody needs more, printable ASCII of bounded length.
_PART = re.compile(r"[ -\-0-~]{1,128}\Z")
_IFRAME = re.compile(r"/iframe[0-9-.a-z_]*\.html\Z")

_LISTENING = {each.path: each for each in (XHR, XHR_STREAMING, EVENTSOURCE, HTMLFILE)}
_LISTENING[JSONP.path] = JSONP
#: Path of what brings messages -> transports that use it, any of which has to be on.
_BRINGING = {
    "xhr_send": {"xhr-polling", "xhr-streaming", "eventsource", "htmlfile"},
    "jsonp_send": {"jsonp-polling"},
}

NO_UPGRADE = b'Can "Upgrade" only to "WebSocket".'
NO_CONNECTION = b'"Connection" must be "Upgrade".'


class SockJS:
    """
    A server of SockJS, as an ASGI application (SockJS protocol 0.3.3).

    It is mounted anywhere: by Starlette's ``Mount`` or FastAPI's ``mount``, with the
    prefix in their hands, or it is all there is, with a prefix of its own::

        async def echo(session):
            async for message in session:
                await session.send(message)

        app = SockJS(echo, "/echo")

    The handler is called for each session, over whatever transport, and the session
    ends with it: with code 1000, or 1011 if it raises. As far as it sends, receives and
    closes, it may be one that ``wsfast.serve()`` or an event stream has, too.

    Args:
        handler: ``await handler(session)``, see :class:`Session`.
        prefix: Path before all others, such as ``"/echo"``, without a slash at its end.
        sockjs_url: URL of sockjs-client's script, for the page that its frames load.
        response_limit: Octets after which a response that streams is ended, so that its
            client can let go of them and ask again.
        transports: Names of those that are on; None for all but ``"jsonp-polling"``,
            which lets any page read what its user's session gets.
        websocket: False to do without WebSocket.
        jsessionid: True to set the cookie by which load balancers know a client;
            or ``jsessionid(exchange, fields)``, which appends to the header fields of
            the response.
        heartbeat_delay: Seconds between two heartbeats.
        disconnect_delay: Seconds for which a session waits for a request that listens.
        cors: Pages of which origins may use it: False for none but its own; True for
            all; or some, as :func:`wsfast.asgi.exchange.origin_allowed` has them.
        base_url: What clients are told to use instead of the URL that they know; or a
            function that returns it.
        max_size: Octets of a request that brings messages, and of all the messages that
            wait for a handler; of a message of WebSocket, too.
        max_queue: Messages that wait for a handler.
        max_sessions: Sessions, but those over WebSocket.
        write_limit: Octets that wait to be sent above which ``send()`` waits.
        max_send_buffer: Octets above which ``overflow`` says what becomes of a message;
            None for no limit. Over WebSocket the server has such limits of its own.
        overflow: ``"close"`` ends the session, ``"drop"`` drops the message, ``"wait"``
            queues it all the same, for senders that await.
        send_timeout: Seconds that a client may take for one piece of a response, until
            it is given up; None for ever.
        logger: Logger; by default ``wsfast.sockjs``.

    Raises:
        ValueError: An argument is none of that.

    """

    def __init__(
        self,
        handler: Handler,
        prefix: str = "",
        *,
        sockjs_url: str = SOCKJS_URL,
        response_limit: int = 128 * 1024,
        transports: Iterable[str] | None = None,
        websocket: bool = True,
        jsessionid: JSessionID = False,
        heartbeat_delay: float = 25.0,
        disconnect_delay: float = 5.0,
        cors: bool | Allowed = False,
        base_url: str | Callable[[], str] | None = None,
        max_size: int = 1 << 20,
        max_queue: int = 1024,
        max_sessions: int = 10_000,
        write_limit: int = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: Overflow = "close",
        send_timeout: float | None = 60.0,
        logger: Any = None,
    ) -> None:
        self.options = Options(
            handler=handler,
            prefix=prefix,
            sockjs_url=sockjs_url,
            response_limit=response_limit,
            transports=checked_transports(transports, websocket),
            jsessionid=jsessionid,
            heartbeat_delay=heartbeat_delay,
            disconnect_delay=disconnect_delay,
            cors=("*" if cors else None) if isinstance(cors, bool) else cors,
            base_url=base_url,
            max_size=max_size,
            max_queue=max_queue,
            max_sessions=max_sessions,
            write_limit=write_limit,
            max_send_buffer=max_send_buffer,
            overflow=overflow,
            send_timeout=send_timeout,
            logger=default_logger(logger),
        )
        self._iframe = pages.IframePage(sockjs_url)
        self._polled: dict[str, PolledSession] = {}
        self._sockets: set[RawSession] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.closing = False

    # ---- the application ----

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a WebSocket, or an application's life."""
        if scope["type"] == "http":
            await self.answer(Exchange(scope, receive, send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"SockJS serves no scope of type {scope['type']!r}")

    @property
    def sessions(self) -> list[Session]:
        """The sessions there are now."""
        return [*self._polled.values(), *self._sockets]

    async def close(self) -> None:
        """
        End all sessions, with code 1001; cancel the handlers of those over HTTP.

        A WebSocket's handler is in the task of whoever serves it.
        """
        self.end_sessions()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def end_sessions(self) -> None:
        """End all sessions, with code 1001, and take no more."""
        self.closing = True
        for session in self.sessions:
            session.close(1001, "Going away")

    def forget_sessions(self) -> None:
        """Forget ended sessions whose clients could be told still; for the hosts."""
        for session in [*self._polled.values()]:
            session.expire()

    def serve(self, *args: Any, **kwargs: Any) -> Server:
        """
        Return a server of this service alone, which needs no other; awaited, it serves.

        Args:
            args: Host and port, as for :func:`wsfast.serve`.
            kwargs: See :class:`~wsfast.sockjs.Server`.

        """
        return Server(self, *args, **kwargs)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    # ---- HTTP ----

    async def answer(self, exchange: Exchange) -> None:
        """Answer a request; for the hosts."""
        try:
            await self._route(exchange)
        except BodyTooBig:
            await exchange.respond(413, b"Payload too large.\n", [pages.PLAIN])
        except ClientGone:
            pass  # nobody is there to be told

    async def _route(self, exchange: Exchange) -> None:
        path = self._path_below(exchange.scope)
        if path is None:
            await self._not_found(exchange)
        elif path == "":
            if await self._only(exchange, "GET"):
                await exchange.respond(200, pages.GREETING, [pages.PLAIN])
        elif path == "/info":
            await self._info(exchange)
        elif _IFRAME.match(path):
            if await self._only(exchange, "GET"):
                await self._iframe.answer(exchange)
        elif path == "/websocket":
            await self._no_websocket(exchange, "websocket-raw")
        else:
            await self._session_path(exchange, path)

    def _path_below(self, scope: Scope) -> str | None:
        """Return the path below ours; None if it is not below."""
        path, prefix = path_of(scope), self.options.prefix
        if not path.startswith(prefix):
            return None
        path = path[len(prefix) :]
        if path[:1] not in ("", "/"):
            return None
        return path.removesuffix("/")

    async def _session_path(self, exchange: Exchange, path: str) -> None:
        """Serve ``/<server>/<session>/<transport>``."""
        found = _session_of(path)
        if found is None:
            await self._not_found(exchange)
            return
        key, name = found
        transports = self.options.transports
        listening = _LISTENING.get(name)
        if name == "websocket":
            await self._no_websocket(exchange, "websocket")
        elif listening is not None and listening.name in transports:
            if await self._only(exchange, listening.method, listening.cors):
                await self._listen(exchange, key, listening)
        elif name in _BRINGING and not transports.isdisjoint(_BRINGING[name]):
            if await self._only(exchange, "POST", name == "xhr_send"):
                await self._bring(exchange, key, name == "jsonp_send")
        else:
            await self._not_found(exchange)

    async def _only(self, exchange: Exchange, method: str, cors: bool = False) -> bool:
        """Tell whether a request is to be served; answer it if it is not."""
        if cors and not origin_allowed(exchange.scope, self.options.cors):
            await exchange.respond(403, b"Origin not allowed.\n", [pages.PLAIN])
            return False
        asked = exchange.method
        if asked == method or (asked == "HEAD" and method == "GET" and not cors):
            return True
        if asked == "OPTIONS" and cors:
            fields = pages.preflight(f"OPTIONS, {method}")
            fields += pages.cors_fields(exchange, self.options)
            self._add_cookie(exchange, fields)
            await exchange.respond(204, b"", fields)
        else:
            allowed = f"OPTIONS, {method}" if cors else method
            await exchange.respond(405, b"", [("allow", allowed)])
        return False

    async def _not_found(self, exchange: Exchange) -> None:
        await exchange.respond(404, pages.NOT_FOUND, [pages.PLAIN])

    async def _info(self, exchange: Exchange) -> None:
        if await self._only(exchange, "GET", True):
            fields = [
                ("content-type", "application/json; charset=UTF-8"),
                pages.NO_CACHE,
                *pages.cors_fields(exchange, self.options),
            ]
            await exchange.respond(200, pages.info(self.options), fields)

    async def _no_websocket(self, exchange: Exchange, transport: str) -> None:
        """Answer a request that is no opening handshake, where one should be."""
        if transport not in self.options.transports:
            fields = [pages.PLAIN, *pages.cached()]
            await exchange.respond(404, pages.NOT_FOUND, fields)
        elif exchange.method != "GET":
            await exchange.respond(405, b"", [("allow", "GET")])
        else:
            upgrade = exchange.field("upgrade").lower()
            body = NO_CONNECTION if upgrade == "websocket" else NO_UPGRADE
            await exchange.respond(400, body)

    def fields_of(self, exchange: Exchange, cors: bool) -> list[tuple[str, str]]:
        """Return the header fields of every answer that a session gives."""
        fields = [pages.NO_CACHE]
        if cors:
            fields += pages.cors_fields(exchange, self.options)
        self._add_cookie(exchange, fields)
        return fields

    def _add_cookie(self, exchange: Exchange, fields: list[tuple[str, str]]) -> None:
        jsessionid = self.options.jsessionid
        if callable(jsessionid):
            jsessionid(exchange, fields)
        elif jsessionid:
            value = exchange.cookies.get("JSESSIONID", "dummy")
            fields.append(("set-cookie", f"JSESSIONID={value}; path=/"))

    async def _listen(self, exchange: Exchange, key: str, transport: Transport) -> None:
        callback = ""
        if transport.has_callback:
            try:
                callback = callback_of(exchange)
            except ValueError as exc:
                await exchange.respond(500, str(exc).encode())
                return
        session = self._polled.get(key)
        if session is None:
            if self.closing or len(self._polled) >= self.options.max_sessions:
                await exchange.respond(503, b"Too many sessions.\n", [pages.PLAIN])
                return
            session = PolledSession(
                self.options,
                exchange.scope,
                transport.name,
                lambda: self._polled.pop(key, None),
            )
            self._polled[key] = session
            task = asyncio.get_running_loop().create_task(session.serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif session.protocol != transport.name:
            await self._not_found(exchange)
            return
        fields = self.fields_of(exchange, transport.cors)
        if transport is JSONP:
            fields.append(("x-content-type-options", "nosniff"))
        fields = [transport.content_type, *fields]
        if transport.streams and isinstance(exchange, DirectExchange):
            limit = self.options.response_limit
            pushing = Pushing(transport, session, exchange, callback, limit)
            if session.listen(pushing, exchange.scope):
                pushing.begin(fields)
                return
        listener = Listener(transport, session, exchange, fields, callback)
        await listener.serve(self.options)

    def polled(self, key: str) -> PolledSession | None:
        """Return a session over HTTP by its identifier; for the hosts."""
        return self._polled.get(key)

    def session_brought_to(self, exchange: Exchange) -> str | None:
        """Return the session that an ``xhr_send`` is for, if it is one; for hosts."""
        path = self._path_below(exchange.scope)
        key, name = (None if path is None else _session_of(path)) or (None, "")
        on = not self.options.transports.isdisjoint(_BRINGING["xhr_send"])
        return key if name == "xhr_send" and on else None

    async def _bring(self, exchange: Exchange, key: str, form: bool) -> None:
        """Take messages for a session."""
        session = self._polled.get(key)
        if session is None:
            await self._not_found(exchange)
            return
        data = await exchange.body(self.options.max_size)
        try:
            found = decode_sockjs(_payload(exchange, data) if form else data)
        except ValueError as exc:
            await exchange.respond(500, str(exc).encode())
            return
        fields = [pages.PLAIN, *self.fields_of(exchange, not form)]
        if not session.feed(found):
            await exchange.respond(503, b"Too many messages.\n", fields)
            return
        if session.is_full:
            await session.room()
        if form:
            await exchange.respond(200, b"ok", fields)
        else:
            await exchange.respond(204, b"", fields)

    # ---- WebSocket ----

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = self.kind_of_socket(scope)
        if kind is None or self.closing:
            await _refuse(scope, receive, send, 404 if kind is None else 503)
            return
        if not origin_allowed(scope, self.options.cors):
            await _refuse(scope, receive, send, 403)
            return
        options = self.options
        host = AsgiHost(
            scope, receive, send, None, None, options.max_size, options.logger
        )
        try:
            connection = await host.open(None)  # type: ignore[arg-type]
        except InvalidHandshake:
            return  # the client has gone
        await self.serve_socket(kind, scope, connection)

    async def serve_socket(
        self, kind: type[RawSession], scope: Scope, connection: Any
    ) -> None:
        """Serve the session that a WebSocket is, which is open; for the hosts."""
        session = kind(self.options, scope, connection)
        self._sockets.add(session)
        try:
            session.opened()
            await session.serve()
        finally:
            self._sockets.discard(session)
            session.driver.cancel(session)
            session.tell_closers()
            if isinstance(connection, AsgiConnection):  # nobody else flushes it
                await connection.wait_closed()

    def kind_of_socket(self, scope: Scope) -> type[RawSession] | None:
        """Return what serves a WebSocket, None if there is none at its path."""
        path = self._path_below(scope)
        transports = self.options.transports
        if path == "/websocket":
            return RawSession if "websocket-raw" in transports else None
        found = None if path is None else _session_of(path)
        if found is None or found[1] != "websocket" or "websocket" not in transports:
            return None
        return SocketSession


def _session_of(path: str) -> tuple[str, str] | None:
    """Return the session and the transport that a path names, if it does."""
    parts = path.split("/")
    if len(parts) != 4 or not (_PART.match(parts[1]) and _PART.match(parts[2])):
        return None
    return parts[2], parts[3]


def _payload(exchange: Exchange, data: bytes) -> bytes | str:
    """Return the messages of a form, or of a body that is none."""
    kind = exchange.field("content-type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return data
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("Broken JSON encoding.") from None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=16)
    except ValueError:  # more fields than any client sends
        raise ValueError("Payload expected.") from None
    return dict(pairs).get("d", "")


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    """Refuse a WebSocket: with a status, if the server can, else with its own."""
    if (await receive())["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1000})
        return
    kind = "websocket.http.response"
    fields = [(b"content-type", b"text/plain; charset=UTF-8")]
    await send({"type": f"{kind}.start", "status": status, "headers": fields})
    await send(
        {"type": f"{kind}.body", "body": pages.NOT_FOUND if status == 404 else b""}
    )
