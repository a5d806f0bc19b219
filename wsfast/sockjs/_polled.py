"""
Sessions whose client listens by one HTTP request after another.

A session outlives its requests. At any time at most one of them listens, and takes what
the session has to say (:meth:`PolledSession.take`); others bring messages
(:meth:`PolledSession.feed`). Between two requests everything waits, for as long as
``disconnect_delay`` and up to limits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..asyncio.prepared import Prepared as Framed
from ..asyncio.waiter import DONE, DROPPED, Later
from ..engine import quote_sockjs
from ..exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    SlowConsumer,
)
from ..protocol.closing import Close, State
from ._listening import Listener, Sink
from .options import Options
from .session import (
    NORMAL,
    Prepared,
    Session,
    checked_code,
    close_frame,
    frame_of,
    text_of,
)

__all__ = ["ANOTHER", "PolledSession"]

#: The answer to a second request that wants to listen.
ANOTHER = close_frame(2010, "Another connection still open")

#: Octets that a message counts for beyond its own, so that empty ones count, too.
OVERHEAD = 64


class PolledSession(Session):
    """
    A session over requests of HTTP.

    Args:
        options: Of the server.
        scope: Of the request that opens it.
        transport: The transport that it is bound to.
        forget: Called when it has ended.

    """

    def __init__(
        self,
        options: Options,
        scope: MutableMapping[str, Any],
        transport: str,
        forget: Callable[[], object],
    ) -> None:
        super().__init__(options, scope)
        self.protocol = transport
        self._state = State.CONNECTING
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._output: list[bytes] = []  # messages, quoted
        self._output_size = 0
        self._greet = True
        self._beat = False
        self._goodbye = b""
        self._told = False  # the goodbye has been given to a listener
        self._listener: Listener | None = None
        self._input: deque[str] = deque()
        self._input_size = 0
        self._receiving: asyncio.Future[None] | None = None
        self._room: list[asyncio.Future[None]] = []  # in the output, or in the input
        self._closed: asyncio.Future[None] | None = None
        self._cause: ConnectionClosed | None = None

    @property
    def state(self) -> State:
        """Where the session is between its opening and its end."""
        return self._state

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent and that no request has taken yet."""
        return self._output_size

    # ---- the request that listens ----

    def listen(self, listener: Listener, scope: MutableMapping[str, Any]) -> bool:
        """
        Have a request listen; the session is open from the first one on.

        Returns:
            False if another listens.

        """
        if self._listener is not None:
            return False
        self._listener = listener
        if self._state is State.CONNECTING:
            self._state = State.OPEN
        if self._state is State.OPEN:
            self._scope = scope
            self._schedule(self.options.heartbeat_delay)
        return True

    def leave(self, listener: Listener) -> None:
        """End a request's listening: it has told its client all that it may."""
        if self._listener is listener:
            self._listener = self.sink = None
            if self._told:
                self._end()
            if self._state is State.OPEN:
                self._schedule(self.options.disconnect_delay)

    def lost(self, listener: Listener) -> None:
        """End the session: the request that listened was cut off (Handling close)."""
        if self._listener is listener:
            self._listener = self.sink = None
            listener.wake()
            if self._state is State.OPEN:
                self._fail(ConnectionClosedError(None, None), 1006, "")

    def take(self) -> bytes | None:
        """Take the next frame there is for the client, or None."""
        if self._greet:
            self._greet = False
            return b"o"
        if self._output:
            messages, self._output = self._output, []
            self._output_size = 0
            self._make_room()
            return b"a[%b]" % b",".join(messages)
        if self._goodbye:
            self._told = True
            return self._goodbye
        if self._beat:
            self._beat = False
            return b"h"
        return None

    def hand_over_to(self, sink: Sink) -> None:
        """Have messages go to a listener as they are sent, until it says otherwise."""
        if self._listener is sink and self._state is State.OPEN:
            self.sink = sink

    def is_heard_by(self, listener: Listener) -> bool:
        """Tell whether a request listens; not so any more if its client has gone."""
        return self._listener is listener

    def _wake_listener(self) -> None:
        if self._listener is not None:
            self._listener.wake()

    # ---- messages in ----

    def feed(self, messages: list[str]) -> bool:
        """
        Take messages that a request brought.

        Returns:
            False if as many wait for the handler as may wait; the messages are lost.

        """
        if self._state is not State.OPEN:
            return True  # nobody reads any more, and the client will hear of it
        if self.is_full:
            return False
        self._input.extend(messages)
        self._input_size += sum(map(len, messages)) + OVERHEAD * len(messages)
        if self._receiving is not None and not self._receiving.done():
            self._receiving.set_result(None)
        return True

    @property
    def is_full(self) -> bool:
        """Whether as many messages wait for the handler as may wait."""
        return (
            len(self._input) >= self.options.max_queue
            or self._input_size > self.options.max_size
        )

    async def room(self) -> None:
        """Wait until the handler has taken enough: back-pressure for the client."""
        while self.is_full and self._state is State.OPEN:
            await self._until_room()

    async def recv(self) -> str:
        """Receive the next message; see `Session.recv`."""
        while not self._input:
            if self._state is not State.OPEN:
                raise self.closed_error()
            if self._receiving is not None:
                raise ConcurrencyError("another task is receiving already")
            self._receiving = self._loop.create_future()
            try:
                await self._receiving
            finally:
                self._receiving = None
        message = self._input.popleft()
        self._input_size -= len(message) + OVERHEAD
        if self._room and not self.is_full:
            self._make_room()
        return message

    async def __anext__(self) -> str:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    # ---- messages out ----

    def send(self, message: str | Framed) -> Awaitable[None]:
        """Send a message; see `Session.send`."""
        sink = self.sink
        if sink is not None:
            if not isinstance(message, Prepared):
                sink.send(frame_of(text_of(message)))
            elif sink.shares:
                sink.send_piece(*message.chunk)
            else:
                sink.send(b"a[%b]" % message.quoted)
            return DONE
        if isinstance(message, Prepared):
            quoted = message.quoted
        else:
            quoted = quote_sockjs(text_of(message))
        if self._state is not State.OPEN:
            raise self.closed_error()
        options = self.options
        limit = options.max_send_buffer
        if limit is not None and self._output_size > limit:
            if options.overflow == "drop":
                return DROPPED
            if options.overflow == "close":
                self._too_slow()
                raise self.closed_error()
        self._output.append(quoted)
        self._output_size += len(quoted) + OVERHEAD
        if self._listener is not None:
            self._listener.wake()
        if self._output_size > options.write_limit:
            return Later(self._drain)
        return DONE

    async def _drain(self) -> None:
        while self._output_size > self.options.write_limit:
            await self._until_room()
            if self._state is State.CLOSED and self._output:
                raise self.closed_error()

    async def _until_room(self) -> None:
        room = self._loop.create_future()
        self._room.append(room)
        await room

    def _make_room(self) -> None:
        rooms, self._room = self._room, []
        for room in rooms:
            if not room.done():
                room.set_result(None)

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once; see `Session.when_drained`."""
        room = self._loop.create_future()
        room.add_done_callback(lambda _: callback())
        if self._state is State.OPEN and self._output_size > self.options.write_limit:
            self._room.append(room)
        else:
            room.set_result(None)

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = NORMAL) -> Awaitable[None]:
        """End the session; see `Session.close`."""
        checked_code(code)
        if self._state is State.OPEN:
            self._state = State.CLOSING
            self.sink = None
            self.close_code, self.close_reason = code, reason
            self._cause = _closed_by_us(code, reason)
            self._goodbye = close_frame(code, reason)
            self._input.clear()
            self._input_size = 0
            self._make_room()
            self._stop_receiving()
            # For so long everybody who asks is told, and nothing is counted from anew:
            # who asks and asks cannot keep the session.
            self._schedule(self.options.disconnect_delay)
            self._wake_listener()
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until the session has ended."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            if self._state is State.CLOSED or self._told:
                self._closed.set_result(None)
        await asyncio.shield(self._closed)

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that says how the session has ended."""
        cause = self._cause or ConnectionClosedError(None, None)
        return type(cause)(cause.rcvd, cause.sent, cause.rcvd_then_sent)

    def is_end(self, exc: Exception) -> bool:
        """Tell whether an exception of the handler is but this session's end."""
        return isinstance(exc, ConnectionClosed) and self._state is not State.OPEN

    def _fail(self, cause: ConnectionClosed, code: int, reason: str) -> None:
        """End the session at once; only a request that listens now is told."""
        self._cause = cause
        self.close_code, self.close_reason = code, reason
        self._goodbye = close_frame(code, reason)
        self.expire()

    def _too_slow(self) -> None:
        self._fail(SlowConsumer(), 1008, "Reads too slowly")

    def expire(self) -> None:
        """Forget the session, and what it has to say."""
        self._state = State.CLOSED
        self.sink = None
        if self._listener is not None:
            self._listener.cut()
        self.driver.cancel(self)
        self._forget()
        self._stop_receiving()
        self._make_room()
        self._output.clear()
        self._output_size = 0
        self._wake_listener()
        self._end()

    def _end(self) -> None:
        """Let those go on who wait for the end."""
        self.tell_closers()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _stop_receiving(self) -> None:
        if self._receiving is not None and not self._receiving.done():
            self._receiving.set_result(None)

    # ---- time ----

    def _schedule(self, delay: float) -> None:
        self.driver.schedule(self, self.driver.time() + delay)

    def on_timer(self, now: float) -> float:
        """Send a heartbeat, or give the client up."""
        options = self.options
        listener = self._listener
        if listener is not None and listener.writing_since:
            timeout = options.send_timeout
            if timeout is not None and now >= listener.writing_since + timeout:
                self._too_slow()
                return 0.0
            return now + options.disconnect_delay
        if self._state is State.OPEN and listener is not None:
            self._beat = True
            self._wake_listener()
            return now + options.heartbeat_delay
        if self._state is State.OPEN:
            self._fail(ConnectionClosedError(None, None), 1006, "")
        elif self._state is State.CLOSING:
            self.expire()
        return 0.0


def _closed_by_us(code: int, reason: str) -> ConnectionClosed:
    kind = ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError
    return kind(None, Close(code, reason))
