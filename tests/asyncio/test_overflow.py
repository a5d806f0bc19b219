"""What becomes of a message for a peer that does not read, and busy polling."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import wsfast
from wsfast.exceptions import SlowConsumer
from wsfast.protocol.options import Options

from .conftest import Pair

CHUNK = b"x" * 65536
MANY = 200  # more octets than the system buffers for a peer that does not read


async def flooded(pair: Pair, **kwargs: Any) -> tuple[int, list[object], Any]:
    """Send many messages without waiting; return how many came, and what sends gave."""
    results: list[object] = []
    ends: list[Any] = []

    async def flood(ws: wsfast.ServerConnection) -> None:
        ends.append(ws)
        try:
            pending = [ws.send(CHUNK) for _ in range(MANY)]
        except SlowConsumer as exc:
            results.append(exc)
            raise
        results.extend([await each for each in pending])

    server = await pair.serve(flood, compression=None, **kwargs)
    client = await pair.connect(server, compression=None)
    await asyncio.sleep(0.05)
    received = 0
    try:
        async for message in client:
            assert message == CHUNK
            received += 1
    except wsfast.ConnectionClosed as exc:
        results.append(exc)
    return received, results, ends[0]


async def test_drop_tells_the_sender_and_loses_nothing_else(pair: Pair) -> None:
    received, results, end = await flooded(pair, overflow="drop")
    assert results.count(False) == end.dropped > 0
    assert received == MANY - end.dropped


async def test_wait_queues_everything(pair: Pair) -> None:
    received, results, end = await flooded(pair, overflow="wait")
    assert received == MANY
    assert results == [None] * MANY
    assert end.dropped == 0


async def test_close_fails_the_connection(pair: Pair) -> None:
    received, results, _ = await flooded(pair, overflow="close")
    assert received < MANY
    assert isinstance(results[0], SlowConsumer)
    assert isinstance(results[-1], wsfast.ConnectionClosedError)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="overflow must be close, drop or wait"):
        Options(overflow="ignore")


async def test_busy_polling_serves_others_too(pair: Pair) -> None:
    if not pair.reactor:
        return

    async def echo(ws: wsfast.ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    server = await pair.serve(echo, busy_poll=100e-6)
    client = await pair.connect(server, busy_poll=100e-6)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count())
    for i in range(3000):
        await client.send(str(i))
        assert await client.recv() == str(i)
    counting.cancel()
    assert turns > 0  # the loop had its turns
