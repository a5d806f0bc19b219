"""The client of event streams for threads: :class:`SyncEventSourceClient`."""

from __future__ import annotations

import logging
import os
import ssl as ssl_module
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from ..engine import Event, EventError, EventParser
from ..exceptions import HandshakeTimeout, InvalidMessage
from ..protocol.headers import HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, ENDLESS, BodyReader, Limits, parse_response
from ..protocol.http import USER_AGENT, Response
from ..protocol.retrying import HEALTHY_S
from ..protocol.targets import too_many
from ..protocol.uri import MAX_REDIRECTS, requests
from ..sync._dialing import Way, read_body, read_head
from ..sync._sockets import Deadline
from ._subscription import (
    Delays,
    Target,
    check_response,
    header_of_id,
    known_id,
    process_exception,
)
from .exceptions import EventSourceClosed, UnexpectedStatus

if TYPE_CHECKING:
    from ..asyncio._options import Logger
    from ..sync._stream import Stream

__all__ = ["SyncEventSourceClient"]


class SyncEventSourceClient:
    """
    A client of an event stream for threads: ``for event in client``.

    It does what :class:`~wsfast.eventsource.EventSourceClient` does, in the thread that
    receives: there is no other, and nothing is read that nobody waits for. One thread
    receives; any may close it.

    Args:
        url: URL of the stream, http or https.
        last_event_id: As for :class:`~wsfast.eventsource.EventSourceClient`, as is all
            that is not described here.
        on_error: ``on_error(client, exc)``: the connection, or an attempt, ended, and
            there will be another.
        address: Host and port to connect to instead of those of ``url``.
        source_address: Address to connect from.
        ssl: Context for TLS.

    Attributes:
        response: The last response, or None.
        retry: Seconds to wait before connecting again.

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
        limits: Limits = DEFAULT_LIMITS,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        on_error: Callable[[SyncEventSourceClient, Exception], object] | None = None,
        logger: Logger | None = None,
        unix_path: str | os.PathLike[str] | None = None,
        address: tuple[str, int] | None = None,
        source_address: tuple[str, int] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        proxy: str | Literal[True] | None = True,
        proxy_ssl: ssl_module.SSLContext | None = None,
        proxy_server_hostname: str | None = None,
        proxy_headers: HeadersLike | None = None,
    ) -> None:
        self._target = Target(url, additional_headers, user_agent_header)
        header_of_id(last_event_id)
        if not self._target.uri.secure and ssl is not None:
            raise ValueError("ssl argument is incompatible with an http:// URL")
        self.url = url
        self.response: Response | None = None
        self.on_error = on_error
        self.process_exception = process_exception
        self.logger = (
            logging.getLogger("wsfast.eventsource") if logger is None else logger
        )
        self._limits_of_stream = {"max_line": max_line, "max_size": max_size}
        self._parser = EventParser(
            **self._limits_of_stream, last_event_id=last_event_id
        )
        self._delays = Delays(retry, backoff, jitter, max_retry)
        self._idle_timeout, self._open_timeout = idle_timeout, open_timeout
        self._max_redirects = max_redirects
        self._limits = limits
        self._elsewhere = {"unix_path": unix_path, "host": address}
        self._way = Way(
            None,
            unix_path,
            address,
            source_address,
            ssl,
            server_hostname,
            proxy,
            proxy_ssl,
            proxy_server_hostname,
            proxy_headers,
            user_agent_header,
            limits,
        )
        self._queue: deque[Event] = deque()
        self._stream: Stream | None = None
        self._body: BodyReader
        self._opened_at = 0.0
        self._heard_at = 0.0
        self._again_at = 0.0  # when to connect
        self._cause: Exception | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._receiving = False

    @property
    def last_event_id(self) -> str:
        """ID of the last event that arrived, what the server is told."""
        return self._parser.last_event_id

    @property
    def retry(self) -> float:
        """Seconds to wait before connecting again, as the server said it last."""
        return self._delays.retry

    # ---- what an application uses ----

    def recv(self, timeout: float | None = None) -> Event:
        """
        Receive an event, of whatever connection it comes by.

        Args:
            timeout: Seconds to wait; while it connects, ``open_timeout`` counts.

        Raises:
            TimeoutError: None has come.
            EventSourceClosed: It was closed, or its server has ended it (204).
            UnexpectedStatus: The server refuses, with another status than 200.
            InvalidContentType: There is something else than an event stream.
            EventError: A line, or an event, is beyond its limit.

        """
        deadline = Deadline(timeout)
        with self._lock:
            if self._receiving:
                raise RuntimeError("another thread is receiving already")
            self._receiving = True
        try:
            while not self._queue:
                if self._cause is not None:
                    raise self._cause
                if self._closing.is_set():
                    raise EventSourceClosed
                try:
                    if self._stream is None:
                        self._open(deadline)
                    else:
                        self._read(deadline)
                except _NotYetError:
                    raise TimeoutError("timed out while waiting for an event") from None
                except Exception as exc:
                    self._ended(exc)
            return self._queue.popleft()
        finally:
            with self._lock:
                self._receiving = False
                if self._closing.is_set():
                    self._drop()

    def __iter__(self) -> Iterator[Event]:
        """Receive until it is closed; raises what it failed with."""
        while True:
            try:
                event = self.recv()
            except EventSourceClosed:
                return
            yield event

    def close(self) -> None:
        """Close for good. A thread that receives is told by EventSourceClosed."""
        self._closing.set()
        with self._lock:
            if self._receiving:
                if self._stream is not None:
                    self._stream.cut()
            else:
                self._drop()

    def __enter__(self) -> SyncEventSourceClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ---- inside ----

    def _drop(self) -> None:
        """Forget the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _ended(self, exc: Exception) -> None:
        """Take note of the end of a connection, or of an attempt."""
        with self._lock:
            self._drop()
        if self._closing.is_set():
            return
        fatal: Exception | None = exc
        if not isinstance(exc, (EventError, EventSourceClosed)):
            fatal = self.process_exception(exc)
        if fatal is not None:
            self._cause = fatal
            return
        if self._opened_at and time.monotonic() - self._opened_at >= HEALTHY_S:
            self._delays.failures = 0
        self._opened_at = 0.0
        delay = self._delays.next()
        self._again_at = time.monotonic() + delay
        self.logger.info(
            "connecting again in %.1f seconds: %s: %s", delay, type(exc).__name__, exc
        )
        if self.on_error is not None:
            self.on_error(self, exc)

    def _open(self, deadline: Deadline) -> None:
        """Wait until it is time, and connect."""
        pause = self._again_at - time.monotonic()
        if pause > 0:
            left = _left(deadline)
            if left is not None and left < pause:
                self._closing.wait(left)
                raise _NotYetError
            if self._closing.wait(pause):
                return
        _left(deadline)
        try:
            self._connect(Deadline(self._open_timeout))
        except TimeoutError as exc:
            raise HandshakeTimeout("timed out while connecting") from exc

    def _connect(self, deadline: Deadline) -> None:
        target = self._target
        for _ in requests(self._max_redirects):
            stream = self._way.open(target.uri, deadline)
            try:
                known = known_id(self.last_event_id, self.logger)
                stream.settimeout(deadline.left())
                stream.send(target.request(known))
                try:
                    reader = read_head(stream, self._limits, deadline)
                    response = parse_response(reader.head)
                except EOFError as exc:
                    text = "did not receive a valid HTTP response"
                    raise InvalidMessage(text) from exc
                self.response = response
                try:
                    if not check_response(response):
                        raise EventSourceClosed(ours=False)
                except UnexpectedStatus:
                    response.body = read_body(stream, reader, self._limits)
                    following = target.redirected(response, self._elsewhere)
                    if following is None:
                        raise
                    stream.close()
                    target = following
                    continue
                stream.settimeout(None)
            except BaseException:
                stream.close()
                raise
            with self._lock:
                self._stream = stream
            self._opened_at = self._heard_at = time.monotonic()
            self._parser = EventParser(
                **self._limits_of_stream, last_event_id=self.last_event_id
            )
            self._body = BodyReader(reader.head, ENDLESS)
            self._take(reader.rest)
            return
        raise too_many(self._max_redirects)

    def _read(self, deadline: Deadline) -> None:
        """Wait for octets of the stream, and take them."""
        stream = self._stream
        assert stream is not None
        left = _left(deadline)
        idle = self._idle_timeout
        if idle is not None:
            quiet = self._heard_at + idle - time.monotonic()
            if quiet <= 0:
                raise TimeoutError(f"nothing came for {idle} seconds")
            left = quiet if left is None else min(left, quiet)
        if left is not None and not stream.wait(left):
            return  # the time that is left tells which of the two it was
        data = stream.recv()
        if data is None:
            return
        if not data:
            raise EOFError("the event stream broke off")
        self._heard_at = time.monotonic()
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Take octets of the body, whatever they are wrapped in."""
        complete = self._body.feed(data)
        octets, self._body.body = bytes(self._body.body), bytearray()
        try:
            events = self._parser.feed(octets)
        except EventError as exc:
            self._queue.extend(exc.events)
            raise
        if self._parser.retry is not None:
            self._delays.retry = self._parser.retry / 1000
        if events:
            self._delays.failures = 0
            self._queue.extend(events)
        if complete:
            raise EOFError("the server has ended the event stream")


class _NotYetError(Exception):
    """The time of the one who receives is up."""


def _left(deadline: Deadline) -> float | None:
    try:
        return deadline.left()
    except TimeoutError:
        raise _NotYetError from None
