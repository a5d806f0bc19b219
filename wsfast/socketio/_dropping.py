"""What waits for a client that reads slowly, where events may be dropped for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from ..asyncio.waiter import Later
from ._early import size_of
from .connection import Connection
from .targets import DONE

__all__ = ["DroppingConnection"]


class DroppingConnection(Connection):
    """
    A connection that drops events for many rather than end, when too much waits.

    While more than ``write_limit`` of Engine.IO waits, packets wait here, in their
    order and as a whole, up to ``max_send_buffer``. Then events for many are dropped:
    the new one, or as many of the oldest as it needs. What else there is (events for
    this client alone, acknowledgements and so on) is never dropped: where there is no
    room for it, the session is ended as by :class:`Connection`.

    Attributes:
        dropped: Events that were.

    """

    __slots__ = ("_drains", "_outbox", "_outbox_size", "_room", "dropped")

    def __init__(self, server: Any, engine: Any) -> None:
        super().__init__(server, engine)
        self._outbox: deque[tuple[Sequence[Any], bool | None, int, bool]] = deque()
        self._outbox_size = 0
        self._drains = False  # the WebSocket calls back
        self._room: asyncio.Future[None] | None = None
        self.dropped = 0

    # ---- sending ----

    def send(self, messages: Sequence[Any], compress: bool | None) -> Any:
        """Send the messages of a packet that is not dropped."""
        return self._put(messages, compress, False)

    def write(self, message: Any) -> None:
        """Send an event of one message, or drop one."""
        self._put((message,), None, True)

    @property
    def lane(self) -> Any:
        """Nothing: each event is looked at."""
        return None

    def write_packet(self, messages: Sequence[Any], droppable: bool) -> None:
        """Send an event, or drop one if that is allowed."""
        self._put(messages, None, droppable)

    def _put(
        self, messages: Sequence[Any], compress: bool | None, droppable: bool
    ) -> Awaitable[Any]:
        if self.closed:
            return DONE
        if not self._outbox and not self._crowded_out():
            sent: Awaitable[Any] = super().send(messages, compress)
            return sent
        size = sum(map(size_of, messages))
        most = self.engine.server.max_send_buffer
        if self._outbox_size + size > most and not self._make_room(
            size, most, droppable
        ):
            return DONE
        self._outbox.append((messages, compress, size, droppable))
        self._outbox_size += size
        self._have_drained()
        return Later(self._flushed)

    def _crowded_out(self) -> bool:
        return bool(self.engine.buffered_amount > self.engine.server.write_limit)

    def _make_room(self, size: int, most: int, droppable: bool) -> bool:
        """Drop what may be; return whether there is room then."""
        if droppable and (self.server.overflow == "drop_new" or size > most):
            self.dropped += 1
            return False
        kept: list[tuple[Sequence[Any], bool | None, int, bool]] = []
        while self._outbox and self._outbox_size + size > most:
            packet = self._outbox.popleft()
            if packet[3]:
                self._outbox_size -= packet[2]
                self.dropped += 1
            else:
                kept.append(packet)
        self._outbox.extendleft(reversed(kept))
        if self._outbox_size + size <= most:
            return True
        if droppable:
            self.dropped += 1
        else:
            self.engine.end("transport error", "the peer reads too slowly", code=1008)
        return False

    # ---- when there is room ----

    def on_drain(self) -> None:
        """Send what has waited, as long as there is room."""
        while self._outbox and not self._crowded_out():
            messages, compress, size, _ = self._outbox.popleft()
            self._outbox_size -= size
            super().send(messages, compress)
        if self._outbox:
            self._have_drained()
        else:
            self._tell_room()

    def _have_drained(self) -> None:
        """Have :meth:`on_drain` called; a client that polls does so by itself."""
        websocket = self.engine.websocket
        if websocket is not None and not self._drains:
            self._drains = True
            websocket.when_drained(self._has_drained)

    def _has_drained(self) -> None:
        self._drains = False
        self.on_drain()

    def on_upgrade(self) -> None:
        """Go on over the WebSocket."""
        self.on_drain()

    def on_close(self, reason: str, description: Any) -> None:
        """Forget what has waited: the client has gone."""
        self._outbox.clear()
        self._outbox_size = 0
        self._tell_room()
        super().on_close(reason, description)

    def _tell_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def _flushed(self) -> None:
        """Wait until nothing waits here any more."""
        while self._outbox:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)
