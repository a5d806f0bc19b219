"""
The octets of a connection for threads: who reads, who writes, who looks after the rest.

The thread that waits for something reads the socket itself; there is no thread per
connection. Whatever the octets cause to be sent is written without waiting; what is
left then, and what is due at a time, is the keeper's.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..protocol.messages import Protocol
from ._keeper import keeper
from ._receiving import Fragment, Pong

if TYPE_CHECKING:
    from ..exceptions import WebSocketException
    from ..protocol.options import Options
    from ._stream import Stream

__all__ = ["Traffic"]

_OPEN = 1
_CLOSED = 3

#: After our last octet, the peer's are thrown away for so long, in seconds.
LINGER_S = 1.0

#: Ticks of the keeper that an end waits for the application to answer what came before.
HOLD_TICKS = 3


class Traffic(Protocol):
    """
    A protocol with a stream, and with locks for the threads that use both.

    Args:
        stream: The octets; they belong to the connection from now on.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, or None.

    Attributes:
        reads: How often something was received.
        logger: Where it logs why it failed.

    """

    logger: Any

    def __init__(
        self, stream: Stream, options: Options, *, client: bool, deflate: Any = None
    ) -> None:
        Protocol.__init__(
            self, client=client, options=options, deflate=deflate, now=time.monotonic()
        )
        self.stream = stream
        self.reads = 0
        # Lock order: _receiving, _reading, _writing, _mutex, _news, the keeper's.
        self._mutex = threading.Lock()  # the state of the protocol
        self._reading = threading.Lock()  # whoever reads the stream
        self._writing = threading.Lock()  # whoever writes to it
        self._receiving = threading.Lock()  # whoever takes messages
        self._news = threading.Condition()  # tells those who wait for the reader
        self._followers = 0  # how many those are; under _news
        self._room = threading.Event()  # there is room in the queue
        self._room.set()
        self._queue: deque[Any] = deque()
        self._octets_in = 0  # that ever came into the queue; under _mutex
        self._octets_out = 0  # that ever left it; under _receiving
        self._full = False
        self._fin_due = False
        self._fin_sent = False
        self._hold_ticks = 0
        self._pings: dict[bytes, Pong] = {}
        self._failed: tuple[Any, int, WebSocketException] | None = None

    # ---- the protocol, which calls these under _mutex ----

    def time(self) -> float:
        """Return the clock that all times are of."""
        return time.monotonic()

    def message_received(self, message: str | bytes) -> None:
        """Queue a message."""
        self.parser.streaming = False  # recv_streaming() has its message
        self._put(message, len(message))

    def fragment_received(self, data: str | bytes, fin: bool) -> None:
        """Queue a fragment for ``recv_streaming()``."""
        if fin:
            self.parser.streaming = False
        self._put(Fragment(data, fin), len(data))

    def _put(self, item: Any, size: int) -> None:
        if self._full:  # nobody reads any more: only the peer's close frame counts
            return
        self._queue.append(item)
        self._octets_in += size
        options = self.options
        if (
            len(self._queue) >= options.queue_high
            or self._octets_in - self._octets_out >= options.queue_size
        ):
            self._full = True
            if self.ready_state == _OPEN:
                self.stop = self.reading_paused = True
                self._room.clear()

    def hold_end(self) -> bool:
        """Let the application answer what came before the end, for a moment."""
        self._hold_ticks = HOLD_TICKS if self._queue else 0
        return self._hold_ticks > 0

    def ping_received(self, payload: bytes) -> None:
        """Take a ping, which has been answered already."""

    def pong_received(self, payload: bytes) -> None:
        """Set the event of the ping that this answers, and of all before it."""
        if payload in self._pings:
            for data in list(self._pings):
                pong = self._pings.pop(data)
                if data == payload:
                    self.latency = self.now - pong.sent_at
                pong.set()
                if data == payload:
                    return

    def must_end(self, at_once: bool) -> None:
        """End the stream as soon as everything is sent, or have the peer end it."""
        if at_once:
            self._fin_due = True
            keeper().schedule(self, self.time() + LINGER_S)

    def failed(self, failure: WebSocketException, code: int) -> None:
        """Note which peer failed the connection, and why, to be logged at its end."""
        peer = None
        with contextlib.suppress(OSError):
            peer = self.stream.socket.getpeername()
        self._failed = peer, code, failure

    def timer_changed(self, when: float) -> None:
        """Have :meth:`on_timer` called at ``when``."""
        keeper().schedule(self, when)

    def must_abort(self) -> None:
        """Cut the stream: the closing handshake timed out."""
        self.stream.cut()

    # ---- the keeper ----

    def opened(self, rest: bytes = b"") -> None:
        """
        Begin, once the opening handshake is done.

        Args:
            rest: Octets that came behind the peer's head.

        """
        keeper().add(self)
        with self._mutex:
            when = self.check_time(time.monotonic())
        if when:
            keeper().schedule(self, when)
        if rest:
            self._reading.acquire()
            try:
                self._received(rest)
            finally:
                self._stop_reading()

    def fileno(self) -> int:
        """Return the descriptor of the socket, -1 when it is closed."""
        return self.stream.fileno()

    def on_timer(self, now: float) -> float:
        """Look after keepalive and the closing handshake; called by the keeper."""
        with self._mutex:
            if self._fin_sent or (self._fin_due and now >= self.close_deadline > 0):
                self.stream.cut()
                again = 0.0
            else:
                again = self.check_time(now)
        self._flush()
        if self.ready_state != _OPEN:
            self.service()
        return again

    def tick(self) -> bool:
        """Return whether nobody reads and somebody may have to be woken by octets."""
        if self._hold_ticks > 0:
            self._hold_ticks -= 1
            if self._hold_ticks == 0:
                self._release()
        if self.writer.queued:
            self._flush()
        return not (self._full or self.writer.queued or self._reading.locked())

    def service(self) -> int:
        """
        Write what is queued and read what has arrived, without waiting.

        Returns:
            The events at which to call again: readable, unless there is no room for
            messages or another thread reads; writable, if there is more to write.

        """
        if self.has_output():
            self._flush()
        events = 0
        if self._reading.acquire(False):
            try:
                events = self._read_now()
            finally:
                self._stop_reading()
        if self.has_output():
            events |= selectors.EVENT_WRITE
        return events

    def has_output(self) -> bool:
        """Return whether something waits to be sent."""
        queued = self.writer.queued > 0 or self.stream.owes
        return queued and not (self._fin_sent or self._is_closed())

    def _read_now(self) -> int:
        """Read what has arrived; return the event for which to wait."""
        for _ in range(16):
            if self._is_closed() or not self._room.is_set():
                return 0
            try:
                data = self.stream.recv_now()
            except OSError as exc:
                self._finish(exc)
                return 0
            if data is None:
                break
            self._received(data)
        return selectors.EVENT_READ

    # ---- reading ----

    def _wait(self, what: Callable[[], bool], deadline: float | None) -> None:
        """
        Read until ``what()`` is true; or follow the thread that reads already.

        Raises:
            TimeoutError: The deadline has passed.

        """
        while not what():
            if self._reading.acquire(False):
                try:
                    if not what():
                        self._read(deadline)
                finally:
                    self._stop_reading()
            else:
                self._follow(what, deadline)

    def _follow(self, what: Callable[[], bool], deadline: float | None) -> None:
        """Wait until ``what()`` is true, or nobody reads any more."""
        with self._news:
            self._followers += 1
            try:
                while self._reading.locked() and not what():
                    left = None if deadline is None else deadline - time.monotonic()
                    if not self._news.wait(left):
                        raise TimeoutError("timed out")
            finally:
                self._followers -= 1

    def _stop_reading(self) -> None:
        """
        Let another thread read, and let all look for what they wait for.

        The one that read may well go on at once: it would get the lock before the
        others, although it has read what they wait for.
        """
        self._reading.release()
        self._tell()

    def _tell(self) -> None:
        """Wake the followers: what they wait for may have come."""
        if self._followers:
            with self._news:
                self._news.notify_all()

    def _read(self, deadline: float | None) -> None:
        """Receive something and act on it; with ``_reading`` held."""
        if self._hold_ticks > 0:
            self._release()
            return
        if not self._room.is_set():
            left = None if deadline is None else deadline - time.monotonic()
            if not self._room.wait(left):
                raise TimeoutError("timed out")
            return
        stream = self.stream
        try:
            if deadline is not None and not stream.wait(deadline - time.monotonic()):
                raise TimeoutError("timed out")
            data = stream.recv()
        except TimeoutError as exc:
            if exc.errno is None:
                raise
            self._finish(exc)  # the system gave the peer up
        except OSError as exc:
            self._finish(exc)
        else:
            if data is not None:
                self._received(data)
            elif stream.owes:  # an answer of TLS's own
                self._flush()

    def _received(self, data: bytes) -> None:
        """Take octets, none at the end of the stream; with ``_reading`` held."""
        self.reads += 1
        with self._mutex:
            self.now = time.monotonic()
            if data:
                self.receive_data(data)
            else:
                self.receive_eof()
        self._tell()
        if self.writer.queued or self._fin_due or self.stream.owes:
            self._flush()
        if not data:
            self._finish(None)

    def _release(self) -> None:
        """Let the end that was held have its effect."""
        self._hold_ticks = 0
        with self._mutex:
            self.now = time.monotonic()
            self.release_end()
        self._tell()
        self._flush()

    def _finish(self, exc: BaseException | None) -> None:
        """Close: the stream has ended; with ``_reading`` held."""
        self.stream.cut()  # wakes a thread that is writing
        with self._writing:
            with self._mutex:
                if self.ready_state == _CLOSED:
                    return
                if exc is not None and self.lost_by is None:
                    self.begin_ending().lost_by = exc
                self.connection_ended()
            keeper().forget(self)
            self.stream.close()
        self._room.set()
        pings, self._pings = self._pings, {}
        for pong in pings.values():
            if pong.ack_on_close:
                pong.set()
        if self._failed is not None:
            self.logger.info("%s failed with %d: %s", *self._failed)
        try:
            self.lost()
        except Exception as failure:  # its thread may be the keeper, of all others
            self.logger.error("lost() failed", exc_info=failure)

    def lost(self) -> None:
        """Take the news that the connection has ended; for a subclass to override."""

    def _is_closed(self) -> bool:
        return self.ready_state == _CLOSED

    # ---- writing ----

    def _flush(self) -> None:
        """Write what is queued, as much as the system takes without waiting."""
        while self._writing.acquire(False):
            try:
                done = self._write_now()
            except OSError as exc:
                self._note_loss(exc)
                return
            finally:
                self._writing.release()
            if not done:
                keeper().rouse(self)
                return
            if not self.writer.queued or self._fin_sent or self._is_closed():
                return
            # Somebody queued more meanwhile, and left it to us.

    def _write_now(self) -> bool:
        """Write until all is written, or the system takes no more; tell which."""
        stream, writer = self.stream, self.writer
        if self.ready_state == _CLOSED or self._fin_sent:
            return True
        while True:
            if stream.owes:
                stream.send_now(b"")
                if stream.owes:
                    return False
            with self._mutex:
                data = writer.peek()
            if not data:
                break
            sent = stream.send_now(data)
            with self._mutex:
                writer.consume(sent)
                if sent:
                    self.output_flushed()
            if sent < len(data):
                return False
        if self._fin_due:
            self._fin_sent = True
            stream.end()
        return True

    def _note_loss(self, exc: BaseException) -> None:
        """Note that nothing can be sent any more."""
        with self._mutex:
            if self.lost_by is None and self.ready_state != _CLOSED:
                self.begin_ending().lost_by = exc
        self.stream.cut()
