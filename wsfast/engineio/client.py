"""The client of Engine.IO 4 for asyncio: :func:`connect`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import weakref
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from ..asyncio._timeout import timeout as time_limit
from ..asyncio.client import connect as connect_websocket
from ..asyncio.waiter import Later
from ..exceptions import ConnectionClosed, HandshakeTimeout, InvalidStatus, InvalidURI
from ..protocol.headers import HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import USER_AGENT
from ..protocol.targets import Target
from ._client_polling import Cookies, Polling, refusal_of
from ._client_websocket import ClientTransport
from ._packets import CLOSE, OPEN, PING, PONG, Packet, encode_payload
from ._sending import CLOSED, CLOSING, Sending
from ._sending import OPEN as IS_OPEN
from .exceptions import BadReply, SessionClosed
from .wheel import Wheel

__all__ = ["ClientSocket", "connect"]

_TRANSPORTS: Final = ("polling", "websocket")
_ENDLESS: Final = 1 << 62

_wheels: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Wheel]
_wheels = weakref.WeakKeyDictionary()


def _wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """Return the timers of all clients of an event loop."""
    wheel = _wheels.get(loop)
    if wheel is None:
        log = logging.getLogger("wsfast.engineio")
        wheel = Wheel(loop, lambda exc: log.error("a timer failed", exc_info=exc))
        _wheels[loop] = wheel
    return wheel


class connect:  # noqa: N801 - it is used like a function
    """
    Open a session at a server of Engine.IO 4.

    ``await connect(url, Listener)`` gives a :class:`ClientSocket`; ``async with`` one
    closes it at the end. What happens is told to the listener.

    Args:
        url: With scheme http, https, ws or wss; its path does not count.
        listener_factory: Called with the :class:`ClientSocket`; what it returns has
            the methods of :class:`Listener`, such as a subclass has.
        path: Path of the server.
        transports: Those to use; it begins with the first.
        upgrade: Change from polling to a WebSocket, if the server offers that.
        query: Parameters to add to the query of each request.
        additional_headers: Header fields to add to each request.
        user_agent_header: Value of the User-Agent header, or None.
        open_timeout: Seconds that opening may take.
        upgrade_timeout: Seconds that the change to a WebSocket may take.
        max_size: Octets of a message that comes over a WebSocket; None for no limit.
        max_payload: Octets that come with one response; None for no limit.
        max_packets: Packets that go with one request; None for no limit.
        max_send_buffer: Octets that may wait for the server, above which the session is
            ended by one more message; None for no limit.
        write_limit: Octets that wait above which ``send()`` is to be awaited.
        compression: As for :func:`wsfast.connect`.
        limits: Limits of the responses' heads, and of the bodies of those that refuse.
        proxy: As for :func:`wsfast.connect`.
        proxy_headers: Header fields for an HTTP proxy alone.
        logger: Logger; by default ``wsfast.engineio``.
        kwargs: As for :func:`wsfast.connect`: ``ssl``, ``server_hostname``, ``host``,
            ``port``, ``unix_path``, ``local_addr`` and so on, but ``sock``.

    Raises:
        InvalidURI: ``url`` is none of those.
        ValueError: An option makes no sense.
        BadReply: The server refuses, or is none of Engine.IO 4.
        OSError: The server is not reached.
        InvalidHandshake: It does not answer as HTTP has it.
        HandshakeTimeout: Opening took too long.

    """

    def __init__(
        self,
        url: str,
        listener_factory: Callable[[ClientSocket], Any],
        *,
        path: str = "/engine.io/",
        transports: Sequence[str] = _TRANSPORTS,
        upgrade: bool = True,
        query: Mapping[str, str] | None = None,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        open_timeout: float | None = 20.0,
        upgrade_timeout: float = 10.0,
        max_size: int | None = 1 << 20,
        max_payload: int | None = 1 << 24,
        max_packets: int | None = 16,
        max_send_buffer: int | None = 1 << 20,
        write_limit: int = 64 * 1024,
        compression: Any = None,
        limits: Limits = DEFAULT_LIMITS,
        proxy: str | Literal[True] | None = True,
        proxy_headers: HeadersLike | None = None,
        logger: Any = None,
        **kwargs: Any,
    ) -> None:
        unknown = set(transports) - set(_TRANSPORTS)
        if unknown or not transports:
            raise ValueError(f"transports must be some of {_TRANSPORTS}: {transports}")
        if kwargs.get("sock") is not None:
            raise ValueError("sock is for one connection; a session has several")
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https"):
            raise InvalidURI(url, "scheme isn't http, https, ws or wss")
        given = (f"{parts.query}&" if parts.query else "") + urlencode(query or {})
        self._query = given.rstrip("&") + ("&" if given else "")
        self.path = "/" + path.strip("/") + ("/" if path.strip("/") else "")
        base = urlunsplit((scheme, parts.netloc, self.path, "", ""))
        self.target = Target(base, additional_headers, user_agent_header)
        self.url = url
        self.listener_factory = listener_factory
        self.transports = tuple(transports)
        self.upgrade = upgrade
        self.open_timeout = open_timeout
        self.upgrade_timeout = upgrade_timeout
        self.max_payload = max_payload
        self.max_packets = max_packets
        self.max_send_buffer = _ENDLESS if max_send_buffer is None else max_send_buffer
        self.write_limit = write_limit
        self.compress: bool | None = None
        self.logger = logging.getLogger("wsfast.engineio") if logger is None else logger
        self.way: dict[str, Any] = {
            "proxy": proxy,
            "arguments": kwargs,
            "limits": limits,
            "user_agent_header": user_agent_header,
            "proxy_headers": proxy_headers,
        }
        self._websocket_options: dict[str, Any] = {
            "user_agent_header": user_agent_header,
            "compression": compression,
            "limits": limits,
            "proxy": proxy,
            "proxy_headers": proxy_headers,
            "max_size": max_size,
            "max_send_buffer": max_send_buffer,
            "write_limit": write_limit,
            "ping_interval": None,  # there are those of Engine.IO
            "max_redirects": 0,
            **kwargs,
        }
        self._socket: ClientSocket | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return asyncio.get_running_loop()

    @property
    def wheel(self) -> Wheel:
        """The timers."""
        return _wheel_of(self.loop)

    def resource(self, transport: str, sid: str) -> str:
        """Return the target of a request."""
        tail = f"&sid={sid}" if sid else ""
        return f"{self.path}?{self._query}EIO=4&transport={transport}{tail}"

    async def websocket(
        self, sid: str, cookies: Cookies, listener: ClientTransport
    ) -> Any:
        """Open a WebSocket."""
        scheme, netloc, *_ = urlsplit(self.target.url)
        url = f"ws{scheme[4:]}://{netloc}{self.resource('websocket', sid)}"
        headers = [*self.target.headers.raw_items(), *cookies.fields()]
        try:
            return await connect_websocket(
                url,
                additional_headers=headers,
                listener=listener,
                open_timeout=None,
                **self._websocket_options,
            )
        except InvalidStatus as exc:
            raise refusal_of(exc) from exc

    async def _connect(self) -> ClientSocket:
        socket = ClientSocket(self)
        try:
            async with time_limit(self.open_timeout):
                await socket.open()
        except BaseException as exc:
            socket.end("transport error", exc)
            await socket.wait_closed()
            if isinstance(exc, (TimeoutError, asyncio.TimeoutError)):
                raise HandshakeTimeout("timed out while opening a session") from exc
            raise
        return socket

    def __await__(self) -> Generator[Any, None, ClientSocket]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientSocket:
        if self._socket is not None:
            raise RuntimeError("connect() isn't reentrant")
        self._socket = await self
        return self._socket

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()


class ClientSocket(Sending):
    """
    A session, as its client has it; made by :func:`connect`.

    It belongs to the event loop. What is sent goes out in order, whatever the
    transport.

    Args:
        terms: The arguments of :func:`connect`.

    Attributes:
        id: The identifier, as the server gave it.
        upgrades: Transports that the server offers to change to.
        ping_interval: Seconds between pings of the server.
        ping_timeout: Seconds in which each has to be answered.
        max_payload: Octets that the server takes at once; 0 for no limit.

    """

    __slots__ = (
        "_changed",
        "_cookies",
        "_deadline",
        "_options",
        "_pausing",
        "_polling",
        "_tasks",
        "_transport",
        "id",
        "max_payload",
        "ping_interval",
        "ping_timeout",
        "upgrades",
    )

    def __init__(self, terms: connect) -> None:
        super().__init__(terms)
        self.state = "opening"
        self.id = ""
        self.upgrades: list[str] = []
        self.ping_interval = self.ping_timeout = 0.0
        self.max_payload = 0
        self._options = terms
        self._cookies = Cookies()
        self._polling: Polling | None = None
        self._transport: ClientTransport | None = None
        self._pausing = False
        self._deadline = math.inf
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed: asyncio.Future[None] | None = None

    @property
    def writable(self) -> bool:
        """Whether a message would leave at once; volatile ones are dropped if not."""
        if self.state != IS_OPEN:
            return False
        if self.websocket is None:
            return not self._queue and not self._pausing
        return self._has_room

    # ---- opening ----

    async def open(self) -> None:
        """
        Open the session; once.

        Raises:
            BadReply, OSError, InvalidHandshake: It cannot be opened.

        """
        if self._options.transports[0] == "websocket":
            self._transport = ClientTransport(self)
            websocket = await self._options.websocket(
                "", self._cookies, self._transport
            )
            self._begin(await self._transport.first(), websocket)
            self._transport.go_on()
            return
        options = self._options
        self._polling = Polling(
            options.target, self._cookies, options.max_payload, options.way
        )
        first, *others = await self._polling.get(options.resource("polling", ""))
        self._begin(first, None)
        self._deliver(others)
        if self.state != CLOSED:
            self._start("poll", self._poll_on())
            self._queue_grew()
        offered = "websocket" in self.upgrades and "websocket" in options.transports
        if self.state == IS_OPEN and options.upgrade and offered:
            self._start("upgrade", self._upgrade())

    def _begin(self, packet: Packet, websocket: Any) -> None:
        """Begin with what the server says of the session."""
        try:
            if not isinstance(packet, str) or packet[:1] != OPEN:
                raise ValueError(f"begins with {packet[:20]!r}")
            told = json.loads(packet[1:])
            sid = told["sid"]
            if not isinstance(sid, str) or not sid or not sid.isascii():
                raise ValueError(f"the session is {sid!r}")
            self.id = sid
            self.upgrades = [str(name) for name in told.get("upgrades", ())]
            self.ping_interval = float(told["pingInterval"]) / 1000
            self.ping_timeout = float(told["pingTimeout"]) / 1000
            self.max_payload = int(told.get("maxPayload") or 0)
            self.resource("polling")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
            raise BadReply(f"not a server of Engine.IO 4: {exc}") from exc
        if websocket is not None:
            self.attach(websocket)
        self.state = IS_OPEN
        self._heartbeat()
        self._terms.wheel.schedule(self, self._deadline)
        try:
            self.listener = self._options.listener_factory(self)
            self.listener.on_open()
        except Exception as exc:
            self.failed(exc)

    def resource(self, transport: str) -> str:
        """Return the target of a request of this session."""
        return self._options.resource(transport, urlencode({"": self.id})[1:])

    def _start(self, name: str, work: Any) -> None:
        """Run a part of the session in a task."""
        task = asyncio.get_running_loop().create_task(self._run(name, work))
        self._tasks[name] = task

    async def _run(self, name: str, work: Any) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if self.state != CLOSED:
                raise
        except Exception as exc:
            self.end("transport error", exc)
        finally:
            self._tasks.pop(name, None)
            changed, self._changed = self._changed, None
            if changed is not None and not changed.done():
                changed.set_result(None)

    async def _change(self) -> None:
        """Wait until a task has ended."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    # ---- packets ----

    def _deliver(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.packet_received(packet)

    def packet_received(self, packet: Packet) -> None:
        """Take a packet of the server."""
        if self.state == CLOSED:
            return
        if isinstance(packet, bytes) or packet[:1] == "4":
            if self.state != IS_OPEN:
                return
            try:
                self.listener.on_message(
                    packet if isinstance(packet, bytes) else packet[1:]
                )
            except Exception as exc:
                self.failed(exc)
        elif packet[:1] == PING:
            self._heartbeat()
            if self.websocket is None:
                self.queue_packet(PONG + packet[1:])
            else:
                with contextlib.suppress(ConnectionClosed):  # its end is to be told yet
                    self.websocket.send(PONG + packet[1:])
        elif packet[:1] == CLOSE:
            self.end("transport close")
        elif packet[:1] not in ("0", "3", "5", "6") or not packet:
            self.end("parse error", f"a packet of the type {packet[:1]!r}", code=1008)

    def _heartbeat(self) -> None:
        """Expect the next ping."""
        wheel = self._terms.wheel
        self._deadline = wheel.time() + self.ping_interval + self.ping_timeout

    _reading_again = _heartbeat

    def on_timer(self, now: float) -> float:
        """End a session whose server is silent."""
        if self.state == CLOSED:
            return 0.0
        if self.paused:  # a ping may wait to be read
            self._heartbeat()
        elif now + 0.0005 >= self._deadline:
            self.end("ping timeout", code=1011)
            return 0.0
        return self._deadline

    # ---- polling ----

    async def _poll_on(self) -> None:
        """Poll until the session ends or is about to change to a WebSocket."""
        assert self._polling is not None
        while not self._pausing and self.state in (IS_OPEN, CLOSING):
            for packet in await self._polling.get(self.resource("polling")):
                if self.paused:
                    await self.wait_readable()
                self.packet_received(packet)

    def _queue_grew(self) -> None:
        waits = self._pausing or self._polling is None or not self._queue
        if not waits and self.websocket is None and "post" not in self._tasks:
            self._start("post", self._post_on())

    async def _post_on(self) -> None:
        """Bring the server what is queued, in the order of the queue."""
        assert self._polling is not None
        while self._queue and not self._pausing and self.state in (IS_OPEN, CLOSING):
            payload = self._take_packets(self._fitting())
            await self._polling.post(self.resource("polling"), payload)
            if self.state == CLOSING and not self._queue:
                self.end(self._close_reason)
            elif self.state != CLOSED:
                self._took()

    def _fitting(self) -> int:
        """Return how many packets the server takes with one request."""
        most = self._options.max_packets or len(self._queue)
        if not self.max_payload:
            return most
        size = 0
        for count, packet in enumerate(self._queue[:most]):
            size += len(encode_payload([packet])) + 1
            if size > self.max_payload + 1 and count:
                return count
        return most

    # ---- the change to a WebSocket ----

    async def _upgrade(self) -> None:
        """Try a WebSocket; go on polling where there is none."""
        transport = ClientTransport(self)
        try:
            async with time_limit(self._options.upgrade_timeout):
                websocket = await self._options.websocket(
                    self.id, self._cookies, transport
                )
                websocket.send(PING + "probe")
                if await transport.first() != PONG + "probe":
                    raise BadReply("the server does not know the probe")
                self._pausing = True
                while "poll" in self._tasks or "post" in self._tasks:
                    await self._change()
        except Exception as exc:
            self._options.logger.info("no upgrade: %s: %s", type(exc).__name__, exc)
            transport.abort()
            self._go_on_polling()
            return
        except asyncio.CancelledError:
            transport.abort()
            raise
        if self.state != IS_OPEN or transport.lost:
            transport.abort()
            self._go_on_polling()
            return
        websocket.send("5")
        self._transport = transport
        self._move_queue(websocket)
        self.told_of_upgrade()
        transport.go_on()
        if self._polling is not None:
            self._polling.close()

    def _go_on_polling(self) -> None:
        self._pausing = False
        if self.state in (IS_OPEN, CLOSING):
            if "poll" not in self._tasks:
                self._start("poll", self._poll_on())
            self._queue_grew()

    # ---- the end ----

    def close(self, reason: str = "forced close") -> Awaitable[None]:
        """
        End the session, behind what was sent.

        Args:
            reason: What ``on_close`` is told.

        Returns:
            An awaitable of the end.

        """
        if self.state == IS_OPEN:
            self.resume_reading()
            if self.websocket is not None:
                self.end(reason)
            else:
                self.state = CLOSING
                self._close_reason = reason
                self.queue_packet(CLOSE)
        return Later(self.wait_closed)

    def end(self, reason: str, description: Any = None, *, code: int = 1000) -> None:
        """
        End the session at once.

        Args:
            reason: What ``on_close`` is told.
            description: The same.
            code: Close code of the WebSocket.

        """
        if self.state == CLOSED:
            return
        self.resume_reading()
        self.state = CLOSED
        self._close_reason = reason
        self._terms.wheel.cancel(self)
        current = asyncio.current_task()
        for task in list(self._tasks.values()):
            if task is not current:
                task.cancel()
        if self.websocket is not None:
            self.websocket.close(code, "" if code == 1000 else reason)
        elif self._transport is not None:
            self._transport.abort()
        if self._polling is not None:
            self._polling.close()
        self._queue.clear()
        self._queued = 0
        self._told_of_end(reason, description)

    async def wait_closed(self) -> None:
        """Wait until the session has ended, and all that belongs to it."""
        if self.websocket is not None:
            await self.websocket.wait_closed()
        while self._tasks:
            await self._change()
        if self.websocket is not None:  # it has changed meanwhile
            await self.websocket.wait_closed()

    def closed_error(self) -> SessionClosed:
        """Return the exception that says how the session has ended."""
        return SessionClosed(self._close_reason)
