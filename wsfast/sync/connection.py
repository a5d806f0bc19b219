"""
A WebSocket connection for threads.

The thread that waits for a message reads the socket itself; there is no thread per
connection. Any number of threads may use a connection at once: one may be in ``recv()``
while others send and another one closes. The keeper's thread serves a connection while
nobody waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import engine
from ..exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedOK
from ..protocol.extension_frames import extensions_of
from ._receiving import Fragment, Pong, fragments_of
from ._traffic import Traffic

if TYPE_CHECKING:
    from socket import socket

    from typing_extensions import Self

    from ..protocol.http import Request, Response
    from ..protocol.options import Options
    from ._stream import Stream

__all__ = ["Connection"]

_OPEN = 1
_CLOSED = 3

BUSY = "cannot call {0} while another thread is already running recv or recv_streaming"
SENDING = "cannot call send while another thread is already running send"


class Connection(Traffic):
    """
    A WebSocket connection, after its opening handshake.

    Made by ``connect()`` and ``serve()``.

    Args:
        stream: The octets; they belong to the connection from now on.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, or None.
        request: The handshake's request.
        response: The handshake's response.
        subprotocol: The negotiated subprotocol, or None.
        logger: Where to log; by default ``wsfast.client`` or ``wsfast.server``.

    Attributes:
        request: The handshake's request.
        response: The handshake's response.
        subprotocol: The negotiated subprotocol, or None (RFC 6455 §1.9).
        latency: Round-trip time in seconds of the last ping answered; 0.0 before.

    """

    def __init__(
        self,
        stream: Stream,
        options: Options,
        *,
        client: bool,
        deflate: Any = None,
        request: Request | None = None,
        response: Response | None = None,
        subprotocol: str | None = None,
        logger: Any = None,
    ) -> None:
        Traffic.__init__(self, stream, options, client=client, deflate=deflate)
        self.request = request
        self.response = response
        self.subprotocol = subprotocol
        if logger is None:
            logger = logging.getLogger("wsfast.client" if client else "wsfast.server")
        self.logger = logger
        self._skipping = False
        self._partial = False
        self._sending_fragments = False
        self._id: uuid.UUID | None = None

    # ---- receiving ----

    def _has_message(self) -> bool:
        return len(self._queue) > 0 or self.ready_state == _CLOSED

    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...

    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...

    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...

    @overload
    def recv(
        self, timeout: float | None = None, *, decode: Literal[False]
    ) -> bytes: ...

    @overload
    def recv(
        self, timeout: float | None = None, decode: bool | None = None
    ) -> str | bytes: ...

    def recv(
        self, timeout: float | None = None, decode: bool | None = None
    ) -> str | bytes:
        """
        Receive the next message.

        Args:
            timeout: Seconds to wait for it; None to wait for ever, 0 not to wait.
            decode: False to get text messages as ``bytes``, True to get binary messages
                as ``str``; None to get each as what it is.

        Returns:
            ``str`` for a text message, ``bytes`` for a binary one.

        Raises:
            TimeoutError: There is no message yet. None is lost by that.
            ConnectionClosedOK: The connection was closed normally.
            ConnectionClosedError: It ended in any other way.
            ConcurrencyError: Another thread is receiving already.

        """
        if not self._receiving.acquire(False):
            raise ConcurrencyError(BUSY.format("recv"))
        try:
            if not self._queue or self._skipping:
                self._await_message(timeout)
            message = self._take()
            if type(message) is Fragment:  # nobody else wants it
                raise ConcurrencyError(BUSY.format("recv"))
        finally:
            self._receiving.release()
        if decode is None:
            return message  # type: ignore[no-any-return]
        if decode:
            return message if isinstance(message, str) else str(message, "utf-8")
        return message.encode() if isinstance(message, str) else message

    def _await_message(self, timeout: float | None) -> None:
        """Wait until there is a whole message, or the next fragment of one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._wait(self._has_message, deadline)
            if not self._queue:
                raise self.closed_error()
            if not self._skipping:
                return
            # The rest of a message that recv_streaming() was not asked for any more.
            item = self._queue[0]
            if type(item) is Fragment:
                self._take()
                self._skipping = not item.fin
            else:
                self._skipping = False

    def _take(self) -> Any:
        """Take the first item off the queue; with ``_receiving`` held."""
        item = self._queue.popleft()
        self._octets_out += len(item)
        if self._full and self._is_low():
            self._resume()
        return item

    def _is_low(self) -> bool:
        return (
            len(self._queue) <= self.options.queue_low
            and self._octets_in - self._octets_out < self.options.queue_size
        )

    def _resume(self) -> None:
        with self._mutex:
            self._full = self.stop = self.reading_paused = False
            if self.ready_state != _CLOSED:
                self.now = time.monotonic()
                self.receive_more()
            if not self._full:
                self._room.set()
        if self.writer.queued or self._fin_due:
            self._flush()

    def __iter__(self) -> Iterator[str | bytes]:
        """Iterate over the messages until the connection is closed normally."""
        try:
            while True:
                yield self.recv()
        except ConnectionClosedOK:
            return

    def recv_streaming(self, decode: bool | None = None) -> Iterator[Any]:
        """
        Receive the next message fragment by fragment, as they arrive.

        An iterator that is closed before the end drops the rest of the message.

        Args:
            decode: As in :meth:`recv`.

        Returns:
            An iterator of ``str`` or ``bytes``, one per fragment.

        Raises:
            ConnectionClosed, ConcurrencyError: As :meth:`recv`.

        """
        if not self._receiving.acquire(False):
            raise ConcurrencyError(BUSY.format("recv_streaming"))
        whole = False
        try:
            for data, fin in fragments_of(self._next_fragment, decode):
                whole = fin
                yield data
        finally:
            self._skipping = self._partial and not whole
            self._receiving.release()

    def _next_fragment(self) -> Fragment:
        if not self._queue or self._skipping:
            with self._mutex:
                if not self._queue:
                    self.parser.streaming = True
            self._await_message(None)
        item = self._take()
        if type(item) is not Fragment:
            item = Fragment(item, True)
        self._partial = not item.fin
        return item

    def _send_frame(
        self, opcode: int, data: Any, fin: bool, compress: bool | None
    ) -> None:
        """
        Send a data frame.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        try:
            with self._writing:
                with self._mutex:
                    if self._sending_fragments and opcode:
                        raise ConcurrencyError(SENDING)
                    self.send_message(opcode, data, fin, compress)
                    self._sending_fragments = not fin
                    octets = self.data_to_send()
                self.stream.send(octets)
        except ConnectionClosed:
            pass
        except OSError as exc:
            self._note_loss(exc)
        else:
            if self.writer.queued or self._fin_due:
                self._flush()
            return
        raise self._until_closed()

    def _until_closed(self) -> ConnectionClosed:
        """Wait until the connection is closed; return the exception that says how."""
        self.wait_closed()
        return self.closed_error()

    def send(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> None:
        """
        Send a message; returns when the system has taken all of it.

        Args:
            message: ``str`` for a text message, octets for a binary one, or an iterable
                of either for a fragmented one.
            text: True to send octets as text, False to send ``str`` as binary.
            compress: Whether to compress the message, if that was negotiated; None to
                leave it to the threshold.

        Raises:
            ConnectionClosed: The connection is not open.
            ConcurrencyError: A fragmented message is being sent.
            TypeError: ``message`` is none of these.

        """
        if isinstance(message, str):
            self._send_frame(2 if text is False else 1, message, True, compress)
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self._send_frame(1 if text is True else 2, message, True, compress)
        else:
            self._send_fragments(message, text, compress)

    def _send_fragments(
        self, fragments: Any, text: bool | None, compress: bool | None
    ) -> None:
        """Send a message fragment by fragment (RFC 6455 §5.4)."""
        if isinstance(fragments, Mapping):
            raise TypeError("data is a dict-like object")
        if not isinstance(fragments, Iterable):
            raise TypeError("data must be str, bytes, or iterable")
        opcode = first = 0
        were_str = False
        try:
            for data in fragments:
                is_str = isinstance(data, str)
                if is_str:
                    kind = 2 if text is False else 1
                elif isinstance(data, (bytes, bytearray, memoryview)):
                    kind = 1 if text is True else 2
                else:
                    raise TypeError("iterable must contain bytes or str")
                if first == 0:
                    opcode, were_str = kind, is_str
                elif is_str is not were_str:
                    raise TypeError("iterable must contain uniform types")
                self._send_frame(opcode, data, False, compress)
                first, opcode = kind, 0
            if first != 0:
                self._send_frame(0, b"", True, compress)
        except BaseException:
            # Half-way through a message that can't be completed.
            if first != 0 and self.ready_state == _OPEN:
                with self._mutex:
                    self.fail(1011, "error in fragmented message")
                self._flush()
            raise

    def offer(self, opcode: int, message: Any, max_buffered: int) -> None:
        """
        Send a message as far as that goes without waiting; the keeper sends the rest.

        Nothing is done unless the connection is open.

        Raises:
            ConcurrencyError: A fragmented message is being sent.
            OSError: More than ``max_buffered`` octets wait to be sent already.

        """
        with self._mutex:
            if self.ready_state != _OPEN:
                return
            if self._sending_fragments:
                raise ConcurrencyError("sending a fragmented message")
            if self.writer.queued > max_buffered:
                raise OSError(f"over {max_buffered} octets wait to be sent")
            self.send_message(opcode, message)
        self._flush()

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued to be sent and that the system has not taken yet."""
        return len(self.writer)

    # ---- pings ----

    def ping(
        self, data: str | bytes | None = None, *, ack_on_close: bool = False
    ) -> threading.Event:
        """
        Send a ping (RFC 6455 §5.5.2).

        Args:
            data: Payload, at most 125 octets; random by default.
            ack_on_close: Set the event when the connection ends, too.

        Returns:
            An event that is set when the pong has arrived. Its ``wait()`` returns False
            as soon as there can be no pong any more.

        Raises:
            ConnectionClosed: The connection is not open.
            ConcurrencyError: A ping with this payload waits for its pong.

        """
        pings = self._pings
        payload = None if data is None else _octets(data)
        pong = Pong(self.wait_pong, ack_on_close)
        try:
            with self._mutex:
                if payload in pings:
                    raise ConcurrencyError(
                        "already waiting for a pong with the same data"
                    )
                while payload is None or payload in pings:
                    payload = engine.masking_key()
                self.send_ping(payload)
                pings[payload] = pong
        except ConnectionClosed:
            raise self._until_closed() from None
        self._flush()
        return pong

    def wait_pong(self, pong: Pong, timeout: float | None) -> bool:
        """Wait for what ``ping()`` has returned; return whether it is set."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            self._wait(lambda: pong.is_set() or self._is_closed(), deadline)
        return pong.is_set()

    def pong(self, data: str | bytes = b"") -> None:
        """
        Send an unsolicited pong (RFC 6455 §5.5.3).

        Raises:
            ConnectionClosed: The connection is not open.

        """
        payload = _octets(data)
        try:
            with self._mutex:
                self.send_pong(payload)
        except ConnectionClosed:
            raise self._until_closed() from None
        self._flush()

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection (RFC 6455 §7.1.2), and wait until it is closed.

        That takes ``close_timeout`` seconds at most. May be called again, and from any
        thread; threads that are in ``recv()`` are told.

        Args:
            code: Close code.
            reason: Close reason, at most 123 octets of UTF-8.

        """
        self.start_closing(code, reason)
        self.wait_closed()

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, as :meth:`close`, but do not wait for the peer's."""
        with self._mutex:
            self.now = time.monotonic()
            self.release_end()
            if self._sending_fragments and self.ready_state == _OPEN:
                self.fail(1011, "close during fragmented message")
            self.send_close(code, reason)
            # Read on, however much is queued: the peer's close frame is behind it.
            if self.ready_state != _CLOSED and not self._room.is_set():
                self.stop = self.reading_paused = False
                self.receive_more()
                self._room.set()
        self._flush()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection is closed.

        Args:
            timeout: Seconds to wait; None to wait for ever.

        Returns:
            Whether it is closed.

        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            self._wait(self._is_closed, deadline)
        return self.ready_state == _CLOSED

    def abort(self) -> None:
        """End the connection at once, without a closing handshake (1006)."""
        with self._mutex:
            self.abandon()
        self.stream.cut()
        self._room.set()
        self.wait_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(1000 if exc_type is None else 1011)

    # ---- facts ----

    @property
    def id(self) -> uuid.UUID:
        """Unique identifier, for logs."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def extensions(self) -> list[Any]:
        """Negotiated extensions."""
        return extensions_of(self.deflate)

    @property
    def socket(self) -> socket:
        """The socket that carries the octets; not to be read or written."""
        return self.stream.socket

    @property
    def local_address(self) -> Any:
        """Address of our end, as ``socket.getsockname()`` gives it."""
        return self.stream.socket.getsockname()

    @property
    def remote_address(self) -> Any:
        """Address of the peer, as ``socket.getpeername()`` gives it."""
        return self.stream.socket.getpeername()


def _octets(data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError("data must be str or bytes-like")
