"""Options of connections, and what they make of messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.wire import BINARY, CLOSE, PING, PONG, TEXT, Wires, until
from wsfast import Listener, connect
from wsfast.exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedError

# ---- what is received


async def test_text_as_octets_that_nobody_has_validated(wire: Wires):
    for validate in (True, False):
        ws, peer = await wire(text="bytes", validate_utf8=validate)
        peer.send(peer.frame(TEXT, "é") + peer.frame(TEXT, b"\xff"))
        assert await ws.recv() == b"\xc3\xa9"
        if validate:
            with pytest.raises(ConnectionClosedError) as info:
                await ws.recv()
            assert info.value.sent.code == 1007
        else:
            assert await ws.recv() == b"\xff"


async def test_binary_messages_as_views(wire: Wires):
    ws, peer = await wire(binary="memoryview", max_queue_size=200_000)
    long = bytes(range(256)) * 400
    await peer.send_all(
        peer.frame(BINARY, long)
        + peer.frame(TEXT, "text")
        + peer.frame(BINARY, b"\xc3")
    )
    view = await ws.recv()
    assert type(view) is memoryview
    assert view[256:512] == long[:256]
    assert await ws.recv() == "text"
    with pytest.raises(UnicodeDecodeError):
        await ws.recv(decode=True)
    peer.send(peer.frame(BINARY, "é".encode()) + peer.frame(BINARY, b"whole"))
    assert await ws.recv(decode=True) == "é"
    assert [bytes(part) async for part in ws.recv_streaming()] == [b"whole"]


async def test_views_for_a_listener(wire: Wires):
    found: list[Any] = []

    class Keep(Listener):
        def on_message(self, ws, message):
            found.append(message)

    _, peer = await wire(Keep(), binary="memoryview")
    peer.send(peer.frame(BINARY, b"a") + peer.frame(TEXT, "b"))
    await until(lambda: len(found) == 2)
    assert [type(message) for message in found] == [memoryview, str]


async def test_fragments_are_what_recv_streaming_gives(wire: Wires):
    ws, peer = await wire()
    peer.send(peer.frame(BINARY, b"a", fin=False) + peer.frame(0, b"b"))
    assert [part async for part in ws.recv_streaming()] == [b"a", b"b"]


async def test_auto_pong(wire: Wires):
    pings: list[bytes] = []

    class Answer(Listener):
        def on_ping(self, ws, payload):
            pings.append(payload)
            ws.pong(b"by hand")

    _, peer = await wire(Answer(), auto_pong=False)
    peer.send(peer.frame(PING, b"hello"))
    assert [(f.opcode, f.payload) for f in await peer.frames(1)] == [(PONG, b"by hand")]
    assert pings == [b"hello"]
    _, peer = await wire()
    peer.send(peer.frame(PING, b"hello"))
    assert [(f.opcode, f.payload) for f in await peer.frames(1)] == [(PONG, b"hello")]


async def test_size_of_fragments(wire: Wires):
    ws, peer = await wire(max_size=(10_000, 1000))
    peer.send(
        peer.frame(TEXT, "x" * 1000, fin=False)
        + peer.frame(0, "y" * 1000)
        + peer.frame(TEXT, "z" * 1001)
    )
    assert await ws.recv() == "x" * 1000 + "y" * 1000
    with pytest.raises(ConnectionClosedError) as info:
        await ws.recv()
    assert info.value.sent.code == 1009
    assert info.value.__cause__.reason_code == "fragment_too_big"


async def test_size_of_fragments_is_an_argument_of_both_ends(pair: Pair):
    here, there = await pair.both(max_size=(10_000, 1000))
    for one, other in (here, there), (there, here):
        await one.send(["x" * 1000, "y" * 1000])
        assert await other.recv() == "x" * 1000 + "y" * 1000
    await there.send("x" * 1001)
    await here.wait_closed()
    assert here.close_sent.code == 1009


async def test_many_messages_in_one_read_one_frame_at_a_time(wire: Wires):
    # More than one pass delivers; what is left over stays in order.
    ws, peer = await wire(max_size=(10_000, 1000), max_queue=None, max_queue_size=None)
    count = 5000
    sent = asyncio.ensure_future(
        peer.send_all(b"".join(peer.frame(TEXT, str(n)) for n in range(count)))
    )
    assert [await ws.recv() for _ in range(count)] == [str(n) for n in range(count)]
    await sent


async def test_a_full_queue_one_frame_at_a_time(wire: Wires):
    ws, peer = await wire(max_size=(10_000, 1000), max_queue=4)
    count = 300
    peer.send(b"".join(peer.frame(TEXT, str(n)) for n in range(count)))
    await until(lambda: ws.queue_length() == 4)
    assert [await ws.recv() for _ in range(count)] == [str(n) for n in range(count)]
    ws.pause_reading()
    peer.send_texts("late")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ws.recv(), 0.1)
    ws.resume_reading()
    assert await ws.recv() == "late"


# ---- what is sent


@pytest.mark.parametrize(
    ("mask", "key"), [("zero", b"\0\0\0\0"), (lambda: b"keys", b"keys")]
)
async def test_mask(wire: Wires, mask: Any, key: bytes):
    ws, peer = await wire(client=True, mask=mask)
    ws.send("Hello")
    await ws.ping(b"")
    while len(peer.octets) < 17:
        await peer.read()
    assert peer.octets[2:6] == key
    assert peer.octets[11:] == b"\x89\x80" + key
    peer.send_texts("back")
    assert await ws.recv() == "back"


async def test_mask_that_fails_ends_the_connection_in_good_order(
    wire: Wires, caplog: pytest.LogCaptureFixture
):
    ws, peer = await wire(client=True, mask=lambda: b"too long")
    with pytest.raises(ValueError, match="must return 4 octets, got 8"):
        ws.send("Hello")
    peer.send(peer.frame(PING, b"a pong needs a key"))
    [last] = await peer.rest()
    assert (last.opcode, last.payload[:2]) == (CLOSE, (1011).to_bytes(2, "big"))
    assert caplog.messages == ["connection handler failed"]


async def test_mask_is_an_argument_of_connect(pair: Pair):
    here, _ = await pair.both()
    used: list[bytes] = []

    def mask() -> bytes:
        used.append(b"abcd")
        return b"abcd"

    there = await pair.connect(here.server, mask=mask)
    await there.send("one")
    assert used
    with pytest.raises(ValueError, match="mask must be random or zero"):
        connect("ws://localhost/", mask="none")


async def test_fragments_by_hand(wire: Wires):
    ws, peer = await wire()
    ws.send("a", fin=False)
    await ws.ping(b"between")
    await ws.send("b", fin=False)
    await ws.send("c")
    await ws.send(b"d", fin=False)
    await ws.send(b"", fin=True)
    found = [(f.opcode, f.payload, f.fin) for f in await peer.frames(6)]
    assert found == [
        (TEXT, b"a", False),
        (PING, b"between", True),
        (0, b"b", False),
        (0, b"c", True),
        (BINARY, b"d", False),
        (0, b"", True),
    ]


async def test_others_wait_for_fragments_by_hand(wire: Wires):
    ws, peer = await wire()
    await ws.send("a", fin=False)
    iterated = asyncio.ensure_future(ws.send(["x", "y"]))
    await asyncio.sleep(0)
    wsfast_broadcast(ws, "broadcast")
    assert ws.send_nowait("not now") is False
    with pytest.raises(TypeError, match="uniform types"):
        ws.send(b"b")
    with pytest.raises(TypeError, match="str or bytes"):
        ws.send(["b"], fin=False)
    await ws.send("b")
    await iterated
    texts = [f.payload for f in await peer.frames(6)]
    assert texts == [b"a", b"b", b"broadcast", b"x", b"y", b""]
    assert ws.send_nowait("now") is True
    assert await peer.messages(1) == ["now"]


def wsfast_broadcast(ws: Any, message: str) -> None:
    from wsfast import broadcast

    broadcast([ws], message)


async def test_no_fragment_by_hand_within_an_iteration(wire: Wires):
    ws, peer = await wire()
    go = asyncio.Event()

    async def parts():
        yield "x"
        await go.wait()

    iterated = asyncio.ensure_future(ws.send(parts()))
    await peer.frames(1)
    with pytest.raises(ConcurrencyError, match="another fragmented message"):
        ws.send("a", fin=False)
    go.set()
    await iterated
    await ws.send("a", fin=False)


async def test_the_end_within_fragments_by_hand(wire: Wires):
    ws, peer = await wire()
    await ws.send("a", fin=False)
    behind = asyncio.ensure_future(ws.send(["b"]))
    await asyncio.sleep(0)
    peer.reset()
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(behind, 10)
    with pytest.raises(ConnectionClosed):
        ws.send("more")
    with pytest.raises(ConnectionClosed):
        ws.send("more", fin=False)
    ws, peer = await wire()
    await ws.send("a", fin=False)
    ws.close()
    frames = await peer.rest()
    assert frames[-1].payload[:2] == (1011).to_bytes(2, "big")


async def test_send_nowait(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=1000, max_send_buffer=None)
    sent = 0
    while ws.send_nowait("x" * 100):
        sent += 1
        assert sent < 10_000
    assert ws.buffered_amount > 1000
    assert ws.send_nowait("x" * 100) is False
    assert await peer.messages(sent) == ["x" * 100] * sent
    await until(lambda: ws.send_nowait("there is room again"))
    with pytest.raises(TypeError, match="str or bytes"):
        ws.send_nowait(["x"])
    ws.abort()
    with pytest.raises(ConnectionClosed):
        ws.send_nowait("too late")


# ---- facts


async def test_state_and_pause(wire: Wires):
    ws, _ = await wire(max_queue=1)
    assert (ws.state.name, ws.ready_state) == ("OPEN", 1)
    assert ws.paused is False
    ws.pause_reading()
    assert ws.paused is True
    ws.resume_reading()
    assert ws.paused is False
    ws.close()
    assert (ws.state.name, ws.ready_state) == ("CLOSING", 2)
    ws.abort()
    await ws.wait_closed()
    assert (ws.state.name, ws.ready_state) == ("CLOSED", 3)
