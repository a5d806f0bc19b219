"""Event streams, at the server and at the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.leaks.measure import Operations
from wsfast import EventSource, EventSourceClient
from wsfast.eventsource import History

operations = Operations("events")


@asynccontextmanager
async def a_stream_server() -> AsyncIterator[str]:
    history = History(count=10)
    for word in ("one", "two"):
        history.add(word)

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        source = await EventSource.from_asyncio(reader, writer, history=history)
        async with source:
            await source.send("three\nfour", event="news", id="4")
            source.ping()
            async for _ in source:
                pass

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@operations.within(asyncio=a_stream_server)
async def client(uri: str) -> None:
    async with EventSourceClient(uri, proxy=None) as source:
        assert (await source.recv()).data == "three\nfour"


@operations.within(asyncio=a_stream_server)
async def client_cancelled(uri: str) -> None:
    async with EventSourceClient(uri, proxy=None) as source:
        receiving = asyncio.ensure_future(source.recv())
        await asyncio.sleep(0)
        receiving.cancel()


@operations
def history() -> None:
    kept = History(count=2)
    last = [kept.add(word) for word in ("a", "b", "c")][-1]
    kept.since(last.id)
    kept.since("gone")
