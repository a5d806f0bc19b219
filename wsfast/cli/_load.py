"""
The load of ``bench``: connections that send, and wait for the answers.

Without a rate, each connection always has so many messages in flight: an answer is
followed by the next message at once. That hides what a slow server does to people who
do not wait for their turn: while it stalls, nothing is sent, so that nothing is seen to
be late (coordinated omission). With a rate, each message has a time at which it is due,
whatever became of those before. Its corrected latency counts from then; the measured
one from when it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from wsfast.asyncio.client import connect
from wsfast.asyncio.connection import Connection
from wsfast.asyncio.listener import Listener
from wsfast.exceptions import ConnectionClosed

from ._histogram import Histogram

__all__ = ["Load", "Plan", "Result"]

AT_ONCE = 64  # handshakes at one time
TICK_S = 0.1  # between two reports of the progress
LAST_S = 5.0  # how long to wait for answers at the end
SPIN_S = 0.002  # so close to a due time, timers are too coarse

Report = Callable[[str, float, int], None]


@dataclass
class Plan:
    """
    What to do.

    Attributes:
        uri: The server.
        arguments: For ``connect()``.
        connections: How many.
        depth: Messages in flight on each.
        message: What to send.
        warmup: Seconds before the measuring.
        duration: Seconds of it.
        rate: Messages a second on all connections together; None for as many as go.

    """

    uri: str
    arguments: dict[str, Any]
    connections: int
    depth: int
    message: str | bytes
    warmup: float
    duration: float
    rate: float | None


@dataclass
class Result:
    """What came of it; figures of the measured time, except where it says otherwise."""

    opened: int = 0
    answers: int = 0
    octets: int = 0
    seconds: float = 0.0
    cpu: float = 0.0  # the busiest process's share of a core
    connecting: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)
    corrected: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)  # sending, by our own error
    unsent: int = 0  # due, but no connection was free until the end
    unanswered: int = 0  # within LAST_S of the end
    unasked: int = 0  # messages that answer nothing
    failures: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Result) -> None:
        """Add another process's result."""
        self.opened += other.opened
        self.answers += other.answers
        self.octets += other.octets
        self.seconds = max(self.seconds, other.seconds)
        self.cpu = max(self.cpu, other.cpu)
        for name in ("connecting", "latency", "corrected", "late"):
            getattr(self, name).merge(getattr(other, name))
        self.unsent += other.unsent
        self.unanswered += other.unanswered
        self.unasked += other.unasked
        self.failures.update(other.failures)


class Client(Listener):
    """One connection: its messages that wait for an answer."""

    __slots__ = ("load", "sent", "ws")

    def __init__(self, load: Load) -> None:
        self.load = load
        self.sent: deque[tuple[float, float]] = deque()  # when, and when it was due
        self.ws: Connection | None = None

    def on_open(self, ws: Connection) -> None:
        """Be ready."""
        self.ws = ws

    def on_message(self, ws: Connection, message: str | bytes) -> None:
        """Take an answer, and send the next message."""
        now = time.perf_counter()
        load = self.load
        if not self.sent:
            load.result.unasked += 1
            return
        load.answered(*self.sent.popleft(), now, message)
        if load.rate is None:
            if load.sending:
                self.send(now)
        else:
            load.free.append(self)
            load.send_due(now)

    def send(self, now: float, due: float = 0.0) -> None:
        """Send a message."""
        self.sent.append((now, due))
        if self.ws is not None:
            with contextlib.suppress(ConnectionClosed):  # on_close() will tell
                self.ws.send(self.load.message)

    def on_close(self, ws: Connection, code: int, reason: str) -> None:
        """Note an end that came too early."""
        if not self.load.closing:
            self.load.lost(self, f"closed with {code} {reason}".strip())


class Load:
    """
    The load of one process.

    Args:
        plan: What to do.
        report: Called now and then with the phase, the share of it that is done, and
            the answers so far.

    """

    def __init__(self, plan: Plan, report: Report) -> None:
        self.plan = plan
        self.report = report
        self.message = plan.message
        self.rate = plan.rate
        self.result = Result()
        self.clients: dict[Client, None] = {}
        self.free: deque[Client] = deque()  # one entry for each message it may send
        self.sending = self.closing = False
        self.begin = self.end = 0.0  # of the measuring
        self.first = 0.0  # when the first message was due
        self.issued = 0
        self.enough = asyncio.Event()
        self.error: Exception | None = None  # the first of connect()

    async def run(self, ready: Callable[[], Awaitable[object]] | None = None) -> Result:
        """
        Do what the plan says.

        Args:
            ready: Awaited when the connections are open.

        Raises:
            Exception: What ``connect()`` raises, if there is no connection at all.

        """
        try:
            await self._connect()
            if ready is not None:
                await ready()
            await self._measure()
        finally:
            await self._close()
        return self.result

    # ---- connections ----

    async def _connect(self) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        wanted = self.plan.connections
        tasks = [asyncio.create_task(self._open(gate)) for _ in range(wanted)]
        try:
            while tasks:
                _, left = await asyncio.wait(tasks, timeout=TICK_S)
                tasks = list(left)
                self.report("connecting", 1 - len(tasks) / wanted, 0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self.clients:
            assert self.error is not None
            raise self.error

    async def _open(self, gate: asyncio.Semaphore) -> None:
        async with gate:
            client = Client(self)
            start = time.perf_counter()
            try:
                await connect(self.plan.uri, listener=client, **self.plan.arguments)
            except Exception as exc:
                if self.error is None:
                    self.error = exc
                why = str(exc) or type(exc).__name__
                self.result.failures[f"not connected: {why}"] += 1
                return
            self.result.connecting.add(time.perf_counter() - start)
            self.result.opened += 1
            self.clients[client] = None

    def stop(self) -> None:
        """End the measuring now."""
        self.enough.set()

    def lost(self, client: Client, why: str) -> None:
        """Go on without a connection that has ended."""
        self.result.failures[why] += 1
        self.result.unanswered += len(client.sent)
        client.sent.clear()
        client.ws = None
        self.clients.pop(client, None)
        if not self.clients:
            self.enough.set()

    async def _close(self) -> None:
        self.closing = True
        self.sending = False
        connections = [client.ws for client in self.clients if client.ws is not None]
        ends = [asyncio.ensure_future(ws.close()) for ws in connections]
        if ends:
            _, left = await asyncio.wait(ends, timeout=LAST_S)
            for ws in connections if left else ():
                ws.abort()
            await asyncio.gather(*ends, return_exceptions=True)

    # ---- messages ----

    async def _measure(self) -> None:
        plan = self.plan
        loop = asyncio.get_running_loop()
        self.first = time.perf_counter()
        self.begin = self.first + plan.warmup
        self.end = self.begin + plan.duration
        self.sending = True
        if self.rate is None:
            for client in list(self.clients):
                for _ in range(plan.depth):
                    client.send(time.perf_counter())
        else:
            self.free.extend(list(self.clients) * plan.depth)
            loop.call_soon(self._pace)
        await self._until(self.begin, "warming up", plan.warmup)
        cpu = time.process_time()
        await self._until(self.end, "measuring", plan.duration)
        self.end = min(self.end, time.perf_counter())
        measured = max(self.end - self.begin, 0.0)
        if measured > 0:
            self.result.cpu = (time.process_time() - cpu) / measured
        self.result.seconds = measured
        self.sending = False
        if self.rate is not None:
            self._count_unsent()
        await self._await_answers()

    async def _until(self, when: float, phase: str, duration: float) -> None:
        while (left := when - time.perf_counter()) > 0 and not self.enough.is_set():
            self.report(phase, 1 - left / duration, self.result.answers)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.enough.wait(), min(left, TICK_S))

    async def _await_answers(self) -> None:
        """Wait for the answers to what is in flight, but not for ever."""
        deadline = time.perf_counter() + LAST_S
        while (waiting := sum(len(client.sent) for client in self.clients)) > 0:
            if time.perf_counter() > deadline:
                self.result.unanswered += waiting
                return
            await asyncio.sleep(0.005)

    def answered(
        self, sent: float, due: float, now: float, message: str | bytes
    ) -> None:
        """Count an answer."""
        result = self.result
        if self.begin <= now < self.end:
            result.answers += 1
            result.octets += len(message)
            if self.rate is None:
                result.latency.add(now - sent)
        if self.rate is not None and self.begin <= due < self.end:
            result.latency.add(now - sent)
            result.corrected.add(now - due)

    # ---- with a rate ----

    def send_due(self, now: float) -> int:
        """Send what is due as long as a connection is free; return how much that is."""
        rate = self.rate
        assert rate is not None
        issued = self.issued
        while self.free and self.sending:
            due = self.first + self.issued / rate
            if due > now:
                break
            client = self.free.popleft()
            if client.ws is not None:
                self.issued += 1
                client.send(now, due)
        return self.issued - issued

    def _pace(self) -> None:
        """Send what has become due while a connection was free."""
        if not self.sending or self.enough.is_set():
            return
        rate = self.rate
        assert rate is not None
        now = time.perf_counter()
        due = self.first + self.issued / rate
        if self.free and due <= now:
            if due >= self.begin:
                self.result.late.add(now - due)
            self.send_due(now)
            due = self.first + self.issued / rate
        loop = asyncio.get_running_loop()
        left = due - now
        if not self.free:
            loop.call_later(SPIN_S, self._pace)  # answers send meanwhile
        elif left > SPIN_S:
            loop.call_later(left - SPIN_S / 2, self._pace)
        else:
            loop.call_soon(self._pace)

    def _count_unsent(self) -> None:
        """Count what was due and could not be sent, by the time that it has waited."""
        rate = self.rate
        assert rate is not None
        now = time.perf_counter()
        while (due := self.first + self.issued / rate) < self.end:
            self.issued += 1
            if due >= self.begin:
                self.result.unsent += 1
                self.result.corrected.add(now - due)
