"""One handler serves WebSockets and event streams, on whatever host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.eventsource.wire import soon
from wsfast import ConnectionClosed, EventSource, EventSourceClient, connect
from wsfast.attach import WebSocket, is_websocket
from wsfast.eventsource import read_request


class Handler:
    """Greets, echoes what there is, and says farewell to nobody."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.both = asyncio.Event()

    async def __call__(self, ws: Any) -> None:
        async with ws:
            await ws.send("hello")
            async for message in ws:
                await ws.send(message)
            with contextlib.suppress(ConnectionClosed):
                await ws.send("nobody is there")
                raise AssertionError("there was somebody")
            self.ended.append(type(ws).__name__)
            if len(self.ended) == 2:
                self.both.set()
            await ws.send("which is no failure")


@contextlib.asynccontextmanager
async def asgi(handler: Handler) -> AsyncIterator[int]:
    """Serve an ASGI application."""
    pytest.importorskip("uvicorn")
    from tests.eventsource.hosts import uvicorn_serving

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind: Any = WebSocket if is_websocket(scope) else EventSource
        await handler(kind(scope, receive, send))

    async with uvicorn_serving(app, "httptools") as port:
        yield port


@contextlib.asynccontextmanager
async def aiohttp(handler: Handler) -> AsyncIterator[int]:
    """Serve an application of aiohttp."""
    from tests.eventsource.hosts import aiohttp_serving

    async def serve(request: Any) -> Any:
        kind: Any = EventSource if EventSource.is_event_source(request) else WebSocket
        ws = kind.from_aiohttp(request)
        await handler(ws)
        return ws.response

    async with aiohttp_serving(serve) as port:
        yield port


@contextlib.asynccontextmanager
async def streams(handler: Handler) -> AsyncIterator[int]:
    """Serve with asyncio alone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, rest = await read_request(reader)
        if EventSource.is_event_source(request):
            await handler(await EventSource.from_asyncio(reader, writer, request))
        else:
            head = request.original_head() + rest
            await handler(WebSocket.from_asyncio(reader, writer, head))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()


@pytest.mark.parametrize("host", [asgi, aiohttp, streams])
async def test_one_handler_for_both(host):
    handler = Handler()
    async with host(handler) as port:
        async with EventSourceClient(
            f"http://127.0.0.1:{port}/events", proxy=None
        ) as source:
            assert (await soon(source.recv())).data == "hello"
        async with connect(f"ws://127.0.0.1:{port}/events", proxy=None) as ws:
            assert await soon(ws.recv()) == "hello"
            await ws.send("echo")
            assert await soon(ws.recv()) == "echo"
        await soon(handler.both.wait())
    assert sorted(handler.ended) == ["EventSource", "WebSocket"]
