"""Event streams for event loops: :class:`EventSource`, on any server."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from ..asyncio._stream import stream_driver_for
from ..asyncio.waiter import DONE, DROPPED, Later
from ..exceptions import ConnectionClosed, InvalidHeader, SlowConsumer
from ..protocol.closing import State
from ..protocol.headers import HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import Request, build_response
from ._hosts import AiohttpHost, ASGIHost, Host, StreamHost
from ._member import TopicMember
from ._requests import Asked, asked_of, response_fields
from .exceptions import EventSourceClosed
from .history import EncodedEvent, History
from .reading import read_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer, Self

    from ..asyncio._options import Logger
    from .threads import SocketEventSource, WSGIEventSource

__all__ = ["EventSource"]

PING = b": ping\n\n"
#: What is sent before anything else, so that head and body are under way at once.
HELLO = b":\n\n"
#: Octets of what a client has missed that are handed over at once.
REPLAY_SIZE = 64 * 1024

Overflow = Literal["close", "drop", "wait"]


class EventSource(TopicMember):
    """
    An event stream, as the server of an ASGI application sees it (WHATWG HTML §9.2).

    The response begins when the object is made, inside of the coroutine that serves
    the request; ``async with`` ends it. It has the manner of a WebSocket, so that one
    handler serves both: ``send()`` queues at once and gives back-pressure when it is
    awaited, ``async for`` ends when the client has gone, ``close()`` ends the stream,
    and what fails because of the end raises :exc:`~wsfast.ConnectionClosed`, which
    ``async with`` takes for no failure. Nothing is ever received.

    :meth:`from_aiohttp` and :meth:`from_asyncio` make one for other servers,
    :meth:`from_wsgi` and :meth:`from_socket` one for threads.

    Args:
        scope: Scope of the request.
        receive: As the application got it.
        send: As the application got it.
        headers: Header fields of the response, for CORS for example; they replace ours
            of the same name.
        ping: Seconds without anything sent until a comment is, or None: it keeps
            proxies from giving up, and finds clients that have gone without a word.
        retry: Seconds after which the client shall connect again, or None.
        history: Events that a client gets first, if its Last-Event-ID says so.
        write_limit: Octets in the output above which ``send()`` waits.
        max_send_buffer: Octets in the output above which ``overflow`` says what becomes
            of one more event; None for no limit.
        overflow: ``"close"`` ends the stream, and ``send()`` raises SlowConsumer;
            ``"drop"`` drops the event, and what ``send()`` returned gives False;
            ``"wait"`` queues it all the same, for senders that await.
        send_timeout: Seconds for which a client may take nothing of what is sent, until
            it is given up; None for ever.
        on_open: ``on_open(es)``: the head of the response has been sent.
        on_close: ``on_close(es, code, reason)``: the stream has ended, with the code
            1000 by ``close()``, 1006 because the client has gone, 1008 because it was
            too slow.
        logger: Logger; by default ``wsfast.eventsource``.

    Attributes:
        url: URL of the request, as far as the server tells.
        last_event_id: ID of the last event that the client saw, or ``""``.
        missed: The client saw an event that ``history`` does not have any more: it got
            all that is there, and may miss others.
        response: With aiohttp, what the handler returns.

    """

    url: str
    last_event_id: str
    missed: bool

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        **options: Any,
    ) -> None:
        self._begin(ASGIHost(receive, send), asked_of(scope), **options)

    @staticmethod
    def is_event_source(source: Any) -> bool:
        """
        Tell whether a request asks for an event stream.

        Args:
            source: An ASGI scope, a WSGI environ, a request of aiohttp, Starlette,
                werkzeug or wsfast, or header fields.

        """
        return asked_of(source).is_event_source

    @classmethod
    def from_aiohttp(cls, request: Any, **options: Any) -> Self:
        """
        Return the event stream of a handler of aiohttp, which returns ``response``.

        Args:
            request: The request.
            options: As of the class.

        """
        from aiohttp import web

        self = cls.__new__(cls)
        host = AiohttpHost(request, web.StreamResponse())
        self._begin(host, asked_of(request), **options)
        return self

    @classmethod
    async def from_asyncio(
        cls,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: Request | None = None,
        *,
        open_timeout: float | None = 10,
        limits: Limits = DEFAULT_LIMITS,
        **options: Any,
    ) -> Self:
        """
        Return the event stream of a connection that ``asyncio.start_server`` accepted.

        Args:
            reader: Its reader.
            writer: Its writer; it belongs to the event stream from now on.
            request: The request, if it has been read from the reader.
            open_timeout: Seconds that the request may take.
            limits: Limits of its head.
            options: As of the class.

        Raises:
            InvalidHandshake: The request is malformed, or none for an event stream. It
                has been answered then, and the connection closed.
            TimeoutError: It takes too long; the connection is closed.
            OSError: The client has gone; so is the connection.

        """
        try:
            if request is None:
                request, _ = await read_request(
                    reader, open_timeout=open_timeout, limits=limits
                )
            asked = asked_of(request)
            if not asked.is_event_source:
                refusal = InvalidHeader("Accept", asked.accept or None)
                refusal.code = 406
                raise refusal
        except BaseException as exc:
            status = getattr(exc, "status", 0)
            if status:
                writer.write(build_response(status, f"{exc}.\n").serialize())
            writer.close()
            raise
        self = cls.__new__(cls)
        try:
            self._begin(StreamHost(reader, writer), asked, **options)
        except BaseException:  # our own fault
            writer.close()
            raise
        return self

    @staticmethod
    def from_wsgi(
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        handler: Callable[[WSGIEventSource], object] | None = None,
        **options: Any,
    ) -> WSGIEventSource:
        """Return the event stream of a WSGI request; see `WSGIEventSource`."""
        from .threads import WSGIEventSource

        return WSGIEventSource(environ, start_response, handler, **options)

    @staticmethod
    def from_socket(sock: Any, head: bytes = b"", **options: Any) -> SocketEventSource:
        """Return the event stream of a bare socket; see `SocketEventSource`."""
        from .threads import SocketEventSource

        return SocketEventSource(sock, head, **options)

    def _begin(
        self,
        host: Host,
        asked: Asked,
        *,
        headers: HeadersLike = (),
        ping: float | None = 15.0,
        retry: float | None = None,
        history: History | None = None,
        write_limit: int = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: Overflow = "close",
        send_timeout: float | None = 60.0,
        on_open: Callable[[Self], object] | None = None,
        on_close: Callable[[Self, int, str], object] | None = None,
        logger: Logger | None = None,
    ) -> None:
        if overflow not in ("close", "drop", "wait"):
            raise ValueError(f"overflow must be close, drop or wait, got {overflow!r}")
        check_ping(ping)
        self._fields = response_fields(headers)
        self._host = host
        self.url = asked.url
        self.last_event_id = asked.last_event_id
        self.on_open = on_open
        self.on_close = on_close
        self.logger = (
            logging.getLogger("wsfast.eventsource") if logger is None else logger
        )
        self.state = State.CONNECTING
        self._ping = ping
        self._write_limit = write_limit
        self._max_send_buffer = max_send_buffer
        self._overflow = overflow
        self._send_timeout = send_timeout
        self._cause: ConnectionClosed | None = None
        hello = HELLO if retry is None else EncodedEvent.of(None, retry=retry)
        self._replay: deque[bytes] = deque([hello])
        self.missed = False
        if history is not None:
            events = history.since(self.last_event_id)
            self.missed = events is None
            self._replay.extend(history.all() if events is None else events)
        self._output = bytearray()
        self._in_flight = 0  # octets of it that the server is about to take
        self._wake: asyncio.Future[None] | None = None
        self._drainers: list[asyncio.Future[None]] = []
        loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._driver = stream_driver_for(loop)
        self._wrote_at = self._driver.time()
        self._writing = True
        self.timer_slot = self.timer_index = 0
        self._watching = host.watch()
        self._watching.add_done_callback(self._client_gone)
        self._task = loop.create_task(self._run())

    # ---- facts ----

    @property
    def ready_state(self) -> int:
        """0 until the head is under way, 1 open, 2 closing, 3 closed."""
        return int(self.state)

    @property
    def response(self) -> Any:
        """With aiohttp, the response that the handler returns."""
        return getattr(self._host, "response", None)

    @property
    def buffered_amount(self) -> int:
        """How many octets wait to be sent."""
        return len(self._output) + self._in_flight + sum(map(len, self._replay))

    # ---- sending ----

    def send(
        self,
        data: str | Buffer | EncodedEvent,
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002 - the name of the field
        *,
        retry: float | None = None,
    ) -> Awaitable[Any]:
        """
        Send an event.

        Args:
            data: Text, or its UTF-8; or an event that is encoded already.
            event: Its type, without line ends; ``"message"`` by default.
            id: Its ID, without line ends and NUL.
            retry: Seconds after which the client shall connect again.

        Returns:
            An awaitable of the moment when the output is below its limit. It gives
            None, or False if the event was dropped; and raises what send() raises.

        Raises:
            EventSourceClosed: The stream has ended; it is a ConnectionClosed.
            SlowConsumer: So much has piled up that it ends now.
            ValueError: A field would become two, or would be ignored.

        """
        if not isinstance(data, EncodedEvent):
            data = EncodedEvent.of(data, event, id, retry)
        elif event is not None or id is not None or retry is not None:
            raise TypeError("the event is encoded already")
        if self.state >= State.CLOSING:
            self._raise_closed()
        limit = self._max_send_buffer
        if limit is not None and self._queued + len(data) > limit:
            if self._overflow == "drop":
                return DROPPED
            if self._overflow == "close":
                self._lost(SlowConsumer(), cut=True)
                self._raise_closed()
        self._put(data)
        return DONE if self._queued <= self._write_limit else Later(self.drain)

    @property
    def _queued(self) -> int:
        return len(self._output) + self._in_flight

    def ping(self, text: str = "ping") -> bool:
        """
        Send a comment, which clients ignore.

        Args:
            text: A text without line ends.

        Returns:
            False if the stream has ended.

        Raises:
            ValueError: The text has line ends.

        """
        octets = comment(text)
        if self.state >= State.CLOSING:
            return False
        self._put(octets)
        return True

    async def drain(self) -> None:
        """
        Wait until the output is below its limit.

        Raises:
            EventSourceClosed: The stream has ended before; SlowConsumer, if because of
                this client.

        """
        while self._queued > self._write_limit:
            if self._cause is not None:
                self._raise_closed()
            drainer = asyncio.get_running_loop().create_future()
            self._drainers.append(drainer)
            await drainer

    def _put(self, data: bytes) -> None:
        self._output += data
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _raise_closed(self) -> NoReturn:
        cause = self._cause
        if isinstance(cause, SlowConsumer):
            raise SlowConsumer from cause
        ours = not isinstance(cause, EventSourceClosed) or cause.ours
        raise EventSourceClosed(ours=ours) from cause

    # ---- the manner of a WebSocket ----

    async def recv(self) -> NoReturn:
        """
        Wait for the end: clients of event streams say nothing.

        Raises:
            EventSourceClosed: The stream has ended.

        """
        await self.wait_closed()
        self._raise_closed()

    def __aiter__(self) -> Self:
        """Iterate over nothing, until the stream has ended."""
        return self

    async def __anext__(self) -> NoReturn:
        await self.wait_closed()
        raise StopAsyncIteration

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """
        End the stream, after what is queued. Clients connect again, as they always do.

        Args:
            code: Of no effect; handlers of WebSockets may give it.
            reason: Likewise.

        Returns:
            An awaitable of the end.

        """
        if self.state < State.CLOSING:
            self.state = State.CLOSING
            self._put(b"")
        return Later(self.wait_closed)

    def abort(self) -> None:
        """End the stream at once; what is queued is lost."""
        self._lost(EventSourceClosed(), cut=True)

    async def wait_closed(self) -> None:
        """Wait until the stream has ended: the client has gone, or close() is done."""
        if not self._closed.done():
            await asyncio.shield(self._closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            await self.close()
        except BaseException:
            self.abort()
            raise
        return isinstance(exc_value, ConnectionClosed)

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait_closed().__await__()

    # ---- inside ----

    async def _run(self) -> None:
        """Write what is queued, until the end."""
        loop = asyncio.get_running_loop()
        try:
            self._driver.schedule(self, self._due(self._driver.time()))
            await self._host.start(self._fields)
            if self.state is State.CONNECTING:
                self.state = State.OPEN
            self._call("on_open")
            while True:
                while self._replay or self._output:
                    self._wrote_at = self._driver.time()
                    self._writing = True
                    await self._host.write(self._take())
                    self._in_flight = 0
                    if len(self._output) <= self._write_limit:
                        self._tell()
                self._writing = False
                if self.state is State.CLOSING:
                    break
                self._wake = loop.create_future()
                await self._wake
            self._watching.remove_done_callback(self._client_gone)
            await self._host.finish()
        except asyncio.CancelledError:
            self._lost(EventSourceClosed(), cut=True)
            raise
        except Exception as exc:
            self._failed(exc)
        else:
            self._lost(EventSourceClosed(), cut=False)

    def _take(self) -> bytes:
        """Take what is to be written next: first what the client has missed."""
        if not self._replay:
            data = bytes(self._output)
            self._in_flight = len(data)
            self._output.clear()
            return data
        pieces = [self._replay.popleft()]
        size = len(pieces[0])
        while self._replay and size + len(self._replay[0]) <= REPLAY_SIZE:
            pieces.append(self._replay.popleft())
            size += len(pieces[-1])
        return b"".join(pieces)

    def _failed(self, exc: Exception) -> None:
        """Take it for the end that the server does not take what is written."""
        if self._cause is None and not isinstance(exc, OSError):
            self.logger.debug("writing an event stream failed", exc_info=exc)
        gone = EventSourceClosed(ours=False)
        gone.__cause__ = exc
        self._lost(gone, cut=True)

    def _client_gone(self, watching: asyncio.Future[Any]) -> None:
        if watching.cancelled():
            return
        gone = EventSourceClosed(ours=False)
        gone.__cause__ = watching.exception()
        self._lost(gone, cut=True)

    def _lost(self, cause: ConnectionClosed, cut: bool) -> None:
        """End everything."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._cause = cause
        self._driver.cancel(self)
        self._watching.remove_done_callback(self._client_gone)
        self._host.release(cut)
        self._replay.clear()
        if self._task is not asyncio.current_task():
            self._task.cancel()
        self._tell()
        if not self._closed.done():
            self._closed.set_result(None)
        self._call("on_close", code_of(cause), "")

    def _call(self, name: str, *arguments: object) -> None:
        """Call a callback; its failure is its own."""
        callback = getattr(self, name)
        if callback is not None:
            try:
                callback(self, *arguments)
            except Exception as exc:
                self.logger.error("%s failed", name, exc_info=exc)

    def _tell(self) -> None:
        """Let those go on who wait for room."""
        drainers, self._drainers = self._drainers, []
        for drainer in drainers:
            if not drainer.done():
                drainer.set_result(None)

    def on_timer(self, now: float) -> float:
        """Ping, or give the client up; what the driver's wheel calls."""
        if self.state is State.CLOSED:
            return 0.0
        if self._writing:
            timeout = self._send_timeout
            if timeout is not None and now >= self._wrote_at + timeout:
                self._lost(SlowConsumer(), cut=True)
                return 0.0
        elif self._ping is not None and now >= self._wrote_at + self._ping:
            self._put(PING)
            self._wrote_at = now
        return self._due(now)

    def _due(self, now: float) -> float:
        """Return when to look again; 0 for never."""
        times = [
            max(self._wrote_at + seconds, now)
            for seconds, counts in (
                (self._ping, not self._writing),
                (self._send_timeout, self._writing),
            )
            if seconds is not None and counts
        ]
        # A write may begin that hangs, or one end after which pings are due.
        times += [now + s for s in (self._ping, self._send_timeout) if s is not None]
        return min(times, default=0.0)


def comment(text: str) -> bytes:
    """
    Return a comment as it is sent.

    Raises:
        ValueError: The text has line ends.

    """
    if "\n" in text or "\r" in text:
        raise ValueError("a comment must not contain line ends")
    return f": {text}\n\n".encode()


def check_ping(ping: float | None) -> None:
    """Refuse what is no time between pings."""
    if ping is not None and ping <= 0:
        raise ValueError(f"ping must be > 0 or None, got {ping}")


def code_of(cause: ConnectionClosed) -> int:
    """Return the close code that a WebSocket would have."""
    if isinstance(cause, SlowConsumer):
        return 1008
    return 1000 if isinstance(cause, EventSourceClosed) and cause.ours else 1006
