"""Two nodes: rooms, replies and questions over a bus in memory, and over Redis."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.socketio.conftest import Place, until
from wsfast import socketio
from wsfast.hub import MemoryBus
from wsfast.hub.redis import RedisBus


class Node:
    """A server, its clients and its line to the others."""

    def __init__(self, sio, cluster, place):
        self.sio, self.cluster, self.place = sio, cluster, place


@pytest.fixture(scope="module")
def redis():
    """Return the port of a Redis."""
    with daemon(redis_command) as server:
        yield server.port


BUSES = [
    "memory",
    pytest.param("redis", marks=pytest.mark.needs("redis-server")),
]


@pytest.fixture(params=BUSES)
async def nodes(request):
    """Return two nodes that know of each other."""
    made = []
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "redis":
            port = request.getfixturevalue("redis")
            buses = [RedisBus(f"redis://127.0.0.1:{port}") for _ in range(2)]
        else:
            buses = [MemoryBus()] * 2
        for bus in dict.fromkeys(buses):
            await bus.start()
            stack.push_async_callback(bus.close)
        for bus in buses:
            cluster = socketio.Cluster(bus, timeout=5)
            await stack.enter_async_context(cluster)
            sio = socketio.Server(adapter=cluster)
            sio.on("echo", lambda sid, *args: args)
            place = Place()
            await stack.enter_async_context(place.stack)
            await place.start(sio)
            made.append(Node(sio, cluster, place))
        for node in made:
            await until(lambda node=node: len(node.cluster.presence.nodes) == 1)
            await node.sio.of("/").start()
            await node.cluster.bus.synced()
        yield made


async def test_events_reach_the_clients_of_both_nodes(nodes):
    one, two = nodes
    a, _ = await one.place.client()
    b, b_sid = await two.place.client()
    one.sio.emit("all", 1, b"x")
    for raw in (a, b):
        assert await raw.recv() == '51-["all",1,{"_placeholder":true,"num":0}]'
        assert await raw.recv() == b"x"
    one.sio.emit("far", to=b_sid)
    assert await b.recv() == '2["far"]'
    two.sio.emit("but", except_=b_sid)
    assert await a.recv() == '2["but"]'
    two.sio.emit("local", local=True)
    assert await b.recv() == '2["local"]'
    assert await a.call("echo") == []  # and nothing else came


async def test_rooms_and_disconnecting(nodes):
    one, two = nodes
    a, a_sid = await one.place.client()
    b, b_sid = await two.place.client()
    one.sio.of("/").sockets_join("room")
    one.sio.enter_room(b_sid, "far")
    await until(lambda: two.sio.rooms(b_sid) == sorted([b_sid, "far", "room"]))
    two.sio.emit("room", room="room")
    assert await a.recv() == '2["room"]'
    assert await b.recv() == '2["room"]'
    two.sio.socket(b_sid).to("room").emit("others")
    assert await a.recv() == '2["others"]'
    two.sio.close_room("room")
    one.sio.leave_room(b_sid, "far")
    await until(lambda: not one.sio.of("/").adapter.rooms)
    await until(lambda: not two.sio.of("/").adapter.rooms)
    two.sio.disconnect(a_sid)
    assert await a.recv() == "1"
    one.sio.of("/").disconnect_sockets(close=True)
    await b.ended()


async def test_fetch_sockets(nodes):
    one, two = nodes
    _, a_sid = await one.place.client()
    b, b_sid = await two.place.client(auth={"token": 1})
    two.sio.socket(b_sid).data.update(user="eva", secret=object())
    two.sio.enter_room(b_sid, "room")
    found = {each.id: each for each in await one.sio.of("/").fetch_sockets()}
    assert set(found) == {a_sid, b_sid}
    assert found[a_sid] is one.sio.socket(a_sid)
    far = found[b_sid]
    assert (far.rooms, far.data) == ({b_sid, "room"}, {"user": "eva"})
    assert far.handshake["auth"] == {"token": 1}
    assert await one.sio.of("/").local.fetch_sockets() == [found[a_sid]]
    assert [each.id for each in await one.sio.to("room").fetch_sockets()] == [b_sid]
    assert await one.cluster(one.sio.of("/")).server_count() == 2
    far.emit("hello")
    assert await b.recv() == '2["hello"]'
    far.join("more")
    far.leave("room")
    await until(lambda: two.sio.rooms(b_sid) == sorted([b_sid, "more"]))
    asked = asyncio.ensure_future(far.call("q", timeout=20))
    message = await b.recv()
    await b.send(f"3{message[1 : message.index('[')]}[7]")
    assert await asked == 7
    far.disconnect()
    assert await b.recv() == "1"


async def reply(raw, *values):
    """Answer the next event."""
    message = await raw.recv()
    assert message[0] == "2"
    number = message[1 : message.index("[")]
    await raw.send(f"3{number}{list(values)}".replace("'", '"'))


async def test_replies_of_all_clients(nodes):
    one, two = nodes
    a, _ = await one.place.client()
    b, b_sid = await two.place.client()
    c, _ = await two.place.client()
    asked = asyncio.ensure_future(one.sio.emit_with_ack("q", 1, timeout=20))
    for n, raw in enumerate((a, b, c)):
        await reply(raw, n)
    assert sorted(await asked) == [0, 1, 2]
    asked = asyncio.ensure_future(one.sio.call("q", to=b_sid, timeout=20))
    await reply(b, "x", "y")
    assert await asked == ("x", "y")
    asked = asyncio.ensure_future(one.sio.emit_with_ack("q", timeout=1))
    await reply(a, 1)
    await reply(b, 2)
    with pytest.raises(socketio.AckTimeout, match="2 of 3") as caught:
        await asked
    assert sorted(caught.value.responses) == [1, 2]
    asked = asyncio.ensure_future(one.sio.emit_with_ack("q", to=b_sid, timeout=20))
    assert (await b.recv())[0] == "2"
    await b.ws.close()  # it goes instead
    assert await asked == []


async def test_server_side_events(nodes):
    one, two = nodes
    seen = []
    for number, node in enumerate(nodes):

        @node.sio.of("/").on_server_side("how many")
        async def how_many(what, number=number):
            seen.append((number, what))
            return number

    one.sio.of("/").server_side_emit("how many", "cats")
    await until(lambda: seen == [(1, "cats")])
    replies = await two.sio.of("/").server_side_emit_with_ack("how many", "dogs")
    assert replies == [0]


async def test_garbage_on_the_bus_does_no_harm(nodes, caplog):
    one, two = nodes
    a, _ = await one.place.client()
    channel = one.sio.of("/").adapter.channel
    for octets in (b"", b"\xff", b"[]", b'[1,"x","event",{}]', b'[1,"x","event",7]'):
        two.cluster.bus.publish(channel, octets)
    two.sio.emit("fine")
    assert await a.recv() == '2["fine"]'
    assert caplog.records


async def test_odd_names_of_namespaces(nodes):
    _, two = nodes
    for name in ("/a b\n", "/" + "ü" * 300):
        clients = []
        for node in nodes:
            node.sio.of(name)
            clients.append(await node.place.client(name))
            await node.cluster.bus.synced()
        two.sio.emit("e", namespace=name)
        for raw, _ in clients:
            assert (await raw.recv()).endswith('["e"]')


async def test_a_node_that_dies_is_named(nodes):
    """An event without a time limit does not wait for it for ever."""
    one, two = nodes
    a, _ = await one.place.client()
    b, _ = await two.place.client()
    asked = asyncio.ensure_future(one.sio.of("/").emit_with_ack("q"))
    await reply(a, 1)
    assert (await b.recv())[0] == "2"
    await two.cluster.close()
    with pytest.raises(socketio.NodeGone, match=two.cluster.presence.node) as caught:
        await asked
    assert caught.value.responses == [1]
    assert caught.value.nodes == [two.cluster.presence.node]


async def test_a_node_that_does_not_listen_is_named(nodes):
    """It is there, and has not got the event."""
    one, two = nodes
    one.cluster.timeout = 0.5
    two.sio.of("/").adapter.close()
    with pytest.raises(socketio.NodeGone, match=two.cluster.presence.node):
        await one.sio.of("/").emit_with_ack("q")


@pytest.mark.parametrize("how", ["replied", "timeout", "cancelled", "gone"])
async def test_replies_that_nobody_waits_for_are_forgotten(nodes, how):
    one, two = nodes
    b, b_sid = await two.place.client()
    adapter = two.sio.of("/").adapter
    timeout = 1 if how == "timeout" else 30
    chosen = one.sio.of("/").timeout(timeout)
    asked = asyncio.ensure_future(chosen.emit_with_ack("q"))
    message = await b.recv()
    assert message[0] == "2"
    assert len(adapter._asked) == 1
    if how == "replied":
        await b.send(f"3{message[1 : message.index('[')]}[]")
        assert await asked == [None]
    elif how == "cancelled":
        asked.cancel()
    elif how == "gone":
        await one.cluster.close()
    await until(lambda: not adapter._asked)
    await until(lambda: not two.sio.socket(b_sid)._acks)
    ended = {
        "timeout": socketio.AckTimeout,
        "cancelled": asyncio.CancelledError,
        "gone": socketio.NodeGone,
    }
    if how in ended:
        with pytest.raises(ended[how]):
            await asked


async def test_more_attachments_than_clients_may_send(nodes):
    one, two = nodes
    b, _ = await two.place.client()
    one.sio.emit("many", [b"x"] * 30)
    assert (await b.recv()).startswith("530-")


async def test_more_clients_than_go_into_one_message(nodes):
    one, two = nodes
    sids = {(await two.place.client())[1] for _ in range(5)}
    two.cluster.codec.max_size = 1000  # as small as this, one at a time
    assert {each.id for each in await one.sio.of("/").fetch_sockets()} == sids


async def test_one_client_that_may_not_join(nodes, caplog):
    one, two = nodes
    two.sio.max_rooms_per_conn = 1
    _, full = await two.place.client()
    _, free = await two.place.client()
    two.sio.enter_room(full, "a")
    one.sio.of("/").sockets_join("b")
    await until(lambda: "b" in two.sio.rooms(free))
    assert "b" not in two.sio.rooms(full)
    assert "at most 1 rooms" in caplog.text


async def test_a_namespace_that_goes_waits_for_nobody(nodes):
    one, two = nodes
    for node in nodes:
        node.sio.cleanup_empty_child_namespaces = True
        node.sio.of(re.compile("^/room"))
    here, _ = await one.place.client("/room")
    there, _ = await two.place.client("/room")
    adapter, presence = one.sio.namespaces["/room"].adapter, one.cluster.presence
    asked = asyncio.ensure_future(adapter.namespace.emit_with_ack("q"))
    assert await there.recv() == '2/room,0["q"]'
    assert adapter._node_gone in presence._when_gone
    await here.ws.close()
    with pytest.raises(socketio.NodeGone, match=two.cluster.presence.node):
        await asked
    assert "/room" not in one.sio.namespaces
    assert adapter._node_gone not in presence._when_gone
