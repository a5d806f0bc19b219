"""Event streams as members of topics, see :class:`wsfast.hub.Member`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..asyncio.prepared import GONE, QUEUED, SLOW
from ..protocol.closing import State
from .history import EncodedEvent

if TYPE_CHECKING:
    from ..hub.members import Message

__all__ = ["TopicMember"]


class TopicMember:
    """What an event stream has so that topics can deliver to it."""

    state: State
    send: Callable[..., Any]
    _queued: Any
    _write_limit: int
    _drainers: list[asyncio.Future[None]]
    _closed: asyncio.Future[None]

    def offer(self, message: Message, limit: int = -1) -> int:
        """Send a message as an event; see :class:`wsfast.hub.Member`."""
        if self.state >= State.CLOSING:
            return GONE
        if self._queued > (self._write_limit if limit < 0 else limit):
            return SLOW
        self.send(message.made(EncodedEvent.of))
        return QUEUED

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when there is room in the output."""
        drainer = asyncio.get_running_loop().create_future()
        drainer.add_done_callback(lambda _: callback())
        if self.state >= State.CLOSING or self._queued <= self._write_limit:
            drainer.set_result(None)
        else:
            self._drainers.append(drainer)

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when the stream has ended."""
        self._closed.add_done_callback(lambda _: callback())
