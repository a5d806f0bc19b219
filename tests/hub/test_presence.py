"""Which nodes there are, with time as an argument; questions to all of them (L-11)."""

from __future__ import annotations

import asyncio

import pytest

from tests.hub.waiting import until
from wsfast.hub import EnvelopeError, MemoryBus, Presence
from wsfast.hub.envelope import Codec
from wsfast.hub.presence import KINDS, MAX_NODES


class Wire:
    """Several buses of a process that hear each other, unless they are cut off."""

    def __init__(self):
        self.ends = []

    def end(self):
        self.ends.append(End(self))
        return self.ends[-1]


class End(MemoryBus):
    """One node's end of a wire."""

    def __init__(self, wire):
        super().__init__()
        self.wire = wire
        self.connected = True

    def _received(self, channel, octets):
        for end in self.wire.ends:
            if end is self or (end.connected and self.connected):
                MemoryBus._received(end, channel, octets)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Nodes:
    """Nodes on a wire, whose time is one clock."""

    def __init__(self):
        self.wire, self.clock = Wire(), Clock()
        self.all = []
        self.news = []

    async def add(self, name, **options):
        bus = self.wire.end()
        await bus.start()
        node = Presence(
            bus,
            node=name,
            info={"name": name},
            clock=self.clock,
            on_join=lambda other: self.news.append(f"{name}+{other.id}"),
            on_leave=lambda other: self.news.append(f"{name}-{other.id}"),
            **options,
        )
        await node.start()
        self.all.append(node)
        return node

    async def pass_time(self, seconds):
        """Let time pass, second by second, and each node act on it."""
        for _ in range(seconds):
            self.clock.now += 1
            for node in self.all:
                node.tick(self.clock.now)
            for _ in range(5):
                await asyncio.sleep(0)

    async def close(self):
        for node in self.all:
            await node.close()
            await node.bus.close()


@pytest.fixture
async def nodes():
    nodes = Nodes()
    yield nodes
    await nodes.close()


async def know_each_other(*nodes):
    await until(lambda: all(len(node.nodes) == len(nodes) - 1 for node in nodes))


async def test_nodes_meet(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    assert a.nodes["b"].info == {"name": "b"}
    assert sorted(nodes.news) == ["a+b", "b+a"]
    c = await nodes.add("c")
    await know_each_other(a, b, c)


async def test_a_node_starts_once(nodes):
    a = await nodes.add("a")
    with pytest.raises(RuntimeError, match="it has been started"):
        await a.start()
    await a.close()
    await a.close()
    await a.start()  # and may come again
    b = await nodes.add("b")
    await know_each_other(a, b)


async def test_node_says_that_it_goes(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    await b.close()
    await until(lambda: not a.nodes)
    assert nodes.news[-1] == "a-b"


async def test_l11_silent_node_expires(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    await nodes.pass_time(60)
    assert set(a.nodes) == {"b"}  # it has said so all the time
    b.bus.connected = False
    await nodes.pass_time(15)
    assert set(a.nodes) == {"b"}
    await nodes.pass_time(6)
    assert not a.nodes
    assert not b.nodes
    assert nodes.news[-2:] == ["a-b", "b-a"]


async def test_l11_split_heals_by_itself(nodes):
    everybody = [await nodes.add(name) for name in "abcd"]
    sides = everybody[:2], everybody[2:]
    await know_each_other(*everybody)

    def received(end, channel, octets):
        side = [node.bus for node in sides[0]]
        for other in nodes.wire.ends:
            if (other in side) == (end in side):
                MemoryBus._received(other, channel, octets)

    for node in everybody:
        node.bus._received = lambda c, o, end=node.bus: received(end, c, o)
    await nodes.pass_time(30)
    assert [sorted(node.nodes) for node in everybody] == [["b"], ["a"], ["d"], ["c"]]
    for node in everybody:
        del node.bus._received
    await nodes.pass_time(6)
    assert all(len(node.nodes) == 3 for node in everybody)


@pytest.mark.parametrize(("interval", "expiry"), [(5, 31), (5, 9), (0, 10)])
def test_l11_nobody_stays_for_longer_than_30_s(interval, expiry):
    with pytest.raises(ValueError, match="30 s"):
        Presence(MemoryBus(), interval=interval, expiry=expiry)


async def test_many_nodes_are_no_flood(nodes):
    a = await nodes.add("a")
    for n in range(MAX_NODES + 10):
        octets = Codec(f"n{n}", KINDS).encode("here", info={})
        a._heard("", octets)
    assert len(a.nodes) == MAX_NODES


async def test_rubbish_is_logged_once(nodes, caplog):
    a = await nodes.add("a")
    for octets in (b"", b"[]", b'[9,"x","here",{}]'):
        a._heard("", octets)
    assert a.codec.refused == 3
    assert len(caplog.records) == 1


# ---- questions ----


async def test_all_answer(nodes):
    a, b, c = [await nodes.add(name) for name in "abc"]
    await know_each_other(a, b, c)

    async def later(node, body):
        await asyncio.sleep(0)
        return [node, body, "c"]

    a.answer("what", lambda node, body: [node, body, "a"])
    b.answer("what", lambda node, body: [node, body, "b"])
    c.answer("what", later)
    result = await a.ask("what", {"x": 1}, timeout=30)
    assert result.answers == {name: ["a", {"x": 1}, name] for name in "abc"}
    assert not result.failed
    assert not result.missing
    result = await a.ask("what", 2, timeout=30, self_too=False)
    assert set(result.answers) == {"b", "c"}
    result = await a.ask("what", 3, timeout=30, nodes=["c"])
    assert set(result.answers) == {"c"}
    result = await a.ask("what", 4, timeout=30, nodes=[])
    assert result == ({}, {}, set())


async def test_those_that_fail_say_so(nodes, caplog):
    a, b, c = [await nodes.add(name) for name in "abc"]
    await know_each_other(a, b, c)
    b.answer("what", lambda *_: 1 / 0)

    async def later(*_):
        raise OSError("secret")

    c.answer("what", later)
    result = await a.ask("what", timeout=30)
    assert result.failed == {
        "a": "nobody answers 'what'",
        "b": "ZeroDivisionError",
        "c": "OSError",
    }
    b.answer("what", lambda *_: object())
    c.answer("what", lambda *_: "x" * (2 << 20))
    a.answer("what", None)
    result = await a.ask("what", timeout=30, nodes=["b", "c"])
    assert set(result.failed) == {"b", "c"}


async def test_deadline(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    b.answer("what", lambda *_: asyncio.get_running_loop().create_future())
    result = await a.ask("what", timeout=0.05, self_too=False)
    assert result == ({}, {}, {"b"})
    assert not a._questions


async def test_node_that_goes_is_not_waited_for(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    b.answer("what", lambda *_: asyncio.get_running_loop().create_future())
    asking = asyncio.ensure_future(a.ask("what", timeout=60, self_too=False))
    await until(lambda: b._answering)
    await b.close()
    assert await asking == ({}, {}, {"b"})


async def test_questions_end_when_the_node_is_closed(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    b.answer("what", lambda *_: asyncio.get_running_loop().create_future())
    asking = asyncio.ensure_future(a.ask("what", timeout=60))
    await until(lambda: b._answering)
    await a.close()
    assert (await asking).missing == {"b"}


async def test_question_too_long(nodes):
    a = await nodes.add("a")
    with pytest.raises(EnvelopeError):
        await a.ask("what", "x" * (1 << 20))


async def test_answers_of_nodes_that_nobody_knows(nodes):
    a, b = await nodes.add("a"), await nodes.add("b")
    await know_each_other(a, b)
    asked = asyncio.ensure_future(a.ask("load", self_too=False))
    await asyncio.sleep(0)
    (ident,) = a._questions
    for name in ("x", "b"):
        octets = Codec(name, KINDS).encode("answer", id=ident, body=name)
        b.bus.publish("wsfast:node:a", octets)
    assert (await asked).answers.get("x") is None


async def test_callbacks_for_those_who_go(nodes):
    one, two = await nodes.add("a"), await nodes.add("b")
    gone, others = [], []
    one.when_gone(gone.append)
    one.when_gone(others.append)
    one.off_gone(others.append)
    one.off_gone(others.append)
    await until(lambda: one.nodes and two.nodes)
    await two.close()
    await until(lambda: not one.nodes)
    assert (gone, others) == (["b"], [])
    assert not two.bus._state_callbacks
