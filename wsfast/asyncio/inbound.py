"""The receiving half of a connection: a queue, tasks that wait, back-pressure."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Coroutine
from types import MethodType
from typing import TYPE_CHECKING, Any

from ..exceptions import ConcurrencyError, ConnectionClosedOK
from ..protocol.messages import PASS_BUDGET
from .ledger import Holding
from .waiter import Waiter

if TYPE_CHECKING:
    from ..protocol.options import Options
    from .link import Link
    from .listener import Listener

__all__ = ["Inbound", "Receiver"]

_OPEN = 1
_CLOSED = 3

BUSY = "cannot receive while another coroutine is in recv or recv_streaming already"

#: Passes of the event loop that the end waits for a task to take what came before it.
HOLD_PASSES = 4

#: A queue that has become longer gives its storage back when it is empty.
KEPT_SLOTS = 16

#: The queue of a connection without messages for ``recv()``; never changed.
_EMPTY: list[Any] = []


class Receiver:
    """
    What ``recv()`` returns, usable as a coroutine: awaiting it gives a message.

    No message is taken before the moment it is returned: cancelling loses none.

    Args:
        connection: Where the messages are.

    Attributes:
        iterating: End the iteration, instead of raising, on a normal closure.
        decode: See ``Connection.recv``.
        peek: Wait until there is a message, and leave it where it is.

    """

    def __init__(self, connection: Inbound) -> None:
        self._connection = connection
        self._waiter: Waiter | None = None
        self.busy = False
        self.iterating = False
        self.peek = False
        self.decode: bool | None = None

    def __await__(self) -> Receiver:
        return self

    def __iter__(self) -> Receiver:
        return self

    def __next__(self) -> Waiter:
        connection = self._connection
        waiting = connection.waiting
        if connection._length() > 0 and (waiting is None or waiting is self):
            self._leave()
            raise StopIteration(self._result())
        if connection._length() == 0 and self._at_end():
            self._leave()
            raise StopIteration(self._end())
        return self.suspend()

    def _result(self) -> Any:  # this and the next two: a subclass has its own
        if self.peek:
            return None
        return self._connection._take_message(self.decode)

    def _at_end(self) -> bool:
        return self._connection.ready_state == _CLOSED

    def _end(self) -> Any:
        error = self._connection.closed_error()
        if self.iterating and isinstance(error, ConnectionClosedOK):
            raise StopAsyncIteration
        raise error

    def suspend(self) -> Waiter:
        """Have the task wait for a message: there is none, or another task waits."""
        connection = self._connection
        if connection.waiting is not None and connection.waiting is not self:
            self.busy = False
            raise ConcurrencyError(BUSY)
        waiter = self._waiter
        if waiter is None:
            waiter = self._waiter = Waiter(connection.link.driver)
        waiter.prepare()
        connection.waiting = self
        return waiter

    def _leave(self) -> None:
        self.busy = False
        if self._connection.waiting is self:
            self._connection.waiting = None

    def wake(self) -> None:
        """Step the task that waits."""
        if self._waiter is not None:
            self._waiter.wake()

    def wake_soon(self) -> None:
        """Have the task that waits stepped in a turn of the event loop."""
        if self._waiter is not None:
            self._waiter.wake_soon()

    def send(self, value: Any) -> Waiter:
        """Resume, as a coroutine's ``send``."""
        return self.__next__()

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Waiter:
        """Raise an exception where the task waits, as a coroutine's ``throw``."""
        self._leave()
        if value is None:
            value = kind if isinstance(kind, BaseException) else kind()
        elif not isinstance(value, BaseException):
            value = kind(value)
        if traceback is not None:
            value = value.with_traceback(traceback)
        raise value

    def close(self) -> None:
        """Give up waiting, as a coroutine's ``close``."""
        self._leave()


Coroutine.register(Receiver)


class _Fragment:
    """A fragment of a message among the messages of a queue."""

    def __init__(self, data: Any, fin: bool) -> None:
        self.data = data
        self.fin = fin


def drop(connection: Inbound, message: Any) -> None:
    """Forget a message; in the place of a listener's ``on_message``."""


def _size(item: Any) -> int:
    if type(item) is str:
        text = item
        return len(text)
    return len(item.data if type(item) is _Fragment else item)


def _joined(parts: list[Any]) -> Any:
    return (b"" if isinstance(parts[0], bytes) else "").join(parts)


async def _refuse() -> None:
    raise ConcurrencyError(BUSY)


class Inbound(Holding):
    """
    A protocol whose messages are queued for ``recv()``, or handed to a callback.

    Args:
        link: Its way to the octets.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, or None.
        listener: Its ``on_message`` gets each message, instead of ``recv()``.

    Attributes:
        waiting: The receiver in which a task waits, or None.

    """

    def _join(
        self,
        link: Link,
        options: Options,
        client: bool,
        deflate: Any,
        listener: Listener | None,
    ) -> None:
        self._begin(client, options, deflate, link.driver.time())
        self.link = link
        self.listener = listener
        self._on_message: Any = None
        self._bound = False
        if listener is not None:
            # Half of a bound method is in self.listener already.
            method: Any = listener.on_message
            self._bound = type(method) is MethodType and method.__self__ is listener
            self._on_message = method.__func__ if self._bound else method
        self.waiting: Receiver | None = None
        self._queue = _EMPTY
        self._head = self._tail = 0  # the messages are between them, None around
        self._octets = 0
        self._full = False
        self._paused = False
        self._pause_asked = False
        self._streaming = False
        self._partial = False
        self._dropping = False
        self._hold_passes = 0
        self._receiver: Receiver | None = None
        self._hold_nothing()

    def time(self) -> float:
        """Return the driver's time."""
        return self.link.driver.time()

    # ---- octets in ----

    def receive(self, data: bytes | memoryview) -> None:
        """Take octets that arrived; only within a pass of the link's driver."""
        self.now = self.link.driver.time()
        self.parser.feed(data)
        self._serve()

    def serve(self) -> bool:
        """Deliver what has arrived; True if there is more, for the next pass."""
        return self._serve()

    def _serve(self) -> bool:
        """
        Deliver what has arrived, and step the task that waits for it.

        Returns:
            True if there is more, for the next pass: the budget is used up.

        """
        self.budget = PASS_BUDGET
        while True:
            try:
                more = self._run()
            except Exception as exc:
                self.handler_failed(exc)
                more = self.unfinished
            if self.waiting is not None and self._head != self._tail:
                self.waiting.wake()
            if self._full and not self._paused:
                if not self._is_full():
                    self._full = self.stop = False
                elif self.ready_state == _OPEN:
                    self._pause()
                else:
                    self._drop_newest()
            if not more or self._paused:
                break
            if self.budget <= 0:
                self.parser.stash()
                break
        if self.options.ledger is not None:
            self.account()
        return more and not self._paused

    def hold_end(self) -> bool:
        """Let the task that waits, or is about to, answer what came before the end."""
        if not self._wake_for_more():
            return False
        self._hold_passes = HOLD_PASSES
        self.link.driver.loop.call_soon(self._release_soon)
        return True

    def _wake_for_more(self) -> bool:
        """Step the task that waits; return whether messages are left for it."""
        if self.waiting is not None and self._head != self._tail:
            self.waiting.wake()
        return self._head != self._tail

    def _release_soon(self) -> None:
        if not self._is_held():
            return
        driver = self.link.driver
        driver.enter()
        try:
            self._hold_passes -= 1
            if self._wake_for_more() and self._hold_passes > 0:
                driver.loop.call_soon(self._release_soon)
            else:
                self.release_end()
        finally:
            driver.leave()

    def _deliver(self, message: str | bytes) -> None:
        """Call the listener, or queue the message for ``recv()``."""
        if self._on_message is None:
            self.parser.streaming = False  # recv_streaming() has its message
            self._put(message, _size(message))
        elif self._bound:  # what it raises, serve() handles
            self._on_message(self.listener, self, message)
        else:
            self._on_message(self, message)

    def fragment_received(self, data: str | bytes, fin: bool) -> None:
        """Queue a fragment for ``recv_streaming()``."""
        if fin:
            self.parser.streaming = False
        if self._dropping:
            self._dropping = not fin
            return
        parts = self._by_fragments().parts
        if parts is None:
            self._put(_Fragment(data, fin), len(data))
        else:
            parts.append(data)
            if fin:
                self._by_fragments().parts = None
                message = _joined(parts)
                self._put(message, len(message))

    def _put(self, item: Any, size: int) -> None:
        if self._tail < len(self._queue):
            self._queue[self._tail] = item
        else:
            if self._queue is _EMPTY:
                self._queue = []
            elif self._head > KEPT_SLOTS and self._head > self._tail // 2:
                # Never empty, it would grow for ever. Each item moves once at most.
                del self._queue[: self._head]
                self._tail -= self._head
                self._head = 0
            self._queue.append(item)
        self._tail += 1
        self._octets += size
        if self._is_full():
            self._full = self.stop = True

    def handler_failed(self, exc: BaseException) -> None:
        """Take an exception of the application's callback."""
        raise exc

    # ---- receiving ----

    def recv(self, decode: bool | None = None) -> Awaitable[Any]:
        """
        Receive the next message; to be awaited.

        Cancelling loses no message: the next call returns it.

        Args:
            decode: False to get text messages as ``bytes``, True to get binary messages
                as ``str``; None to get each as what it is.

        Returns:
            ``str`` for a text message, ``bytes`` for a binary one.

        Raises:
            ConnectionClosedOK: The connection was closed normally.
            ConnectionClosedError: It ended in any other way.
            ConcurrencyError: Another task waits in ``recv()`` already.

        """
        if self._streaming and not self._settle():
            return _refuse()
        receiver = self._receiver
        if receiver is None or receiver.busy:
            receiver = self._receiver = Receiver(self)
        receiver.busy = True
        receiver.iterating = False
        receiver.decode = decode
        return receiver

    def __aiter__(self) -> Inbound:
        """Iterate over the messages until the connection is closed normally."""
        return self

    def __anext__(self) -> Awaitable[Any]:
        if self._streaming and not self._settle():
            return _refuse()
        receiver = self._receiver
        if receiver is None or receiver.busy:
            receiver = self._receiver = Receiver(self)
        receiver.busy = True
        receiver.iterating = True
        receiver.decode = None
        return receiver

    def queue_length(self) -> int:
        """Return how many messages wait to be received."""
        return self._length()

    def _length(self) -> int:
        return self._tail - self._head

    def _take(self) -> Any:
        """Take the first message or fragment off the queue, which is not empty."""
        item = self._queue[self._head]
        self._queue[self._head] = None
        self._head += 1
        if self._head == self._tail:
            self._head = self._tail = self._octets = 0
            if len(self._queue) > KEPT_SLOTS:
                self._queue.clear()
        else:
            self._octets -= _size(item)
        if self._paused and not self._is_asked_to_wait() and not self._is_high():
            self._resume()
        if self._charged != 0:
            self.account()
        return item

    def _take_message(self, decode: bool | None) -> Any:
        """Take the first message off the queue, which is not empty."""
        item = self._take()
        if decode is None:
            return item
        if decode:
            return item if isinstance(item, str) else str(item, "utf-8")
        return item.encode() if isinstance(item, str) else item

    async def recv_many(self, limit: int | None = None) -> list[Any]:
        """
        Receive all messages that have arrived, waiting for one if there is none.

        Args:
            limit: Return no more than this many.

        Returns:
            At least one message, in order.

        Raises:
            ConnectionClosed, ConcurrencyError: As ``recv()``.

        """
        messages = [await self.recv()]
        while self._length() > 0 and (limit is None or len(messages) < limit):
            messages.append(self._take_message(None))
        return messages

    # ---- receiving fragments ----

    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Any]:
        """
        Receive the next message fragment by fragment, as they arrive.

        Cancelling loses nothing: after that, ``recv_streaming()`` goes on with the same
        message. ``recv()`` drops what is left of a message that was begun here.

        Args:
            decode: As in ``recv()``.

        Yields:
            ``str`` or ``bytes``, one per fragment.

        Raises:
            ConnectionClosed, ConcurrencyError: As ``recv()``.

        """
        return Fragments(self, decode)

    def begin_streaming(self, fragments: Fragments) -> None:
        """Have ``fragments`` take the message in progress; called for each fragment."""
        streamer = self._streamer()
        if streamer is fragments:
            return
        if streamer is not None or self.waiting is not None:
            raise ConcurrencyError(BUSY)
        self._by_fragments().taker = weakref.ref(fragments)
        self._streaming = True

    def end_streaming(self, fragments: Fragments) -> None:
        """Let others take messages, or what is left of this one."""
        if self._streamer() is fragments:
            self._by_fragments().taker = None

    def _streamer(self) -> Any:
        """Return who takes the fragments of the message in progress, or None."""
        here = self._streamed
        return None if here is None or here.taker is None else here.taker()

    def take_fragment(self) -> _Fragment:
        """Take a fragment, or a whole message, off the queue, which is not empty."""
        item = self._take()
        if type(item) is not _Fragment:
            item = _Fragment(item, True)
        self._partial = not item.fin
        if item.fin:
            self._streaming = False
        return item

    def _settle(self) -> bool:
        """
        Have whole messages received again, after ``recv_streaming()``.

        Returns:
            False if that is being iterated over still.

        """
        if self.waiting is not None or self._streamer() is not None:
            return False
        self._streaming = self.parser.streaming = False
        parts: list[Any] = []
        complete = False
        while self._head != self._tail and not complete:
            if type(self._queue[self._head]) is not _Fragment:
                break
            fragment = self._take()
            parts.append(fragment.data)
            complete = fragment.fin
        dropping, self._partial = self._partial, False
        if complete and not dropping:
            message = _joined(parts)
            self._queue.insert(self._head, message)
            self._tail += 1
            self._octets += len(message)
        elif dropping and not complete:
            self._dropping = True  # the rest comes as one more fragment
        elif parts and not complete:
            self._by_fragments().parts = parts
        return True

    # ---- back-pressure on what is received ----

    def _is_full(self) -> bool:
        return (
            self._tail - self._head >= self.options.queue_high
            or self._octets >= self.options.queue_size
        )

    def _is_high(self) -> bool:
        return (
            self._tail - self._head > self.options.queue_low
            or self._octets >= self.options.queue_size
        )

    def _is_asked_to_wait(self) -> bool:
        return bool(self._pause_asked or self._held_back)

    def _drop_newest(self) -> None:
        """Forget what nobody can be made to wait for, and all that follows it."""
        newest = self._tail - 1
        if newest > self._head and type(self._queue[newest]) is not _Fragment:
            self._octets -= len(self._queue[newest])
            self._queue[newest] = None
            self._tail = newest
            self._on_message, self._bound = drop, False  # we have said goodbye
        self._full = self.stop = False

    def _pause(self) -> None:
        self._paused = self.reading_paused = self.stop = True
        self.parser.stash()
        self.link.pause_reading()

    def _resume(self) -> None:
        self._paused = self._full = self.stop = self.reading_paused = False
        self.link.resume_reading()

    def pause_reading(self) -> None:
        """Take no more messages from the peer until :meth:`resume_reading`."""
        self.link.driver.check_thread()
        if self.ready_state == _OPEN:
            self._pause_asked = True
            if not self._paused:
                self._pause()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self.link.driver.check_thread()
        self._pause_asked = False
        if self._paused and not self._held_back and not self._is_full():
            self._resume()

    def read_to_the_end(self) -> None:
        """Read on, however much is queued: the peer's close frame is behind it."""
        self._pause_asked = self._held_back = False
        if self._paused:
            self._resume()


from .fragments import Fragments  # noqa: E402  (it needs the classes above)
