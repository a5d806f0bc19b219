"""The client of event streams for asyncio: :class:`EventSourceClient`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ..asyncio._dialing import dial
from ..asyncio._timeout import timeout as time_limit
from ..asyncio.waiter import Later
from ..engine import Event, EventError, EventParser
from ..exceptions import HandshakeTimeout
from ..protocol.headers import HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import USER_AGENT, Response
from ..protocol.retrying import HEALTHY_S
from ..protocol.targets import too_many
from ..protocol.uri import MAX_REDIRECTS, requests
from ._subscribing import Subscribing
from ._subscription import (
    Delays,
    Target,
    header_of_id,
    known_id,
    process_exception,
)
from .exceptions import EventSourceClosed, UnexpectedStatus

if TYPE_CHECKING:
    from ..asyncio._options import Logger
    from ..asyncio.link import Link

__all__ = ["CLOSED", "CONNECTING", "OPEN", "EventSourceClient"]

# The values of readyState (WHATWG HTML §9.2.2).
CONNECTING = 0
OPEN = 1
CLOSED = 2

Listener = Callable[["EventSourceClient", Event], object]


class EventSourceClient:
    """
    A client of an event stream, in the manner of the browsers (WHATWG HTML §9.2).

    It connects again whenever the stream ends, after the time that the server asked
    for, and says which event it saw last. A response with status 204 ends it for good;
    any other status but 200, and anything that is no event stream, fails it.

    ``async with`` opens it and waits for the first connection; ``async for`` gives the
    events of one connection after the other, of any type. Or it has callbacks, plain
    functions that are called with the client first: ``on_message`` for events of the
    type ``"message"``, those of :meth:`add_listener` for others; then there is nothing
    to receive. An exception in one of them is logged.

    Args:
        url: URL of the stream, http or https.
        last_event_id: ID of the last event that was seen, if there was one.
        additional_headers: Header fields to add to the request; of the same name as
            ours, in their place. Those with credentials are for this origin alone.
        user_agent_header: Value of the User-Agent header, or None.
        retry: Seconds to wait before connecting again, unless the server says
            otherwise; never less than 0.1.
        backoff: How that grows with each failure in a row.
        jitter: What is added to it at random, as a share.
        max_retry: Longest delay, in seconds, where the server does not ask for more.
        idle_timeout: Seconds without any octet, comments included, until the connection
            is taken for dead; None for ever.
        open_timeout: Seconds that connecting may take, everything included.
        max_redirects: Redirects to follow, each time.
        max_line: Octets of a line of the stream; None for no limit.
        max_size: Octets of the data of an event; None for no limit.
        max_queue: Events that wait for their receiver before reading stops.
        limits: Limits of a response's head, and of the body of one that refuses.
        proxy: As for :func:`~wsfast.connect`.
        proxy_headers: Header fields for an HTTP proxy alone.
        process_exception: Tells of an exception whether to connect again (None) or
            what to fail with.
        on_open: ``on_open(client)``: connected.
        on_message: ``on_message(client, event)``.
        on_error: ``on_error(client, exc)``: the connection, or an attempt, ended; with
            ``ready_state`` 2 for good.
        logger: Logger; by default ``wsfast.eventsource``.
        kwargs: As for :func:`~wsfast.connect`: ``ssl``, ``server_hostname``, ``host``,
            ``port``, ``unix_path``, ``local_addr`` and so on, but ``sock``.

    Attributes:
        url: The URL.
        ready_state: 0 connecting, 1 open, 2 closed.
        response: The last response, or None.

    Raises:
        InvalidURI: ``url`` is not one of HTTP.
        ValueError: An option makes no sense.

    """

    def __init__(
        self,
        url: str,
        *,
        last_event_id: str = "",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        retry: float = 3.0,
        backoff: float = 2.0,
        jitter: float = 0.5,
        max_retry: float = 60.0,
        idle_timeout: float | None = None,
        open_timeout: float | None = 10,
        max_redirects: int | None = MAX_REDIRECTS,
        max_line: int | None = 1 << 20,
        max_size: int | None = 1 << 20,
        max_queue: int = 256,
        limits: Limits = DEFAULT_LIMITS,
        proxy: str | Literal[True] | None = True,
        proxy_headers: HeadersLike | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        on_open: Callable[[EventSourceClient], object] | None = None,
        on_message: Listener | None = None,
        on_error: Callable[[EventSourceClient, Exception], object] | None = None,
        logger: Logger | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("sock") is not None:
            raise ValueError("sock is for one connection; an event source has many")
        for callback in (on_open, on_message, on_error):
            _check_callback(callback)
        self._target = Target(url, additional_headers, user_agent_header)
        if not self._target.uri.secure and kwargs.get("ssl") is not None:
            raise ValueError("ssl argument is incompatible with an http:// URL")
        header_of_id(last_event_id)
        self._limits_of_stream = {"max_line": max_line, "max_size": max_size}
        self._parser = EventParser(
            **self._limits_of_stream, last_event_id=last_event_id
        )
        self.url = url
        self.ready_state = CONNECTING
        self.response: Response | None = None
        self.on_open, self.on_message, self.on_error = on_open, on_message, on_error
        self.process_exception = process_exception
        self.logger = (
            logging.getLogger("wsfast.eventsource") if logger is None else logger
        )
        self._delays = Delays(retry, backoff, jitter, max_retry)
        self._idle_timeout = idle_timeout
        self._open_timeout = open_timeout
        self._max_redirects = max_redirects
        self._max_queue = max(max_queue, 1)
        self._limits = limits
        self._proxy, self._proxy_headers = proxy, proxy_headers
        self._user_agent_header = user_agent_header
        self._kwargs = kwargs
        self._listeners: dict[str, list[Listener]] = {}
        self._queue: deque[Event] = deque()
        self._paused = False
        self._link: Link | None = None
        self._healthy = False
        self._opens = 0
        self._changed: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._cause: Exception | None = None

    # ---- facts ----

    @property
    def last_event_id(self) -> str:
        """ID of the last event that arrived, what the server is told."""
        return self._parser.last_event_id

    @property
    def retry(self) -> float:
        """Seconds to wait before connecting again, as the server said it last."""
        return self._delays.retry

    # ---- listeners ----

    def add_listener(self, event: str, listener: Listener) -> None:
        """
        Call a function for each event of a type.

        Args:
            event: The type.
            listener: ``listener(client, event)``; added twice it is called once.

        """
        _check_callback(listener)
        listeners = self._listeners.setdefault(event, [])
        if listener not in listeners:
            listeners.append(listener)

    def remove_listener(self, event: str, listener: Listener) -> None:
        """Call a function no more; one that is not there is no error."""
        listeners = self._listeners.get(event, [])
        if listener in listeners:
            listeners.remove(listener)

    @property
    def _calls(self) -> bool:
        return self.on_message is not None or any(self._listeners.values())

    # ---- opening and closing ----

    def open(self) -> Awaitable[None]:
        """
        Begin to connect, unless that has begun.

        Returns:
            An awaitable of the next connection. It raises what :meth:`recv` raises.

        """
        if self._task is None or self._task.done():
            self._cause = None
            self.ready_state = CONNECTING
            self._task = asyncio.get_running_loop().create_task(self._run())
        return Later(self._wait_open)

    async def _wait_open(self) -> None:
        before = self._opens - (self.ready_state == OPEN)
        while self._opens == before:
            if self.ready_state == CLOSED:
                self._raise_closed()
            await self._change()

    def close(self) -> Awaitable[None]:
        """
        Close for good: nothing connects again until :meth:`open`.

        Returns:
            An awaitable of the end.

        """
        self._finish(EventSourceClosed())
        if self._task is not None and self._task is not _current_task():
            self._task.cancel()
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until it is closed: by :meth:`close`, by its server, or by a failure."""
        task = self._task
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task])

    def __await__(self) -> Generator[Any, None, None]:
        self.open()
        return self.wait_closed().__await__()

    async def __aenter__(self) -> EventSourceClient:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # ---- events ----

    async def recv(self) -> Event:
        """
        Receive an event, of whatever connection it comes by.

        Raises:
            EventSourceClosed: It was closed, or its server has ended it (204).
            UnexpectedStatus: The server refuses, with another status than 200.
            InvalidContentType: There is something else than an event stream.
            EventError: A line, or an event, is beyond its limit.
            RuntimeError: There are callbacks, which take the events.

        """
        if self._calls:
            raise RuntimeError("callbacks take the events")
        if self._task is None:
            self.open()
        while not self._queue:
            if self.ready_state == CLOSED:
                self._raise_closed()
            await self._change()
        event = self._queue.popleft()
        if self._paused and len(self._queue) <= self._max_queue // 2:
            self._paused = False
            if self._link is not None:
                self._link.resume_reading()
        return event

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Receive until it is closed; raises what it failed with."""
        while True:
            try:
                event = await self.recv()
            except EventSourceClosed:
                return
            yield event

    # ---- inside ----

    def _raise_closed(self) -> None:
        cause = self._cause
        if cause is None or isinstance(cause, EventSourceClosed):
            raise EventSourceClosed(ours=cause is None or cause.ours)
        raise cause

    async def _change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._changed.append(future)
        await future

    def _tell(self) -> None:
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)

    def _call(self, callback: Callable[..., object] | None, *arguments: object) -> None:
        if callback is not None:
            try:
                callback(self, *arguments)
            except Exception as exc:
                self.logger.error("a callback failed", exc_info=exc)

    def _finish(self, cause: Exception) -> None:
        if self.ready_state != CLOSED:
            self.ready_state = CLOSED
            self._cause = cause
            self._tell()

    async def _run(self) -> None:
        """Connect again and again."""
        while self.ready_state != CLOSED:
            self._healthy = False
            failure: Exception
            try:
                if not await self._follow():
                    ended = EventSourceClosed(ours=False)
                    self._finish(ended)
                    self._call(self.on_error, ended)
                    return
            except Exception as exc:
                failure = exc
            finally:
                self._link = None
            fatal = self._judge(failure)
            if fatal is not None:
                self._finish(fatal)
                self._call(self.on_error, fatal)
                return
            if self.ready_state == CLOSED:
                return
            self.ready_state = CONNECTING
            if self._healthy:
                self._delays.failures = 0
            delay = self._delays.next()
            self.logger.info(
                "connecting again in %.1f seconds: %s: %s",
                delay,
                type(failure).__name__,
                failure,
            )
            self._call(self.on_error, failure)
            if self.ready_state != CLOSED:
                await asyncio.sleep(delay)

    def _judge(self, exc: Exception) -> Exception | None:
        """Return what to fail with, None to connect again."""
        if isinstance(exc, EventError):
            return exc  # it would come again
        try:
            return self.process_exception(exc)
        except Exception as raised:
            return raised

    async def _follow(self) -> bool:
        """Be connected until that ends, and raise why; False if there is no stream."""
        subscribing: Subscribing | None = None
        try:
            async with time_limit(self._open_timeout):
                subscribing = await self._connect()
        except BaseException as exc:
            if subscribing is not None:  # just then
                subscribing.end(EventSourceClosed())
            if isinstance(exc, asyncio.TimeoutError):
                raise HandshakeTimeout("timed out while connecting") from exc
            raise
        if subscribing is None:
            return False
        opened_at = asyncio.get_running_loop().time()
        try:
            await subscribing.ended
        finally:
            if asyncio.get_running_loop().time() - opened_at >= HEALTHY_S:
                self._healthy = True
            subscribing.end(EventSourceClosed())
        raise AssertionError("a stream ends with an exception")

    async def _connect(self) -> Subscribing | None:
        """Send the request, and follow where it leads; None after status 204."""
        target = self._target
        for _ in requests(self._max_redirects):
            link = await dial(
                target.uri,
                self._proxy,
                self._kwargs,
                limits=self._limits,
                user_agent_header=self._user_agent_header,
                proxy_headers=self._proxy_headers,
            )
            try:
                request = target.request(known_id(self.last_event_id, self.logger))
                subscribing = Subscribing(
                    link, self._limits, request, self, self._idle_timeout
                )
            except BaseException:
                link.abort()
                raise
            link.replay(subscribing)
            try:
                response = await subscribing.run()
            except UnexpectedStatus as exc:
                self.response = exc.response
                following = target.redirected(exc.response, self._kwargs)
                if following is None:
                    raise
                target = following
                continue
            if response.status_code == 200:
                return subscribing
            self.response = response
            link.abort()
            return None
        raise too_many(self._max_redirects)

    # ---- what a connection calls ----

    def _opened(self, response: Response, link: Link) -> None:
        """Begin with a stream."""
        self.response = response
        self._link = link
        self._paused = False
        self._parser = EventParser(
            **self._limits_of_stream, last_event_id=self._parser.last_event_id
        )
        if self.ready_state == CLOSED:
            return
        self.ready_state = OPEN
        self._opens += 1
        self._tell()
        self._call(self.on_open)

    def _received(self, data: bytes) -> None:
        """Take octets of the stream."""
        try:
            events = self._parser.feed(data)
        except EventError as exc:
            self._deliver(exc.events)
            raise
        self._deliver(events)

    def _deliver(self, events: list[Event]) -> None:
        if self._parser.retry is not None:
            self._delays.retry = self._parser.retry / 1000
        if not events or self.ready_state == CLOSED:
            return
        self._healthy = True
        if not self._calls:
            self._queue.extend(events)
            if len(self._queue) >= self._max_queue and not self._paused:
                self._paused = True
                if self._link is not None:
                    self._link.pause_reading()
            self._tell()
            return
        for event in events:
            if self.ready_state == CLOSED:  # a callback has closed it
                return
            if event.event == "message":
                self._call(self.on_message, event)
            for listener in tuple(self._listeners.get(event.event, ())):
                self._call(listener, event)


def _check_callback(callback: object) -> None:
    if inspect.iscoroutinefunction(callback):
        raise TypeError("a callback is a coroutine function; use async for")


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None
