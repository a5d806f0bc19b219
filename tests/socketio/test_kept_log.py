"""Recovery on a log that comes and goes when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.socketio.conftest import until
from tests.socketio.recovering import RecoveringNode
from wsfast import socketio
from wsfast.hub import MemoryBus
from wsfast.socketio import kept as kept_module


class MemoryLog:
    """A log of one node, in memory: entries are read as they are appended."""

    def __init__(self):
        self.state = "closed"
        self.values = {}
        self.number = 0
        self.held = None  # entries that are not read yet, if it is held

    def follow(self, begins, received, *, seconds, on_state):
        self.seconds, self._received, self._on_state = seconds, received, on_state
        begins(0)

    async def start(self):
        self.turn("up")

    async def close(self):
        self.turn("closed")

    def turn(self, state):
        """Come or go."""
        self.state = state
        if hasattr(self, "_on_state"):
            self._on_state(state)

    def told(self, octets):
        """Have an entry read."""
        self.number += 1
        self._received(self.number, octets, False)

    async def append(self, octets):
        if self.state != "up":
            raise ConnectionError("away")
        if self.held is None:
            self.told(octets)
        else:
            self.held.append(octets)

    async def put(self, key, octets, seconds):
        if self.state != "up":
            raise ConnectionError("away")
        self.values[key] = octets

    async def take(self, key):
        if self.state != "up":
            raise ConnectionError("away")
        return self.values.pop(key, None)


class Node(RecoveringNode):
    """One on such a log."""

    async def start(self, stack, **recovery):
        bus = await stack.enter_async_context(MemoryBus())
        self.log = MemoryLog()
        cluster = socketio.Cluster(bus, log=self.log, timeout=0.2)
        await stack.enter_async_context(cluster)
        await self.begin(stack, cluster, **recovery)


@pytest.fixture
async def start():
    """Return what starts a node."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**recovery):
            node = Node()
            await node.start(stack, **recovery)
            return node

        yield start


async def heard(raw):
    """Return the next event and its offset."""
    *event, offset = json.loads((await raw.recv())[1:])
    return event, offset


async def test_sessions_are_saved_when_the_log_is_back(start):
    node = await start()
    raw, me = await node.enter()
    node.log.turn("down")
    await node.away(raw)
    await node.kept.saved()
    assert node.log.values == {}
    node.log.turn("up")
    await node.kept.saved()
    assert list(node.log.values) == [f"/:{me['pid']}"]
    assert node.kept._unsaved == {}
    _, again = await node.enter(pid=me["pid"])
    assert again == me


async def test_back_while_the_log_is_away(start):
    """Its own node has the state still; of others it cannot be had."""
    node = await start()
    raw, me = await node.enter()
    node.log.turn("down")
    await node.away(raw)
    raw, again = await node.enter(pid=me["pid"])
    assert again == me
    _, new = await node.enter(pid="x" * 20)  # waits for the log, in vain
    assert new["sid"] != me["sid"]


async def test_states_that_cannot_be_saved_are_bounded(start):
    node = await start(max_sessions=2)
    clients = [await node.enter() for _ in range(3)]
    node.log.turn("down")
    for raw, _ in clients:
        await node.away(raw)
    newest = [f"/:{me['pid']}" for _, me in clients[1:]]
    assert list(node.kept._unsaved) == newest
    node.log.turn("up")
    await node.kept.saved()
    assert list(node.log.values) == newest


async def test_a_state_that_is_too_long_is_not_kept(start, caplog):
    node = await start()
    raw, me = await node.enter()
    node.sio.socket(me["sid"]).data["long"] = "x" * (1 << 20)
    await node.away(raw)
    await node.kept.saved()
    assert node.log.values == {}
    assert "the state of a client is not kept" in caplog.text


@pytest.mark.parametrize("what", ["octets", "kind", "end", "last"])
async def test_rubbish_where_a_state_was(start, caplog, what):
    node = await start()
    raw, me = await node.enter()
    await node.away(raw)
    await node.kept.saved()
    key = f"/:{me['pid']}"
    envelope = node.kept._reads.decode(node.log.values[key])
    fields = dict(envelope.fields)
    if what == "octets":
        node.log.values[key] = b"rubbish"
    elif what == "kind":
        node.log.values[key] = node.kept._writes.encode(
            "event", nsp="/", token=1, text='2["e"]'
        )
    else:
        fields[what] = "1-zz"
        node.log.values[key] = node.kept._writes.encode("session", **fields)
    raw, new = await node.enter(pid=me["pid"])
    assert new["sid"] != me["sid"]
    assert await raw.call("echo", 1) == [1]
    assert ("a session is not understood" in caplog.text) == (what == "octets")


@pytest.mark.parametrize("text", [None, "", "2{}", '2["e"]junk'])
async def test_entries_that_are_no_events(start, caplog, text):
    node = await start()
    raw, _ = await node.enter()
    fields = {} if text is None else {"text": text}
    node.log.told(node.kept._writes.encode("event", nsp="/", token=1, **fields))
    assert "the log has something else in it" in caplog.text
    node.sio.emit("fine")
    assert (await heard(raw))[0] == ["fine"]


async def test_a_state_among_the_entries_is_passed_over(start):
    node = await start()
    raw, me = await node.enter()
    await node.away(raw)
    await node.kept.saved()
    node.log.told(node.log.values[f"/:{me['pid']}"])
    _, again = await node.enter(pid=me["pid"])
    assert again == me


async def test_events_that_the_log_has_not_told_yet(start):
    """Who leaves is sent them first; all others, when the log has gone."""
    node = await start()
    (one, me), (two, _) = [await node.enter() for _ in range(2)]
    node.log.held = []
    handed_out = node.sio.emit("a")
    node.sio.disconnect(me["sid"])
    assert (await heard(one))[0] == ["a"]
    assert await one.recv() == "1"
    assert not handed_out.done()
    node.log.turn("down")
    assert (await heard(two))[0] == ["a"]
    await handed_out
    for octets in node.log.held:  # it has them after all: nobody hears them again
        node.log.told(octets)
    node.log.turn("up")
    node.log.held = None
    node.sio.emit("b")
    assert (await heard(two))[0] == ["b"]


async def test_events_for_this_node_alone_have_the_offset_of_those_before(start):
    node = await start()
    raw, _ = await node.enter()
    node.sio.of("/").local.emit("here")
    (event, offset) = await heard(raw)
    assert (event, offset) == (["here"], "0-0")
    node.sio.emit("all")
    assert await heard(raw) == (["all"], "0-1")
    node.sio.of("/").local.emit("here")
    assert await heard(raw) == (["here"], "0-1")


async def test_synced(start):
    node = await start()
    node.log.turn("down")
    waiting = asyncio.ensure_future(node.cluster.synced())
    await asyncio.sleep(0)
    assert not waiting.done()
    node.log.turn("up")
    await waiting
    node.log.turn("closed")
    with pytest.raises(ConnectionError, match="the log is closed"):
        await node.cluster.synced()


async def test_events_of_many_namespaces_are_forgotten(start, monkeypatch):
    monkeypatch.setattr(kept_module, "MAX_NAMESPACES", 3)
    node = await start()
    raw, _ = await node.enter()
    for n in range(5):
        node.log.told(
            node.kept._writes.encode("event", nsp=f"/{n}", token=1, text='2["e"]')
        )
    assert list(node.kept._histories) == ["/", "/3", "/4"]
    assert node.kept.begin == node.log.number  # /2 would begin here
    node.sio.emit("fine")
    assert (await heard(raw))[0] == ["fine"]


async def test_who_asks_for_something_else_than_a_client(start):
    node = await start()
    await node.enter()
    adapter = node.sio.of("/").adapter
    for rubbish in (None, 7, ["x"]):
        assert await node.kept.settle(adapter, rubbish) is False
    assert await node.kept.settle(adapter, "x" * 20) is False


async def test_a_client_that_hangs_up_as_it_comes_back(start):
    """What was fetched for it is kept again."""
    node = await start()
    raw, me = await node.enter()
    await node.away(raw)
    await node.kept.saved()
    node.log.turn("down")
    adapter = node.sio.of("/").adapter
    fetching = asyncio.ensure_future(adapter.fetch_session(me["pid"], None))
    await asyncio.sleep(0)
    fetching.cancel()
    await asyncio.wait([fetching])
    node.kept._timeout = 20
    node.log.turn("up")
    await node.kept.saved()
    await until(lambda: list(node.log.values) == [f"/:{me['pid']}"])
    _, again = await node.enter(pid=me["pid"])
    assert again == me
