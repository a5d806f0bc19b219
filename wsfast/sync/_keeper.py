"""
The one thread that looks after all connections of a process.

A connection is served by the threads that use it: whoever waits for a message reads the
socket. Nobody has to be waiting, though, and pings still want answers, keepalive and
the closing handshake have deadlines. The keeper does that for all connections at once.
It watches those from which no thread has read for a while, and does not touch the
others, so that a message costs no more for it.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._traffic import Traffic

__all__ = ["Keeper", "keeper"]

#: A connection from which nobody has read for so long is watched, in seconds.
TICK_S = 0.1

#: How long the thread stays when there is no connection left, in seconds.
STAY_S = 2.0


class _Timer:
    """When a connection wants to be called; one that is cancelled has none."""

    __slots__ = ("connection", "order", "when")

    def __init__(self, when: float, order: int, connection: Traffic) -> None:
        self.when = when
        self.order = order
        self.connection: Traffic | None = connection

    def __lt__(self, other: _Timer) -> bool:
        return (self.when, self.order) < (other.when, other.order)


class Keeper:
    """
    Looks after connections, in a thread that exists while there are any.

    Lock order: a connection's locks first, the keeper's last.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector
        self._waker: socket.socket
        self._woken = False
        self._wake_at = 0.0
        self._order = itertools.count()
        self._timers: list[_Timer] = []
        self._timer_of: dict[Traffic, _Timer] = {}
        self._awake: dict[Traffic, int] = {}
        self._watched: dict[Traffic, tuple[int, int]] = {}  # descriptor, events

    # ---- for the threads that use connections ----

    def add(self, connection: Traffic) -> None:
        """Look after ``connection`` until :meth:`forget`."""
        with self._lock:
            self._awake[connection] = -1
            if self._thread is None:
                self._start()
            elif self._wake_at > time.monotonic() + TICK_S:
                self._wake()

    def schedule(self, connection: Traffic, when: float) -> None:
        """Call ``connection.on_timer(now)`` at ``when``; it has this one timer."""
        with self._lock:
            if connection in self._awake or connection in self._watched:
                self._cancel(connection)
                timer = _Timer(when, next(self._order), connection)
                self._timer_of[connection] = timer
                heapq.heappush(self._timers, timer)
                if when < self._wake_at:
                    self._wake()

    def _cancel(self, connection: Traffic) -> None:
        timer = self._timer_of.pop(connection, None)
        if timer is not None:
            timer.connection = None

    def forget(self, connection: Traffic) -> None:
        """Look after ``connection`` no more; to be called before it is closed."""
        with self._lock:
            self._cancel(connection)
            self._awake.pop(connection, None)
            self._unwatch(connection)

    def rouse(self, connection: Traffic) -> None:
        """Call ``connection.service()`` when it can send what waits to be sent."""
        with self._lock:
            if connection in self._watched:
                events = self._watched[connection][1] | selectors.EVENT_WRITE
            elif connection in self._awake:
                events = selectors.EVENT_WRITE
            else:
                return
            self._watch(connection, events)
            self._wake()  # some selectors see it in the next call only

    # ---- the thread ----

    def _start(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker, woken = socket.socketpair()
        self._waker.setblocking(False)
        woken.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ)
        self._woken = False
        self._wake_at = 0.0
        self._thread = threading.Thread(
            target=self._run,
            args=(self._selector, self._waker, woken),
            name="wsfast-keeper",
            daemon=True,
        )
        self._thread.start()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    def _watch(self, connection: Traffic, events: int) -> None:
        """Watch a connection for these events, or for none: it is awake then."""
        if events == 0:
            self._unwatch(connection)
            self._awake[connection] = -1
            return
        try:
            if connection in self._watched:
                descriptor = self._watched[connection][0]
                self._selector.modify(descriptor, events, connection)
            else:
                descriptor = connection.fileno()
                self._selector.register(descriptor, events, connection)
        except (OSError, ValueError, KeyError):
            return  # it stays awake
        self._watched[connection] = descriptor, events
        self._awake.pop(connection, None)

    def _unwatch(self, connection: Traffic) -> None:
        watched = self._watched.pop(connection, None)
        if watched is not None:
            with contextlib.suppress(KeyError, OSError, ValueError):
                self._selector.unregister(watched[0])

    def _run(
        self,
        selector: selectors.BaseSelector,
        waker: socket.socket,
        woken: socket.socket,
    ) -> None:
        stay_until = 0.0
        tick_at = time.monotonic() + TICK_S
        while True:
            now = time.monotonic()
            with self._lock:
                if not self._awake and not self._watched:
                    stay_until = stay_until or now + STAY_S
                    if now >= stay_until:
                        self._thread = None
                        self._timers.clear()
                        break
                    self._wake_at = stay_until
                else:
                    stay_until = 0.0
                    self._wake_at = tick_at if self._awake else now + 3600.0
                    if self._timers:
                        self._wake_at = min(self._wake_at, self._timers[0].when)
                timeout = max(self._wake_at - now, 0.0)
            try:
                events = selector.select(timeout)
            except OSError:  # a descriptor was closed while it was selected
                continue
            for key, _ in events:
                if key.data is None:
                    with self._lock:
                        self._woken = False
                    with contextlib.suppress(OSError):
                        woken.recv(4096)
                else:
                    self._ready(key.data)
            now = time.monotonic()
            self._run_timers(now)
            if now >= tick_at or not self._awake:
                tick_at = now + TICK_S
                self._tick()
        selector.close()
        waker.close()
        woken.close()

    def _ready(self, connection: Traffic) -> None:
        """Serve a watched connection, and watch it for what it still waits for."""
        events = connection.service()
        with self._lock:
            if connection.has_output():  # since then, perhaps
                events |= selectors.EVENT_WRITE
            if connection in self._watched and self._watched[connection][1] != events:
                self._watch(connection, events)

    def _tick(self) -> None:
        """Watch the connections that nobody has read from since the last tick."""
        with self._lock:
            awake = list(self._awake.items())
        for connection, seen in awake:
            reads = connection.reads
            idle = connection.tick() and reads == seen
            with self._lock:
                if connection in self._awake:  # it has not been closed meanwhile
                    self._awake[connection] = reads
                    if idle:
                        self._watch(connection, selectors.EVENT_READ)

    def _run_timers(self, now: float) -> None:
        while True:
            with self._lock:
                if not self._timers or self._timers[0].when > now:
                    return
                connection = heapq.heappop(self._timers).connection
                if connection is None:
                    continue
                del self._timer_of[connection]
            again = connection.on_timer(now)
            if again:
                self.schedule(connection, max(again, now + 0.01))


_keeper = Keeper()


def keeper() -> Keeper:
    """Return the keeper of this process."""
    return _keeper


def _forked(*_: Any) -> None:
    """Begin anew in the child of a fork: threads and connections are the parent's."""
    global _keeper
    _keeper = Keeper()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
