"""Output: whole frames in order, however little the system takes, and its limits."""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.wire import BINARY, CLOSE, PING, TEXT, Wires, turn, until
from wsfast import ConnectionClosedError, Listener, SlowConsumer


async def fill(ws, octets=0):
    """Send until the system takes no more, and the connection keeps this many."""
    count = 0
    while ws.buffered_amount <= octets:
        ws.send(b"%06d" % count + bytes(2000))
        count += 1
        await turn()
    return count


def numbers(frames):
    return [int(frame.payload[:6]) for frame in frames if frame.opcode == BINARY]


async def test_partial_writes_keep_order(wire: Wires):
    """Small messages, and long ones kept by reference, through a thin pipe."""
    ws, peer = await wire(thin=True, max_send_buffer=None)
    sent = []
    for n in range(60):
        payload = bytes([n]) * (1 + n * 997 % 50_000)
        sent.append(payload)
        ws.send(payload)
        if n % 7 == 0:
            await turn()
    assert ws.buffered_amount > 0
    frames = await peer.frames(60)
    assert [frame.payload for frame in frames] == sent
    assert ws.buffered_amount == 0


async def test_send_waits_between_the_marks(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=(30_000, 10_000))
    await fill(ws, 30_000)
    waiting = asyncio.ensure_future(ws.send("one more"))
    await turn(5)
    assert not waiting.done()
    while not waiting.done():
        await peer.read()
        await turn(3)
        if ws.buffered_amount > 30_000:
            assert not waiting.done()
    assert ws.buffered_amount <= 10_000


async def test_send_is_done_at_once_below_the_mark(wire: Wires):
    ws, _ = await wire()
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, "turn")
    for _ in range(10):
        await ws.send("x" * 100)
    assert turns == []


async def test_many_wait_and_all_go_on(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=20_000)
    await fill(ws, 20_000)
    waiting = [asyncio.ensure_future(ws.send(f"{n}")) for n in range(5)]
    waiting.append(asyncio.ensure_future(ws.drain()))
    await turn(3)
    assert not any(task.done() for task in waiting)
    while not all(task.done() for task in waiting):
        await peer.read()
        await turn(2)
    await asyncio.gather(*waiting)


async def test_a_cancelled_send_is_sent_all_the_same(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=20_000)
    count = await fill(ws, 20_000)
    waiting = asyncio.ensure_future(ws.send(b"%06d" % count))
    await turn(3)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    ws.send(b"%06d" % (count + 1))
    assert numbers(await peer.frames(count + 2)) == list(range(count + 2))


async def test_whoever_waits_learns_of_the_end(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=20_000)
    await fill(ws, 20_000)
    waiting = asyncio.ensure_future(ws.send("never sent"))
    await turn(3)
    peer.close()
    with pytest.raises(ConnectionClosedError):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(ConnectionClosedError):
        ws.send("after the end")


async def test_slow_consumer(wire: Wires, caplog):
    ws, peer = await wire(thin=True, max_send_buffer=100_000, close_timeout=30)
    with pytest.raises(SlowConsumer) as caught:
        while True:
            ws.send(b"x" * 1000)
            assert ws.buffered_amount < 103_000
    assert caught.value.sent.code == 1008
    assert caught.value.reason_code == "slow_consumer"
    with pytest.raises(SlowConsumer):
        await ws.send("more")
    frames = await peer.rest()  # whole frames, then the close frame
    with pytest.raises(SlowConsumer):
        await ws.recv()
    assert frames[-1].opcode == CLOSE
    assert frames[-1].payload[:2] == (1008).to_bytes(2, "big")
    assert all(frame.payload == b"x" * 1000 for frame in frames[:-1])


async def test_a_slow_consumer_has_the_time_that_closing_may_take(wire: Wires):
    """It counts from the failure, not from the last octets that came."""
    ws, peer = await wire(thin=True, max_send_buffer=1000, close_timeout=0.5)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.3)
    with pytest.raises(SlowConsumer):
        while True:
            ws.send(b"x" * 1000)
    since = loop.time()
    await asyncio.sleep(0.35)
    assert ws.state.name == "CLOSING"
    await until(lambda: ws.state.name == "CLOSED")
    assert 0.4 <= loop.time() - since < 8
    peer.close()


@pytest.mark.parametrize("limit", [5000, 5001])
async def test_slow_consumer_at_the_limit_and_one_more(wire: Wires, limit):
    ws, _ = await wire(max_send_buffer=5000)
    ws.send(b"x" * (limit - 4))  # with its header: this many octets
    assert ws.buffered_amount == limit
    if limit == 5000:
        ws.send("one more")
    else:
        with pytest.raises(SlowConsumer):
            ws.send("one more")


async def test_without_a_limit_there_is_none(wire: Wires):
    ws, peer = await wire(thin=True, max_send_buffer=None)
    for _ in range(40):
        ws.send(b"x" * 100_000)
    assert ws.buffered_amount > 3_000_000
    assert len(await peer.frames(40)) == 40


async def test_on_drain(wire: Wires):
    """It is called once each time the output goes from above to below its marks."""
    drained = []

    class Drains(Listener):
        def on_drain(self, ws):
            drained.append(ws.buffered_amount)

    ws, peer = await wire(Drains(), thin=True, write_limit=(20_000, 5_000))
    for _ in range(2):
        await fill(ws, 20_000)
        drained.clear()
        while ws.buffered_amount:
            await peer.read()
            await turn(2)
        assert len(drained) == 1
        assert drained[0] <= 5_000


async def test_a_producer_driven_by_on_drain(wire: Wires):
    total = 3000

    class Produces(Listener):
        def __init__(self):
            self.sent = 0

        def on_open(self, ws):
            self.produce(ws)

        on_drain = on_open

        def produce(self, ws):
            while self.sent < total and ws.buffered_amount <= 20_000:
                ws.send(b"%06d" % self.sent + bytes(500))
                self.sent += 1

    _, peer = await wire(Produces(), thin=True, write_limit=(20_000, 0))
    assert numbers(await peer.frames(total)) == list(range(total))


async def test_pings_are_answered_once_when_there_is_room_again(wire: Wires):
    """While the peer does not read, only the newest ping will be (F-11)."""
    ws, peer = await wire(thin=True, write_limit=20_000)
    count = await fill(ws, 200_000)
    for n in range(100):
        peer.send(peer.frame(PING, b"%d" % n))
        await turn(3)
    frames = await peer.frames(count + 1)
    assert [frame.payload for frame in frames if frame.opcode == 10] == [b"99"]
    peer.send(peer.frame(PING, b"last"))
    (pong,) = await peer.frames(1)
    assert pong.payload == b"last"


async def test_send_many_waits_once(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=20_000)
    messages = ["x" * 1000] * 100
    waiting = asyncio.ensure_future(ws.send_many(messages))
    await turn(3)
    assert not waiting.done()
    assert await peer.messages(100) == messages
    await waiting


async def test_fragments_wait_for_room(wire: Wires):
    """A fragmented message longer than the output's limit never fills the memory."""
    ws, peer = await wire(thin=True, write_limit=20_000)
    most = 0

    async def source():
        nonlocal most
        for _ in range(200):
            most = max(most, ws.buffered_amount)
            yield b"x" * 5000

    sending = asyncio.ensure_future(ws.send(source()))
    frames = await peer.frames(201)
    await sending
    assert most <= 25_100
    assert sum(len(frame.payload) for frame in frames) == 1_000_000
    assert [frame.opcode for frame in frames] == [BINARY] + [0] * 200
    assert [frame.fin for frame in frames] == [False] * 200 + [True]


async def test_cancelled_within_a_fragmented_message(wire: Wires):
    """It cannot be completed: the connection fails, with whole frames on the wire."""
    ws, peer = await wire()

    async def source():
        yield "a"
        yield "b"
        await asyncio.sleep(60)

    sending = asyncio.ensure_future(ws.send(source()))
    first, second = await peer.frames(2)
    sending.cancel()
    await asyncio.wait([sending])
    (close,) = await peer.rest()
    assert (first.opcode, second.opcode) == (TEXT, 0)
    assert close.payload[:2] == (1011).to_bytes(2, "big")


async def test_cancelled_before_the_first_fragment(wire: Wires):
    ws, peer = await wire()

    async def source():
        await asyncio.sleep(60)
        yield "never"

    sending = asyncio.ensure_future(ws.send(source()))
    await turn(3)
    sending.cancel()
    await asyncio.wait([sending])
    await ws.send("whole")
    assert await peer.messages(1) == ["whole"]


async def test_messages_keep_behind_a_fragmented_one(wire: Wires):
    ws, peer = await wire()
    going = asyncio.Event()

    async def source():
        yield "a"
        await going.wait()
        yield "b"

    sending = asyncio.ensure_future(ws.send(source()))
    await peer.frames(1)
    behind = [asyncio.ensure_future(ws.send(f"{n}")) for n in range(3)]
    ws.send("not awaited")
    behind[1].cancel()
    ws.send_ping(b"may be between")
    (ping,) = await peer.frames(1)
    assert ping.opcode == PING
    going.set()
    frames = await peer.frames(6)
    await sending
    payloads = [frame.payload.decode() for frame in frames]
    assert payloads == ["b", "", "0", "1", "2", "not awaited"]
    await asyncio.wait(behind)


async def test_a_greeting_and_what_is_sent_from_on_open(wire: Wires):
    class Greets(Listener):
        def on_open(self, ws):
            ws.send("hello")
            ws.send(b"x" * 100_000)

    ws, peer = await wire(Greets())
    ws.send("after")
    frames = await peer.frames(3)
    assert [len(frame.payload) for frame in frames] == [5, 100_000, 5]
