"""What both ends of a connection can do: receive, send, ping, close."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import RawPeer, request
from wsfast import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
    SlowConsumer,
    State,
)

MASKED = bytes.fromhex("37fa213d")


# Receiving


async def test_recv_decode(pair: Pair):
    here, there = await pair.both()
    for message in ("é", "é", "é", b"\xc3\xa9", b"\xc3\xa9", b"\xc3\xa9"):
        await there.send(message)
    assert await here.recv() == "é"
    assert await here.recv(decode=True) == "é"
    assert await here.recv(decode=False) == b"\xc3\xa9"
    assert await here.recv() == b"\xc3\xa9"
    assert await here.recv(decode=True) == "é"
    assert await here.recv(decode=False) == b"\xc3\xa9"


async def test_text_as_bytes(pair: Pair):
    here, there = await pair.both(text="bytes")
    await there.send("é")
    assert await here.recv() == b"\xc3\xa9"


async def test_applications_may_note_what_they_want(pair: Pair):
    here, there = await pair.both()
    here.user, there.user = "Ada", "Bob"  # type: ignore[attr-defined]
    assert vars(here)["user"] == "Ada"
    assert vars(there)["user"] == "Bob"
    del here.user  # type: ignore[attr-defined]
    assert not hasattr(here, "user")


async def test_recv_twice_at_once(pair: Pair):
    here, there = await pair.both()
    first = asyncio.ensure_future(here.recv())
    await asyncio.sleep(0)
    with pytest.raises(ConcurrencyError, match="recv"):
        await here.recv()
    await there.send("for the first")
    assert await first == "for the first"
    await there.send("for another")
    assert await here.recv() == "for another"


async def test_what_arrived_can_be_received_after_the_end(pair: Pair):
    here, there = await pair.both()
    for n in range(5):
        await there.send(str(n))
    await there.close()
    await here.wait_closed()
    assert [message async for message in here] == ["0", "1", "2", "3", "4"]
    with pytest.raises(ConnectionClosedOK):
        await here.recv()


async def test_cancelled_recv_loses_nothing(pair: Pair):
    here, there = await pair.both()
    for n in range(50):
        waiting = asyncio.ensure_future(here.recv())
        for _ in range(n % 5):
            await asyncio.sleep(0)
        await there.send(str(n))
        for _ in range(n % 7):
            await asyncio.sleep(0)
        waiting.cancel()
        try:
            got = await waiting
        except asyncio.CancelledError:
            got = await here.recv()
        assert got == str(n)


async def test_recv_many(pair: Pair):
    here, there = await pair.both(max_queue=None)
    there.send_many([str(n) for n in range(10)])
    got = []
    while len(got) < 10:
        some = await here.recv_many(4)
        assert 1 <= len(some) <= 4
        got += some
    assert got == [str(n) for n in range(10)]


async def test_recv_streaming(pair: Pair):
    here, there = await pair.both()
    go = asyncio.Event()

    async def pieces():
        yield "one, "
        await go.wait()
        yield "two, "
        yield "three"

    sending = asyncio.ensure_future(there.send(pieces()))
    got = []
    async for piece in here.recv_streaming():
        got.append(piece)
        go.set()  # the first piece is here before the second was sent
    await sending
    assert "".join(got) == "one, two, three"
    assert len(got) >= 3
    await there.send("whole")
    assert [piece async for piece in here.recv_streaming()] == ["whole"]
    await there.send(b"\xc3\xa9")
    assert [piece async for piece in here.recv_streaming(decode=True)] == ["é"]
    await there.send("next")
    assert await here.recv() == "next"


async def test_recv_streaming_of_a_character_in_two_pieces(pair: Pair):
    server_end = asyncio.get_running_loop().create_future()

    async def handler(ws):
        server_end.set_result([piece async for piece in ws.recv_streaming()])

    server = await pair.serve(handler)
    async with await RawPeer.to(server) as peer:
        # masked with zeros: "a" + first octet of "é", then its second octet
        peer.send(request() + b"\x01\x82\0\0\0\0a\xc3")
        await peer.head()
        await asyncio.sleep(0.02)
        peer.send(b"\x80\x81\0\0\0\0\xa9")
        assert "".join(await asyncio.wait_for(server_end, 5)) == "aé"


async def test_queue_is_bounded_and_the_peer_held_up(pair: Pair):
    """F-13: at 16 messages, or at a number of octets, reading stops."""
    here, there = await pair.both(compression=None, max_send_buffer=None)
    sent = 0

    async def send():
        nonlocal sent
        while True:
            await there.send(bytes(50_000))
            sent += 1

    sending = asyncio.ensure_future(send())
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.2)
    assert sent < 1000
    assert here.queue_length() <= 24
    for _ in range(before):
        assert len(await here.recv()) == 50_000
    sending.cancel()
    there.abort()  # its close frame would be behind what nobody reads


async def test_pause_and_resume_reading(pair: Pair):
    here, there = await pair.both()
    here.pause_reading()
    await there.send("later")
    receiving = asyncio.ensure_future(here.recv())
    done, _ = await asyncio.wait([receiving], timeout=0.1)
    assert not done
    here.resume_reading()
    assert await asyncio.wait_for(receiving, 5) == "later"


# Sending


async def test_send_kinds(pair: Pair):
    here, there = await pair.both()
    for message, text, expected in [
        ("é", None, "é"),
        ("é", False, b"\xc3\xa9"),
        (b"\xc3\xa9", True, "é"),
        (bytearray(b"xy"), None, b"xy"),
        (memoryview(b"xyz")[1:], None, b"yz"),
    ]:
        await here.send(message, text)
        assert await there.recv() == expected


async def test_send_without_await(pair: Pair):
    here, there = await pair.both()
    for n in range(10):
        here.send(str(n))
    assert [await there.recv() for _ in range(10)] == [str(n) for n in range(10)]


async def test_send_fragments(pair: Pair):
    here, there = await pair.both()

    async def later(items):
        for item in items:
            await asyncio.sleep(0)
            yield item

    for message, expected in [
        (["a", "b", "c"], "abc"),
        ([b"a", bytearray(b"b")], b"ab"),
        (later(["d", "", "e"]), "de"),
        (iter(["x"]), "x"),
    ]:
        await here.send(message)
        assert await there.recv() == expected
    await here.send([])
    await here.send("nothing was sent for the empty one")
    assert (await there.recv()).startswith("nothing")


async def test_what_cannot_be_sent(pair: Pair):
    here, _there = await pair.both()
    for message in (None, 1, {"a": 1}, object()):
        with pytest.raises(TypeError):
            await here.send(message)
    assert here.state is State.OPEN


async def test_mixed_fragments_end_the_connection(pair: Pair):
    here, there = await pair.both()
    with pytest.raises(TypeError, match="uniform"):
        await here.send(["text", b"binary"])
    with pytest.raises(ConnectionClosedError) as caught:
        await there.recv()
    assert caught.value.code == 1011


async def test_messages_do_not_mix_with_fragments(pair: Pair):
    here, there = await pair.both()

    async def slow():
        for n in range(5):
            yield f"{n} "
            await asyncio.sleep(0.005)

    sending = [asyncio.ensure_future(here.send(slow())) for _ in range(3)]
    await asyncio.sleep(0)
    sending += [asyncio.ensure_future(here.send(f"whole {n}")) for n in range(5)]
    got = [await there.recv() for _ in range(8)]
    await asyncio.gather(*sending)
    assert sorted(got) == ["0 1 2 3 4 "] * 3 + [f"whole {n}" for n in range(5)]


async def test_send_waits_for_a_peer_that_does_not_read(pair: Pair):
    """C-6."""

    async def handler(ws):
        nonlocal sent
        while True:
            await ws.send(bytes(20_000))
            sent += 1

    sent = 0
    server = await pair.serve(handler, compression=None, max_send_buffer=None)
    async with await RawPeer.to(server) as peer:
        peer.writer.transport.pause_reading()
        peer.send(request())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.2)
        (connection,) = server.connections
        assert connection.buffered_amount < 200_000
        peer.writer.transport.resume_reading()
        await asyncio.wait_for(peer.reader.readexactly(before * 20_004), 10)
        await asyncio.sleep(0.05)
        assert sent > before
        peer.writer.transport.abort()


async def test_slow_consumer(pair: Pair):
    """C-6: whoever does not wait meets the hard limit."""
    failures = asyncio.Queue()

    async def handler(ws):
        try:
            while True:
                ws.send(bytes(20_000))
                await asyncio.sleep(0)
        except ConnectionClosed as exc:
            failures.put_nowait(exc)

    server = await pair.serve(handler, compression=None, close_timeout=0.2)
    async with await RawPeer.to(server) as peer:
        peer.writer.transport.pause_reading()
        peer.send(request())
        failure = await asyncio.wait_for(failures.get(), 20)
        assert isinstance(failure, SlowConsumer)
        assert failure.sent.code == 1008
        peer.writer.transport.abort()


async def test_buffered_amount(pair: Pair):
    here, there = await pair.both(compression=None)
    assert here.buffered_amount == 0
    here.send("x" * 100)
    assert here.buffered_amount in (102, 106)  # a client's is masked
    await there.recv()
    assert here.buffered_amount == 0


# Pings


async def test_ping(pair: Pair):
    here, there = await pair.both(ping_interval=None)
    assert here.latency == 0
    round_trip = await (await here.ping())
    assert 0 < round_trip < 5
    assert here.latency == round_trip
    first = await here.ping("a")
    with pytest.raises(ConcurrencyError):
        await here.ping("a")
    second = await here.ping(b"b")
    await second
    assert first.done()
    await there.pong("unasked")
    pong = await there.ping()
    await pong


async def test_pings_end_with_the_connection(pair: Pair):
    here, there = await pair.both()
    there.pause_reading()
    pong = await here.ping()
    here.abort()
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(pong, 5)
    with pytest.raises(ConnectionClosed):
        here.ping()
    there.resume_reading()


async def test_keepalive_finds_a_dead_peer(pair: Pair):
    """C-4."""
    ended = asyncio.Queue()

    async def handler(ws):
        try:
            await ws.recv()
        except ConnectionClosedError as exc:
            ended.put_nowait(exc)

    server = await pair.serve(
        handler, ping_interval=0.1, ping_timeout=0.2, close_timeout=0.1
    )
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        exc = await asyncio.wait_for(ended.get(), 5)
        assert exc.code == 1006
        assert exc.sent.code == 1011
        assert exc.sent.reason == "keepalive ping timeout"


async def test_keepalive_measures(pair: Pair):
    here, there = await pair.both(ping_interval=0.05)
    await asyncio.sleep(0.4)
    assert here.latency > 0
    assert there.latency > 0
    assert here.state is there.state is State.OPEN


# The end


@pytest.mark.parametrize("who", ["server", "client"])
async def test_close(pair: Pair, who: str):
    ends = await pair.both()
    here, there = ends if who == "server" else ends[::-1]
    started = time.monotonic()
    await here.close(4000, "Grüße")
    assert time.monotonic() - started < 8  # close_timeout is 10
    assert here.state is State.CLOSED
    await there.wait_closed()
    for ws in (here, there):
        assert (ws.close_code, ws.close_reason) == (4000, "Grüße")
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd.code == caught.value.sent.code == 4000
        with pytest.raises(ConnectionClosed):
            await ws.send("too late")
        await ws.close()
    assert here.close_code == 4000


async def test_close_at_once_from_both_ends(pair: Pair):
    here, there = await pair.both()
    await asyncio.gather(here.close(), there.close())
    assert here.close_code == there.close_code == 1000


async def test_close_from_many_tasks(pair: Pair):
    here, there = await pair.both()
    await asyncio.gather(*(here.close() for _ in range(5)), there.wait_closed())


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
async def test_codes_that_are_never_sent(pair: Pair, code: int):
    """C-1."""
    here, _there = await pair.both()
    with pytest.raises(ProtocolError):
        here.close(code)
    assert here.state is State.OPEN


async def test_close_without_a_code(pair: Pair):
    """1005 is not sent either: the frame has no code then."""
    server = await pair.serve(lambda ws: ws.close(1005))
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        assert await peer.reader.readexactly(2) == b"\x88\x00"
        peer.writer.transport.abort()


async def test_cancelled_close_goes_on(pair: Pair):
    here, there = await pair.both()
    closing = asyncio.ensure_future(here.close())
    await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing
    await asyncio.wait_for(here.wait_closed(), 5)
    await asyncio.wait_for(there.wait_closed(), 5)
    assert there.close_code == 1000


async def test_peer_that_never_answers_close(pair: Pair):
    """C-3."""

    async def handler(ws):
        await ws.close()
        assert ws.close_code == 1006

    server = await pair.serve(handler, close_timeout=0.3)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        started = time.monotonic()
        assert await peer.rest() == b"\x88\x02\x03\xe8"
        assert 0.2 < time.monotonic() - started < 8


async def test_peer_that_never_ends_tcp(pair: Pair):
    """C-3: the server ends it first, and does not wait for long."""
    server = await pair.serve(lambda ws: asyncio.sleep(0))
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await peer.head()
        peer.send(b"\x88\x82\0\0\0\0\x03\xe8")
        assert (await peer.rest())[:2] == b"\x88\x02"
        for _ in range(300):
            if not server._connections:
                break
            await asyncio.sleep(0.01)
        assert not server._connections


async def test_data_after_close_is_dropped(pair: Pair):
    """C-2."""
    got = []

    async def handler(ws):
        with contextlib.suppress(ConnectionClosed):
            while True:
                got.append(await ws.recv())

    server = await pair.serve(handler)
    async with await RawPeer.to(server) as peer:
        hello = b"\x81\x82\0\0\0\0hi"
        peer.send(request() + hello + b"\x88\x82\0\0\0\0\x03\xe8" + hello)
        await peer.head()
        await peer.rest()
    assert got == ["hi"]


async def test_what_came_before_an_error_is_delivered(pair: Pair):
    """And its replies are written before the close frame."""

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    server = await pair.serve(echo, compression=None)
    async with await RawPeer.to(server) as peer:
        hello = b"\x81\x82\0\0\0\0hi"
        peer.send(request() + hello + b"\x89\x80\0\0\0\0" + hello + b"\xff" * 14)
        await peer.head()
        octets = await peer.rest()
    frames, closing = octets[:10], octets[10:]
    assert sorted([frames[:4], frames[-4:]]) == [b"\x81\x02hi"] * 2 or (
        frames.count(b"\x81\x02hi") == 2
    )
    assert b"\x8a\x00" in frames
    assert closing[:1] == b"\x88"
    assert closing[2:4] == b"\x03\xea"  # 1002


async def test_connection_as_a_context(pair: Pair):
    here, there = await pair.both()
    async with here:
        pass
    assert here.close_code == 1000
    here, there = await pair.both()
    with pytest.raises(ZeroDivisionError):
        async with here:
            raise ZeroDivisionError
    await there.wait_closed()
    assert there.close_code == 1011


async def test_attributes_can_be_added(pair: Pair):
    here, there = await pair.both()
    here.user = there.user = "me"
    assert {here: 1, there: 2}[here] == 1
