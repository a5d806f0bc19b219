"""A loop and a reactor for each of several threads, which are switched all the time."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import wsfast
from wsfast import engine

THREADS = 4
MESSAGES = 100
LONG = 300_000  # octets; storage of that length is used again


@pytest.fixture(autouse=True)
def many_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def in_threads(work):
    """Run it in threads that start together, with a number each; return the results."""
    together = threading.Barrier(THREADS, timeout=30)

    def start(number):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))


async def echo(ws):
    async for message in ws:
        await ws.send(message)


def test_each_thread_has_a_server_and_clients():
    async def talk(number):
        async with wsfast.serve(echo, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            uri = f"ws://127.0.0.1:{port}"
            async with wsfast.connect(uri, max_size=None) as ws:
                for i in range(MESSAGES):
                    size = LONG if i % 10 == 0 else i
                    message = f"{number}.{i} " + "é" * (size // 2)
                    await ws.send(message)
                    assert await ws.recv() == message
                    await ws.send(message.encode())
                    assert await ws.recv() == message.encode()
        return True

    assert in_threads(lambda number: asyncio.run(talk(number))) == [True] * THREADS


def test_masking_keys_are_given_out_once():
    keys = in_threads(lambda _: [engine.masking_key() for _ in range(5000)])
    every = [key for some in keys for key in some]
    # 20,000 of 2**32 keys: 0.05 pairs are to be expected, a shared pool gives hundreds.
    assert len(every) - len(set(every)) < 10


def test_parsers_and_writers_of_threads():
    def work(number):
        writer = engine.FrameWriter(client=True)
        parser = engine.MessageParser(client=False, max_size=None)
        for i in range(MESSAGES):
            payload = bytes([number, i]) * (LONG // 2 if i % 10 == 0 else i)
            writer.message(engine.OP_BINARY, payload)
            octets = writer.take()
            parser.feed(octets[: len(octets) // 2])
            found = [] if parser.next() == engine.NEED_DATA else [parser.payload]
            parser.feed(octets[len(octets) // 2 :])
            while parser.next() != engine.NEED_DATA:
                found.append(parser.payload)
            assert found == [payload]
        return number

    assert in_threads(work) == list(range(THREADS))
