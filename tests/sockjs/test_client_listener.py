"""The client with a listener: called for what happens, over each transport."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.sockjs.running import DEADLINE_S
from wsfast import Listener
from wsfast.sockjs import SockJS, connect

TRANSPORTS = [
    "websocket",
    "websocket-raw",
    "xhr-streaming",
    "eventsource",
    "xhr-polling",
]


class Log(Listener):
    """What was called."""

    def __init__(self):
        self.calls = []
        self.over = asyncio.Event()
        self.drained = asyncio.Event()

    def on_open(self, ws):
        self.calls.append("open")
        ws.send("first")

    def on_message(self, ws, message):
        if message == "fail":
            raise ValueError(message)
        self.calls.append(message)
        if message == "last":
            ws.close(3001, "enough")

    def on_drain(self, ws):
        self.drained.set()

    def on_close(self, ws, code, reason):
        self.calls.append((code, reason))
        self.over.set()


@asynccontextmanager
async def server(handler):
    async with SockJS(handler).serve("127.0.0.1", 0) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


async def echo(session):
    async for message in session:
        await session.send(message)


async def over(log):
    await asyncio.wait_for(log.over.wait(), DEADLINE_S)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_listener(transport):
    log = Log()
    async with server(echo) as url:
        ws = await connect(url, transport, listener=log)
        with pytest.raises(RuntimeError, match="listener"):
            await ws.recv()
        ws.send_many(["a", "\u2028", "last"])
        await over(log)
        assert log.calls == ["open", "first", "a", "\u2028", "last", (3001, "enough")]
        await ws.wait_closed()


@pytest.mark.parametrize("transport", ["websocket", "xhr-streaming"])
async def test_listener_is_told_that_there_is_room(transport):
    made = []

    class Made(Log):
        def __init__(self):
            super().__init__()
            made.append(self)

    read = asyncio.Event()

    async def handler(session):
        await read.wait()
        async for _ in session:
            pass

    async with server(handler) as url:
        options = {"write_limit": 1000, "max_send_buffer": None, "compression": None}
        async with connect(url, transport, listener=Made, **options) as ws:
            (log,) = made
            for _ in range(1000):  # more than all buffers on the way hold
                ws.send("x" * 20_000)
            assert not ws.send_nowait("x")
            log.drained.clear()
            read.set()
            await asyncio.wait_for(log.drained.wait(), DEADLINE_S)


@pytest.mark.parametrize("transport", ["websocket", "xhr-streaming"])
async def test_listener_that_fails_ends_the_session(transport, caplog):
    log = Log()
    async with server(echo) as url:
        ws = await connect(url, transport, listener=log)
        ws.send("fail")
        ws.send("after that")
        await over(log)
        assert ws.close_code == 1011
        await ws.wait_closed()
    assert [r.message for r in caplog.records].count("listener failed") == 1
    assert log.calls[:2] == ["open", "first"]
    assert "after that" not in log.calls


async def test_listener_hears_of_the_servers_end():
    async def handler(session):
        await session.close(3333, "over")

    log = Log()
    async with server(handler) as url:
        ws = await connect(url, "xhr-polling", listener=log)
        await over(log)
        await ws.wait_closed()
    assert log.calls == ["open", (3333, "over")]


def test_listener_that_is_none():
    with pytest.raises(TypeError, match="not a Listener"):
        connect("http://127.0.0.1/", listener=print)
