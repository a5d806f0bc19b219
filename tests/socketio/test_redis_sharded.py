"""Both kinds of nodes over a cluster of Redis; which rooms have channels."""

from __future__ import annotations

import contextlib

import pytest

from tests.hub.clusters import cluster, is_whole
from tests.socketio.conftest import until
from wsfast import socketio
from wsfast.socketio.redis_sharded import RedisShardedAdapter

START = """
const { Server } = require("socket.io");
const { createCluster } = require("redis");
const { createShardedAdapter } = require("@socket.io/redis-adapter");
const rootNodes = args.ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }));
const pub = shared.pub = createCluster({ rootNodes });
const sub = shared.sub = pub.duplicate();
pub.on("error", () => {});
sub.on("error", () => {});
await Promise.all([pub.connect(), sub.connect()]);
shared.heard = [];
const io = shared.io = new Server({ adapter: createShardedAdapter(pub, sub) });
io.on("hello", (what, reply) => reply([what, "node"]));
io.listen(0, { host: "127.0.0.1" });
"""
STOP = """
await shared.io.close();
await Promise.all([shared.pub.close(), shared.sub.close()]);
"""


@pytest.mark.needs("redis-server")
@pytest.mark.needs("node")
async def test_a_cluster_of_redis_between_both(place, node):
    with cluster() as (servers, clients):
        await until(lambda: all(map(is_whole, clients)))
        ports = [each.port for each in servers]
        async with contextlib.AsyncExitStack() as stack:
            await node.run(START, ports=ports)
            stack.push_async_callback(node.run, STOP)
            adapter = RedisShardedAdapter(f"redis://127.0.0.1:{ports[0]}", timeout=10)
            await stack.enter_async_context(adapter)
            sio = socketio.Server(adapter=adapter)
            await place.start(sio)
            raw, sid = await place.client()
            await until(lambda: adapter.bus.state == "up")
            nsp = sio.of("/")
            rooms = [f"room {n}" for n in range(20)]  # on both servers
            sio.socket(sid).join(*rooms)
            await adapter.synced()
            assert await nsp.adapter.server_count() == 2
            await node.run(
                "for (const room of args.rooms) shared.io.to(room).emit(room)",
                rooms=rooms,
            )
            heard = {await raw.recv() for _ in rooms}
            assert heard == {f'2["{room}"]' for room in rooms}
            assert await nsp.server_side_emit_with_ack("hello", 1) == [[1, "node"]]
            code = "return (await shared.io.timeout(20000).fetchSockets()).length"
            assert await node.run(code) == 1


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("static", set()),
        ("dynamic", {"a room", "\U0001f600" * 20}),
        ("dynamic-private", {"a room", "x" * 20, "\U0001f600" * 10, "\U0001f600" * 20}),
    ],
)
async def test_which_rooms_have_channels(place, mode, wanted):
    """As for JavaScript, a name of twenty characters may be an id; so is its UTF-16."""
    adapter = RedisShardedAdapter(subscription_mode=mode)  # it connects to nothing
    sio = socketio.Server(adapter=adapter)
    await place.start(sio)
    raw, sid = await place.client()
    rooms = ["a room", "x" * 20, "\U0001f600" * 10, "\U0001f600" * 20, "\ud800"]
    socket = sio.socket(sid)
    socket.join(*rooms)
    socket.join(*rooms)
    if mode == "dynamic-private":
        wanted = {*wanted, sid}
    own = {f"socket.io#/#{sio.of('/').adapter.uid}#", "socket.io#/#"}
    channels = own | {f"socket.io#/#{room}#" for room in wanted}
    assert set(adapter.bus._callbacks) == channels
    assert all(len(each) == 1 for each in adapter.bus._callbacks.values())
    for room in rooms:
        socket.leave(room)
    left = {f"socket.io#/#{sid}#"} if mode == "dynamic-private" else set()
    assert set(adapter.bus._callbacks) == own | left
    await raw.ws.close()
    await until(lambda: set(adapter.bus._callbacks) == own)
    socket = sio.socket((await place.client())[1])
    socket.join(*rooms)
    sio.of("/").close()
    assert not adapter.bus._callbacks


def test_there_is_no_such_mode():
    with pytest.raises(ValueError, match="no subscription_mode 'some'"):
        RedisShardedAdapter(subscription_mode="some")
