"""One message to many connections."""

from __future__ import annotations

import asyncio
import sys
import zlib

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import RawPeer, request
from wsfast import DeflateOptions, Listener, Prepared, broadcast


class Quiet(Listener):
    pass


async def everybody(server, count: int) -> None:
    for _ in range(500):
        if len(server.connections) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(len(server.connections))


@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize(
    ("message", "text", "received"),
    [
        ("x" * 1000, None, "x" * 1000),
        (b"y" * 1000, None, b"y" * 1000),
        ("x" * 1000, False, b"x" * 1000),
        (bytearray(b"y" * 1000), True, "y" * 1000),
        ("", None, ""),
    ],
)
async def test_everybody_gets_it(pair: Pair, compression, message, text, received):
    server = await pair.serve(Quiet, compression=compression)
    clients = [await pair.connect(server) for _ in range(10)]
    await everybody(server, 10)
    broadcast(server.connections, message, text=text)
    for ws in clients:
        assert await asyncio.wait_for(ws.recv(), 5) == received


async def test_from_a_client(pair: Pair):
    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    server = await pair.serve(echo)
    clients = [await pair.connect(server) for _ in range(3)]
    broadcast(clients, "hello " * 100)
    assert [await ws.recv() for ws in clients] == ["hello " * 100] * 3


class Counting:
    """A backend of compression that counts what it compresses."""

    error = zlib.error

    def __init__(self):
        self.calls = 0

    def compressobj(self, *args):
        inner = zlib.compressobj(*args)
        counting = self

        class Compressor:
            def compress(self, data):
                counting.calls += 1
                return inner.compress(data)

            def flush(self, mode):
                return inner.flush(mode)

        return Compressor()

    def decompressobj(self, *args):
        return zlib.decompressobj(*args)


@pytest.mark.parametrize("no_takeover", [False, True])
async def test_compressed_once_for_all(pair: Pair, no_takeover: bool):
    backend = Counting()
    options = DeflateOptions(backend=backend, server_no_context_takeover=no_takeover)
    server = await pair.serve(Quiet, compression=options)
    clients = [await pair.connect(server) for _ in range(10)]
    await everybody(server, 10)
    # What each connection has sent before must not matter, nor what it sends after.
    for number, connection in enumerate(server.connections):
        connection.send(f"own {number} " * 200)
    backend.calls = 0
    for n in range(5):
        broadcast(server.connections, f"message {n} to all " * 200)
    assert backend.calls == 5
    for connection in server.connections:
        connection.send("message 4 to all " * 200)
    for ws in clients:
        assert (await ws.recv()).startswith("own ")
        for n in range(5):
            assert await ws.recv() == f"message {n} to all " * 200
        assert await ws.recv() == "message 4 to all " * 200


async def test_different_agreements_at_once(pair: Pair):
    server = await pair.serve(Quiet)
    clients = [
        await pair.connect(server, compression=compression)
        for compression in (
            None,
            "deflate",
            DeflateOptions(server_max_window_bits=9),
            DeflateOptions(server_no_context_takeover=True),
            DeflateOptions(server_max_window_bits=8),
        )
    ]
    await everybody(server, 5)
    prepared = Prepared("a message that is compressed " * 300)
    for _ in range(3):
        broadcast(server.connections, prepared)
    for ws in clients:
        for _ in range(3):
            assert await ws.recv() == "a message that is compressed " * 300


async def test_small_messages_are_not_compressed(pair: Pair):
    backend = Counting()
    server = await pair.serve(
        Quiet, compression=DeflateOptions(backend=backend, threshold=100)
    )
    ws = await pair.connect(server)
    await everybody(server, 1)
    broadcast(server.connections, "x" * 99)
    assert backend.calls == 0
    broadcast(server.connections, "x" * 100)
    assert backend.calls == 1
    broadcast(server.connections, Prepared("x" * 100, compress=False))
    assert backend.calls == 1
    broadcast(server.connections, Prepared("x" * 99, compress=True))
    assert backend.calls == 2
    assert [len(await ws.recv()) for _ in range(4)] == [99, 100, 100, 99]


async def test_closing_connections_are_skipped(pair: Pair, caplog):
    server = await pair.serve(Quiet)
    clients = [await pair.connect(server) for _ in range(3)]
    await everybody(server, 3)
    everyone = list(server._connections)
    everyone[0].close()
    caplog.clear()
    broadcast(everyone, "hello")
    assert not caplog.records
    got = await asyncio.gather(*(ws.recv() for ws in clients), return_exceptions=True)
    assert sorted(type(item).__name__ for item in got) == [
        "ConnectionClosedOK",
        "str",
        "str",
    ]


async def test_it_follows_a_fragmented_message(pair: Pair):
    go = asyncio.Event()
    here, there = await pair.both()

    async def pieces():
        yield "one "
        await go.wait()
        yield "two"

    sending = asyncio.ensure_future(here.send(pieces()))
    await asyncio.sleep(0.01)
    broadcast([here], "three")
    go.set()
    await sending
    assert [await there.recv(), await there.recv()] == ["one two", "three"]


async def test_slow_consumer_does_not_hold_up_others(pair: Pair):
    """C-6, L-6: it fails with 1008, or misses messages; the others get everything."""
    server = await pair.serve(Quiet, max_send_buffer=100_000, compression=None)
    quick = await pair.connect(server, max_size=None, max_queue=None)
    async with await RawPeer.to(server) as slow:
        slow.writer.transport.pause_reading()
        slow.send(request())
        await everybody(server, 2)
        for count in range(300):  # noqa: B007 - how many it took
            broadcast(server.connections, bytes(50_000))
            assert len(await asyncio.wait_for(quick.recv(), 5)) == 50_000
            if len(server.connections) == 1:
                break
        assert 0 < count < 299
        slow.writer.transport.abort()


async def test_slow_consumer_misses_messages(pair: Pair):
    server = await pair.serve(Quiet, max_send_buffer=None, compression=None)
    async with await RawPeer.to(server) as slow:
        slow.writer.transport.pause_reading()
        slow.send(request())
        await everybody(server, 1)
        (connection,) = server.connections
        for _ in range(500):
            broadcast(server.connections, bytes(50_000), max_buffered=200_000)
            await asyncio.sleep(0)
        assert 200_000 < connection.buffered_amount <= 250_010
        slow.writer.transport.abort()


async def test_what_fails_is_logged_or_raised(pair: Pair, caplog):
    class Broken:
        client = sending_fragments = False
        ready_state = 1
        deflate = None
        logger = __import__("logging").getLogger("test")

        def send_octets(self, frame):
            raise ZeroDivisionError

    server = await pair.serve(Quiet)
    ws = await pair.connect(server)
    await everybody(server, 1)
    broadcast([Broken(), *server.connections], "hello")
    assert await ws.recv() == "hello"
    assert "failed to write message" in caplog.text
    if sys.version_info < (3, 11):
        with pytest.raises(ValueError, match=r"3\.11"):
            broadcast([], "hello", raise_exceptions=True)
    else:
        with pytest.raises(ExceptionGroup, match="skipped"):  # noqa: F821
            broadcast([Broken(), *server.connections], "hello", raise_exceptions=True)
        assert await ws.recv() == "hello"


def test_what_is_no_message():
    for message in (None, 1, ["a"], {"a": 1}):
        with pytest.raises(TypeError):
            broadcast([], message)
