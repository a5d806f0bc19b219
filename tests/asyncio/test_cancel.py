"""
Cancel anything, at any point: no message is lost, all frames written are whole.

A state machine starts receiving, sending, pinging and closing in tasks, cancels them
after any number of turns of the event loop, and lets the peer send and read in pieces
in between. What both ends then have must be what was sent, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.asyncio.conftest import HAVE_REACTOR
from tests.asyncio.wire import TEXT, Wires, turn
from wsfast import ConnectionClosed

#: Sizes that fit into the system's buffers here, and sizes that do not.
SIZES = st.sampled_from([0, 1, 100, 3000, 9000, 40_000])


def whole_frames(octets: bytes) -> list[tuple[int, bool, bytes]]:
    """Take octets of a server apart; they must end where a frame ends."""
    frames = []
    pos = 0
    while pos < len(octets):
        first, length = octets[pos], octets[pos + 1]
        pos += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(octets[pos : pos + size], "big")
            pos += size
        payload = octets[pos : pos + length]
        assert len(payload) == length, "the last frame is not whole"
        pos += length
        frames.append((first & 0x0F, bool(first & 0x80), payload))
    return frames


def ends_with_close(octets: bytes) -> bool:
    """Tell whether the last frame is there, and is a close frame."""
    try:
        return whole_frames(octets)[-1][0] == 8
    except (AssertionError, IndexError):
        return False


class Cancelling(RuleBasedStateMachine):
    """One connection, by one path on one event loop."""

    reactor = False
    uvloop = False

    def __init__(self) -> None:
        super().__init__()
        if self.uvloop:
            import uvloop

            self.loop = uvloop.new_event_loop()
        else:
            self.loop = asyncio.new_event_loop()
        self.wires = Wires(self.reactor)
        self.ws, self.peer = self.run(
            self.wires(
                thin=True,
                write_limit=(8000, 2000),
                max_send_buffer=None,
                max_queue=4,
                close_timeout=60,
            )
        )
        self.number = 0
        self.unsent = b""  # octets of the peer's messages, still to be sent
        self.peer_sent: list[str] = []
        self.received: list[str] = []
        self.receiving: asyncio.Future[Any] | None = None
        self.accepted: list[str] = []  # whole messages that send() took
        self.fragmented: list[str] = []  # messages that were begun in fragments
        self.sending: list[asyncio.Future[Any]] = []
        self.closed = False

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def turns(self, count: int) -> None:
        self.run(turn(count))
        task = self.receiving
        if task is not None and task.done():
            self.receiving = None
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                got = task.result()
                self.received += got if isinstance(got, list) else [got]
        for task in self.sending:
            if task.done() and not task.cancelled():
                assert isinstance(task.exception(), (type(None), ConnectionClosed))
        self.sending = [task for task in self.sending if not task.done()]

    def text(self, size: int) -> str:
        self.number += 1
        return f"{self.number} ".ljust(size, "x")

    @initialize(debug=st.booleans())
    def choose_dispatch(self, debug: bool) -> None:
        """In debug mode a turn lies between a message and its task: more to cancel."""
        self.loop.set_debug(debug)
        self.loop.slow_callback_duration = 60

    # ---- the peer ----

    @rule(
        sizes=st.lists(SIZES, max_size=6),
        share=st.floats(0, 1),
        count=st.integers(0, 3),
    )
    def peer_sends(self, sizes: list[int], share: float, count: int) -> None:
        for size in sizes:
            message = self.text(size)
            self.peer_sent.append(message)
            self.unsent += self.peer.frame(TEXT, message)
        octets = self.unsent[: int(len(self.unsent) * share)]
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.unsent = self.unsent[self.peer.sock.send(octets) :]
        self.turns(count)

    @rule(limit=st.sampled_from([1, 5000, 1 << 20]), count=st.integers(0, 3))
    def peer_reads(self, limit: int, count: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.peer.octets += self.peer.sock.recv(limit)
        self.turns(count)

    # ---- the application ----

    @precondition(lambda self: self.receiving is None)
    @rule(
        how=st.sampled_from(["recv", "next", "many", "timeout"]),
        count=st.integers(0, 3),
    )
    def receive(self, how: str, count: int) -> None:
        awaitable = {
            "recv": lambda: self.ws.recv(),
            "next": lambda: self.ws.__anext__(),
            "many": lambda: self.ws.recv_many(3),
            "timeout": lambda: asyncio.wait_for(self.ws.recv(), 60),
        }[how]()

        async def receive() -> Any:
            try:
                return await awaitable
            except StopAsyncIteration:
                return []

        self.receiving = self.loop.create_task(receive())
        self.turns(count)

    @precondition(lambda self: self.receiving is not None)
    @rule(count=st.integers(0, 4))
    def cancel_receiving(self, count: int) -> None:
        assert self.receiving is not None
        self.receiving.cancel()
        self.turns(count)

    @rule(size=SIZES, count=st.integers(0, 3))
    def send(self, size: int, count: int) -> None:
        message = self.text(size)
        try:
            waiting = self.ws.send(message)
        except ConnectionClosed:
            return
        self.accepted.append(message)
        self.sending.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    @rule(sizes=st.lists(SIZES, min_size=1, max_size=4), count=st.integers(0, 5))
    def send_fragments(self, sizes: list[int], count: int) -> None:
        pieces = [self.text(size) for size in sizes]
        self.fragmented.append("".join(pieces))

        async def generate() -> Any:
            for piece in pieces:
                await asyncio.sleep(0)
                yield piece

        waiting = self.ws.send(generate())
        self.sending.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    @rule(what=st.sampled_from(["ping", "pong", "drain"]), count=st.integers(0, 3))
    def others(self, what: str, count: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            waiting = getattr(self.ws, what)()
            self.sending.append(asyncio.ensure_future(waiting, loop=self.loop))
        self.turns(count)

    @precondition(lambda self: self.sending)
    @rule(index=st.integers(0, 100), count=st.integers(0, 4))
    def cancel_sending(self, index: int, count: int) -> None:
        self.sending[index % len(self.sending)].cancel()
        self.turns(count)

    @rule(cancel=st.booleans(), before=st.integers(0, 3), count=st.integers(0, 3))
    def close(self, cancel: bool, before: int, count: int) -> None:
        if self.number < 12:
            return  # not right at the start
        self.closed = True
        task = asyncio.ensure_future(self.ws.close(), loop=self.loop)
        self.sending.append(task)
        self.turns(before)
        if cancel:
            task.cancel()
        self.turns(count)

    @precondition(lambda self: self.receiving is not None)
    @rule(delay=st.integers(0, 5), count=st.integers(0, 3))
    def cancel_as_a_message_arrives(self, delay: int, count: int) -> None:
        message = self.text(10)
        self.peer_sent.append(message)
        self.unsent += self.peer.frame(TEXT, message)

        async def cancel() -> None:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.unsent = self.unsent[self.peer.sock.send(self.unsent) :]
            await turn(delay)
            assert self.receiving is not None
            self.receiving.cancel()

        self.run(cancel())
        self.turns(count)

    # ---- what must hold in the end ----

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self.run(self.wires.close())
            self.run(self.settle())
            self.run(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def settle(self) -> None:
        tasks = [task for task in [*self.sending, self.receiving] if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def finish(self) -> None:
        broken = self.ws.failure is not None
        if not broken and not self.closed:
            self.receive_all()
            self.run(self.finish_sending())
        assert self.received == self.peer_sent[: len(self.received)]
        self.run(self.read_all())
        self.check_output(bytes(self.peer.octets))

    def receive_all(self) -> None:
        for _ in range(2000):
            if len(self.received) == len(self.peer_sent):
                break
            with contextlib.suppress(BlockingIOError):
                self.unsent = self.unsent[self.peer.sock.send(self.unsent) :]
            with contextlib.suppress(BlockingIOError):
                self.peer.octets += self.peer.sock.recv(1 << 20)
            if self.receiving is None:
                self.receiving = self.loop.create_task(self.ws.recv())
            self.turns(2)
        assert self.received == self.peer_sent

    async def finish_sending(self) -> None:
        while any(not task.done() for task in self.sending):
            with contextlib.suppress(BlockingIOError):
                self.peer.octets += self.peer.sock.recv(1 << 20)
            await asyncio.sleep(0)

    async def read_all(self) -> None:
        """Have the connection end in order, and read to the end."""
        closing = asyncio.ensure_future(self.ws.close())
        sock = self.peer.sock
        with contextlib.suppress(ConnectionError):
            while not ends_with_close(self.peer.octets):
                data = await asyncio.wait_for(self.loop.sock_recv(sock, 1 << 20), 10)
                if not data:
                    break
                self.peer.octets += data
        closing.cancel()

    def check_output(self, octets: bytes) -> None:
        messages, parts, closes = [], [], []
        for opcode, fin, payload in whole_frames(octets):
            assert not closes, "something follows the close frame"
            if opcode == 8:
                closes.append(int.from_bytes(payload[:2], "big"))
            elif opcode < 8:
                assert (opcode == 0) is bool(parts)
                parts.append(payload)
                if fin:
                    messages.append(b"".join(parts).decode())
                    parts = []
        whole = [message for message in messages if message not in self.fragmented]
        assert whole == self.accepted[: len(whole)]
        if self.ws.failure is None and not self.closed:
            assert whole == self.accepted
            assert not parts
        elif parts:
            assert closes == [1011]  # a message that was cancelled half-way


MACHINES = [
    pytest.param(reactor, uvloop, id=f"{loop}-{path}")
    for uvloop, loop in [(False, "asyncio"), (True, "uvloop")]
    for reactor, path in [(True, "reactor"), (False, "transport")]
    if HAVE_REACTOR or not reactor
]


@pytest.mark.parametrize(("reactor", "uvloop"), MACHINES)
def test_cancelling_anything_at_any_point(reactor: bool, uvloop: bool):
    if uvloop:
        pytest.importorskip("uvloop")
    machine = type("Machine", (Cancelling,), {"reactor": reactor, "uvloop": uvloop})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
