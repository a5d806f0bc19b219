"""The client of SockJS for asyncio: :func:`connect`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Literal

from ..asyncio._connector import Connector
from ..asyncio._dialing import dial
from ..asyncio._options import (
    Compression,
    ListenerLike,
    Logger,
    listener_factory,
)
from ..asyncio._streaming import Requests
from ..asyncio._timeout import timeout
from ..exceptions import (
    ConnectionClosed,
    HandshakeTimeout,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)
from ..protocol.headers import Headers, HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import USER_AGENT, Response
from ..protocol.options import Options
from ..protocol.retrying import backoff
from ..protocol.retrying import process_exception as may_go_away
from ..protocol.targets import too_many
from ..protocol.uri import MAX_REDIRECTS, requests
from ._client_connection import ClientConnection
from ._client_http import (
    EventSourceTransport,
    HTTPTransport,
    XHRPollingTransport,
    XHRStreamingTransport,
)
from ._client_info import (
    INFO_SIZE,
    Cookies,
    SockJSTarget,
    add_path,
    parse_info,
    random_server,
    session_ids,
    transport_timeout,
)
from ._client_transports import RawWebSocketTransport, Transport, WebSocketTransport

__all__ = ["DEFAULT_TRANSPORTS", "TransportsFailed", "connect", "process_exception"]

#: What a client tries, in this order, unless told otherwise.
DEFAULT_TRANSPORTS: Final = ("websocket", "xhr-streaming", "xhr-polling")

_PART: Final = re.compile(r"[\w-]+", re.ASCII)

_HTTP: Final[dict[str, type[HTTPTransport]]] = {
    kind.name: kind
    for kind in (XHRStreamingTransport, XHRPollingTransport, EventSourceTransport)
}
_WEBSOCKET: Final[dict[str, type[WebSocketTransport]]] = {
    kind.name: kind for kind in (WebSocketTransport, RawWebSocketTransport)
}


class TransportsFailed(InvalidHandshake):
    """
    No transport could be opened.

    Attributes:
        failures: What each of them failed with, by name, in the order of the attempts.

    """

    code = 2000  # as sockjs-client has it
    reason_code = "transports_failed"

    def __init__(self, failures: dict[str, Exception]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        each = (f"{n}: {type(e).__name__}: {e}" for n, e in self.failures.items())
        return "all transports failed: " + "; ".join(each)


def process_exception(exc: Exception) -> Exception | None:
    """
    Tell whether an error of connecting may go away; as that of :func:`wsfast.connect`.

    Args:
        exc: What connecting failed with.

    Returns:
        None to try again, also if only one transport failed in such a way. Otherwise
        the exception to raise.

    """
    if isinstance(exc, TransportsFailed):
        again = any(may_go_away(one) is None for one in exc.failures.values())
        return None if again else exc
    return may_go_away(exc)


class connect(Connector[ClientConnection]):  # noqa: N801 - it is used like a function
    """
    Open a session with a SockJS server.

    ``await connect(url)`` gives a :class:`ClientConnection`; ``async with connect(url)
    as ws`` closes it at the end; ``async for ws in connect(url)`` opens another one
    whenever the one before has ended, as with :func:`wsfast.connect`.

    The server is asked for its ``/info`` first; then one transport after the other is
    tried, each with a session of its own, for as long as the round-trip time allows:
    four times it, if it is above 100 ms, else it and 300 ms, for each of two trips.

    Args:
        url: Base URL of the server, http or https; a query is kept.
        transports: Those to try, best first: ``"websocket"``, ``"websocket-raw"``,
            ``"xhr-streaming"``, ``"xhr-polling"``, ``"eventsource"``.
        server: The server part of a session's URL, which load balancers go by; three
            digits at random by default.
        session_id: Length of a session's ID, or a function that returns one.
        info_timeout: Seconds that ``/info`` may take.
        transport_timeout: Seconds that opening a transport may take at least, whatever
            the round-trip time.
        heartbeat_timeout: Seconds without any octet until a server is taken for dead,
            over HTTP; None for ever. By default, servers send heartbeats after 25 s.
            Over WebSocket there are ``ping_interval`` and ``ping_timeout``.
        request_timeout: Seconds that a request with messages may take.
        on_heartbeat: ``on_heartbeat(ws)``, for each heartbeat of the server.
        listener: Subclass or instance of :class:`~wsfast.Listener` to call, instead of
            ``recv()``; of each session that opens, one instance. There are no pings.
        max_frame: Octets of a frame, which may hold several messages; None for no
            limit. Beyond it the session fails with 1009.
        open_timeout: Seconds that opening may take, everything included.
        max_redirects: Redirects of ``/info`` to follow.
        additional_headers: Header fields to add to every request.
        limits: Limits of the responses' heads, and of bodies that refuse.
        origin: As for :func:`wsfast.connect`, as is all that is not described here.
        logger: Logger; by default ``wsfast.sockjs``.
        create_connection: Subclass of :class:`ClientConnection` to use.
        kwargs: As for :func:`wsfast.connect`: ``ssl``, ``server_hostname``, ``host``,
            ``port``, ``unix_path``, ``local_addr`` and so on, but ``sock``.

    Raises:
        InvalidURI: ``url`` is not one of HTTP.
        OSError: The server is not reached.
        InvalidHandshake: There is no ``/info``.
        TransportsFailed: No transport could be opened.
        ConnectionClosed: The server has closed the session, instead of opening it.
        HandshakeTimeout: Opening took too long; it is a TimeoutError as well.
        ValueError: An option makes no sense.

    """

    def __init__(
        self,
        url: str,
        transports: Sequence[str] = DEFAULT_TRANSPORTS,
        *,
        server: str | None = None,
        session_id: int | Callable[[], str] = 8,
        info_timeout: float | None = 8.0,
        transport_timeout: float = 0.0,
        heartbeat_timeout: float | None = 60.0,
        request_timeout: float | None = 30.0,
        on_heartbeat: Callable[[ClientConnection], object] | None = None,
        max_frame: int | None = 8 << 20,
        listener: ListenerLike | None = None,
        origin: str | None = None,
        compression: Compression = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        proxy: str | Literal[True] | None = True,
        proxy_headers: HeadersLike | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 30,
        max_redirects: int | None = MAX_REDIRECTS,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: int | None = 1 << 20,
        max_fragments: int | None = 4096,
        max_control_rate: int | None = 10_000,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        max_queue_size: int | None = 1 << 20,
        write_limit: int | tuple[int, int | None] = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: Literal["close", "drop", "wait"] = "close",
        limits: Limits | None = None,
        logger: Logger | None = None,
        create_connection: type[ClientConnection] | None = None,
        reactor: bool = True,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("sock") is not None:
            raise ValueError("sock is for one connection; a session has several")
        if isinstance(transports, str):
            transports = (transports,)
        for name in transports:
            if name not in _HTTP and name not in _WEBSOCKET:
                known = ", ".join((*_WEBSOCKET, *_HTTP))
                raise ValueError(f"there is no transport {name!r}; there are: {known}")
        if not transports:
            raise ValueError("there is no transport to try")
        headers = Headers(additional_headers or ())
        if origin is not None:
            headers["Origin"] = origin
        self._target = SockJSTarget(url, headers, user_agent_header)
        if not self._target.uri.secure and kwargs.get("ssl") is not None:
            raise ValueError("ssl argument is incompatible with an http:// URL")
        if server is not None and not _is_part(server):
            raise ValueError(f"server cannot be part of a path: {server!r}")
        self.url = url
        self.transports = tuple(dict.fromkeys(transports))
        self.process_exception = process_exception
        self.reconnect_delays = reconnect_delays
        self.logger = logging.getLogger("wsfast.sockjs") if logger is None else logger
        self._server = server
        self._new_session_id = session_ids(session_id)
        self._info_timeout = info_timeout
        self._transport_timeout = transport_timeout
        self._heartbeat_timeout = heartbeat_timeout
        self._request_timeout = request_timeout
        self._on_heartbeat = on_heartbeat
        self._max_frame = max_frame
        self._listener_factory = listener_factory(listener)
        if listener is not None and self._listener_factory is None:
            raise TypeError(f"listener is not a Listener: {listener!r}")
        self._open_timeout = open_timeout
        self._max_redirects = max_redirects
        self._limits = DEFAULT_LIMITS if limits is None else limits
        self._proxy, self._proxy_headers = proxy, proxy_headers
        self._user_agent_header = user_agent_header
        self._create_connection = create_connection or ClientConnection
        self._kwargs = kwargs
        shared: dict[str, Any] = {
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
            "max_queue": max_queue,
            "max_queue_size": max_queue_size,
            "write_limit": write_limit,
            "max_send_buffer": max_send_buffer,
            "overflow": overflow,
        }
        self._options = Options(max_size=max_size, **shared)
        self._ws_options: dict[str, Any] = {
            **shared,
            "compression": compression,
            "max_fragments": max_fragments,
            "max_control_rate": max_control_rate,
            "user_agent_header": user_agent_header,
            "proxy": proxy,
            "proxy_headers": proxy_headers,
            "open_timeout": None,  # ours is above it
            "max_redirects": max_redirects,
            "limits": self._limits,
            "logger": self.logger,
            "reactor": reactor,
            **kwargs,
        }

    # ---- opening ----

    async def connect(self) -> ClientConnection:
        """Open a session; what awaiting this object does."""
        try:
            async with timeout(self._open_timeout):
                return await self._connect()
        except HandshakeTimeout:  # of a part of it
            raise
        except asyncio.TimeoutError as exc:
            raise HandshakeTimeout("timed out while opening a session") from exc

    async def _connect(self) -> ClientConnection:
        cookies = Cookies()
        target, info, rtt = self._target, None, None
        if set(self.transports) != {RawWebSocketTransport.name}:
            target, info, rtt = await self._ask_info(cookies)
        limit_s = transport_timeout(rtt, self._transport_timeout)
        server = self._server or random_server()
        failures: dict[str, Exception] = {}
        for name in self.transports:
            if (
                name in _WEBSOCKET
                and info is not None
                and info.get("websocket") is False
            ):
                failures[name] = InvalidHandshake("the server has it disabled")
                continue
            make = self._listener_factory
            connection = self._create_connection(
                self._options,
                self.logger,
                url=target.url,
                max_frame=self._max_frame,
                on_heartbeat=self._on_heartbeat,
                listener=None if make is None else make(),
            )
            connection.info, connection.rtt = info, rtt
            way = self._make(name, connection, target, cookies, server)
            try:
                async with timeout(limit_s):
                    await connection.open(way)
                return connection
            except ConnectionClosed as exc:
                if exc.rcvd is not None and (exc.code == 1000 or exc.code >= 3000):
                    raise  # so the application on the other side has it
                cause = exc.__cause__
                failures[name] = cause if isinstance(cause, Exception) else exc
            except asyncio.TimeoutError:
                text = f"timed out after {limit_s:.1f} seconds"
                failures[name] = HandshakeTimeout(text)
            except Exception as exc:
                failures[name] = exc
            except BaseException:
                connection.abort()
                raise
            connection.abort()
            await connection.wait_closed()
            self.logger.info("%s failed: %s", name, failures[name])
        raise TransportsFailed(failures) from next(reversed(failures.values()))

    def _make(
        self,
        name: str,
        connection: ClientConnection,
        target: SockJSTarget,
        cookies: Cookies,
        server: str,
    ) -> Transport:
        """Return a transport to try."""
        if name == RawWebSocketTransport.name:
            place = "/websocket"
        else:
            connection.session_id = session_id = self._new_session_id()
            if not _is_part(session_id):
                raise ValueError(f"session_id cannot be part of a path: {session_id!r}")
            place = f"/{server}/{session_id}"
        if name in _HTTP:
            base = target.at(add_path(target.url, place))
            return _HTTP[name](
                connection,
                base,
                self._requests(target),
                self._requests(target),
                cookies,
                self._heartbeat_timeout,
                self._request_timeout,
            )
        headers = target.headers.copy()
        value = cookies.value(target.url, "; ".join(headers.get_all("Cookie")) or None)
        if value is not None:
            headers.popall("Cookie", None)
            headers["Cookie"] = value
        if name == WebSocketTransport.name:
            place += "/websocket"
        url = add_path(target.url, place)
        size = self._max_frame
        if name == RawWebSocketTransport.name:
            size = self._options.max_size if self._options.max_size >= 0 else None
        options = {**self._ws_options, "additional_headers": headers, "max_size": size}
        return _WEBSOCKET[name](connection, url, options)

    def _requests(self, target: SockJSTarget) -> Requests:
        """Return what sends requests to a server."""

        async def open_link() -> Any:
            return await dial(
                target.uri,
                self._proxy,
                self._kwargs,
                limits=self._limits,
                user_agent_header=self._user_agent_header,
                proxy_headers=self._proxy_headers,
            )

        return Requests(open_link, self._limits)

    # ---- /info ----

    async def _ask_info(
        self, cookies: Cookies
    ) -> tuple[SockJSTarget, dict[str, Any], float]:
        """Return where the server is, what it says, and the round-trip time."""
        loop = asyncio.get_running_loop()
        target = self._target.at(add_path(self._target.url, "/info"))
        try:
            async with timeout(self._info_timeout):
                for _ in requests(self._max_redirects):
                    asked_at = loop.time()
                    try:
                        response, body = await self._get(target, cookies)
                    except InvalidStatus as exc:
                        following = target.redirected(exc.response, self._kwargs)
                        if following is None:
                            raise
                        target = following
                        continue
                    rtt = loop.time() - asked_at
                    cookies.store(target.url, response)
                    info = parse_info(body)
                    base = target.base()
                    if info.get("base_url"):
                        base = base.elsewhere(info["base_url"])
                    return base, info, rtt
                raise too_many(self._max_redirects)
        except asyncio.TimeoutError as exc:
            text = f"no /info within {self._info_timeout} seconds"
            raise HandshakeTimeout(text) from exc

    async def _get(
        self, target: SockJSTarget, cookies: Cookies
    ) -> tuple[Response, bytes]:
        body = bytearray()

        def receive(data: bytes) -> None:
            body.extend(data)
            if len(body) > INFO_SIZE:
                raise InvalidMessage(f"/info exceeds {INFO_SIZE} bytes", "long_info")

        request = target.make_request([("Accept", "application/json")])
        octets = cookies.add(target.url, request).serialize()
        asking = self._requests(target)
        try:
            return await asking.request(octets, receive), bytes(body)
        finally:
            asking.close()


def _is_part(text: str) -> bool:
    """Tell whether this can be the server, or the session, of a path."""
    return _PART.fullmatch(text) is not None
