"""Recovery over two nodes: their events and sessions are in a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.socketio.conftest import until
from tests.socketio.recovering import RecoveringNode
from wsfast import socketio
from wsfast.hub import MemoryBus
from wsfast.hub.redis_log import RedisLog

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def redis():
    """Return a Redis."""
    with daemon(redis_command) as server:
        yield server


class Node(RecoveringNode):
    """One on a log in Redis."""

    async def start(self, stack, bus, url, name, **recovery):
        self.log = RedisLog(url, name=name, liveness=1.5, max_retry=0.5)
        cluster = socketio.Cluster(bus, log=self.log, timeout=5)
        await stack.enter_async_context(cluster)
        await self.begin(stack, cluster, **recovery)
        await until(lambda: self.log.state == "up")


@pytest.fixture
async def start(redis, request):
    """Return what starts a node more."""
    url = f"redis://127.0.0.1:{redis.port}"
    async with contextlib.AsyncExitStack() as stack:
        bus = await stack.enter_async_context(MemoryBus())

        async def start(**recovery):
            node = Node()
            await node.start(stack, bus, url, f"log:{request.node.name}", **recovery)
            return node

        yield start


@pytest.fixture
async def nodes(start):
    """Return two nodes that know of each other."""
    nodes = [await start(), await start()]
    for node in nodes:
        await until(lambda node=node: len(node.cluster.presence.nodes) == 1)
        await node.sio.of("/").start()
    await nodes[0].cluster.bus.synced()
    return nodes


async def heard(raw, count):
    """Return the next events, without their offsets, and the last of these."""
    found, offset = [], None
    while len(found) < count:
        message = await raw.recv()
        if isinstance(message, str):
            *data, offset = json.loads(message[message.index("[") :])
            found.append(data)
    return found, offset


@pytest.mark.parametrize("had", [True, False], ids=["had an event", "had none"])
async def test_what_was_missed_comes_on_another_node(nodes, had):
    one, two = nodes
    raw, me = await one.enter()
    sid, auth = me["sid"], {"pid": me["pid"]}
    one.sio.enter_room(sid, "room")
    one.sio.socket(sid).data.update(user="eva", secret=object())
    if had:
        two.sio.emit("first")
        _, auth["offset"] = await heard(raw, 1)
    await one.away(raw)
    two.sio.emit("all", 1)
    one.sio.emit("room", {"a": b"x"}, room="room")
    two.sio.emit("not you", except_=sid)
    one.sio.emit("others", room="another")
    two.sio.emit("lost", volatile=True)
    two.sio.emit("you", to=sid)
    raw, again = await two.enter(**auth)
    assert again == me
    events, _ = await heard(raw, 3)
    assert sorted(event[0] for event in events) == ["all", "room", "you"]
    socket = two.sio.socket(sid)
    assert socket.recovered
    assert socket.rooms == {sid, "room"}
    assert socket.data == {"user": "eva"}
    one.sio.emit("now", room="room")
    assert (await heard(raw, 1))[0] == [["now"]]
    assert await raw.call("echo") == []


async def test_order_and_numbers_are_the_same_everywhere(nodes):
    one, two = nodes
    clients = [(await node.enter())[0] for node in (one, two, one)]
    for number in range(50):
        (one, two)[number % 2].sio.emit("n", number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    seen = [await heard(raw, 50) for raw in clients]
    assert seen[0] == seen[1] == seen[2]
    assert sorted(n for _, n in seen[0][0]) == list(range(50))
    for node in nodes:
        assert not node.sio.of("/").adapter._pending


async def test_a_node_that_is_new_knows_what_was(start):
    one = await start()
    raw, me = await one.enter()
    one.sio.emit("first")
    _, offset = await heard(raw, 1)
    await one.away(raw)
    one.sio.emit("missed")
    await one.sio.close()
    await one.cluster.close()
    two = await start()
    other, _ = await two.enter()
    raw, again = await two.enter(pid=me["pid"], offset=offset)
    assert again == me
    assert (await heard(raw, 1))[0] == [["missed"]]
    assert await other.call("echo") == []  # what was before it is not for it
    # Its state was taken: nobody else becomes it.
    two.sio.socket(me["sid"]).disconnect()
    _, third = await two.enter(pid=me["pid"], offset=offset)
    assert third["sid"] != me["sid"]


async def test_a_dead_connection_that_its_node_did_not_see_die(nodes):
    one, two = nodes
    raw, me = await one.enter()
    one.sio.emit("a")
    again, said = await two.enter(pid=me["pid"])
    assert said == me
    assert (await heard(again, 1))[0] == [["a"]]
    await raw.ended()
    assert not one.sio.of("/").sockets


@pytest.mark.parametrize("what", ["pid", "other pid", "offset", "future"])
async def test_others_begin_anew(nodes, what):
    one, two = nodes
    raw, me = await one.enter()
    one.sio.emit("a")
    _, offset = await heard(raw, 1)
    await one.away(raw)
    two.cluster.kept._timeout = 0.3
    auth = {"pid": me["pid"], "offset": offset}
    auth |= {
        "pid": {"pid": "../../x"},
        "other pid": {"pid": "x" * 20},
        "offset": {"offset": "ff"},
        "future": {"offset": "ffffffffffff-0"},
    }[what]
    raw, new = await two.enter(**auth)
    assert new["sid"] != me["sid"]
    assert await raw.call("echo") == []


async def test_it_may_be_refused_and_come_again(start):
    one, two = await start(), await start(skip_middlewares=False)
    verdict = ["no"]

    @two.sio.use
    def middleware(socket):
        if verdict:
            raise socketio.ConnectionRefusedError(verdict.pop())

    raw, me = await one.enter()
    await one.away(raw)
    one.sio.emit("a")
    raw = await two.place.raw()
    await raw.send("0" + json.dumps({"pid": me["pid"]}))
    assert await raw.recv() == '4{"message":"no"}'
    raw, again = await one.enter(pid=me["pid"])
    assert again == me
    assert (await heard(raw, 1))[0] == [["a"]]


async def test_order_of_what_one_node_does(nodes):
    """Joining, leaving and disconnecting are in the log, too."""
    one, two = nodes
    raw, me = await two.enter()
    mine, mine_too = await one.enter()
    for number in range(20):
        one.sio.enter_room(me["sid"], "room")
        one.sio.emit("in", number, to="room")
        one.sio.leave_room(me["sid"], "room")
        one.sio.emit("out", number, to="room")
    assert (await heard(raw, 20))[0] == [["in", n] for n in range(20)]
    for node, sid, client in ((one, me["sid"], raw), (one, mine_too["sid"], mine)):
        node.sio.emit("bye", to=sid)
        node.sio.disconnect(sid)
        assert (await heard(client, 1))[0] == [["bye"]]
        assert await client.recv() == "1"


async def test_a_client_that_hears_nothing_for_long_may_come_back(start):
    """What it had last is forgotten; it has missed nothing of what is not."""
    one = await start(max_events=5)
    two = await start(max_events=5)
    raw, me = await one.enter()
    one.sio.emit("you", to=me["sid"])
    _, offset = await heard(raw, 1)
    for _ in range(20):
        await one.sio.emit("others", to="others")
    await one.away(raw)
    two.sio.emit("missed")
    raw, again = await two.enter(pid=me["pid"], offset=offset)
    assert again == me
    assert (await heard(raw, 1))[0] == [["missed"]]


async def test_while_the_log_is_away(nodes, redis):
    """Each node goes on by itself; clients are recovered where they were."""
    one, two = nodes
    raw, me = await one.enter()
    other, _ = await two.enter()
    one.sio.emit("before")
    _, offset = await heard(raw, 1)
    await heard(other, 1)
    with redis.stopped():
        one.sio.emit("held")  # until it is clear that the log is away
        assert (await heard(raw, 1)) == ([["held"]], offset)
        await until(lambda: one.log.state == two.log.state == "down")
        one.sio.emit("meanwhile")
        for client in (raw, other):
            assert (await heard(client, 1))[0] == [["meanwhile"]]
    await until(lambda: one.log.state == two.log.state == "up")
    two.sio.emit("after")
    assert (await heard(raw, 1))[0] == [["after"]]
    events = []
    while not events or events[-1] != ["after"]:
        events += (await heard(other, 1))[0]
    assert events in ([["after"]], [["held"], ["after"]])
    await one.away(raw)
    raw, again = await two.enter(pid=me["pid"], offset=offset)
    assert again == me


async def test_a_log_that_was_lost(nodes, redis):
    """Redis has forgotten everything: clients that were away begin anew."""
    one, two = nodes
    raw, me = await one.enter()
    one.sio.emit("a")
    _, offset = await heard(raw, 1)
    await one.away(raw)
    await one.kept.saved()
    redis.kill()
    redis.start()
    await until(lambda: one.log.state == two.log.state == "down")
    await until(lambda: one.log.state == two.log.state == "up")
    raw, new = await two.enter(pid=me["pid"], offset=offset)
    assert new["sid"] != me["sid"]
    one.sio.emit("b")
    assert (await heard(raw, 1))[0] == [["b"]]


async def test_the_log_is_bounded(start):
    one = await start()
    one.log._max_entries = 500
    raw, _ = await one.enter()
    for number in range(1000):
        await one.sio.emit("n", number)
    await heard(raw, 1000)
    await until(lambda: one.log._entries <= 500)
    await until(lambda: one.log.state == "up" and not one.log._sent)
    assert one.log._size < 500 * 200
    length = await one.log._submit("XLEN", one.log.name)
    assert length <= 501 + 256


async def test_rubbish_in_the_log(nodes, caplog):
    one, two = nodes
    raw, _ = await two.enter()
    for octets in (b"x", b"[]", b'[1,"a","event",{"nsp":"/","token":1}]'):
        await one.log.append(octets)
    one.kept._writes.encode("event", nsp="/", token=1, text="2{}")
    await one.log.append(one.kept._writes.encode("event", nsp="/", token=1, text="2{}"))
    one.sio.emit("fine")
    assert (await heard(raw, 1))[0] == [["fine"]]
    assert "something else" in caplog.text
