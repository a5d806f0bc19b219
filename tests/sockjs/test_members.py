"""What a handler may do with its session, by every transport: topics, room, the end."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.sockjs.running import DEADLINE_S
from wsfast import ConnectionClosed
from wsfast.asyncio import Prepared as PreparedFrame
from wsfast.hub import GONE, QUEUED, SLOW, Hub, Message
from wsfast.sockjs import Prepared, SockJS, connect

TRANSPORTS = ["websocket", "xhr-streaming", "xhr-polling"]


class Met:
    """A session of a server, as its handler has it, and the client of it."""

    def __init__(self, transport):
        self.transport = transport
        self.sessions = asyncio.Queue()
        self.over = asyncio.Event()
        self.failure = None

    async def handler(self, session):
        self.sessions.put_nowait(session)
        await self.over.wait()
        if self.failure is not None:
            raise self.failure

    async def __aenter__(self):
        self.server = await SockJS(self.handler).serve("127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.client = await connect(
            f"http://127.0.0.1:{port}", transports=[self.transport]
        )
        self.session = await asyncio.wait_for(self.sessions.get(), DEADLINE_S)
        return self

    async def __aexit__(self, *exc_info):
        self.over.set()
        await self.client.close()
        self.server.close()
        await self.server.wait_closed()

    async def heard(self):
        return await asyncio.wait_for(self.client.recv(), DEADLINE_S)


@pytest.fixture(params=TRANSPORTS)
async def met(request):
    """Return a session by one transport after the other."""
    async with Met(request.param) as met:
        yield met


async def test_a_member_of_a_topic(met):
    topic = Hub().topic("x")
    topic.subscribe(met.session)
    assert topic.publish("hello") == 1
    assert await met.heard() == "hello"
    assert met.session.offer(Prepared("prepared")) == QUEUED
    assert await met.heard() == "prepared"
    with pytest.raises(TypeError, match="no binary messages"):
        met.session.offer(Message(b"octets"))
    closed = asyncio.Event()
    met.session.when_closed(closed.set)
    await met.client.close()
    await asyncio.wait_for(closed.wait(), DEADLINE_S)
    assert met.session.offer(Message("late")) == GONE
    assert topic.publish("late") == 0
    closed.clear()
    met.session.when_closed(closed.set)  # at once, when it is so already
    await asyncio.wait_for(closed.wait(), DEADLINE_S)


async def test_room(met):
    """Beyond the limit a message is not queued, until there is room again."""
    long, sent = os.urandom(50_000).hex(), 0
    while met.session.send_nowait(long):
        sent += 1
        assert sent < 1000
    assert met.session.offer(Message("x")) == SLOW
    assert met.session.offer(Message("last"), 1 << 30) == QUEUED
    drained = asyncio.Event()
    met.session.when_drained(drained.set)
    for _ in range(sent):
        assert await met.heard() == long
    assert await met.heard() == "last"
    await asyncio.wait_for(drained.wait(), DEADLINE_S)
    assert met.session.send_nowait("again")
    assert await met.heard() == "again"
    drained.clear()
    met.session.when_drained(drained.set)
    await asyncio.wait_for(drained.wait(), DEADLINE_S)


async def test_what_cannot_be_sent(met):
    for message in (b"octets", 7, None, PreparedFrame(b"octets")):
        with pytest.raises(TypeError):
            met.session.send(message)
    await met.session.send(PreparedFrame("text of a frame"))
    assert await met.heard() == "text of a frame"


@pytest.mark.parametrize("code", [999, 5000, -1])
async def test_codes_that_there_are_not(met, code):
    with pytest.raises(ValueError, match="1000 to 4999"):
        met.session.close(code)
    await met.session.send("still there")
    assert await met.heard() == "still there"


@pytest.mark.parametrize("failure", [None, ZeroDivisionError()])
async def test_a_session_as_a_context(met, failure, caplog):
    async def use():
        async with met.session as session:
            session.send("first")
            if failure is not None:
                raise failure

    using = asyncio.ensure_future(use())
    assert await met.heard() == "first"
    with pytest.raises(ConnectionClosed):
        await met.heard()
    await asyncio.wait([using])
    assert using.exception() is failure
    assert met.client.close_code == (1000 if failure is None else 1011)
    with pytest.raises(ConnectionClosed):
        await met.session.send("late")
    with pytest.raises(ConnectionClosed):
        met.session.send_nowait("late")


@pytest.mark.parametrize("failure", [None, ZeroDivisionError()])
async def test_the_end_of_a_handler(met, failure, caplog):
    met.failure = failure
    met.over.set()
    with pytest.raises(ConnectionClosed):
        await met.heard()
    assert met.client.close_code == (1000 if failure is None else 1011)
    failed = "handler of a session failed" in caplog.text
    assert failed == (failure is not None)
