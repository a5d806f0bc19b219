"""
The way between a connection and its octets.

A :class:`Link` carries one connection over one stream of octets, whatever that is: a
descriptor in the reactor's own readiness set, or an asyncio transport. It has two
phases. During the opening handshake it works like a small transport: octets that arrive
go to ``link.receiver``, octets to send go through :meth:`Link.write`. After
:meth:`Link.start` it serves a connection: octets go into that connection's parser, and
what the connection queued in its writer leaves in one write per pass.

A :class:`Driver` is what the links of one event loop share: the clock, the wheel of
timers, the list of links that have something to write.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import ConcurrencyError

if TYPE_CHECKING:
    import contextvars

    from .connection import Connection

__all__ = ["Driver", "Link", "Timed"]

#: Width of a slot of the timer wheel, in seconds: how late a timer may fire.
TICK_S = 0.05
#: Links that are flushed in one go, a few microseconds each: the event loop has its
#: turn before the next ones.
FLUSH_MOST = 512


class Timed(Protocol):
    """Something with one timer on a driver's wheel."""

    timer_slot: int
    timer_index: int

    def on_timer(self, now: float) -> float:
        """Act on what is due at ``now``; return the next time to be called, or 0."""
        raise NotImplementedError


class Driver:
    """
    What all links of one event loop share.

    Args:
        loop: The event loop; the driver belongs to it and to its thread.

    Attributes:
        dirty: Links that have something to write.
        in_pass: Octets are being delivered; what is written leaves at the end.
        done: A future with the result None, for the tasks that are stepped directly.
        loop_getter: A function that returns :attr:`loop`.
        direct: A waiting task may be stepped here and now: no task is running.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.dirty: list[Link] = []
        self.in_pass = False
        self.direct = False
        self.done: asyncio.Future[None] = asyncio.Future(loop=loop)
        self.done.set_result(None)
        self.loop_getter = self.done.get_loop
        self._flush_due = False
        self._slots: dict[int, list[Timed | None]] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._tick_slot = 0
        self._thread = threading.get_ident()

    def time(self) -> float:
        """Return the event loop's clock, in seconds."""
        return self.loop.time()

    def check_thread(self) -> int:
        """
        See that this is the event loop's thread.

        Raises:
            ConcurrencyError: It is another.

        """
        if threading.get_ident() != self._thread:
            self.other_thread()
        return 0

    def other_thread(self) -> int:
        """Refuse this thread, unless the event loop has moved to it."""
        if self.loop.is_running() and asyncio._get_running_loop() is not self.loop:
            raise ConcurrencyError(
                "called from another thread than the event loop's; "
                "use loop.call_soon_threadsafe() or asyncio.run_coroutine_threadsafe()"
            )
        self._thread = threading.get_ident()
        return 0

    # ---- passes ----

    def enter(self) -> None:
        """
        Begin a pass: octets of one or more links are about to be delivered.

        To be called by the event loop's callbacks alone, where no task is running, so
        that tasks that wait for a message may be stepped right away.
        """
        self.in_pass = True
        self.direct = not self.loop.get_debug()

    def leave(self) -> None:
        """End a pass: flush what it left to be written."""
        self.direct = False
        self.in_pass = False
        if self.dirty:
            self.flush()

    def step(
        self, callback: Callable[[Any], object], context: contextvars.Context
    ) -> None:
        """Call back, in its context, a task that waits: there is something for it."""
        context.run(callback, self.done)

    # ---- writing ----

    def mark_dirty(self, link: Link) -> None:
        """Have what ``link`` has to write flushed at the end of the pass."""
        self.dirty.append(link)
        if not self.in_pass and not self._flush_due:
            self._flush_soon()

    def flush(self) -> None:
        """
        Write out what the links of :attr:`dirty` have queued, once per link.

        What is queued meanwhile is written in the next turn of the event loop, and so
        is what more than ``FLUSH_MOST`` links have, in the order of :attr:`dirty`.
        """
        links, self.dirty = self.dirty, []
        if len(links) > FLUSH_MOST:
            self.dirty = links[FLUSH_MOST:]
            del links[FLUSH_MOST:]
            self._flush_soon()
        begun = 0
        try:
            for link in links:
                begun += 1
                link.dirty = False
                link.flush()
        except BaseException:
            self.dirty = links[begun:] + self.dirty
            self._flush_soon()
            raise

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = False
        self.flush()

    # ---- timers: one wheel, one loop timer, however many connections there are ----

    def schedule(self, timed: Timed, when: float) -> None:
        """
        Call ``timed.on_timer(now)`` at the loop time ``when``, at most a tick late.

        It returns when it wants to be called again, 0 for never. Deadlines that move
        with the traffic are looked up then, so no message has to touch a timer. Each
        object has one timer at most.
        """
        self.cancel(timed)
        slot = math.ceil(when / TICK_S)
        bucket = self._slots.get(slot)
        if bucket is None:
            bucket = self._slots[slot] = []
        timed.timer_slot = slot
        timed.timer_index = len(bucket)
        bucket.append(timed)
        if self._tick is None or slot < self._tick_slot:
            self._set_tick(slot)

    def cancel(self, timed: Timed) -> None:
        """Forget the timer of ``timed``, if it has one, so that the object can go."""
        bucket = self._slots.get(timed.timer_slot)
        index = timed.timer_index
        if bucket is not None and index < len(bucket) and bucket[index] is timed:
            bucket[index] = None
            while bucket and bucket[len(bucket) - 1] is None:
                bucket.pop()
            if not bucket:
                del self._slots[timed.timer_slot]

    def _set_tick(self, slot: int) -> None:
        if self._tick is not None:
            self._tick.cancel()
        self._tick_slot = slot
        self._tick = self.loop.call_at(slot * TICK_S, self._turn)

    def _turn(self) -> None:
        self._tick = None
        now = self.loop.time()
        due = int(now / TICK_S)
        try:
            for slot in sorted(s for s in self._slots if s <= due):
                bucket = self._slots.get(slot)
                while bucket:
                    timed = bucket.pop()
                    if timed is not None:
                        self._fire(timed, now)
                if bucket is not None and self._slots.get(slot) is bucket:
                    del self._slots[slot]
        finally:
            if self._slots and self._tick is None:
                self._set_tick(min(self._slots))

    def _fire(self, timed: Timed, now: float) -> None:
        try:
            again = timed.on_timer(now)
        except Exception as exc:
            self.report("a timer failed", exc)
        else:
            if again:
                self.schedule(timed, max(again, now + TICK_S))

    def report(self, message: str, exc: BaseException) -> None:
        """Hand an error that has no caller to the loop's exception handler."""
        self.loop.call_exception_handler({"message": message, "exception": exc})


class Link:
    """
    The way between one connection and its octets (abstract).

    Attributes:
        receiver: During the opening handshake, the object whose
            ``data_received(bytes)`` and ``connection_lost(exc or None)`` are called;
            and, if it has them, ``pause_writing()`` and ``resume_writing()``, when the
            system takes no more octets for now, and when it has taken all.
        connection: After :meth:`start`, the connection that is served.
        dirty: The link waits in its driver's list of links to flush.

    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.receiver: Any = None
        self.connection: Connection | None = None
        self.dirty = False

    # ---- the opening handshake ----

    def write(self, data: bytes) -> None:
        """Send octets as they are; before :meth:`start`, or as its first octets."""
        raise NotImplementedError

    def start(self, connection: Connection, rest: bytes) -> None:
        """
        Serve ``connection`` from now on.

        Args:
            connection: It has been made, but not told yet that it is open.
            rest: Octets that arrived behind the peer's head; they are parsed first.

        """
        raise NotImplementedError

    # ---- serving a connection ----

    def wrote(self) -> None:
        """Note that the connection has queued something in its writer."""
        if not self.dirty:
            self.dirty = True
            self.driver.mark_dirty(self)

    def flush(self) -> None:
        """Write what the connection has queued, as much as the system takes now."""
        raise NotImplementedError

    def unsent(self) -> int:
        """Return how many octets it has that the connection's output has not."""
        return 0

    def pause_reading(self) -> None:
        """Take no more octets from the peer; what has arrived is kept."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        raise NotImplementedError

    # ---- the end ----

    def close(self) -> None:
        """
        Flush what is queued, then end the stream.

        The writing side is shut down first, and what the peer still sends is thrown
        away for a short while, so that it can read the close frame.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """End the stream at once; what is queued is lost."""
        raise NotImplementedError

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio transports know under ``name``: peername, socket, ..."""
        raise NotImplementedError
