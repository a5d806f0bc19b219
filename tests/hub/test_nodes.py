"""Two nodes over a real Redis and a real NATS: topics, presence, outages."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.hub.waiting import until
from wsfast import connect, serve
from wsfast.hub import Hub, Message


class Node:
    """A hub with a server, and a client of it who is in the topic."""

    def __init__(self, hub, client):
        self.hub, self.topic, self.client = hub, hub.topic("news"), client
        self.seen = []

    async def collect(self):
        async for message in self.client:
            self.seen.append(message)


@contextlib.asynccontextmanager
async def node(engine, **options):
    """Run a node."""
    bus = engine.bus(max_retry=0.5, liveness=1.5, max_queue=10)

    async def handler(ws):
        hub.topic("news").subscribe(ws, info={"path": ws.request.path})
        await ws.wait_closed()

    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        hub = await enter(Hub(bus, interval=0.5, **options))
        server = await enter(serve(handler, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        client = await enter(connect(f"ws://127.0.0.1:{port}/{hub.node}"))
        node = Node(hub, client)
        await until(lambda: len(node.topic) == 1)
        task = asyncio.ensure_future(node.collect())
        stack.callback(task.cancel)
        yield node


@contextlib.asynccontextmanager
async def two_nodes(engine, **options):
    """Run two nodes that know of each other."""
    formats = {"format": "json"}, {"format": "msgpack"}
    async with contextlib.AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(node(engine, **terms, **options))
            for terms in formats
        ]
        for one in nodes:
            await one.hub.synced()
        await until(lambda: all(one.hub.presence.nodes for one in nodes))
        yield nodes


async def test_l10_everybody_gets_it_once(engine):
    async with two_nodes(engine) as (one, two):
        sent = [f"{n} é" for n in range(300)] + [b"\0\xff", "last"]
        for n, message in enumerate(sent):
            (one if n < 302 else two).topic.publish(message)
            if n % 8 == 7:  # the queue of the bus is a short one here
                await until(lambda: not one.hub.bus.queued)
        await until(lambda: len(one.seen) == len(two.seen) == len(sent))
        assert one.seen == two.seen == sent
        two.topic.publish("from two", local=True)
        two.topic.publish(Message("for all"))
        await until(lambda: one.seen[-1] == "for all" == two.seen[-1])
        assert one.seen[-2] == "last"
        assert one.hub.refused == two.hub.refused == 0


async def test_members_over_nodes(engine):
    async with two_nodes(engine) as (one, two):
        members = await one.topic.fetch(timeout=30)
        assert sorted(members) == sorted(
            (each.hub.node, {"path": f"/{each.hub.node}"}) for each in (one, two)
        )
        await two.client.close()
        await until(lambda: not two.topic)
        assert len(await one.topic.fetch(timeout=30)) == 1
        assert await Hub().topic("nobody").fetch() == []


async def test_members_of_nodes_that_do_not_answer(engine, caplog):
    async with two_nodes(engine) as (one, two):
        presence = two.hub.presence
        presence.answer("members", None)
        members = await one.topic.fetch(timeout=30)
        assert members == [(one.hub.node, {"path": f"/{one.hub.node}"})]
        assert f"members of 'news' on node {two.hub.node}: nobody" in caplog.text
        presence.answer("members", lambda *_: asyncio.Event().wait())
        assert await one.topic.fetch(timeout=0.1) == members
        assert f"members of 'news' on node {two.hub.node}: no answer" in caplog.text


async def test_l8_local_delivery_goes_on(engine):
    async with two_nodes(engine) as (one, two):
        one.topic.publish("before")
        await until(lambda: one.seen and two.seen)
        engine.server.kill()
        try:
            for n in range(20):
                assert one.topic.publish(f"meanwhile {n}") == 1
            await until(lambda: len(one.seen) == 21)
            await until(lambda: two.hub.bus.state == "down")
            assert one.hub.bus.dropped + one.hub.bus.uncertain >= 10
        finally:
            engine.server.start()
        for each in (one, two):
            await each.hub.synced()
        one.topic.publish("after")
        await until(lambda: one.seen[-1] == "after" and two.seen[-1] == "after")
        for seen in (one.seen, two.seen):
            assert len(seen) == len(set(seen))


async def test_l11_nodes_find_each_other_again(engine):
    async with two_nodes(engine, expiry=1.0) as (one, two):
        with engine.server.stopped():
            await until(lambda: not one.hub.presence.nodes)
            await until(lambda: not two.hub.presence.nodes)
            assert one.topic.publish("alone") == 1
        await until(lambda: one.hub.presence.nodes and two.hub.presence.nodes)
        assert len(await one.topic.fetch(timeout=30)) == 2


async def test_node_that_goes(engine):
    async with node(engine) as one:
        async with node(engine) as two:
            await until(lambda: one.hub.presence.nodes and two.hub.presence.nodes)
        await until(lambda: not one.hub.presence.nodes)
        one.topic.publish("x")
        await until(lambda: one.seen == ["x"])


async def test_what_is_no_envelope_is_counted(engine, caplog):
    async with node(engine) as one, engine.bus() as other:
        await one.hub.synced()
        await other.synced()
        for octets in (b"rubbish", b'[1,"a","publish",{"text":"x","more":1}]'):
            other.publish(one.topic.channel, octets)
        await until(lambda: one.hub.refused == 2)
        assert one.seen == []
        texts = [r.getMessage() for r in caplog.records if "understand" in r.message]
        assert len(texts) == 1


@pytest.mark.parametrize("name", ["general chat", "a.b.*.>", "%41", "é" * 30])
async def test_any_name_of_a_topic(engine, name):
    async with two_nodes(engine) as (one, two):
        two.hub.topic(name).subscribe(next(iter(two.topic._members)))
        await two.hub.synced()
        one.hub.topic(name).publish("x")
        await until(lambda: two.seen == ["x"])
