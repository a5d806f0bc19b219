"""Nodes with the adapters of Redis alone, whose Redis is stopped, killed, restarted."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.socketio.conftest import Place, until
from wsfast import socketio
from wsfast.asyncio._timeout import timeout
from wsfast.socketio.redis_adapter import RedisAdapter
from wsfast.socketio.redis_sharded import RedisShardedAdapter

pytestmark = pytest.mark.needs("redis-server")

OPTIONS = {"timeout": 10.0, "liveness": 1.5, "max_retry": 0.5, "max_queue": 10}


@pytest.fixture(scope="module")
def redis():
    """Return a Redis."""
    with daemon(redis_command) as server:
        yield server


class Node:
    """A server, and one client of it."""

    async def start(self, stack, make, redis):
        url = f"redis://127.0.0.1:{redis.port}"
        self.adapter = await stack.enter_async_context(make(url, **OPTIONS))
        self.bus = self.adapter.bus
        self.sio = socketio.Server(adapter=self.adapter)
        self.nsp = self.sio.of("/")
        self.sio.on("echo", lambda sid, *args: args)
        self.nsp.on_server_side("who")(lambda: self.sid)
        place = Place()
        await stack.enter_async_context(place.stack)
        await place.start(self.sio)
        self.raw, self.sid = await place.client()
        await self.adapter.synced()

    async def quiet(self):
        """See that nothing more has come for the client."""
        assert await self.raw.call("echo") == []

    async def alone(self):
        """See that this node serves its own client, and waits for nobody for ever."""
        self.sio.emit("alone", local=True)
        assert await self.raw.recv() == '2["alone"]'
        assert [each.id for each in await self.nsp.fetch_sockets()] == [self.sid]
        assert await self.nsp.server_side_emit_with_ack("who", timeout=1.0) == []
        asked = asyncio.ensure_future(self.nsp.emit_with_ack("q"))
        message = await self.raw.recv()
        await self.raw.send(f"3{message[1 : message.index('[')]}[7]")
        assert await asked == [7]
        assert await self.nsp.adapter.server_count() == 1


@pytest.fixture(params=[RedisAdapter, RedisShardedAdapter])
async def nodes(request, redis):
    """Return two nodes, which know of each other."""
    async with contextlib.AsyncExitStack() as stack:
        nodes = [Node(), Node()]
        for node in nodes:
            await node.start(stack, request.param, redis)
        await together(nodes)
        yield nodes


async def together(nodes):
    """See that all that is done by many nodes is done by these two."""
    for node, other in (nodes, nodes[::-1]):
        await node.adapter.synced()
        await other.adapter.synced()
        async with timeout(20):
            while await node.nsp.adapter.server_count() != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        found = {each.id for each in await node.nsp.fetch_sockets()}
        assert found == {node.sid, other.sid}
        replies = await node.nsp.server_side_emit_with_ack("who", timeout=10)
        assert replies == [other.sid]
        asked = asyncio.ensure_future(node.sio.emit_with_ack("q", timeout=20))
        for each in nodes:
            message = await each.raw.recv()
            await each.raw.send(f"3{message[1 : message.index('[')]}[7]")
        assert await asked == [7, 7]


def overflow(node):
    """Emit more than can wait; return how many are dropped, and which are not."""
    before, waiting = node.bus.dropped, node.bus.queued
    for number in range(30):
        node.sio.emit("news", number)
    return node.bus.dropped - before - waiting, range(20, 30)


async def heard_of(node, last):
    """Return the numbers of the news that the client hears of, up to the last."""
    numbers = []
    while (message := await node.raw.recv()) != last:
        assert message.startswith('2["news",'), message
        numbers.append(int(message[9:-1]))
    return numbers


async def test_redis_is_stopped_and_continues(nodes, redis):
    one, two = nodes
    with redis.stopped():
        # It is hardly known to be away yet: what is under way ends by itself.
        for node in nodes:
            await node.alone()
            one.sio.emit("both")
            assert await one.raw.recv() == '2["both"]'
        await until(lambda: one.bus.state == two.bus.state == "down")
        one.nsp.sockets_join("room", "later")
        for node in nodes:
            await node.alone()
        dropped, kept = overflow(one)
        assert (dropped, one.bus.queued) == (20, 10)
        assert await heard_of(one, '2["news",29]') == list(range(29))
    await one.adapter.synced()
    await two.adapter.synced()
    two.sio.enter_room(two.sid, "room")
    await two.adapter.synced()
    await until(lambda: not one.bus.queued)
    one.sio.emit("last", to="room")
    assert await one.raw.recv() == '2["last"]'
    # Each arrives once at most: what had been handed over, and what waited, if this
    # node was back before that was sent.
    seen = []
    while (message := await two.raw.recv()) != '2["last"]':
        seen.append(message)
    assert seen.count('2["both"]') <= 2
    seen = [each for each in seen if each != '2["both"]' and each[-5:] != '["q"]']
    numbers = [int(each[len('2["news",') : -1]) for each in seen]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(kept)
    assert min(one.bus.outages, two.bus.outages) >= 1
    await together(nodes)
    for node in nodes:
        await node.quiet()


async def test_redis_is_killed_and_comes_back(nodes, redis):
    one, two = nodes
    for node in nodes:
        node.sio.enter_room(node.sid, "room")
    asked = asyncio.ensure_future(one.nsp.timeout(1.5).emit_with_ack("q"))
    await two.raw.recv()  # it never answers
    message = await one.raw.recv()
    redis.kill()
    try:
        await one.raw.send(f"3{message[1 : message.index('[')]}[1]")
        with pytest.raises(socketio.AckTimeout) as caught:
            await asked
        assert caught.value.responses in ([1], [])  # if the machine is slow
        await until(lambda: one.bus.state == two.bus.state == "down")
        for node in nodes:
            await node.alone()
        two.sio.enter_room(two.sid, "later")
        dropped, kept = overflow(one)
        assert (dropped, one.bus.queued) == (20, 10)
        assert await heard_of(one, '2["news",29]') == list(range(29))
    finally:
        redis.start()
    for node in nodes:
        await node.adapter.synced()
    await until(lambda: not one.bus.queued)
    # Whoever is back first sends at once: what is lost then is not sent again.
    one.sio.emit("last", to="later")
    numbers = await heard_of(two, '2["last"]')
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(kept)
    two.sio.emit("rooms", to="room")
    for node in nodes:
        assert await node.raw.recv() == '2["rooms"]'
    assert not one.nsp.adapter._tallies
    assert not one.nsp.adapter._requests
    await together(nodes)
    for node in nodes:
        await node.quiet()
