"""
What a connection for threads receives: messages, whole or in fragments.

The thread that waits for a message reads the stream itself. One thread receives at a
time; what arrives while none does waits in a bounded queue.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal, overload

from ..exceptions import ConcurrencyError, ConnectionClosedOK
from ._receiving import Fragment, fragments_of
from ._traffic import Traffic

__all__ = ["Inbound"]

_CLOSED = 3

BUSY = "cannot call {0} while another thread is already running recv or recv_streaming"


class Inbound(Traffic):
    """The receiving half of a connection."""

    def _may_receive(self) -> None:
        """Begin: no fragment has been taken."""
        self._skipping = False  # the rest of a message that nobody wants any more
        self._partial = False  # a fragment was taken that is not the last
        self._parts: list[Any] = []

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
            message = self._next_message(timeout)
        finally:
            self._receiving.release()
        if decode is None:
            return message  # type: ignore[no-any-return]
        if decode:
            return message if isinstance(message, str) else str(message, "utf-8")
        return message.encode() if isinstance(message, str) else message

    def recv_many(
        self, limit: int | None = None, timeout: float | None = None
    ) -> list[Any]:
        """
        Receive all messages that have arrived, waiting for one if there is none.

        Args:
            limit: Return no more than this many.
            timeout: As in :meth:`recv`.

        Returns:
            At least one message, in order.

        Raises:
            TimeoutError, ConnectionClosed, ConcurrencyError: As :meth:`recv`.

        """
        if not self._receiving.acquire(False):
            raise ConcurrencyError(BUSY.format("recv_many"))
        try:
            messages = [self._next_message(timeout)]
            while self._queue and (limit is None or len(messages) < limit):
                if type(self._queue[0]) is Fragment:
                    break
                messages.append(self._take())
        finally:
            self._receiving.release()
        return messages

    def _next_message(self, timeout: float | None) -> Any:
        """Wait for a message and take it; with ``_receiving`` held."""
        if not self._queue or self._skipping:
            self._await_message(timeout)
        message = self._take()
        if type(message) is not Fragment:
            return message
        # recv_streaming() was interrupted before it had any of this message.
        deadline = None if timeout is None else time.monotonic() + timeout
        self._parts.append(message.data)
        while not message.fin:
            self._wait(self._has_message, deadline)
            if not self._queue:
                raise self.closed_error()
            message = self._take()
            self._parts.append(message.data)
        return self._joined()

    def _joined(self) -> Any:
        """Return the fragments taken so far as one."""
        parts, self._parts = self._parts, []
        return (b"" if isinstance(parts[0], bytes) else "").join(parts)

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

    def _read(self, deadline: float | None) -> None:
        if not self._room.is_set() and self._full and self._is_low():
            # What filled it was taken before whoever put it there had said so.
            self._resume()
        else:
            Traffic._read(self, deadline)

    def _resume(self) -> None:
        with self._mutex:
            if not self._full:  # another thread was here first
                return
            self._full = self.stop = self.reading_paused = False
            if self.ready_state != _CLOSED:
                self.now = time.monotonic()
                self.receive_more()
            if not self._full:
                self._room.set()
        self._tell()
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
        if self._parts:
            self._partial = True
            return Fragment(self._joined(), False)
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
