"""Connections as streams of octets: `Connection.as_stream`."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.wire import BINARY, CLOSE, TEXT, Wires, until
from wsfast import Listener
from wsfast.exceptions import ConnectionClosedError

WAIT_S = 20


async def reader_of(wire: Wires, *parts: bytes | str, end: bool = True, **options: Any):
    """Return a reader of messages that a peer has sent."""
    ws, peer = await wire(**options)
    for part in parts:
        peer.send(peer.frame(TEXT if isinstance(part, str) else BINARY, part))
    if end:
        peer.send(peer.frame(CLOSE, (1000).to_bytes(2, "big")))
    return ws.as_stream(limit=100)[0]


async def test_read(wire: Wires):
    reader = await reader_of(wire, b"abc", b"", "dé", b"f")
    assert await reader.read(2) == b"ab"
    assert await reader.read(0) == b""
    assert await reader.read(100) == b"c"
    assert await reader.read(2) == b"d\xc3"
    assert not reader.at_eof()
    assert await reader.read() == b"\xa9f"
    assert reader.at_eof()
    assert await reader.read() == await reader.read(5) == b""


async def test_readexactly(wire: Wires):
    reader = await reader_of(wire, b"abc", b"de", b"fgh")
    assert await reader.readexactly(4) == b"abcd"
    assert await reader.readexactly(0) == b""
    with pytest.raises(asyncio.IncompleteReadError) as info:
        await reader.readexactly(5)
    assert (info.value.partial, info.value.expected) == (b"efgh", 5)
    with pytest.raises(ValueError, match="less than zero"):
        await reader.readexactly(-1)


async def test_readuntil_and_lines(wire: Wires):
    reader = await reader_of(wire, b"one\ntw", b"o\n\nthree\r", b"\nfour--five", b"!")
    assert await reader.readline() == b"one\n"
    assert [await reader.readline() for _ in range(2)] == [b"two\n", b"\n"]
    assert await reader.readuntil(b"\r\n") == b"three\r\n"
    assert await reader.readuntil(b"--") == b"four--"
    with pytest.raises(ValueError, match="at least one-byte"):
        await reader.readuntil(b"")
    with pytest.raises(asyncio.IncompleteReadError) as info:
        await reader.readuntil(b"--")
    assert info.value.partial == b"five!"
    reader = await reader_of(wire, "a\nb\nc")
    assert [line async for line in reader] == [b"a\n", b"b\n", b"c"]


async def test_limit_of_a_line(wire: Wires):
    reader = await reader_of(wire, b"x" * 100 + b"\n", b"y" * 101, b"\n", b"z\n")
    assert await reader.readline() == b"x" * 100 + b"\n"
    for _ in range(2):
        with pytest.raises(asyncio.LimitOverrunError):
            await reader.readuntil()
    with pytest.raises(ValueError, match=r"longer than limit|exceed the limit"):
        await reader.readline()
    rest = await reader.read()
    assert rest.endswith(b"z\n")
    assert len(rest) <= 3
    ws, _ = await wire()
    with pytest.raises(ValueError, match="limit must be > 0"):
        ws.as_stream(limit=0)


async def test_what_was_cut_short_is_not_the_whole(wire: Wires):
    ws, peer = await wire()
    reader, writer = ws.as_stream()
    peer.send(peer.frame(BINARY, b"some"))
    peer.close()
    assert await reader.read(4) == b"some"
    for _ in range(2):
        with pytest.raises(ConnectionClosedError):
            await reader.read()
    with pytest.raises(ConnectionClosedError):
        writer.write(b"x")
    with pytest.raises(ConnectionClosedError):
        await writer.drain()
    with pytest.raises(ConnectionClosedError):
        await writer.wait_closed()


async def test_cancelled_reads_lose_nothing(wire: Wires):
    ws, peer = await wire()
    reader, _ = ws.as_stream()
    peer.send(peer.frame(BINARY, b"ab"))
    for read in (reader.readexactly(3), reader.readline(), reader.read()):
        task = asyncio.ensure_future(read)
        await asyncio.wait([task], timeout=0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    peer.send(peer.frame(BINARY, b"c"))
    assert await reader.readexactly(3) == b"abc"


async def test_write(wire: Wires):
    ws, peer = await wire()
    _, writer = ws.as_stream()
    writer.write(b"one")
    writer.write(b"")
    writer.writelines([b"two ", bytearray(b"and "), memoryview(b"three")])
    ws.as_stream(text=True)[1].write("é".encode())
    await writer.drain()
    found = [(f.opcode, f.payload) for f in await peer.frames(3)]
    assert found == [(BINARY, b"one"), (BINARY, b"two and three"), (TEXT, b"\xc3\xa9")]
    assert writer.get_extra_info("socket") is not None
    assert writer.get_extra_info("nothing", 5) == 5
    assert writer.transport is ws.transport


async def test_drain_waits_for_the_peer(wire: Wires):
    ws, peer = await wire(thin=True, write_limit=10_000, max_send_buffer=None)
    _, writer = ws.as_stream()
    writes = 0
    while ws.buffered_amount <= 200_000:  # more than the system takes
        writer.write(b"x" * 1000)
        writes += 1
    drain = asyncio.ensure_future(writer.drain())
    await asyncio.sleep(0.05)
    assert not drain.done()
    assert sum(len(f.payload) for f in await peer.frames(writes)) == writes * 1000
    await asyncio.wait_for(drain, WAIT_S)


async def test_reading_holds_the_peer_up(pair: Pair):
    here, there = await pair.both(max_queue=4, max_queue_size=50_000, compression=None)
    reader, _ = here.as_stream()
    _, writer = there.as_stream()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        for _ in range(2000):
            writer.write(b"x" * 10_000)
            sent += 1
            await writer.drain()
        writer.write_eof()

    task = asyncio.ensure_future(flood())
    last = -1
    while last != sent:  # until it goes no further
        last = sent
        await asyncio.sleep(0.2)
    assert not task.done()
    assert here.queue_length() <= 5
    assert len(await asyncio.wait_for(reader.read(), WAIT_S)) == 20_000_000
    await task
    await writer.wait_closed()


async def test_eof_both_ways(pair: Pair):
    here, there = await pair.both()
    reader, writer = here.as_stream()
    other_reader, other_writer = there.as_stream()
    assert writer.can_write_eof()
    writer.write(b"last words")
    writer.write_eof()
    assert writer.is_closing()
    await writer.drain()
    assert await other_reader.read() == b"last words"
    assert await reader.read() == b""
    await writer.wait_closed()
    await other_writer.wait_closed()
    assert (here.close_code, there.close_code) == (1000, 1000)
    writer.close()


async def test_random_writes_and_reads(pair: Pair):
    here, there = await pair.both()
    chance = random.Random(5)
    data = chance.randbytes(3_000_000)
    reader, _ = here.as_stream()
    _, writer = there.as_stream()

    async def write() -> None:
        start = 0
        while start < len(data):
            size = chance.choice((1, 100, 10_000, 200_000))
            writer.write(data[start : start + size])
            start += size
            await writer.drain()
        writer.close()

    task = asyncio.ensure_future(write())
    digest = hashlib.sha256()
    while piece := await reader.read(chance.choice((1000, 65536, 1 << 20))):
        digest.update(piece)
    await task
    assert digest.digest() == hashlib.sha256(data).digest()


async def test_a_listener_and_a_stream_do_not_go_together(wire: Wires):
    ws, _ = await wire(Listener())
    with pytest.raises(RuntimeError, match="listener"):
        ws.as_stream()
    await until(lambda: ws.ready_state == 1)
