"""The byte budget of a server, by both paths: what counts, who waits, who has to go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import RawPeer, request
from tests.asyncio.wire import BINARY, CLOSE, Peer, Wires, turn, until
from wsfast import ConnectionClosedError, Listener
from wsfast.asyncio import ServerConnection, ledger
from wsfast.asyncio.ledger import Ledger
from wsfast.protocol.closing import Close

KIB = 1 << 10


def half(peer: Peer, size: int) -> tuple[bytes, bytes]:
    """Return a message in two parts: all but its last 100 octets, and those."""
    octets = peer.frame(BINARY, bytes(size))
    return octets[:-100], octets[-100:]


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return a budget of 400 KiB that is patient: nothing is stuck so soon."""
    monkeypatch.setattr(ledger, "STUCK_S", 60.0)
    return Ledger(400 * KIB)


async def test_what_is_received_counts_until_it_is_taken(wire: Wires, budget: Ledger):
    ws, peer = await wire(ledger=budget)
    most, last = half(peer, 50_000)
    await peer.send_all(most)
    await until(lambda: budget.total == 50_000 - 100)
    await peer.send_all(last)
    await until(ws.queue_length)
    assert budget.total == 50_000
    await ws.recv()
    assert budget.total == 0


async def test_fragments_count(wire: Wires, budget: Ledger):
    ws, peer = await wire(ledger=budget)
    peer.send(peer.frame(BINARY, bytes(5000), fin=False))
    await until(lambda: budget.total == 5000)
    peer.send(peer.frame(0, bytes(3000)))
    assert len(await ws.recv()) == 8000
    assert budget.total == 0


async def test_what_waits_behind_a_full_queue_counts(wire: Wires, budget: Ledger):
    ws, peer = await wire(ledger=budget, max_queue=1)
    await peer.send_all(peer.frame(BINARY, bytes(1000)) * 50)
    await until(lambda: budget.total >= 50_000)
    for _ in range(50):
        await ws.recv()
    await until(lambda: budget.total == 0)


async def test_output_that_is_not_read_counts(wire: Wires, budget: Ledger):
    ws, peer = await wire(ledger=budget, thin=True, max_send_buffer=None)
    ws.send(bytes(200_000))
    await until(lambda: budget.total > 100_000)
    assert budget.total >= ws.buffered_amount
    await peer.frames(1)
    await until(lambda: budget.total == 0)


@pytest.mark.parametrize("how", ["peer", "abort", "close"])
async def test_who_is_gone_holds_nothing(wire: Wires, budget: Ledger, how: str):
    ws, peer = await wire(ledger=budget)
    await peer.send_all(peer.frame(BINARY, bytes(7000)) + half(peer, 50_000)[0])
    await until(lambda: budget.total > 50_000)
    if how == "peer":
        peer.close()
    elif how == "abort":
        ws.abort()
    else:
        ws.close()
        peer.close()
    await ws.wait_closed()
    assert budget.total == 0


async def test_handlers_queue_counts_beyond_the_end(pair: Pair):
    go_on, taken = asyncio.Event(), asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        await go_on.wait()
        await ws.recv()
        taken.set()

    server = await pair.serve(handler, max_buffered=400 * KIB, compression=None)
    async with await pair.connect(server, compression=None) as client:
        await client.send(bytes(5000))
        await client.send(bytes(3000))
    await until(lambda: not server.connections)
    assert server.buffered == 8000
    go_on.set()
    await taken.wait()
    await until(lambda: server.buffered == 0)  # the second has nobody any more


async def test_over_three_quarters_one_goes_on(wire: Wires, budget: Ledger):
    first, one = await wire(ledger=budget)
    second, other = await wire(ledger=budget)
    third, quick = await wire(ledger=budget)
    most, last = half(one, 250 * KIB)
    await one.send_all(most)
    await until(lambda: budget.total > 240 * KIB)
    most, rest = half(other, 100 * KIB)
    await other.send_all(most)
    await until(lambda: budget.total > budget.high)
    await other.send_all(rest)
    quick.send_texts("meanwhile")
    assert await third.recv() == "meanwhile"  # who holds nothing is served
    await turn(20)
    assert second.queue_length() == 0  # who is held back is not
    second.resume_reading()
    await turn(20)
    assert second.queue_length() == 0  # not even so
    await one.send_all(last)  # but who was first can finish
    assert len(await first.recv()) == 250 * KIB
    assert len(await second.recv()) == 100 * KIB
    assert budget.total == budget.given_up == 0


async def test_everybody_has_a_turn(wire: Wires, budget: Ledger):
    ends = [await wire(ledger=budget) for _ in range(9)]
    for _, peer in ends:
        await peer.send_all(half(peer, 40 * KIB)[0])
    await until(lambda: budget.total > budget.high)
    messages = []
    for ws, peer in ends:
        await peer.send_all(half(peer, 40 * KIB)[1])
        messages.append(asyncio.ensure_future(ws.recv()))
    sizes = [len(message) for message in await asyncio.gather(*messages)]
    assert sizes == [40 * KIB] * 9
    assert budget.total == budget.given_up == 0


async def test_over_the_limit_the_worst_is_given_up(wire: Wires, budget: Ledger):
    ends = []
    for size in (150 * KIB, 120 * KIB, 60 * KIB, 90 * KIB):
        ws, peer = await wire(ledger=budget)
        before = budget.total
        await peer.send_all(half(peer, size)[0])
        await until(lambda n=before + size - 100: budget.total >= n or budget.given_up)
        ends.append((ws, peer))
    frames = await ends[0][1].rest()
    assert [(f.opcode, Close.parse(f.payload).code) for f in frames] == [(CLOSE, 1013)]
    assert budget.given_up == 1
    assert budget.total <= budget.high
    error = ends[0][0].closed_error()
    assert error.__cause__.reason_code == "server_full"
    for ws, peer in ends[1:]:
        await peer.send_all(bytes(100))
        await ws.recv()


async def test_who_is_stuck_is_given_up(
    wire: Wires, budget: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "STUCK_S", 0.05)
    ends = []
    for size in (200 * KIB, 120 * KIB, 60 * KIB):
        ends.append(await wire(ledger=budget))
        await ends[-1][1].send_all(half(ends[-1][1], size)[0])
        if budget.total <= budget.high:
            await until(lambda n=size: budget.total >= n - 100)
    await until(lambda: budget.given_up == 1)
    assert (await ends[0][1].rest())[-1].opcode == CLOSE
    for ws, peer in ends[1:]:
        await peer.send_all(bytes(100))
        await ws.recv()
    assert budget.total == 0


async def test_output_that_is_stuck_is_cut(
    wire: Wires, budget: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "STUCK_S", 0.05)
    ws, peer = await wire(ledger=budget, thin=True, max_send_buffer=None)
    ws.send(bytes(350 * KIB))
    await asyncio.wait_for(ws.wait_closed(), 10)
    assert budget.total == 0
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.send(b"")
    assert caught.value.__cause__.reason_code == "server_full"
    peer.close()


async def test_what_the_application_leaves_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "STUCK_S", 0.02)
    go_on, done = asyncio.Event(), []

    async def handler(ws: ServerConnection) -> None:
        await go_on.wait()
        with contextlib.suppress(ConnectionClosedError):
            while True:
                done.append(len(await ws.recv()))

    server = await pair.serve(handler, max_buffered=100 * KIB, compression=None)
    clients = [await pair.connect(server, compression=None) for _ in range(4)]
    for client in clients:
        await client.send(bytes(60 * KIB))
        await client.send(bytes(10))
    await until(lambda: server.buffered > 100 * KIB)
    await asyncio.sleep(0.1)  # nothing becomes less: nobody is given up for that
    async with await RawPeer.to(server) as late:
        late.send(request())
        assert (await late.head())[0] == 503
    go_on.set()
    await until(lambda: len(done) == 8)
    assert server.buffered == 0
    await pair.connect(server)


class Echo(Listener):
    """Sends messages back."""

    def on_message(self, ws: Any, message: Any) -> None:
        """Send one."""
        ws.send(message)


async def test_many_incomplete_messages_stay_within_the_budget(
    pair: Pair, many_descriptors: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "STUCK_S", 0.1)
    limit, size = 4 << 20, 256 * KIB
    server = await pair.serve(
        Echo, max_buffered=limit, max_size=size, ping_interval=None, compression=None
    )
    honest = await pair.connect(server, compression=None)
    seen = []
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(200):
            peer = await stack.enter_async_context(await RawPeer.to(server))
            peer.send(request())
            status, _ = await peer.head()
            if status == 101:  # an incomplete message of 256 KiB, less 100 octets
                key = bytes(4)
                head = bytes([0x82, 0xFF]) + size.to_bytes(8, "big") + key
                peer.send(head + bytes(size - 100))
            await honest.send("still there?")
            assert await asyncio.wait_for(honest.recv(), 10) == "still there?"
            seen.append(server.buffered or 0)
        big = "x" * (size - 1000)
        await honest.send(big)
        assert await asyncio.wait_for(honest.recv(), 20) == big
        seen.append(server.buffered or 0)
    assert max(seen) <= limit
    assert max(seen) > limit // 2  # they have tried
    await until(lambda: server.buffered == 0)


def test_budget_of_nothing():
    with pytest.raises(ValueError, match="max_buffered"):
        Ledger(0)
