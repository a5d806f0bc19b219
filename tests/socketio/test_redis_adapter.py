"""Python and Node with npm's ``@socket.io/redis-adapter`` as nodes of one server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime, timezone

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.socketio.conftest import Place, Raw, until
from wsfast import connect, socketio
from wsfast.asyncio._timeout import timeout
from wsfast.socketio.msgpack import MsgpackParser
from wsfast.socketio.packet import Packet
from wsfast.socketio.redis_adapter import RedisAdapter
from wsfast.socketio.redis_sharded import (
    RedisShardedAdapter,
    RedisShardedNamespaceAdapter,
)

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.needs("node")]

START = """
const { Server } = require("socket.io");
const { createClient } = require("redis");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const url = `redis://127.0.0.1:${args.redis}`;
const pub = shared.pub = createClient({ url });
const sub = shared.sub = pub.duplicate();
pub.on("error", () => {});
sub.on("error", () => {});
await Promise.all([pub.connect(), sub.connect()]);
const create = args.sharded ? createShardedAdapter : createAdapter;
const adapter = create(pub, sub, { requestsTimeout: 20000, ...args.options });
const io = shared.io = new Server({ adapter });
shared.heard = [];
for (const nsp of [io, io.of("/a b*")]) {
  nsp.on("connection", (socket) => { socket.data.user = "eva"; });
}
io.on("how many", (what, reply) => {
  shared.heard.push(what);
  if (reply) reply(["node", what]);
});
io.listen(0, { host: "127.0.0.1" });
await new Promise((resolve) => io.httpServer.once("listening", resolve));
return io.httpServer.address().port;
"""
STOP = """
await shared.io.close();
await Promise.all([shared.pub.close(), shared.sub.close()]);
"""


@pytest.fixture(scope="module")
def redis():
    """Return a Redis."""
    with daemon(redis_command) as server:
        yield server


class Both:
    """A node of Python and one of JavaScript, and clients of them."""

    def __init__(self, sio, adapter, place, node, port):
        self.sio, self.adapter, self.place = sio, adapter, place
        self.node, self.port = node, port

    async def far(self, namespace=""):
        """Return a client of the JavaScript one, and its id."""
        uri = f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket"
        ws = await self.place.stack.enter_async_context(connect(uri))
        assert (await ws.recv())[:1] == "0"
        raw = Raw(ws)
        return raw, (await raw.enter(namespace))["sid"]

    async def followed(self, room, nodes):
        """Wait until so many nodes follow a room, if it has a channel of its own."""
        adapter = self.sio.of("/").adapter
        sharded = isinstance(adapter, RedisShardedNamespaceAdapter)
        if sharded and adapter._separate(room):
            channel = adapter._channel_of(room)
            async with timeout(20):
                while await self.adapter.bus.subscribers(channel) != nodes:
                    pass

    async def clients(self, namespace=""):
        """Return a client of each, and their ids."""
        return *await self.place.client(namespace), *await self.far(namespace)


#: Kind of adapter -> our options, and those of JavaScript.
KINDS = {
    "classic": ({}, {}),
    "specific": (
        {"specific_responses": True},
        {"publishOnSpecificResponseChannel": True},
    ),
    **{
        mode: ({"subscription_mode": mode}, {"subscriptionMode": mode})
        for mode in ("static", "dynamic", "dynamic-private")
    },
}
classic = pytest.mark.parametrize("both", ["classic"], indirect=True)
every_kind = pytest.mark.parametrize("both", KINDS, indirect=True)
each_wire = pytest.mark.parametrize(
    "both", ["classic", "specific", "dynamic"], indirect=True
)


@pytest.fixture(params=["classic", "dynamic"])
async def both(request, redis, node):
    """Return two nodes that know of each other, with adapters of one kind."""
    ours, theirs = KINDS[request.param]
    sharded = "subscription_mode" in ours
    async with contextlib.AsyncExitStack() as stack:
        options = {"redis": redis.port, "sharded": sharded, "options": theirs}
        port = await node.run(START, **options)
        stack.push_async_callback(node.run, STOP)
        url = f"redis://127.0.0.1:{redis.port}"
        make = RedisShardedAdapter if sharded else RedisAdapter
        adapter = make(url, timeout=10, max_retry=0.2, **ours)
        await stack.enter_async_context(adapter)
        sio = socketio.Server(adapter=adapter)
        place = Place()
        await stack.enter_async_context(place.stack)
        await place.start(sio)
        await sio.of("/").start()
        await adapter.synced()
        yield Both(sio, adapter, place, node, port)


async def test_events_reach_the_clients_of_both(both):
    here, here_sid, far, far_sid = await both.clients()
    text = '51-["all",1,{"_placeholder":true,"num":0}]'
    both.sio.emit("all", 1, b"x")
    for raw in (here, far):
        assert (await raw.recv(), await raw.recv()) == (text, b"x")
    await both.node.run('shared.io.emit("all", 1, Buffer.from("x"))')
    for raw in (here, far):
        assert (await raw.recv(), await raw.recv()) == (text, b"x")
    both.sio.emit("one", to=far_sid)
    assert await far.recv() == '2["one"]'
    await both.node.run('shared.io.to(args.sid).emit("one")', sid=here_sid)
    assert await here.recv() == '2["one"]'
    both.sio.emit("but", except_=here_sid)
    assert await far.recv() == '2["but"]'
    await both.node.run('shared.io.except(args.sid).emit("but")', sid=far_sid)
    assert await here.recv() == '2["but"]'
    both.sio.emit("local", local=True)
    await both.node.run('shared.io.local.emit("local")')
    assert [await raw.recv() for raw in (here, far)] == ['2["local"]'] * 2
    both.sio.of("/").volatile.compress(False).emit("flags")
    assert [await raw.recv() for raw in (here, far)] == ['2["flags"]'] * 2
    await both.node.run('shared.io.volatile.compress(false).emit("flags")')
    assert [await raw.recv() for raw in (here, far)] == ['2["flags"]'] * 2


async def test_what_json_has_no_form_for(both):
    here, _, far, _ = await both.clients()
    code = """shared.io.emit("e", new Date(1500), undefined, NaN, [1.5, -3, 2 ** 40])"""
    await both.node.run(code)
    for raw in (here, far):
        event = json.loads((await raw.recv())[1:])
        assert event[1:] == ["1970-01-01T00:00:01.500Z", None, None, [1.5, -3, 2**40]]
    with pytest.raises(TypeError):
        both.sio.emit("e", object())
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(TypeError):
        both.sio.emit("e", moment)  # this node's parser cannot
    assert await far.recv() == '2["e","1970-01-01T00:00:00.000Z"]'


@every_kind
async def test_rooms_and_disconnecting(both):
    here, here_sid, far, far_sid = await both.clients()
    run, sio = both.node.run, both.sio
    rooms = "return [...shared.io.sockets.sockets.get(args.sid).rooms].sort()"
    sio.of("/").sockets_join("a room", "other")
    await run('shared.io.to(args.sid).socketsJoin("7")', sid=here_sid)
    await until(
        lambda: sio.rooms(here_sid) == sorted([here_sid, "7", "a room", "other"])
    )
    async with timeout(20):
        while await run(rooms, sid=far_sid) != sorted([far_sid, "a room", "other"]):
            pass
    for room, nodes in (("a room", 2), ("7", 1), (here_sid, 1), (far_sid, 1)):
        await both.followed(room, nodes)
    sio.emit("room", room="a room")
    assert [await raw.recv() for raw in (here, far)] == ['2["room"]'] * 2
    await run('shared.io.to("a room").to("7").emit("room")')
    assert [await raw.recv() for raw in (here, far)] == ['2["room"]'] * 2
    await run('shared.io.to(7).emit("number")')  # a number, as JavaScript has them
    assert await here.recv() == '2["number"]'
    sio.of("/").to("other").sockets_leave("a room")
    await run('shared.io.in("a room").socketsLeave("7")')
    async with timeout(20):
        while await run(rooms, sid=far_sid) != sorted([far_sid, "other"]):
            pass
    assert sio.rooms(here_sid) == sorted([here_sid, "7", "other"])
    for room, nodes in (("a room", 0), ("7", 1), ("other", 2)):
        await both.followed(room, nodes)
    sio.disconnect(far_sid)
    assert await far.recv() == "1"
    await run("shared.io.disconnectSockets(true)")
    await here.ended()


@each_wire
async def test_fetch_sockets(both):
    _, here_sid, far, far_sid = await both.clients()
    both.sio.socket(here_sid).data.update(user="bob", secret=object())
    found = {each.id: each for each in await both.sio.of("/").fetch_sockets()}
    assert set(found) == {here_sid, far_sid}
    remote = found[far_sid]
    assert (remote.rooms, remote.data) == ({far_sid}, {"user": "eva"})
    assert remote.handshake["address"].endswith("127.0.0.1")
    theirs = await both.node.run("""
      const found = await shared.io.timeout(20000).fetchSockets();
      return found.map((s) => [s.id, [...s.rooms], s.data])""")
    assert sorted(theirs) == sorted(
        [
            [here_sid, [here_sid], {"user": "bob"}],
            [far_sid, [far_sid], {"user": "eva"}],
        ]
    )
    adapter = both.sio.of("/").adapter
    assert await adapter.server_count() == 2
    count = 'return [await shared.io.of("/").adapter.serverCount()]'
    assert await both.node.run(count) == [2]
    asked = asyncio.ensure_future(remote.call("q", timeout=20))
    await reply(far, 7)
    assert await asked == 7
    remote.emit("bye")
    assert await far.recv() == '2["bye"]'


async def reply(raw, *values):
    """Answer the next event."""
    message = await raw.recv()
    assert message[0] == "2"
    number = message[1 : message.index("[")]
    await raw.send(f"3{number}{json.dumps(values)}")


@each_wire
async def test_replies_of_all_clients(both):
    here, here_sid, far, _ = await both.clients()
    asked = asyncio.ensure_future(both.sio.emit_with_ack("q", 1, timeout=20))
    await reply(here, "here")
    await reply(far, {"far": 1})
    assert sorted(await asked, key=str) == ["here", {"far": 1}]
    code = 'return shared.io.timeout(20000).emitWithAck("q", 1)'
    theirs = asyncio.ensure_future(both.node.run(code))
    await reply(here, ["here"], "dropped")
    await reply(far)
    assert sorted(await theirs, key=str) == [None, ["here"]]
    adapter = both.sio.of("/").adapter
    assert not adapter._asked
    assert not adapter._tallies
    asked = asyncio.ensure_future(both.sio.emit_with_ack("q", timeout=60))
    await reply(here, 1)
    (tally,) = adapter._tallies.values()
    await until(lambda: tally.replies and not tally.silent)
    tally._late()
    with pytest.raises(socketio.AckTimeout, match="1 of 2") as caught:
        await asked
    assert caught.value.responses == [1]
    code = 'return shared.io.in(args.sid).timeout(500).emitWithAck("q").catch(() => 0)'
    assert await both.node.run(code, sid=here_sid) == 0
    await until(lambda: adapter._asked)
    adapter._forget(*next(iter(adapter._asked)))
    assert not both.sio.socket(here_sid)._acks
    assert await both.node.run(code, sid=here_sid) == 0
    await until(lambda: adapter._asked)
    await here.ws.close()
    await until(lambda: not adapter._asked)


async def test_a_node_that_says_nothing(both, caplog):
    """It is counted, and waited for; what is too long is refused."""
    here, here_sid, far, _ = await both.clients()
    adapter = both.sio.of("/").adapter
    await both.node.run("""
      shared.silent = shared.pub.duplicate();
      await shared.silent.connect();
      await shared.silent[args.subscribe](args.channel, () => {});""",
      channel=adapter.everyone,
      subscribe=("subscribe", "sSubscribe")[adapter.everyone == adapter.channel],
    )  # fmt: skip
    both.adapter.timeout = 60
    asked = asyncio.ensure_future(both.sio.of("/").emit_with_ack("q"))
    await reply(here, 1)
    await reply(far, 2)
    (tally,) = adapter._tallies.values()
    await until(lambda: len(tally.replies) == 2)
    assert (len(tally.silent), tally._timeout) == (1, 60)
    tally._late()
    with pytest.raises(socketio.AckTimeout) as caught:
        await asked
    assert sorted(caught.value.responses) == [1, 2]
    both.adapter.timeout = 0.5
    found = await both.sio.of("/").fetch_sockets()
    assert here_sid in {each.id for each in found}
    assert "nodes have not said" in caplog.text
    await both.node.run("await shared.silent.close()")
    with pytest.raises(ValueError, match="limit is 1048576"):
        both.sio.emit("e", "x" * (1 << 20))


async def test_server_side_events(both):
    heard = []

    @both.sio.of("/").on_server_side("how many")
    async def how_many(what):
        heard.append(what)
        return {"python": what}

    both.sio.of("/").server_side_emit("how many", "cats")
    async with timeout(20):
        while await both.node.run("return shared.heard") != ["cats"]:
            pass
    await both.node.run('shared.io.serverSideEmit("how many", "dogs")')
    await until(lambda: heard == ["dogs"])
    replies = await both.sio.of("/").server_side_emit_with_ack("how many", 1)
    assert replies == [["node", 1]]
    code = 'return shared.io.serverSideEmitWithAck("how many", 2)'
    assert await both.node.run(code) == [{"python": 2}]
    with pytest.raises(socketio.AckTimeout, match="1 nodes"):
        await both.sio.of("/").server_side_emit_with_ack("unknown", timeout=0.2)


@classic
async def test_the_emitter_of_javascript(both):
    heard = []
    both.sio.of("/").on_server_side("hello", heard.append)
    here, here_sid, far, _ = await both.clients()
    await both.node.run("""
      const { Emitter } = require("@socket.io/redis-emitter");
      const emitter = shared.emitter = new Emitter(shared.pub);
      emitter.socketsJoin("room");
      emitter.serverSideEmit("hello", 1);
      emitter.compress(false).emit("e", Buffer.from("x"));""")
    for raw in (here, far):
        assert await raw.recv() == '51-["e",{"_placeholder":true,"num":0}]'
        assert await raw.recv() == b"x"
    await until(lambda: heard == [1] and "room" in both.sio.rooms(here_sid))
    await both.node.run(
        """
      shared.emitter.to("room").except("none").emit("room");
      shared.emitter.in(args.sid).disconnectSockets(true);""",
        sid=here_sid,
    )
    for raw in (here, far):
        assert await raw.recv() == '2["room"]'
    await here.ended()


async def test_an_odd_namespace_and_the_parser_of_msgpack(both, redis):
    name = "/a b*"
    url = f"redis://127.0.0.1:{redis.port}"
    async with type(both.adapter)(url) as adapter, Place().stack as stack:
        sio = socketio.Server(adapter=adapter, parser="msgpack")
        place = Place()
        place.stack = stack
        await place.start(sio)
        sio.of(name)
        await sio.of(name).start()
        await adapter.synced()
        far, _ = await both.far(name)
        here = await place.raw()
        codec = MsgpackParser()
        await here.send(codec.encode(Packet(0, name))[0])
        assert codec.feed(await here.recv()).type == 0
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc)
        sio.emit("e", moment, b"x", namespace=name)
        text = '["e","1970-01-01T00:00:00.000Z",{"_placeholder":true,"num":0}]'
        assert (await far.recv(), await far.recv()) == (f"51-{name},{text}", b"x")
        code = 'shared.io.of(args.name).emit("e", new Date(0), Buffer.from("x"))'
        await both.node.run(code, name=name)
        for _ in range(2):
            assert codec.feed(await here.recv()).data == ["e", moment, b"x"]


@classic
async def test_requests_of_older_versions(both):
    """They name one client."""
    _, here_sid, _, far_sid = await both.clients()
    code = """
      const adapter = shared.io.of("/").adapter;
      const ask = (request) => new Promise((resolve) => {
        adapter.requests.set("old", { type: request.type, resolve });
        Object.assign(request, { uid: adapter.uid, requestId: "old", sid: args.sid });
        shared.pub.publish(adapter.requestChannel, JSON.stringify(request));
      });
      await ask({ type: 2, room: "old" });
      const rooms = [...await adapter.allRooms()];
      await ask({ type: 3, room: "old" });
      await ask({ type: 4, close: false });
      const old = { type: 0, numSub: 2, msgCount: 1, sockets: new Set() };
      const sockets = new Promise((resolve) => {
        adapter.requests.set("all", { ...old, resolve });
        const request = { type: 0, uid: "other", requestId: "all", rooms: [] };
        shared.pub.publish(adapter.requestChannel, JSON.stringify(request));
      });
      return [rooms.sort(), [...await sockets]];"""
    rooms, sockets = await both.node.run(code, sid=here_sid)
    assert rooms == sorted([here_sid, far_sid, "old"])
    assert sockets == []


async def test_garbage_does_no_harm(both, caplog):
    here, here_sid, _, _ = await both.clients()
    deep = b"\x91" * 150 + b"\xc0"
    garbage = [
        *(
            b"",
            b"\xc1",
            b"\xc0",
            b"{",
            b"[]",
            b"{}",
            deep,
            b"[" * 500,
            b"x" * (2 << 20),
        ),
        b'{"type":99}',
        *(b'{"type":%d}' % kind for kind in range(-1, 10)),
        *(b'{"type":%d,"opts":7,"uid":1,"requestId":[]}' % kind for kind in range(10)),
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"\x93\xa1u\x82\xa4type\x02\xa4data\x07\x80",
        b"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa7connect\x80",
        b"\x93\xa1u\x82\xa4type\x02\xa4data\x92\xa1e\xd4\x07\x00\x80",
        b"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa5rooms\x91\x90",
    ]
    raw_publish = """
      for (const hex of args.hex) {
        for (const channel of args.channels) {
          const octets = Buffer.from(hex, "hex");
          if (args.sharded) await shared.pub.sPublish(channel, octets);
          else await shared.pub.publish(channel, octets);
        }
      }"""
    adapter = both.sio.of("/").adapter
    messages = [
        *({"type": kind} for kind in range(14)),
        *({"type": kind, "uid": "u"} for kind in range(14)),
        *({"type": kind, "uid": "u", "data": {"requestId": 7}} for kind in range(14)),
        {"type": 3, "uid": "u", "data": {"packet": {"type": 2, "data": [{}]}}},
        {"type": 9, "uid": "u", "data": {"packet": []}},
        {"type": [], "uid": "u", "data": {}},
        {"type": 12, "uid": 7, "data": []},
    ]
    garbage += [json.dumps({**each, "nsp": "/"}).encode() for each in messages]
    asked = asyncio.ensure_future(both.sio.emit_with_ack("q", to=here_sid, timeout=20))
    question = await here.recv()  # answers are waited for
    hexes = [each.hex() for each in garbage]
    # Those of Node fall over it: garbage goes to the channels that it has not.
    options = {"hex": hexes, "channels": [adapter.own_channel]}
    sharded = isinstance(adapter, RedisShardedNamespaceAdapter)
    await both.node.run(raw_publish, sharded=sharded, **options)
    for octets in garbage:
        adapter._heard(adapter.channel, octets)
        if not sharded:
            adapter._heard_request(adapter.request_channel, octets)
    await here.send(f"3{question[1 : question.index('[')]}[1]")
    assert await asked == [1]
    await both.node.run('shared.io.emit("fine")')
    assert await here.recv() == '2["fine"]'
    assert "limit is 1048576" in caplog.text
    assert not [r for r in caplog.records if r.levelname == "ERROR"]


async def test_redis_goes_and_comes_back(both, redis):
    here, here_sid, far, _ = await both.clients()
    redis.kill()
    await until(lambda: both.adapter.bus.state == "down")
    both.sio.emit("alone", local=True)
    both.sio.emit("later")
    assert [await here.recv() for _ in range(2)] == ['2["alone"]', '2["later"]']
    assert [s.id for s in await both.sio.of("/").fetch_sockets()] == [here_sid]
    assert await both.sio.of("/").server_side_emit_with_ack("how many") == []
    redis.start()
    await both.adapter.synced()
    ready = """
      const wanted = await shared.io.of("/").adapter.serverCount().catch(() => 0);
      return shared.sub.isReady && wanted === 2;"""
    async with timeout(20):
        while not await both.node.run(ready):
            pass
    await both.node.run('shared.io.emit("back")')
    assert await here.recv() == '2["back"]'
    both.sio.emit("again")
    events = []
    while '2["again"]' not in events:
        events.append(await far.recv())
    assert set(events) <= {'2["later"]', '2["back"]', '2["again"]'}
