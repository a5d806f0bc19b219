"""Inflating a long message takes several passes, and others their turns (row D-1)."""

from __future__ import annotations

import asyncio
import zlib
from types import SimpleNamespace

import pytest

from tests.asyncio.wire import BINARY, CLOSE, PING, PONG, TEXT, Wires, turn, until
from wsfast import ConnectionClosed, Listener
from wsfast.protocol.deflate import (
    SLICE,
    STEP,
    Deflate,
    DeflateOptions,
    DeflateParameters,
)

MIB = 1 << 20

#: Passes within one turn of the test at most: those of two turns of the loop, each with
#: one for octets that arrive and one for what is left.
PASSES = 4


class Counting:
    """
    A backend for :class:`DeflateOptions`: zlib, and what it has done.

    Attributes:
        given: Octets that the inflaters gave.
        taken: Octets that they were given.

    """

    def __init__(self) -> None:
        self.given = self.taken = 0
        self.module = SimpleNamespace(
            compressobj=zlib.compressobj, decompressobj=self.make, error=zlib.error
        )

    def make(self, bits):
        inflater = zlib.decompressobj(bits)

        def decompress(data, bound):
            out = inflater.decompress(data, bound)
            self.given += len(out)
            self.taken += len(data) - len(inflater.unconsumed_tail)
            return out

        made = SimpleNamespace(eof=False, unused_data=b"", unconsumed_tail=b"")

        def step(data, bound):
            out = decompress(data, bound)
            made.eof, made.unused_data = inflater.eof, inflater.unused_data
            made.unconsumed_tail = inflater.unconsumed_tail
            return out

        made.decompress = step
        return made

    def deflate(self):
        """Return the compression of a connection."""
        return Deflate(
            DeflateParameters(False, False, 15, 15), DeflateOptions(backend=self.module)
        )


def squeezed(data: bytes) -> bytes:
    """Return the payload of a message that stands alone."""
    packer = zlib.compressobj(1, wbits=-15)
    return (packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH))[:-4]


@pytest.fixture(scope="module")
def long_text() -> bytes:
    return "wsfast é".encode() * (4 * MIB // 9)


@pytest.fixture(scope="module")
def long_payload(long_text) -> bytes:
    return squeezed(long_text)


class Keeps(Listener):
    """A listener that keeps what it gets."""

    def __init__(self):
        self.got = []

    def on_message(self, ws, message):
        self.got.append(message)


async def inflating(wire, peer, counting, octets) -> None:
    """Send, and wait until inflating has begun."""
    sending = asyncio.ensure_future(peer.send_all(octets))
    while counting.given == 0:
        await turn()
    await sending


async def test_others_have_their_turn_after_each_step(
    wire: Wires, long_text, long_payload
):
    counting, keeps, other = Counting(), Keeps(), Keeps()
    ws, peer = await wire(keeps, max_size=None)
    ws.negotiated(counting.deflate())
    _, quiet = await wire(other)
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    sending = asyncio.ensure_future(peer.send_all(frame + peer.texts("behind")))
    most = answered = 0
    while len(keeps.got) < 2:
        before = counting.given
        if len(other.got) == answered and not keeps.got:
            quiet.send_texts("hello")
            answered += 1
        await turn()
        most = max(most, counting.given - before)
    await sending
    assert keeps.got == [long_text.decode(), "behind"]
    assert 0 < most <= PASSES * STEP
    assert len(other.got) >= len(long_text) // STEP // 2


async def test_blocks_of_nothing_take_turns_as_well(wire: Wires):
    """A deflate stream may go on for ever and give no octet."""
    counting, keeps = Counting(), Keeps()
    ws, peer = await wire(keeps, max_size=4 * MIB)
    ws.negotiated(counting.deflate())
    nothing = bytes.fromhex("000000ffff") * (3 * MIB // 5)
    frame = peer.frame(BINARY, nothing + b"\x00", rsv1=True)
    sending = asyncio.ensure_future(peer.send_all(frame))
    most = 0
    while not keeps.got:
        before = counting.taken
        await turn()
        most = max(most, counting.taken - before)
    await sending
    assert keeps.got == [b""]
    assert 0 < most <= PASSES * 4 * SLICE


async def test_what_follows_waits_in_order(wire: Wires, long_text, long_payload):
    counting = Counting()
    ws, peer = await wire(max_size=None)
    ws.negotiated(counting.deflate())
    await peer.send_all(
        peer.texts("before")
        + peer.frame(TEXT, long_payload, rsv1=True)
        + peer.frame(PING, b"now?")
        + peer.frame(TEXT, squeezed(b"short"), rsv1=True)
        + peer.texts("after")
        + peer.frame(CLOSE, b"\x03\xe8")
    )
    got = [message async for message in ws]
    assert got == ["before", long_text.decode(), "short", "after"]
    pong, close = await peer.rest()
    assert (pong.opcode, pong.payload) == (PONG, b"now?")
    assert close.opcode == CLOSE
    assert ws.close_code == 1000


async def test_fragments_that_are_received_one_by_one(wire: Wires, long_text):
    ws, peer = await wire(max_size=None)
    ws.negotiated(Counting().deflate())
    packer = zlib.compressobj(1, wbits=-15)
    cut = len(long_text) // 2 + 4  # within a character
    first = packer.compress(long_text[:cut]) + packer.flush(zlib.Z_SYNC_FLUSH)
    last = (packer.compress(long_text[cut:]) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    stream = ws.recv_streaming()
    receiving = asyncio.ensure_future(anext_of(stream))
    await turn(3)
    await peer.send_all(
        peer.frame(TEXT, first, fin=False, rsv1=True) + peer.frame(0, last)
    )
    fragments = [await receiving]
    fragments += [fragment async for fragment in stream]
    assert "".join(fragments) == long_text.decode()
    assert len(fragments) == 2


async def anext_of(iterator):
    return await iterator.__anext__()


@pytest.mark.parametrize("more", [0, 1])
async def test_the_limit_holds_to_the_octet(wire: Wires, long_text, long_payload, more):
    counting = Counting()
    ws, peer = await wire(max_size=len(long_text) - more)
    ws.negotiated(counting.deflate())
    receiving = asyncio.ensure_future(ws.recv())
    await peer.send_all(peer.frame(TEXT, long_payload, rsv1=True))
    if not more:
        assert await receiving == long_text.decode()
        return
    with pytest.raises(ConnectionClosed) as caught:
        await receiving
    assert caught.value.sent.code == 1009
    assert counting.given <= len(long_text)


async def test_bad_data_at_the_end_of_a_long_message(wire: Wires, long_payload):
    ws, peer = await wire(max_size=None)
    ws.negotiated(Counting().deflate())
    bad = long_payload + b"\x07" * 9
    await peer.send_all(peer.frame(TEXT, bad, rsv1=True) + peer.texts("never"))
    with pytest.raises(ConnectionClosed) as caught:
        await ws.recv()
    assert caught.value.sent.code == 1007


async def test_a_pause_holds_what_is_being_inflated(
    wire: Wires, long_text, long_payload
):
    counting, keeps = Counting(), Keeps()
    ws, peer = await wire(keeps, max_size=None)
    ws.negotiated(counting.deflate())
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await inflating(wire, peer, counting, frame)
    ws.pause_reading()
    await turn(3)
    given = counting.given
    assert given < len(long_text)
    await asyncio.sleep(0.05)
    assert counting.given == given
    peer.send_texts("after")
    ws.resume_reading()
    await until(lambda: len(keeps.got) == 2)
    assert keeps.got == [long_text.decode(), "after"]


async def test_a_listener_pauses_between_two_long_messages(
    wire: Wires, long_text, long_payload
):
    class Pauses(Keeps):
        def on_message(self, ws, message):
            super().on_message(ws, message)
            ws.pause_reading()

    keeps = Pauses()
    ws, peer = await wire(keeps, max_size=None)
    ws.negotiated(Counting().deflate())
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await peer.send_all(frame * 3)
    for count in (1, 2, 3):
        await until(lambda count=count: len(keeps.got) >= count)
        await asyncio.sleep(0.02)
        assert keeps.got == [long_text.decode()] * count
        ws.resume_reading()


async def test_closing_meanwhile_waits_for_the_message(
    wire: Wires, long_text, long_payload
):
    counting = Counting()
    ws, peer = await wire(max_size=None)
    ws.negotiated(counting.deflate())
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await inflating(wire, peer, counting, frame)
    closing = asyncio.ensure_future(ws.close())
    (close,) = await peer.frames(1)
    assert close.opcode == CLOSE
    peer.send(peer.frame(CLOSE, close.payload))
    await asyncio.wait_for(closing, 10)
    assert await ws.recv() == long_text.decode()
    with pytest.raises(ConnectionClosed):
        await ws.recv()
    assert ws.close_code == 1000


async def test_aborting_meanwhile_lets_go_of_all_of_it(wire: Wires, long_payload):
    counting, keeps = Counting(), Keeps()
    ws, peer = await wire(keeps, max_size=None)
    ws.negotiated(counting.deflate())
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await inflating(wire, peer, counting, frame)
    ws.abort()
    given = counting.given
    await until(lambda: ws.close_code == 1006)
    await turn(3)
    assert counting.given == given
    assert keeps.got == []
    assert not ws.unfinished


async def test_cancelling_meanwhile_loses_nothing(wire: Wires, long_text, long_payload):
    counting = Counting()
    ws, peer = await wire(max_size=None)
    ws.negotiated(counting.deflate())
    receiving = asyncio.ensure_future(ws.recv())
    await turn()
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await inflating(wire, peer, counting, frame)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert await ws.recv() == long_text.decode()


async def test_the_end_of_the_stream_waits_its_turn(
    wire: Wires, long_text, long_payload
):
    ws, peer = await wire(max_size=None)
    ws.negotiated(Counting().deflate())
    await peer.send_all(peer.frame(TEXT, long_payload, rsv1=True))
    peer.close()
    assert await ws.recv() == long_text.decode()
    with pytest.raises(ConnectionClosed):
        await ws.recv()
    assert ws.close_code == 1006


async def test_keepalive_knows_that_we_do_not_listen(wire: Wires, long_payload):
    """The pong may be behind what is being inflated."""
    counting = Counting()
    ws, peer = await wire(max_size=None, ping_interval=20, ping_timeout=20)
    ws.negotiated(counting.deflate())
    frame = peer.frame(TEXT, long_payload, rsv1=True)
    await inflating(wire, peer, counting, frame)
    assert ws.unfinished
    start = ws.link.driver.time()
    ws.check_time(start + 21)
    ws.check_time(start + 42)
    assert ws.state.name == "OPEN"
    await ws.recv()
    for seconds in (63, 84, 105):  # now we do
        ws.check_time(start + seconds)
    assert ws.failure is not None
