"""
Two ends of a connection that do anything at any time, each cancelled anywhere.

Both are ours, on one path or the other: they send in both styles, in fragments and
compressed or not, receive in every way there is, pause, and close. Whatever happens,
each end has a prefix of what the other sent, in order, nothing lost and nothing twice;
all of it, unless somebody ended the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.asyncio.conftest import HAVE_REACTOR
from tests.asyncio.wire import Wires, thin_pair, turn
from wsfast import ConnectionClosed
from wsfast.asyncio import Connection
from wsfast.protocol import Deflate, DeflateOptions, DeflateParameters
from wsfast.protocol.options import Options

SIZES = st.sampled_from([0, 1, 125, 126, 3000, 9000, 70_000])
TURNS = st.integers(0, 4)
ENDS = st.sampled_from([0, 1])
AGREED = DeflateParameters(False, False, 12, 12), DeflateOptions(threshold=100)


class End:
    """One end: its connection, what it sent, what it got, what it is doing."""

    def __init__(self, ws: Connection, name: str) -> None:
        self.ws = ws
        self.name = name
        self.number = 0
        self.sent: list[Any] = []
        self.begun: list[Any] = []  # what send() was asked to send in fragments
        self.got: list[Any] = []
        self.parts: list[Any] = []  # of a message received in fragments
        self.receiving: asyncio.Task[Any] | None = None
        self.others: list[asyncio.Future[Any]] = []

    def message(self, size: int, binary: bool) -> Any:
        self.number += 1
        text = f"{self.name} {self.number} ".ljust(size, "ä")
        return text.encode() if binary else text

    # ---- ways to receive, each of which keeps what it got at once ----

    async def recv(self) -> None:
        self.got.append(await self.ws.recv())

    async def recv_in_time(self) -> None:
        self.got.append(await asyncio.wait_for(self.ws.recv(), 0.001))

    async def recv_many(self) -> None:
        self.got += await self.ws.recv_many(3)

    async def iterate(self) -> None:
        async for message in self.ws:
            self.got.append(message)

    async def stream(self) -> None:
        async for data in self.ws.recv_streaming():
            self.parts.append(data)
        self.finish_parts()

    def finish_parts(self) -> None:
        empty = b"" if isinstance(self.parts[0], bytes) else ""
        self.got.append(empty.join(self.parts))
        self.parts = []


class TwoEnds(RuleBasedStateMachine):
    """A client and a server on one event loop."""

    reactor = False
    new_loop: Callable[[], asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self.loop = type(self).new_loop()
        self.wires = Wires(self.reactor)
        self.ended = False
        self.ends: list[End] = []

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    @precondition(lambda self: not self.ends)
    @rule(
        deflate=st.booleans(),
        max_queue=st.sampled_from([1, 3, (4, 0), 16, None]),
        write_limit=st.sampled_from([0, 8000, (20_000, 0)]),
    )
    def open(self, deflate: bool, max_queue: Any, write_limit: Any) -> None:
        options = Options(
            max_queue=max_queue,
            write_limit=write_limit,
            max_send_buffer=None,
            ping_interval=None,
            close_timeout=5,
        )

        async def connect() -> list[Connection]:
            return [
                await self.wires.on(
                    sock,
                    options,
                    client=bool(n),
                    deflate=Deflate(*AGREED) if deflate else None,
                )
                for n, sock in enumerate(thin_pair())
            ]

        server, client = self.run(connect())
        self.ends = [End(server, "server"), End(client, "client")]

    def turns(self, count: int) -> None:
        self.run(turn(count))
        for end in self.ends:
            task = end.receiving
            if task is not None and task.done():
                end.receiving = None
                with contextlib.suppress(
                    asyncio.CancelledError, asyncio.TimeoutError, ConnectionClosed
                ):
                    task.result()
            for task in end.others:
                if task.done() and not task.cancelled():
                    exc = task.exception()
                    assert exc is None or isinstance(exc, ConnectionClosed)
            end.others = [task for task in end.others if not task.done()]

    # ---- sending ----

    opened = precondition(lambda self: self.ends)

    @opened
    @rule(
        end=ENDS,
        sizes=st.lists(SIZES, min_size=1, max_size=5),
        binary=st.booleans(),
        compress=st.sampled_from([None, True, False]),
        awaited=st.booleans(),
        count=TURNS,
    )
    def send(
        self,
        end: int,
        sizes: list[int],
        binary: bool,
        compress: bool | None,
        awaited: bool,
        count: int,
    ) -> None:
        me = self.ends[end]
        for size in sizes:
            message = me.message(size, binary)
            with contextlib.suppress(ConnectionClosed):
                waiting = me.ws.send(message, compress=compress)
                me.sent.append(message)
                if awaited:
                    me.others.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    @opened
    @rule(
        end=ENDS,
        sizes=st.lists(SIZES, min_size=1, max_size=4),
        binary=st.booleans(),
        pause=st.booleans(),
        count=TURNS,
    )
    def send_fragments(
        self, end: int, sizes: list[int], binary: bool, pause: bool, count: int
    ) -> None:
        me = self.ends[end]
        pieces = [me.message(size, binary) for size in sizes]
        me.begun.append((b"" if binary else "").join(pieces))

        async def generate() -> Any:
            for piece in pieces:
                if pause:
                    await asyncio.sleep(0)
                yield piece

        waiting = me.ws.send(generate())
        me.others.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    @opened
    @rule(end=ENDS, what=st.sampled_from(["ping", "pong", "drain"]), count=TURNS)
    def do(self, end: int, what: str, count: int) -> None:
        me = self.ends[end]
        with contextlib.suppress(ConnectionClosed):
            waiting = getattr(me.ws, what)()
            me.others.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    # ---- receiving ----

    @opened
    @rule(
        end=ENDS,
        how=st.sampled_from(["recv", "recv_in_time", "recv_many", "iterate", "stream"]),
        count=TURNS,
    )
    def receive(self, end: int, how: str, count: int) -> None:
        me = self.ends[end]
        if me.receiving is None:
            if me.parts:  # what was begun in fragments goes on in fragments
                how = "stream"
            me.receiving = self.loop.create_task(getattr(me, how)())
        self.turns(count)

    @opened
    @rule(end=ENDS, on=st.booleans(), count=TURNS)
    def pause(self, end: int, on: bool, count: int) -> None:
        ws = self.ends[end].ws
        (ws.pause_reading if on else ws.resume_reading)()
        self.turns(count)

    # ---- cancelling, and ending ----

    @opened
    @rule(end=ENDS, count=TURNS)
    def cancel_receiving(self, end: int, count: int) -> None:
        task = self.ends[end].receiving
        if task is not None:
            task.cancel()
        self.turns(count)

    @opened
    @rule(end=ENDS, index=st.integers(0, 20), count=TURNS)
    def cancel_another(self, end: int, index: int, count: int) -> None:
        others = self.ends[end].others
        if others:
            others[index % len(others)].cancel()
        self.turns(count)

    @opened
    @rule(count=TURNS)
    def nothing(self, count: int) -> None:
        self.turns(count)

    @precondition(lambda self: self.ends and self.ends[0].number > 8)
    @rule(end=ENDS, abort=st.booleans(), before=TURNS, cancel=st.booleans())
    def close(self, end: int, abort: bool, before: int, cancel: bool) -> None:
        self.ended = True
        me = self.ends[end]
        if abort:
            me.ws.abort()
        else:
            task = asyncio.ensure_future(me.ws.close(), loop=self.loop)
            me.others.append(task)
            self.turns(before)
            if cancel:
                task.cancel()
        self.turns(1)

    # ---- what must hold ----

    def teardown(self) -> None:
        try:
            if self.ends:
                self.finish()
        finally:
            self.run(self.tidy())
            self.loop.close()

    async def tidy(self) -> None:
        tasks = [t for end in self.ends for t in (*end.others, end.receiving) if t]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self.ends:
            end.ws.abort()
        self.ends = []
        await turn(3)

    def finish(self) -> None:
        # A fragmented message that was cancelled half-way ends the connection.
        broken = any(end.ws.failure is not None for end in self.ends)
        if not self.ended and not broken:
            self.run(asyncio.wait_for(self.settle(), 60))
        for me, other in (self.ends, self.ends[::-1]):
            whole = [message for message in me.got if message not in other.begun]
            assert whole == other.sent[: len(whole)], "lost, doubled or out of order"
            assert self.is_subsequence(
                [message for message in me.got if message in other.begun], other.begun
            )
            failure = me.ws.failure
            if failure is not None:  # no end saw the other break a rule
                assert failure.code == 1011, failure
            elif not self.ended and not broken:
                assert whole == other.sent

    @staticmethod
    def is_subsequence(items: list[Any], of: list[Any]) -> bool:
        rest: Iterator[Any] = iter(of)
        return all(item in rest for item in items)

    async def settle(self) -> None:
        """Have everything sent and received."""
        for end in self.ends:
            end.ws.resume_reading()
        while any(end.others for end in self.ends) or not all(
            len([m for m in me.got if m not in other.begun]) >= len(other.sent)
            for me, other in (self.ends, self.ends[::-1])
        ):
            for end in self.ends:
                if end.ws.failure is not None:
                    return
                if end.receiving is not None and end.receiving.done():
                    with contextlib.suppress(
                        asyncio.CancelledError, asyncio.TimeoutError
                    ):
                        end.receiving.result()
                    end.receiving = None
                if end.receiving is None:
                    how = end.stream() if end.parts else end.recv()
                    end.receiving = self.loop.create_task(how)
                end.others = [task for task in end.others if not task.done()]
            await asyncio.sleep(0)


def loops() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    found = {"asyncio": asyncio.new_event_loop}
    with contextlib.suppress(ImportError):
        import uvloop

        found["uvloop"] = uvloop.new_event_loop
    return found


@pytest.mark.parametrize("path", ["reactor", "transport"] if HAVE_REACTOR else [""])
@pytest.mark.parametrize("loop", loops())
def test_two_ends(path: str, loop: str):
    machine = type(
        "Machine",
        (TwoEnds,),
        {"reactor": path == "reactor", "new_loop": staticmethod(loops()[loop])},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
