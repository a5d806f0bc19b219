"""Event streams as members of topics: what is taken, when there is room, the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.eventsource.test_server import serving
from tests.eventsource.wire import RawClient, raw_client, soon
from wsfast import EventSource
from wsfast.hub import GONE, QUEUED, SLOW, Hub, Message


@contextlib.asynccontextmanager
async def met(**options: Any) -> AsyncIterator[tuple[EventSource, RawClient]]:
    """Give a stream and its client; the stream is closed at the end."""
    met: asyncio.Queue[EventSource] = asyncio.Queue()
    over = asyncio.Event()

    async def handler(source: EventSource) -> None:
        met.put_nowait(source)
        await over.wait()

    async with serving(handler, **options) as port, raw_client(port) as client:
        source = await soon(met.get())
        try:
            yield source, client
        finally:
            over.set()


async def test_a_member_is_told_and_leaves():
    topic = Hub().topic("x")
    async with met() as (source, client):
        topic.subscribe(source)
        assert topic.publish("hello") == 1
        text = await soon(client.reader.readuntil(b"data: hello\n\n"))
        assert text.endswith(b"data: hello\n\n")
        closed = asyncio.Event()
        source.when_closed(closed.set)
        drained = asyncio.Event()
        source.when_drained(drained.set)  # there is room: soon
        await soon(drained.wait())
        await source.close()
        await soon(closed.wait())
        assert source.offer(Message("late")) == GONE
        drained.clear()
        source.when_drained(drained.set)  # nobody waits for ever
        await soon(drained.wait())
    assert topic.publish("late") == 0


async def test_a_member_that_does_not_read():
    async with met(write_limit=10_000, ping=None) as (source, client):
        sent = 0
        while source.offer(Message("x" * 10_000), -1) == QUEUED:
            sent += 1
            await asyncio.sleep(0)
            assert sent < 10_000
        assert source.offer(Message("x")) == SLOW
        assert source.offer(Message("last"), 1 << 30) == QUEUED
        drained = asyncio.Event()
        source.when_drained(drained.set)
        assert not drained.is_set()
        await soon(client.reader.readuntil(b"\r\n\r\n"))  # the head
        reading = asyncio.ensure_future(read_on(client, b"data: last\n\n"))
        await soon(drained.wait())
        assert await soon(reading) == sent


async def read_on(client: RawClient, mark: bytes) -> int:
    """Read up to the mark; return how many long events there were."""
    octets = b""
    while not octets.endswith(mark):
        more = await client.reader.read(1 << 16)
        assert more
        octets += more
    return octets.count(b"x" * 10_000)


async def test_an_event_is_encoded_once():
    async with met() as (source, _):
        with pytest.raises(TypeError):
            source.offer(Message(object()))  # type: ignore[arg-type]
