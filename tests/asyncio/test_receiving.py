"""Messages that wait for recv(): their order, their limits, and holding up the peer."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.asyncio.wire import CLOSE, PING, TEXT, WireConnection, Wires, turn, until
from wsfast import ConcurrencyError, ConnectionClosedError, ConnectionClosedOK, Listener

NORMAL = (1000).to_bytes(2, "big")


@pytest.mark.parametrize("max_queue", [0, 1, 2, 16, (8, 0), (8, 7), None])
async def test_nothing_is_lost_whatever_the_queue(wire: Wires, max_queue):
    """The peer sends it all in one segment: reading pauses in the middle of it."""
    ws, peer = await wire(max_queue=max_queue)
    sent = [str(n) for n in range(500)]
    peer.send_texts(*sent)
    await turn(5)
    if max_queue is None:
        assert ws.queue_length() == 500
    else:
        high = max_queue[0] if isinstance(max_queue, tuple) else max_queue
        assert ws.queue_length() == max(high, 1)
    assert [await ws.recv() for _ in sent] == sent


async def test_a_subclass_may_iterate_in_its_own_way(wire: Wires):
    class Shouting(WireConnection):
        async def __anext__(self) -> str:
            return (await super().__anext__()).upper()

    class Quiet(Shouting):
        pass

    for kind in (Shouting, Quiet):
        ws, peer = await wire(make=kind)
        peer.send_texts("a", "b", "c")
        await turn(5)
        assert [await anext(ws), await ws.__anext__()] == ["A", "B"]
        async for message in ws:
            assert message == "C"
            break
        else:
            pytest.fail("no message")


async def test_a_full_queue_is_filled_again_from_its_low_water_mark_on(wire: Wires):
    ws, peer = await wire(max_queue=(8, 4))
    peer.send_texts(*(str(n) for n in range(20)))
    await turn(5)
    lengths = []
    for n in range(12):
        assert await ws.recv() == str(n)
        await turn(4)
        lengths.append(ws.queue_length())
    assert lengths == [7, 6, 5, 8, 7, 6, 5, 8, 7, 6, 5, 8]


async def test_a_queue_that_is_never_empty_does_not_grow(wire: Wires):
    ws, peer = await wire(max_queue=(8, 4))
    peer.send_texts(*(str(n) for n in range(5000)))
    await turn(5)
    longest = 0
    for n in range(4000):
        assert await ws.recv() == str(n)
        await turn(1)
        if n % 100 == 0:
            longest = max(longest, queue_slots(ws))
    assert ws.queue_length() > 0
    assert 0 < longest < 100


def queue_slots(ws) -> int:
    """Return the length of the longest list that a connection has."""
    found = [ws, *gc.get_referents(ws)]
    found += [o for d in found if type(d) is dict for o in d.values()]
    return max(len(o) for o in found if type(o) is list)


async def test_octets_that_wait_are_limited(wire: Wires):
    ws, peer = await wire(max_queue=None, max_queue_size=1000)
    peer.send_texts(*("x" * 300 for _ in range(10)))
    await turn(5)
    assert ws.queue_length() == 4
    assert [len(await ws.recv()) for _ in range(10)] == [300] * 10


async def test_one_message_may_be_longer_than_the_queue(wire: Wires):
    ws, peer = await wire(max_queue_size=10)
    for _ in range(3):
        peer.send_texts("x" * 1000, "y")
        assert await ws.recv() == "x" * 1000
        assert await ws.recv() == "y"


async def test_control_frames_behind_a_full_queue_wait_too(wire: Wires):
    ws, peer = await wire(max_queue=2)
    peer.send(peer.texts("one", "two", "three") + peer.frame(PING, b"behind"))
    await turn(5)
    assert ws.queue_length() == 2
    assert [await ws.recv() for _ in range(3)] == ["one", "two", "three"]
    (pong,) = await peer.frames(1)
    assert pong.payload == b"behind"


async def test_the_end_behind_a_full_queue(wire: Wires):
    ws, peer = await wire(max_queue=2)
    peer.send(peer.texts(*"abcdef") + peer.frame(CLOSE, NORMAL))
    peer.close()
    got = [message async for message in ws]
    assert got == list("abcdef")


async def test_a_reset_behind_what_was_read(wire: Wires):
    ws, peer = await wire(max_queue=None)
    peer.send_texts("one", "two")
    await until(lambda: ws.queue_length() == 2)
    peer.reset()
    await until(lambda: ws.state.name == "CLOSED")
    assert [await ws.recv(), await ws.recv()] == ["one", "two"]
    with pytest.raises(ConnectionClosedError) as caught:
        await ws.recv()
    assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_recv_many(wire: Wires):
    ws, peer = await wire()
    peer.send_texts("one", "two", "three")
    await turn(5)
    assert await ws.recv_many(2) == ["one", "two"]
    assert await ws.recv_many() == ["three"]
    waiting = asyncio.ensure_future(ws.recv_many())
    await turn()
    peer.send_texts("four", "five")
    assert await waiting == ["four", "five"]


# ---- pausing on request ----


async def test_a_pause_lasts_until_it_is_undone(wire: Wires):
    """Taking messages that were there before does not end it."""
    ws, peer = await wire()
    peer.send_texts("one", "two")
    await until(lambda: ws.queue_length() == 2)
    ws.pause_reading()
    peer.send_texts("three")
    assert [await ws.recv(), await ws.recv()] == ["one", "two"]
    await turn(10)
    assert ws.queue_length() == 0
    ws.resume_reading()
    assert await ws.recv() == "three"


async def test_a_pause_in_the_middle_of_a_buffer(wire: Wires):
    got = []

    class Pauses(Listener):
        def on_message(self, ws, message):
            got.append(message)
            if len(got) % 3 == 0:
                ws.pause_reading()

    ws, peer = await wire(Pauses())
    sent = [str(n) for n in range(10)]
    peer.send_texts(*sent)
    for count in (3, 6, 9):
        await turn(10)
        assert got == sent[:count]
        ws.resume_reading()
    await turn(10)
    assert got == sent


async def test_a_pause_undone_in_the_same_callback(wire: Wires):
    got = []

    class Blinks(Listener):
        def on_message(self, ws, message):
            got.append(message)
            ws.pause_reading()
            ws.resume_reading()

    _, peer = await wire(Blinks())
    sent = [str(n) for n in range(300)]
    peer.send_texts(*sent)
    await until(lambda: len(got) == 300)
    assert got == sent


async def test_resume_does_not_overfill_the_queue(wire: Wires):
    ws, peer = await wire(max_queue=2)
    peer.send_texts(*"abcdef")
    await turn(5)
    ws.pause_reading()
    ws.resume_reading()
    await turn(5)
    assert ws.queue_length() == 2
    assert [await ws.recv() for _ in range(6)] == list("abcdef")


async def test_a_paused_connection_holds_up_its_peer(wire: Wires):
    ws, peer = await wire(thin=True)
    ws.pause_reading()
    sending = asyncio.ensure_future(peer.send_all(peer.texts("x" * 100) * 10_000))
    done, _ = await asyncio.wait([sending], timeout=0.1)
    assert not done
    ws.resume_reading()
    for _ in range(10_000):
        assert await ws.recv() == "x" * 100
    await sending


# ---- closing while messages wait ----


@pytest.mark.parametrize("max_queue", [1, 4])
async def test_close_does_not_wait_for_messages_to_be_received(wire: Wires, max_queue):
    ws, peer = await wire(max_queue=max_queue, close_timeout=30)
    peer.send_texts(*(str(n) for n in range(100)))
    await turn(5)
    closing = asyncio.ensure_future(ws.close())
    (close,) = await peer.frames(1)
    peer.send(peer.frame(CLOSE, close.payload))
    await asyncio.wait_for(closing, 5)
    assert ws.close_code == 1000
    got = [message async for message in ws]
    assert got == [str(n) for n in range(len(got))]
    assert len(got) >= max_queue


async def test_close_reads_through_all_that_is_under_way(wire: Wires):
    """The peer's close frame is behind more than the system holds."""
    ws, peer = await wire(max_queue=1, close_timeout=60)
    octets = peer.texts("x" * 10_000) * 1000 + peer.frame(CLOSE, NORMAL)
    sending = asyncio.ensure_future(peer.send_all(octets))
    await turn(20)
    await asyncio.wait_for(ws.close(), 20)
    await sending
    assert ws.close_code == 1000
    assert await ws.recv() == "x" * 10_000


async def test_close_while_paused_on_request(wire: Wires):
    ws, peer = await wire(close_timeout=30)
    ws.pause_reading()
    peer.send(peer.texts("unread") + peer.frame(CLOSE, NORMAL))
    await asyncio.wait_for(ws.close(), 5)
    assert ws.close_code == 1000


async def test_messages_are_received_while_closing(wire: Wires):
    ws, peer = await wire(max_queue=1, close_timeout=30)
    got = []

    async def receive():
        async for message in ws:
            got.append(message)  # noqa: PERF401 - the end raises nothing

    task = asyncio.ensure_future(receive())
    await turn()
    closing = asyncio.ensure_future(ws.close())
    await peer.frames(1)
    peer.send(peer.texts(*"abcdef") + peer.frame(CLOSE, NORMAL))
    await asyncio.wait_for(closing, 5)
    await task
    assert got == list("abcdef")


# ---- fragments ----


def fragments(peer, *parts, opcode=TEXT):
    """Return a fragmented message."""
    last = len(parts) - 1
    return b"".join(
        peer.frame(opcode if n == 0 else 0, part, fin=n == last)
        for n, part in enumerate(parts)
    )


async def stream(ws):
    return [data async for data in ws.recv_streaming()]


async def test_fragments_of_several_messages_in_one_read(wire: Wires):
    """What recv_streaming() does not ask for is received as whole messages."""
    ws, peer = await wire()
    waiting = asyncio.ensure_future(stream(ws))
    await turn()
    peer.send(
        fragments(peer, "a", "b", "c")
        + fragments(peer, "d", "e")
        + peer.texts("f")
        + fragments(peer, b"g", b"h", opcode=2)
    )
    assert await waiting == ["a", "b", "c"]
    assert [await ws.recv() for _ in range(3)] == ["de", "f", b"gh"]


async def test_a_whole_message_is_one_fragment(wire: Wires):
    ws, peer = await wire()
    peer.send_texts("one", "two")
    assert await stream(ws) == ["one"]
    assert await stream(ws) == ["two"]
    waiting = asyncio.ensure_future(stream(ws))
    await turn()
    peer.send(peer.texts("three") + fragments(peer, "fo", "ur"))
    assert await waiting == ["three"]
    assert await ws.recv() == "four"


async def test_fragments_as_they_come(wire: Wires):
    ws, peer = await wire()
    got = []

    async def receive():
        async for data in ws.recv_streaming():
            got.append(data)  # noqa: PERF401 - as they come

    task = asyncio.ensure_future(receive())
    await turn()
    parts = ["Gr", "", "üße, ", "世界"]
    for n, part in enumerate(parts):
        peer.send(peer.frame(TEXT if n == 0 else 0, part, fin=n == 3))
        await until(lambda n=n: len(got) == n + 1)
    await task
    assert got == parts


async def test_a_fragment_cut_within_a_code_point(wire: Wires):
    ws, peer = await wire()
    waiting = asyncio.ensure_future(stream(ws))
    await turn()
    octets = "ß世🎉".encode()
    peer.send(fragments(peer, *(octets[n : n + 1] for n in range(len(octets)))))
    got = await waiting
    assert "".join(got) == "ß世🎉"
    assert len(got) == len(octets)


async def test_leaving_a_message_half_way(wire: Wires):
    """recv() gets the next message, whether or not the rest has arrived."""
    ws, peer = await wire()
    peer.send(fragments(peer, "a", "b", "c") + peer.texts("next"))
    async for data in ws.recv_streaming():
        assert data in ("a", "abc")
        break
    assert await ws.recv() == "next"

    waiting = asyncio.ensure_future(ws.recv_streaming().__anext__())
    await turn()
    peer.send(peer.frame(TEXT, "a", fin=False))
    assert await waiting == "a"
    following = asyncio.ensure_future(ws.recv())
    await turn()
    peer.send(peer.frame(0, "b", fin=False) + peer.frame(0, "c"))
    peer.send_texts("next")
    assert await following == "next"
    peer.send_texts("and on")
    assert await ws.recv() == "and on"


async def test_cancelled_half_way_the_next_goes_on(wire: Wires):
    ws, peer = await wire()
    got = []

    async def receive():
        async for data in ws.recv_streaming():
            got.append(data)

    task = asyncio.ensure_future(receive())
    await turn()
    peer.send(peer.frame(TEXT, "a", fin=False) + peer.frame(0, "b", fin=False))
    await until(lambda: len(got) == 2)
    task.cancel()
    await asyncio.wait([task])
    peer.send(peer.frame(0, "c", fin=False))
    await turn(5)
    peer.send(peer.frame(0, "d"))
    peer.send_texts("next")
    got += await stream(ws)
    assert "".join(got) == "abcd"
    assert await ws.recv() == "next"


async def test_cancelled_before_its_first_fragment(wire: Wires):
    """The message is received whole then, be it in pieces already."""
    ws, peer = await wire()
    for _ in range(2):
        task = asyncio.ensure_future(stream(ws))
        await turn()
        task.cancel()
        await asyncio.wait([task])
        peer.send(peer.frame(TEXT, "a", fin=False) + peer.frame(0, "b", fin=False))
        await turn(5)
        peer.send(peer.frame(0, "c") + peer.texts("next"))
        assert [await ws.recv(), await ws.recv()] == ["abc", "next"]


@pytest.mark.parametrize("complete", [False, True])
async def test_cancelled_as_its_first_fragment_arrives(wire: Wires, complete):
    """The fragment is there, and nobody has taken it: it is part of a message."""

    class Cancels(WireConnection):
        def fragment_received(self, data, fin):
            super().fragment_received(data, fin)
            task.cancel()

    ws, peer = await wire(make=Cancels)
    task = asyncio.ensure_future(stream(ws))
    await turn()
    peer.send(peer.frame(TEXT, "a", fin=False) + peer.frame(0, "b", fin=complete))
    with pytest.raises(asyncio.CancelledError):
        await task
    whole = asyncio.ensure_future(ws.recv())
    await turn()
    assert whole.done() is complete
    if not complete:
        peer.send(peer.frame(0, "c", fin=False) + peer.frame(0, "d"))
    peer.send_texts("next")
    assert await whole == ("ab" if complete else "abcd")
    assert await ws.recv() == "next"


async def test_one_coroutine_at_a_time(wire: Wires):
    ws, peer = await wire()
    peer.send(peer.frame(TEXT, "a", fin=False))
    reading = ws.recv_streaming()
    first = asyncio.ensure_future(reading.__anext__())
    await turn()
    for attempt in (ws.recv, ws.recv_many, lambda: stream(ws), ws.__anext__):
        with pytest.raises(ConcurrencyError):
            await attempt()
    peer.send(peer.frame(0, "b", fin=False))
    taken = await first
    with pytest.raises(ConcurrencyError):
        await ws.recv()  # half-way, though nobody waits
    peer.send(peer.frame(0, "c"))
    taken += "".join([data async for data in reading])
    assert taken == "abc"
    peer.send_texts("next")
    assert await ws.recv() == "next"


async def test_aclose_of_fragments(wire: Wires):
    ws, peer = await wire()
    peer.send(peer.frame(TEXT, "a", fin=False) + peer.frame(0, "b", fin=False))
    reading = ws.recv_streaming()
    assert await reading.__anext__() == "a"
    await reading.aclose()
    with pytest.raises(StopAsyncIteration):
        await reading.__anext__()
    peer.send(peer.frame(0, "c") + peer.texts("next"))
    assert await ws.recv() == "next"


@pytest.mark.parametrize("decode", [None, True, False])
async def test_fragments_decoded_on_request(wire: Wires, decode):
    ws, peer = await wire()
    for opcode, plain in ((TEXT, str), (2, bytes)):
        peer.send(fragments(peer, b"a", b"b", opcode=opcode))
        got = [data async for data in ws.recv_streaming(decode)]
        kind = {None: plain, True: str, False: bytes}[decode]
        assert [type(data) for data in got] == [kind] * len(got)
        assert kind().join(got) == ("ab" if kind is str else b"ab")


async def test_more_fragments_than_the_queue_holds(wire: Wires):
    ws, peer = await wire(max_queue=4)
    waiting = asyncio.ensure_future(stream(ws))
    await turn()
    parts = [str(n) for n in range(200)]
    peer.send(fragments(peer, *parts) + peer.texts("next"))
    assert await waiting == parts
    assert await ws.recv() == "next"


async def test_the_connection_ends_half_way_through_a_message(wire: Wires):
    ws, peer = await wire()
    peer.send(peer.frame(TEXT, "a", fin=False) + peer.frame(CLOSE, NORMAL))
    got = []
    with pytest.raises(ConnectionClosedOK):
        async for data in ws.recv_streaming():
            got.append(data)  # noqa: PERF401 - what came before the error counts
    assert got in (["a"], [])
    with pytest.raises(ConnectionClosedOK):
        await ws.recv()
