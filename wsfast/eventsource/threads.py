"""Event streams for threads: of WSGI applications, and over bare sockets."""

from __future__ import annotations

import contextlib
import logging
import select
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ..exceptions import ConnectionClosed, InvalidHeader, InvalidMessage, SlowConsumer
from ..protocol.closing import State
from ..protocol.headers import HeadersLike
from ..protocol.heads import DEFAULT_LIMITS, HeadReader, Limits, parse_request
from ..protocol.http import build_response
from ..sync._keeper import keeper
from ._requests import Asked, asked_of, head_octets, response_fields
from .exceptions import EventSourceClosed
from .history import EncodedEvent, History
from .server import HELLO, PING, check_ping, code_of, comment

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

    from ..sync._traffic import Traffic

__all__ = ["SocketEventSource", "ThreadEventSource", "WSGIEventSource"]


class ThreadEventSource:
    """
    An event stream that threads send to (abstract).

    What is the same for all: see :class:`~wsfast.eventsource.EventSource`, of which
    this is the form for threads. ``send()`` waits where that returns an awaitable.

    Attributes:
        url: URL of the request, as far as it is known.
        last_event_id: ID of the last event that the client saw, or ``""``.
        missed: The client saw an event that ``history`` does not have any more.

    """

    def __init__(
        self,
        asked: Asked,
        history: History | None,
        retry: float | None,
        on_close: Callable[[Any, int, str], object] | None,
    ) -> None:
        self.url = asked.url
        self.last_event_id = asked.last_event_id
        self.on_close = on_close
        self.logger = logging.getLogger("wsfast.eventsource")
        self.state = State.OPEN
        self.missed = False
        hello = HELLO if retry is None else EncodedEvent.of(None, retry=retry)
        self._first: list[bytes] = [hello]
        if history is not None:
            events = history.since(self.last_event_id)
            self.missed = events is None
            self._first.extend(history.all() if events is None else events)
        self._changed = threading.Condition()
        self._cause: ConnectionClosed | None = None

    @property
    def ready_state(self) -> int:
        """1 open, 2 closing, 3 closed."""
        return int(self.state)

    def send(
        self,
        data: str | Buffer | EncodedEvent,
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002 - the name of the field
        *,
        retry: float | None = None,
    ) -> bool:
        """
        Send an event, and wait while the client does not take what was sent.

        Args:
            data: Text, or its UTF-8; or an event that is encoded already.
            event: Its type, without line ends; ``"message"`` by default.
            id: Its ID, without line ends and NUL.
            retry: Seconds after which the client shall connect again.

        Returns:
            Whether it is sent; False if it was dropped.

        Raises:
            EventSourceClosed: The stream has ended; it is a ConnectionClosed.
            SlowConsumer: The client took nothing for ``send_timeout``.
            ValueError: A field would become two, or would be ignored.

        """
        if not isinstance(data, EncodedEvent):
            data = EncodedEvent.of(data, event, id, retry)
        elif event is not None or id is not None or retry is not None:
            raise TypeError("the event is encoded already")
        return self._send(data)

    def ping(self, text: str = "ping") -> bool:
        """
        Send a comment, which clients ignore; return False if the stream has ended.

        Raises:
            ValueError: The text has line ends.

        """
        octets = comment(text)
        try:
            return self._send(octets)
        except ConnectionClosed:
            return False

    def recv(self, timeout: float | None = None) -> NoReturn:
        """
        Wait for the end: clients of event streams say nothing.

        Raises:
            EventSourceClosed: The stream has ended.
            TimeoutError: It has not, within so many seconds.

        """
        if not self.wait_closed(timeout):
            raise TimeoutError("timed out while waiting for the end")
        self._raise_closed()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the stream has ended; False if it has not within the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self.state is State.CLOSED, timeout)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream, after what is queued; the arguments are of no effect."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.close()
        return isinstance(exc_value, ConnectionClosed)

    # ---- for the subclasses ----

    def _send(self, data: bytes) -> bool:
        raise NotImplementedError

    def _raise_closed(self) -> NoReturn:
        cause = self._cause
        if isinstance(cause, SlowConsumer):
            raise SlowConsumer from cause
        ours = not isinstance(cause, EventSourceClosed) or cause.ours
        raise EventSourceClosed(ours=ours) from cause

    def _lost(self, cause: ConnectionClosed) -> bool:
        """Note the end; False if it has been noted before."""
        with self._changed:
            if self.state is State.CLOSED:
                return False
            self.state = State.CLOSED
            self._cause = cause
            self._changed.notify_all()
        if self.on_close is not None:
            try:
                self.on_close(self, code_of(cause), "")
            except Exception as exc:  # it may be the thread of others
                self.logger.error("on_close failed", exc_info=exc)
        return True


class WSGIEventSource(ThreadEventSource):
    """
    The event stream of a WSGI request: what the application returns.

    The server's thread iterates over it, and waits for what other threads send. Where
    the server lets us see the client's socket (gunicorn, werkzeug, gevent), it notices
    at once that the client has gone; elsewhere with the next ping.

    Args:
        environ: As the application got it.
        start_response: As the application got it; it is called.
        handler: ``handler(es)``, run in a thread of its own; the stream ends with it.
            Without one, other threads send.
        headers: As for :class:`~wsfast.eventsource.EventSource`, as is what follows.
        write_limit: Octets in the output above which ``send()`` waits.
        overflow: ``"drop"`` drops an event instead, and ``send()`` returns False.
        send_timeout: Seconds for which ``send()`` waits, until the client is given up.

    """

    def __init__(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        handler: Callable[[WSGIEventSource], object] | None = None,
        *,
        headers: HeadersLike = (),
        ping: float | None = 15.0,
        retry: float | None = None,
        history: History | None = None,
        write_limit: int = 64 * 1024,
        overflow: str = "wait",
        send_timeout: float | None = 60.0,
        on_close: Callable[[WSGIEventSource, int, str], object] | None = None,
    ) -> None:
        if overflow not in ("drop", "wait"):
            raise ValueError(f"overflow must be drop or wait, got {overflow!r}")
        check_ping(ping)
        super().__init__(asked_of(environ), history, retry, on_close)
        self._ping = ping
        self._write_limit = write_limit
        self._drops = overflow == "drop"
        self._send_timeout = send_timeout
        self._output: list[bytes] = []
        self._size = 0
        self._server: int | None = None  # the thread that iterates
        self._handler = handler
        self._socket = socket_of(environ)
        self._eye = _Eye(None)
        start_response("200 OK", response_fields(headers))

    def _send(self, data: bytes) -> bool:
        with self._changed:
            if self.state is not State.OPEN:
                self._raise_closed()
            if self._size > self._write_limit:
                if self._drops:
                    return False
                room = self._changed.wait_for(
                    lambda: (
                        self._size <= self._write_limit or self.state is not State.OPEN
                    ),
                    self._send_timeout,
                )
                if self.state is not State.OPEN:
                    self._raise_closed()
                if not room:
                    self._cause = SlowConsumer()
                    self.state = State.CLOSING
                    self._output.clear()
                    self._eye.cut()
                    self._raise_closed()
            self._output.append(data)
            self._size += len(data)
            self._changed.notify_all()
        self._eye.wake()
        return True

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        End the stream, after what is queued; the arguments are of no effect.

        It is what the server calls, too, when it is done with the response.
        """
        if threading.get_ident() == self._server:
            ours = self.state is not State.OPEN
            self._lost(self._cause or EventSourceClosed(ours=ours))
            self._eye.close()
            return
        with self._changed:
            if self.state is State.OPEN:
                self.state = State.CLOSING
                self._changed.notify_all()
        self._eye.wake()

    # ---- what the server calls ----

    def __iter__(self) -> Iterator[bytes]:
        """Return the octets of the response, for the server alone."""
        return self

    def __next__(self) -> bytes:
        if self._server is None:
            self._server = threading.get_ident()
            self._eye = _Eye(self._socket)
            if self._handler is not None:
                threading.Thread(target=self._run, daemon=True).start()
            return b"".join(self._first)
        until = None if self._ping is None else time.monotonic() + self._ping
        while True:
            with self._changed:
                if self._output:
                    data = b"".join(self._output)
                    self._output.clear()
                    self._size = 0
                    self._changed.notify_all()
                    return data
                if self.state is not State.OPEN:
                    raise StopIteration
                if not self._eye.works:
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0:
                        return PING
                    self._changed.wait(left)
                    continue
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return PING
            if not self._eye.look(left):
                self._lost(EventSourceClosed(ours=False))
                raise StopIteration

    def _run(self) -> None:
        """Run the handler; the stream ends with it."""
        assert self._handler is not None
        with self:
            self._handler(self)


class _Eye:
    """
    Watches a socket that is somebody else's, until woken.

    Args:
        sock: The socket; None if it cannot be had, and nothing is seen.

    """

    def __init__(self, sock: Any) -> None:
        self.works = sock is not None and hasattr(select, "poll")
        if not self.works:
            return
        self._sock = sock
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        # The end of the client's side of the stream is something to read; where there
        # is POLLRDHUP, it is seen behind other octets too.
        self._events = select.POLLIN | getattr(select, "POLLRDHUP", 0)
        self._poll.register(sock, self._events)

    def wake(self) -> None:
        """Have :meth:`look` return."""
        if self.works:
            with self._lock, contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def look(self, timeout: float | None) -> bool:
        """Wait; return False if the client has gone."""
        ready = self._poll.poll(None if timeout is None else max(timeout, 0) * 1000)
        for descriptor, events in ready:
            if descriptor == self._woken.fileno():
                self._woken.recv(4096)
            elif (
                events != select.POLLIN or self._is_at_end()
            ):  # POLLHUP, POLLERR, POLLRDHUP
                return False
            else:  # octets that are for nobody: look for the end alone
                self._poll.modify(self._sock, self._events & ~select.POLLIN)
        return True

    def _is_at_end(self) -> bool:
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except ValueError:  # TLS: its closing alert is for the server
            return False
        except OSError as exc:
            return not isinstance(exc, BlockingIOError)

    def cut(self) -> None:
        """End the stream, in which the server waits."""
        if self.works:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Look no more."""
        if self.works:
            with self._lock:
                self._waker.close()
                self._woken.close()


def socket_of(environ: dict[str, Any]) -> Any:
    """Return the client's socket of a WSGI request, None where nobody has it."""
    for name in ("gunicorn.socket", "werkzeug.socket"):
        if environ.get(name) is not None:
            return environ[name]
    body = environ.get("wsgi.input")
    file = getattr(body, "rfile", body)  # of gevent's pywsgi; werkzeug has the file
    return getattr(getattr(file, "raw", None), "_sock", None)


class SocketEventSource(ThreadEventSource):
    """
    An event stream over a connected socket, for threads.

    Any thread sends, and waits in the system for room. Pings, and the end of the
    client, are looked after by the thread that does so for :mod:`wsfast.sync`.

    Args:
        sock: The socket, in blocking mode; it belongs to the stream from now on.
        head: Octets that were read from it already.
        headers: As for :class:`~wsfast.eventsource.EventSource`, as is what follows.
        send_timeout: Seconds for which ``send()`` waits, until the client is given up.
        open_timeout: Seconds that the request may take.
        limits: Limits of its head.

    Raises:
        TypeError: It is a TLS socket.
        InvalidHandshake: The request is malformed, or none for an event stream. It has
            been answered then, and the socket closed.
        OSError: The client has gone, or its request takes too long; so has the socket.

    """

    #: What the keeper asks of a connection: nobody reads this one.
    reads = 0

    def __init__(
        self,
        sock: socket.socket,
        head: bytes = b"",
        *,
        headers: HeadersLike = (),
        ping: float | None = 15.0,
        retry: float | None = None,
        history: History | None = None,
        send_timeout: float | None = 60.0,
        open_timeout: float | None = 10.0,
        limits: Limits = DEFAULT_LIMITS,
        on_close: Callable[[SocketEventSource, int, str], object] | None = None,
    ) -> None:
        if isinstance(sock, ssl.SSLSocket):  # two threads would be at work in it
            raise TypeError("expected a plain socket, without TLS")
        check_ping(ping)
        fields = response_fields(headers)
        try:
            asked = _read_request(sock, head, open_timeout, limits)
        except BaseException as exc:
            status = getattr(exc, "status", 0)
            if status:
                with contextlib.suppress(OSError):
                    sock.sendall(build_response(status, f"{exc}.\n").serialize())
            sock.close()
            raise
        super().__init__(asked, history, retry, on_close)
        self._sock = sock
        self._ping = ping
        self._sending = threading.Lock()
        sock.settimeout(send_timeout)
        self._sent_at = time.monotonic()
        self._keeper = keeper()
        self._keeper.add(self._traffic)
        try:
            self._write(b"".join((head_octets(fields), *self._first)))
        except ConnectionClosed:
            return
        if ping is not None:
            self._keeper.schedule(self._traffic, self._sent_at + ping)

    @property
    def _traffic(self) -> Traffic:
        return cast("Traffic", self)

    def _send(self, data: bytes) -> bool:
        if self.state is not State.OPEN:
            self._raise_closed()
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        with self._sending:
            self._sent_at = time.monotonic()
            try:
                self._sock.sendall(data)
            except TimeoutError:  # a part of it may be there: there is no going on
                self._end(SlowConsumer())
            except OSError:
                self._end(EventSourceClosed(ours=False))
        if self.state is State.CLOSED:
            self._raise_closed()

    def _end(self, cause: ConnectionClosed) -> None:
        if self._lost(cause):
            self._keeper.forget(self._traffic)
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
            self._sock.close()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream; the arguments are of no effect."""
        with self._sending:
            self._end(EventSourceClosed())

    def __iter__(self) -> Self:
        """Iterate over nothing, until the stream has ended."""
        return self

    def __next__(self) -> NoReturn:
        self.wait_closed()
        raise StopIteration

    # ---- what the keeper calls ----

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._sock.fileno()

    def tick(self) -> bool:
        """Tell that the socket is to be watched."""
        return True

    def has_output(self) -> bool:
        """Tell that nothing waits to be sent: those wait who send."""
        return False

    def service(self) -> int:
        """Take what the client says, for nobody; return what to watch for."""
        try:
            data = self._sock.recv(65536)
        except BlockingIOError:
            return selectors.EVENT_READ
        except (OSError, ValueError):
            data = b""
        if data:
            return selectors.EVENT_READ
        self._end(EventSourceClosed(ours=False))
        return 0

    def on_timer(self, now: float) -> float:
        """Send a ping if it is time; return when to look again."""
        if self._ping is None or self.state is not State.OPEN:
            return 0.0
        due = self._sent_at + self._ping
        if now < due:
            return due
        # A thread that sends has the lock: then there is no need to.
        if self._sending.acquire(blocking=False):
            try:
                self._sent_at = now
                if select.select([], [self._sock], [], 0)[1]:
                    self._sock.send(PING)
            except (OSError, ValueError):
                self._end(EventSourceClosed(ours=False))
                return 0.0
            finally:
                self._sending.release()
        return now + self._ping


def _read_request(
    sock: socket.socket, head: bytes, open_timeout: float | None, limits: Limits
) -> Asked:
    """Read a request; raises what is wrong with it."""
    until = None if open_timeout is None else time.monotonic() + open_timeout
    reader = HeadReader(limits)
    data = head
    while not (data and reader.feed(data)):
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out waiting for the request")
            sock.settimeout(left)
        data = sock.recv(65536)
        if not data:
            raise ConnectionResetError("the client has gone")
    if reader.rest:
        raise InvalidMessage("octets behind the request", "octets_behind_request")
    asked = asked_of(parse_request(reader.head))
    if not asked.is_event_source:
        refusal = InvalidHeader("Accept", asked.accept or None)
        refusal.code = 406
        raise refusal
    return asked
