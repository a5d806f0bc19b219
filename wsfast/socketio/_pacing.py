"""How many handlers of one connection run at a time; what comes meanwhile waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from ._limits import limits
from .handlers import Tasks, coroutine_of
from .packet import Packet

__all__ = ["Pace", "Paced"]


class Pace(NamedTuple):
    """The limits of each connection of one server, or client."""

    handlers: float
    packets: float
    octets: float

    @classmethod
    def of(
        cls,
        max_handlers: int | None,
        max_queue: int | None,
        max_queue_size: int | None,
    ) -> Pace:
        """
        Return limits that are given as options.

        Raises:
            ValueError: One makes no sense.

        """
        (handlers,) = limits(1, max_handlers=max_handlers)
        return cls(
            handlers, *limits(0, max_queue=max_queue, max_queue_size=max_queue_size)
        )


class Paced:
    """
    A connection whose coroutine handlers are counted (abstract).

    Packets are taken in the order in which they came. While as many handlers run as
    may, packets wait, but for acknowledgements: a handler may wait for one. When too
    many packets wait, the connection is not read any more, until half of them are left.

    Args:
        engine: Engine.IO's session.
        tasks: Where handlers run.
        pace: The limits.

    """

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_crowded",
        "_pace",
        "_running",
        "_tasks",
        "engine",
    )

    def __init__(self, engine: Any, tasks: Tasks, pace: Pace) -> None:
        self.engine = engine
        self._tasks = tasks
        self._pace = pace
        self._running = 0
        #: As many handlers run as may: packets wait.
        self._crowded = False
        self._backlog: deque[tuple[Packet, int]] | None = None
        self._backlog_size = 0

    def take(self, packet: Packet) -> None:
        """Take a packet whose turn it is."""
        raise NotImplementedError

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine that counts."""
        self._running += 1
        self._crowded = self._running >= self._pace.handlers
        self._tasks.start(coroutine).add_done_callback(self._one_ended)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call what may be a coroutine function, and counts then."""
        coroutine = coroutine_of(function, args)
        if coroutine is not None:
            self.start(coroutine)

    def keep(self, packet: Packet, size: int) -> None:
        """Have a packet wait for its turn."""
        if self._backlog is None:
            self._backlog = deque()
        self._backlog.append((packet, size))
        self._backlog_size += size
        if (
            len(self._backlog) > self._pace.packets
            or self._backlog_size > self._pace.octets
        ):
            self.engine.pause_reading()

    def forget_backlog(self) -> list[Packet]:
        """Forget the packets that wait, and return them."""
        backlog, self._backlog = self._backlog, None
        self._backlog_size = 0
        return [packet for packet, _ in backlog or ()]

    def _one_ended(self, task: asyncio.Task[Any]) -> None:
        self._running -= 1
        self._crowded = self._running >= self._pace.handlers
        while self._backlog and not self._crowded:
            packet, size = self._backlog.popleft()
            self._backlog_size -= size
            self.take(packet)
        if (
            self.engine.paused
            and len(self._backlog or ()) <= self._pace.packets / 2
            and self._backlog_size <= self._pace.octets / 2
        ):
            self.engine.resume_reading()
