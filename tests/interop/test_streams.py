"""Streams of octets between `Connection.as_stream` and npm's createWebSocketStream."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interop.peers import HERE, Program, Ws
from wsfast import ServerConnection, connect, serve

pytestmark = pytest.mark.needs("node")

CHUNK = 65536
CHUNKS = [bytes([n & 255]) * CHUNK for n in range(384)]
TOTAL = CHUNK * len(CHUNKS)
SHA256 = hashlib.sha256(b"".join(CHUNKS)).hexdigest()
WAIT_S = 60


class Streams(Ws):
    """``ws`` from npm, with its connections as streams."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__(stack)
        self.command = (self.command[0], str(HERE / "ws_stream_peer.js"))


@pytest.fixture(scope="module")
def node() -> Iterator[Streams]:
    """Return the peer."""
    with ExitStack() as stack:
        yield Streams(stack)


@pytest.fixture(params=[True, False], ids=["reactor", "transport"])
def reactor(request: pytest.FixtureRequest) -> bool:
    """Tell whether to use the reactor."""
    return bool(request.param)


def produced(program: Program) -> int:
    """Return how many octets the peer has made so far."""
    with program.changed:
        return sum('"produced"' in line for line in program.lines) * CHUNK


@pytest.fixture
def server(node: Streams) -> Iterator[tuple[Program, str]]:
    """Return a server of the peer's, and its address."""
    program = node.start("server")
    try:
        port = program.event(event="listening")["port"]
        yield program, f"ws://127.0.0.1:{port}"
    finally:
        program.stop()


def test_echo(server: tuple[Program, str], reactor: bool):
    program, address = server

    async def main() -> None:
        async with connect(f"{address}/echo", reactor=reactor) as ws:
            reader, writer = ws.as_stream()

            async def write() -> None:
                for chunk in CHUNKS:
                    writer.write(chunk)
                    await writer.drain()

            task = asyncio.ensure_future(write())
            data = await reader.readexactly(TOTAL)
            assert hashlib.sha256(data).hexdigest() == SHA256
            await task
            writer.write_eof()
            assert await reader.read() == b""
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(main(), WAIT_S))
    assert program.event(event="end", path="/echo")["code"] == 1000


def test_peer_is_held_up_by_a_reader_that_does_not_read(
    server: tuple[Program, str], reactor: bool
):
    program, address = server

    async def main() -> None:
        async with connect(f"{address}/flood", reactor=reactor) as ws:
            reader, _ = ws.as_stream()
            first = await reader.readexactly(1)
            last = -1
            while last != produced(program):  # until the peer goes no further
                last = produced(program)
                await asyncio.sleep(0.5)
            assert last < TOTAL
            data = first + await reader.read()  # up to the peer's end()
            assert len(data) == TOTAL
            assert hashlib.sha256(data).hexdigest() == SHA256
            assert reader.at_eof()

    asyncio.run(asyncio.wait_for(main(), WAIT_S))


def test_writer_is_held_up_by_a_peer_that_does_not_read(
    server: tuple[Program, str], reactor: bool
):
    program, address = server

    async def main() -> None:
        async with connect(f"{address}/late", reactor=reactor) as ws:
            _, writer = ws.as_stream()
            most = 0
            for chunk in CHUNKS:
                writer.write(chunk)
                most = max(most, ws.buffered_amount)
                await writer.drain()
                assert ws.buffered_amount <= 2 * CHUNK
            assert most > CHUNK  # there was something to wait for
            writer.write_eof()
            await writer.wait_closed()

    start = time.monotonic()
    asyncio.run(asyncio.wait_for(main(), WAIT_S))
    assert time.monotonic() - start > 0.5
    assert program.event(event="received", total=TOTAL)["sha256"] == SHA256
    assert program.event(event="eof")["total"] == TOTAL


def test_client_of_ours(node: Streams, reactor: bool):
    ends: list[int | None] = []

    async def handler(ws: ServerConnection) -> None:
        reader, writer = ws.as_stream()
        while data := await reader.read(100_000):
            writer.write(data)
            await writer.drain()
        await ws.wait_closed()
        ends.append(ws.close_code)

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, reactor=reactor) as server:
            port = server.sockets[0].getsockname()[1]
            program = node.start("client", uri=f"ws://127.0.0.1:{port}/")
            try:
                wait = asyncio.to_thread
                found = await wait(program.event, WAIT_S, event="received", total=TOTAL)
                assert found["sha256"] == SHA256
                await wait(program.event, WAIT_S, event="end")
            finally:
                await wait(program.stop)

    asyncio.run(main())
    assert ends == [1005]  # what createWebSocketStream closes with: no code
