"""One timer for all heartbeats and time-outs of a server, exact to the millisecond."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Clock", "Timed", "Wheel"]

#: Slots of a second. A timer goes off in the slot after its time, never before it.
SLOTS_PER_S = 1000


class Clock(Protocol):
    """What a wheel needs of an event loop."""

    def time(self) -> float:
        """Return the time in seconds."""
        raise NotImplementedError

    def call_at(self, when: float, callback: Callable[[], object]) -> Any:
        """Call back at a time; return what has ``cancel()``."""
        raise NotImplementedError


class Timed:
    """Something with one timer on a wheel (abstract)."""

    __slots__ = ("timer_index", "timer_slot")

    def __init__(self) -> None:
        self.timer_slot = -1
        self.timer_index = 0

    def on_timer(self, now: float) -> float:
        """Act on what is due at ``now``; return the next time, or 0 for none."""
        raise NotImplementedError


class Wheel:
    """
    The timers of any number of objects, on one timer of the event loop.

    The driver's wheel (:mod:`wsfast.asyncio.link`) turns in steps of 50 ms, which is
    enough for keepalive; clients of Engine.IO are told their heartbeat in milliseconds.
    Setting a timer is an append to a slot, and forgetting it an assignment; slots come
    in order from a heap, and a slot without timers costs nothing.

    Args:
        clock: The event loop.
        failed: Called with what an ``on_timer`` raises.

    """

    def __init__(self, clock: Clock, failed: Callable[[Exception], object]) -> None:
        self._clock = clock
        self._failed = failed
        self._slots: dict[int, list[Timed | None]] = {}
        self._order: list[int] = []
        self._handle: Any = None
        self._due = 0

    def __len__(self) -> int:
        """Return how many slots have, or had, timers that are still to come."""
        return len(self._slots)

    def time(self) -> float:
        """Return the time in seconds."""
        return self._clock.time()

    def schedule(self, timed: Timed, when: float) -> None:
        """Call ``timed.on_timer(now)`` at ``when``, instead of when it was to be."""
        self.cancel(timed)
        slot = math.ceil(when * SLOTS_PER_S)
        bucket = self._slots.get(slot)
        if bucket is None:
            bucket = self._slots[slot] = []
            heapq.heappush(self._order, slot)
        timed.timer_slot = slot
        timed.timer_index = len(bucket)
        bucket.append(timed)
        if self._handle is None or slot < self._due:
            self._set(slot)

    def cancel(self, timed: Timed) -> None:
        """Forget the timer of ``timed``, if it has one."""
        bucket = self._slots.get(timed.timer_slot)
        index = timed.timer_index
        if bucket is not None and index < len(bucket) and bucket[index] is timed:
            bucket[index] = None
        timed.timer_slot = -1

    def stop(self) -> None:
        """Forget all timers."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._slots.clear()
        self._order.clear()

    def _set(self, slot: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = slot
        self._handle = self._clock.call_at(slot / SLOTS_PER_S, self._turn)

    def _turn(self) -> None:
        self._handle = None
        now = self._clock.time()
        # Rounded: the event loop may call a part of its clock's resolution early.
        due = max(math.floor(now * SLOTS_PER_S + 1e-6), self._due)
        while self._order and self._order[0] <= due:
            # Off the heap first: what is called may stop us, or set an earlier timer.
            slot = heapq.heappop(self._order)
            bucket = self._slots[slot]
            for timed in bucket:  # what is cancelled meanwhile is None in it
                if timed is not None:
                    timed.timer_slot = -1
                    self._fire(timed, now)
            self._slots.pop(slot, None)
        if self._order and self._handle is None:
            self._set(self._order[0])

    def _fire(self, timed: Timed, now: float) -> None:
        try:
            again = timed.on_timer(now)
        except Exception as exc:
            self._failed(exc)
        else:
            if again:
                self.schedule(timed, max(again, now + 1 / SLOTS_PER_S))
