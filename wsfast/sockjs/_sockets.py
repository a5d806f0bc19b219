"""Sessions over WebSocket: framed as SockJS frames, and raw."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ..asyncio.prepared import GONE
from ..asyncio.prepared import Prepared as Framed
from ..asyncio.waiter import DONE, Later
from ..engine import decode_sockjs
from ..exceptions import ConnectionClosed, ConnectionClosedError
from ..protocol.closing import Close, State
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

if TYPE_CHECKING:
    from ..hub.members import Message

__all__ = ["RawSession", "SocketSession"]

HEARTBEAT = b"h"

#: A frame that is no JSON ends the connection "abruptly": with this, no ``c`` frame.
BROKEN = (3000, "Broken framing.")


class RawSession(Session):
    """
    A session over ``/websocket``: the messages of WebSocket as they are.

    Args:
        options: Of the server.
        scope: Of the request.
        connection: The connection: ours, or one through the events of an ASGI server.

    """

    protocol = "websocket-raw"

    def __init__(
        self, options: Options, scope: MutableMapping[str, Any], connection: Any
    ) -> None:
        super().__init__(options, scope)
        self.connection = connection
        self._closing = False

    @property
    def state(self) -> State:
        """Where the connection is, or we are before it."""
        state = int(self.connection.ready_state)
        return State(max(state, State.CLOSING) if self._closing else state)

    def opened(self) -> None:
        """Begin: there is nothing to tell the client."""

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent and that the system has not taken yet."""
        return int(self.connection.buffered_amount)

    async def recv(self) -> Any:
        """Receive the next message, ``str`` or ``bytes``; see `Session.recv`."""
        try:
            return await self.connection.recv()
        except ConnectionClosed:
            self.ended()
            raise

    async def __anext__(self) -> Any:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    def send(self, message: Any) -> Awaitable[None]:
        """Send a message; see `Session.send`."""
        if isinstance(message, Framed):
            return self._send_framed(message)
        sent: Awaitable[None] = self.connection.send(message)
        return sent

    def _send_framed(self, message: Framed) -> Awaitable[None]:
        """Send what is framed already, if the connection is one of ours."""
        connection = self.connection
        if not hasattr(connection, "send_octets"):
            sent: Awaitable[None] = connection.send(
                message.payload, message.opcode == 1
            )
            return sent
        Framed.send_to(message, connection)
        if connection.buffered_amount > self.options.write_limit:
            return Later(connection.drain)
        return DONE

    def offer(self, message: Message | Prepared, limit: int = -1) -> int:
        """Queue a message that many get; see :class:`wsfast.hub.Member`."""
        return self._offer(message, limit)

    def _offer(self, message: Framed, limit: int) -> int:
        taken: int = GONE if self._closing else self.connection.offer(message, limit)
        return taken

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once; see `Session.when_drained`."""
        self.connection.when_drained(callback)

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called once; the connection ends though nobody receives."""
        known = getattr(self.connection, "when_closed", None)
        if known is None:  # one of an ASGI server: whoever receives finds out
            super().when_closed(callback)
        else:
            known(callback)

    def close(self, code: int = 1000, reason: str = NORMAL) -> Awaitable[None]:
        """End the session; see `Session.close`."""
        self._closing = True
        closed: Awaitable[None] = self.connection.close(checked_code(code), reason)
        return closed

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        await self.connection.wait_closed()
        self.ended()

    def ended(self) -> None:
        """Take note that the connection has ended."""
        self.driver.cancel(self)
        self.tell_closers()
        if self.close_code is None:
            self.close_code = self.connection.close_code or 1006
            self.close_reason = self.connection.close_reason or ""

    def is_end(self, exc: Exception) -> bool:
        """Tell whether an exception of the handler is but this session's end."""
        return isinstance(exc, ConnectionClosed) and self.connection.ready_state != 1

    def on_timer(self, now: float) -> float:
        """Do nothing: pings are the connection's business."""
        return 0.0


class SocketSession(RawSession):
    """A session over ``/<server>/<session>/websocket``; arguments as `RawSession`'s."""

    protocol = "websocket"

    def __init__(
        self, options: Options, scope: MutableMapping[str, Any], connection: Any
    ) -> None:
        super().__init__(options, scope, connection)
        self._messages: deque[str] = deque()

    def opened(self) -> None:
        """Tell the client that the session is open, and begin with the heartbeats."""
        self.connection.send(b"o", True)
        self.driver.schedule(self, self.driver.time() + self.options.heartbeat_delay)

    async def recv(self) -> str:
        """Receive the next message; see `Session.recv`."""
        messages = self._messages
        if messages:
            return messages.popleft()
        while True:
            try:
                frame = await self.connection.recv()
            except ConnectionClosed:
                self.ended()
                raise
            if not frame:
                continue  # "empty frames must be ignored by the server side"
            try:
                if type(frame) is not str:
                    raise ValueError("a binary message")
                found = decode_sockjs(frame, single=True)
            except ValueError as exc:
                raise self._broken() from exc
            if len(found) == 1:
                return found[0]
            if found:
                messages.extend(found)
                return messages.popleft()

    def _broken(self) -> ConnectionClosed:
        """End the connection because of what it brought."""
        self.connection.close(*BROKEN)
        self._closing = True
        self.driver.cancel(self)
        self.close_code, self.close_reason = BROKEN
        return ConnectionClosedError(None, Close(*BROKEN))

    def send(self, message: str | Framed) -> Awaitable[None]:
        """Send a message; see `Session.send`."""
        if type(message) is str:
            frame = frame_of(message)
        elif isinstance(message, Prepared):
            return self._send_framed(message.frame)
        else:
            frame = frame_of(text_of(message))
        sent: Awaitable[None] = self.connection.send(frame, True)
        return sent

    def offer(self, message: Message | Prepared, limit: int = -1) -> int:
        """Queue a text that many get; see :class:`wsfast.hub.Member`."""
        return self._offer(message.made(Prepared.of).frame, limit)

    def close(self, code: int = 1000, reason: str = NORMAL) -> Awaitable[None]:
        """End the session; see `Session.close`."""
        checked_code(code)
        if self.state is State.OPEN:
            self._closing = True
            self.connection.send(close_frame(code, reason), True)
            self.connection.close(1000, NORMAL)
            self.close_code, self.close_reason = code, reason
        self.driver.cancel(self)
        return Later(self.wait_closed)

    def on_timer(self, now: float) -> float:
        """Send a heartbeat."""
        if self.connection.ready_state != State.OPEN:
            return 0.0
        self.connection.send(HEARTBEAT, True)
        return now + self.options.heartbeat_delay
