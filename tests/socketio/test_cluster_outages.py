"""Two nodes over Redis, sharded Redis and NATS, which are killed and stopped."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.hub.daemons import daemon, nats_command, redis_command
from tests.socketio.conftest import Place, until
from wsfast import socketio
from wsfast.hub import Presence
from wsfast.hub.nats import NatsBus
from wsfast.hub.redis import RedisBus, RedisShardedBus

ENGINES = {
    "redis": (RedisBus, "redis", redis_command),
    "sharded": (RedisShardedBus, "redis", redis_command),
    "nats": (NatsBus, "nats", nats_command),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.needs(f"{kind}-server"))
        for name, (_, kind, _) in ENGINES.items()
    ],
)
def engine(request):
    """Return a kind of bus, its URL, and the server that it is on."""
    bus, kind, command = ENGINES[request.param]
    with daemon(command) as server:
        yield bus, f"{kind}://127.0.0.1:{server.port}", server


class Node:
    """A server on a bus, and one client of it."""

    async def start(self, stack, bus, url):
        enter = stack.enter_async_context
        self.bus = await enter(bus(url, liveness=1.5, max_retry=0.5))
        self.presence = Presence(self.bus, interval=0.5, expiry=1.5)
        await enter(self.presence)
        cluster = socketio.Cluster(self.bus, presence=self.presence, timeout=1.0)
        self.sio = socketio.Server(adapter=cluster)
        self.sio.on("echo", lambda sid, *args: args)
        place = Place()
        await enter(place.stack)
        await place.start(self.sio)
        self.raw, self.sid = await place.client()

    async def quiet(self):
        """See that nothing more has come for the client."""
        assert await self.raw.call("echo") == []


@pytest.fixture
async def nodes(engine):
    """Return two nodes that know of each other, and the server between them."""
    bus, url, server = engine
    async with contextlib.AsyncExitStack() as stack:
        nodes = [Node(), Node()]
        for node in nodes:
            await node.start(stack, bus, url)
        await together(nodes)
        yield *nodes, server


async def together(nodes):
    """Wait until nodes have found each other."""
    for node in nodes:
        await node.bus.synced()
        await until(lambda node=node: len(node.presence.nodes) == 1)


async def test_what_nodes_do_together(nodes):
    one, two, _ = nodes
    one.sio.enter_room(two.sid, "room")
    await until(lambda: "room" in two.sio.rooms(two.sid))
    two.sio.emit("room", b"\0", to="room")
    assert await two.raw.recv() == '51-["room",{"_placeholder":true,"num":0}]'
    assert await two.raw.recv() == b"\0"
    found = await one.sio.of("/").fetch_sockets()
    assert {each.id for each in found} == {one.sid, two.sid}
    asked = asyncio.ensure_future(one.sio.emit_with_ack("q", timeout=20))
    for number, node in enumerate((one, two)):
        message = await node.raw.recv()
        await node.raw.send(f"3{message[1 : message.index('[')]}[{number}]")
    assert sorted(await asked) == [0, 1]
    one.sio.disconnect(two.sid)
    assert await two.raw.recv() == "1"
    await one.quiet()


async def test_killed_and_started_again(nodes):
    """Each node goes on alone; then all it has to know of is subscribed to again."""
    one, two, server = nodes
    server.kill()
    try:
        await until(lambda: one.bus.state == two.bus.state == "down")
        one.sio.enter_room(one.sid, "room")
        two.sio.enter_room(two.sid, "room")
        for node in (one, two):
            node.sio.emit("alone", to="room", local=True)
            assert await node.raw.recv() == '2["alone"]'
        for node in (one, two):
            node.sio.of("/later")
            await node.raw.enter("/later")
        found = await one.sio.of("/").fetch_sockets()
        assert [each.id for each in found] == [one.sid]
    finally:
        server.start()
    await together((one, two))
    one.sio.emit("again", to="room")
    one.sio.emit("there", namespace="/later")
    for node in (one, two):
        assert await node.raw.recv() == '2["again"]'
        assert await node.raw.recv() == '2/later,["there"]'
        await node.quiet()


async def test_stopped_and_continued(nodes):
    """Presence expires: nobody waits for the other node, which comes back."""
    one, two, server = nodes
    with server.stopped():
        asked = asyncio.ensure_future(one.sio.of("/").emit_with_ack("q"))
        message = await one.raw.recv()
        await one.raw.send(f"3{message[1 : message.index('[')]}[7]")
        with pytest.raises(socketio.NodeGone, match=two.presence.node) as caught:
            await asked
        assert caught.value.responses == [7]
        await until(lambda: not one.presence.nodes and not two.presence.nodes)
        assert [s.id for s in await one.sio.of("/").fetch_sockets()] == [one.sid]
        one.sio.emit("alone", local=True)
        assert await one.raw.recv() == '2["alone"]'
    await together((one, two))
    one.sio.emit("again")
    assert await one.raw.recv() == '2["again"]'
    while (message := await two.raw.recv()) != '2["again"]':
        assert message.endswith('["q"]')  # it has waited, or was lost: at most once
    await two.quiet()
