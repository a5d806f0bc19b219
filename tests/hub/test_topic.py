"""Topics of one process: members of all kinds, slow ones, limits (L-6, L-9)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import weakref

import pytest

from tests.hub.waiting import until
from wsfast import ConcurrencyError, ConnectionClosed, Listener, connect, serve
from wsfast.hub import GONE, QUEUED, SLOW, Hub, Message, TooManyTopics


class Fake:
    """A member whose output is as full as the test says."""

    def __init__(self):
        self.seen, self.closed = [], None
        self.full = False
        self.gone = False
        self.limits = []
        self.drained, self.ended = [], []

    def offer(self, message, limit):
        self.limits.append(limit)
        if self.gone:
            return GONE
        if self.full:
            return SLOW
        self.seen.append(message.data)
        return QUEUED

    def close(self, code, reason):
        self.closed = code, reason

    def when_closed(self, callback):
        self.ended.append(callback)

    def when_drained(self, callback):
        self.drained.append(callback)

    def drain(self):
        self.full = False
        drained, self.drained = self.drained, []
        for callback in drained:
            callback()

    def end(self):
        self.gone = True
        for callback in self.ended:
            callback()


@pytest.fixture
def hub():
    return Hub()


def test_publish(hub):
    one, two, three = Fake(), Fake(), Fake()
    topic = hub.topic("x")
    for member in (one, two):
        topic.subscribe(member)
    hub.topic("y").subscribe(three)
    assert topic.publish("a") == 2
    assert hub.topic("x").publish(b"b", except_=one) == 1
    assert hub.topic("x").publish(bytearray(b"c"), except_=[one, two]) == 0
    assert (one.seen, two.seen, three.seen) == (["a"], ["a", b"b"], [])
    topic.unsubscribe(one)
    topic.unsubscribe(one)
    assert topic.publish(Message("d")) == 1
    assert (len(topic), one in topic, two in topic) == (1, False, True)
    assert hub.topics_of(two) == ["x"]
    with pytest.raises(TypeError):
        topic.publish(1)


def test_message_is_made_once_for_each_kind():
    made = []

    def maker(data):
        made.append(data)
        return data.upper()

    message = Message("x")
    assert [message.made(maker) for _ in range(3)] == ["X"] * 3
    assert made == ["x"]
    assert Message(memoryview(b"y")).data == b"y"


def test_l6_skip(hub):
    slow, quick = Fake(), Fake()
    topic = hub.topic("x")
    for member in (slow, quick):
        topic.subscribe(member)
    slow.full = True
    for n in range(3):
        assert topic.publish(str(n)) == 1
    slow.full = False
    topic.publish("3")
    assert (slow.seen, quick.seen) == (["3"], ["0", "1", "2", "3"])
    assert (topic.dropped, hub.dropped) == (3, 3)
    assert slow.limits[0] == -1


def test_l6_latest(hub):
    slow = Fake()
    topic = hub.topic("x", policy="latest")
    topic.subscribe(slow)
    topic.publish("0")
    slow.full = True
    for n in range(1, 4):
        assert topic.publish(str(n)) == 0
    assert len(slow.drained) == 1
    assert topic.dropped == 2
    slow.drain()
    assert slow.seen == ["0", "3"]
    topic.publish("4")
    assert slow.seen == ["0", "3", "4"]


def test_l6_latest_of_one_who_is_slow_again(hub):
    slow = Fake()
    topic = hub.topic("x", policy="latest")
    topic.subscribe(slow)
    slow.full = True
    topic.publish("1")
    (callback,), slow.drained = slow.drained, []
    callback()
    assert len(slow.drained) == 1
    topic.publish("2")
    slow.drain()
    assert slow.seen == ["2"]


@pytest.mark.parametrize("how", ["unsubscribe", "again", "end"])
def test_l6_latest_is_not_for_one_who_has_left(hub, how):
    slow = Fake()
    topic = hub.topic("x", policy="latest")
    topic.subscribe(slow)
    slow.full = True
    topic.publish("1")
    if how == "end":
        slow.end()
    else:
        topic.unsubscribe(slow)
    if how == "again":
        topic.subscribe(slow)
    slow.drain()
    assert slow.seen == []


@pytest.mark.parametrize("policy", ["skip", "latest"])
def test_who_has_gone_without_a_word_is_no_member(hub, policy):
    gone = Fake()
    topic = hub.topic("x", policy=policy)
    topic.subscribe(gone)
    if policy == "latest":
        gone.full = True
        topic.publish("1")
        gone.gone = True
        gone.drain()
    else:
        gone.gone = True
        assert topic.publish("1") == 0
    assert gone not in topic
    assert hub.topics_of(gone) == []


def test_l6_close(hub, caplog):
    caplog.set_level(logging.INFO, "wsfast.hub")
    slow = Fake()
    topic = hub.topic("x", policy="close", max_buffered=10)
    topic.subscribe(slow)
    hub.topic("y").subscribe(slow)
    slow.full = True
    topic.publish("1")
    assert slow.closed == (1008, "too slow")
    assert hub.topics_of(slow) == []
    assert (topic.closed, topic.dropped, hub.active) == (1, 1, 0)
    assert slow.limits == [10]
    assert "too slow" in caplog.text


def test_l6_policy_of_a_member_and_its_limit(hub):
    topic = hub.topic("x", max_buffered=7)
    for terms, limit in [
        ({}, 7),
        ({"max_buffered": 8}, 8),
        ({"policy": "latest"}, -1),
        ({"policy": "close"}, 1 << 20),
        ({"policy": "close", "max_buffered": 0}, 0),
    ]:
        member = Fake()
        topic.subscribe(member, **terms)
        topic.publish("")
        assert member.limits == [limit]
        topic.unsubscribe(member)


def test_l6_members_with_limits_of_their_own_beside_others(hub):
    topic = hub.topic("x", max_buffered=7)
    usual, own, latest, closing, failing = members = [Fake() for _ in range(5)]
    failing.offer = lambda *_: 1 / 0
    for member in (usual, failing):
        topic.subscribe(member)
    topic.subscribe(own, max_buffered=8)
    topic.subscribe(latest, policy="latest")
    topic.subscribe(closing, policy="close")
    assert topic.publish("1") == 4
    for member in members:
        member.full = True
    assert topic.publish("2") == topic.publish("3") == 0
    assert (topic.dropped, topic.closed) == (1 + 4 + 4, 1)
    for member in members:
        member.drain()
    assert closing.closed == (1008, "too slow")
    assert (usual.seen, own.seen, latest.seen) == (["1"], ["1"], ["1", "3"])
    assert [set(member.limits) for member in members[:4]] == [{7}, {8}, {-1}, {1 << 20}]
    topic.subscribe(own)  # on the topic's terms from now on
    topic.unsubscribe(latest)
    assert topic.publish("4") == 2
    assert own.limits[-1] == usual.limits[-1] == 7


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"policy": "wait"}, "skip, latest or close"),
        ({"policy": "latest", "max_buffered": 1}, "high-water mark"),
        ({"max_buffered": -1}, ">= 0"),
    ],
)
def test_terms_are_checked(hub, terms, text):
    member = Fake()
    for wrong in (
        lambda: hub.topic("x", **terms),
        lambda: hub.topic("y").subscribe(member, **terms),
        lambda: Hub(**terms),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
    assert hub.members == hub.active == 0
    with pytest.raises(ValueError, match="max_topics"):
        Hub(max_topics=0)


def test_terms_of_a_topic_may_be_set_later(hub):
    topic = hub.topic("x")
    assert hub.topic("x", policy="close", max_buffered=5) is topic
    assert (topic.policy, topic.max_buffered) == ("close", 5)
    assert hub.topic("x").policy == "close"


@pytest.mark.parametrize("name", ["", "x" * 600, "\n" * 300])
def test_names(hub, name):
    with pytest.raises(ValueError, match="name"):
        hub.topic(name)


def test_member_that_fails_does_not_hinder_others(hub, caplog):
    broken, well = Fake(), Fake()
    broken.offer = lambda *_: 1 / 0
    topic = hub.topic("x")
    for member in (broken, well):
        topic.subscribe(member)
    assert topic.publish("a") == 1
    assert well.seen == ["a"]
    assert "a member of 'x' failed" in caplog.text


def test_member_may_leave_while_it_is_delivered_to(hub):
    one, two = Fake(), Fake()
    topic = hub.topic("x")
    one.offer = lambda *_: hub.remove(one) or QUEUED
    for member in (one, two):
        topic.subscribe(member)
    assert topic.publish("a") == 2
    assert len(topic) == 1


# ---- L-9 ----


def test_l9_limit_of_topics(hub):
    hub = Hub(max_topics=2)
    member = Fake()
    hub.topic("1").subscribe(member)
    hub.topic("2").subscribe(member)
    hub.topic("2").subscribe(member)
    with pytest.raises(TooManyTopics):
        hub.topic("3").subscribe(member)
    assert hub.topics_of(member) == ["1", "2"]
    hub.topic("1").unsubscribe(member)
    hub.topic("3").subscribe(member)
    assert Hub().max_topics == 1000


def test_l9_empty_topics_are_freed(hub):
    member = Fake()
    for n in range(1000):
        hub.topic(str(n)).subscribe(member)
    watched = [weakref.ref(hub.topic(str(n))) for n in range(1000)]
    assert (hub.active, hub.members) == (1000, 1)
    for n in range(500):
        hub.topic(str(n)).unsubscribe(member)
    member.end()
    gc.collect()
    assert (hub.active, hub.members, len(hub._topics)) == (0, 0, 0)
    assert not hub._memberships
    assert [ref() for ref in watched] == [None] * 1000


def test_l9_removal_costs_what_the_member_is_in(hub):
    for n in range(2000):
        hub.topic(f"other {n}").subscribe(Fake())
    crowd = hub.topic("crowd")
    for _ in range(2000):
        crowd.subscribe(Fake())
    member, looked = Fake(), []
    crowd.subscribe(member)
    drop = type(crowd).drop
    try:
        type(crowd).drop = lambda self, one: looked.append(self) or drop(self, one)
        hub.remove(member)
    finally:
        type(crowd).drop = drop
    assert looked == [crowd]  # a dict, of which one entry goes
    assert len(crowd) == 2000


def test_l9_coming_and_going_leaves_nothing(hub):
    member = Fake()
    for _ in range(100):
        hub.topic("x").subscribe(member)
        hub.remove(member)
        hub.topic("x").subscribe(member)
        hub.topic("x").unsubscribe(member)
    assert len(member.ended) == 1


async def test_another_thread_is_refused(hub):
    hub.topic("x").subscribe(Fake())
    errors = []

    def publish():
        try:
            hub.topic("x").publish("a")
        except ConcurrencyError as exc:
            errors.append(exc)

    thread = threading.Thread(target=publish)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert errors


# ---- real connections ----


@contextlib.asynccontextmanager
async def serving(handler, **options):
    """Serve; yield the address."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def subscriber(hub, style, **terms):
    """Return a handler that subscribes each connection, in either style."""

    class Subscriber(Listener):
        def on_open(self, ws):
            hub.topic("x").subscribe(ws, **terms)

    async def handler(ws):
        hub.topic("x").subscribe(ws, **terms)
        await ws.wait_closed()

    return Subscriber if style == "listener" else handler


@pytest.mark.parametrize("style", ["listener", "coroutine"])
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_connections_of_both_styles(hub, style, compression):
    topic = hub.topic("x")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        uri = await enter(serving(subscriber(hub, style), compression=compression))
        clients = [await enter(connect(uri, compression=compression)) for _ in "abc"]
        await until(lambda: len(topic) == 3)
        text = "é" * 1000
        assert topic.publish(text) == 3
        assert topic.publish(b"\0\1") == 3
        for client in clients:
            assert await client.recv() == text
            assert await client.recv() == b"\0\1"
        await clients[0].close()
        await until(lambda: len(topic) == 2)
        clients[1].abort()
        await until(lambda: len(topic) == 1)
        assert topic.publish("y") == 1
    await until(lambda: not hub._memberships)
    assert hub.active == 0


@pytest.mark.parametrize("policy", ["skip", "latest", "close"])
async def test_l6_never_waits_for_a_client_that_does_not_read(hub, policy):
    topic = hub.topic("x", policy=policy)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        handler = subscriber(hub, "listener")
        uri = await enter(serving(handler, close_timeout=0.2, compression=None))
        slow = await enter(connect(uri, max_queue=1, ping_interval=None))
        quick = await enter(connect(uri))
        await until(lambda: len(topic) == 2)
        count, last = 0, ""
        while topic.dropped < 10 and not topic.closed:
            last = f"{count:<500000}"
            topic.publish(last)
            assert await quick.recv() == last
            count += 1
            assert count < 2000
        if policy == "close":
            assert len(topic) == 1
            with pytest.raises(ConnectionClosed) as failure:
                while True:
                    await slow.recv()
            assert failure.value.code in (1006, 1008)
            return
        seen = [int(await slow.recv())]
        while seen[-1] != int(last):
            if policy == "skip" and len(seen) + topic.dropped == count:
                break  # what it missed does not come
            seen.append(int(await slow.recv()))
        assert seen == sorted(set(seen))
        assert len(seen) + topic.dropped == count


async def test_one_frame_and_one_compression_for_all(hub, monkeypatch):
    from wsfast import engine
    from wsfast.protocol.deflate import Deflate

    topic = hub.topic("x")
    frames, compressed = [], []
    make, encode = engine.encode_frame, Deflate.encode_alone
    monkeypatch.setattr(
        engine, "encode_frame", lambda *a, **k: frames.append(1) or make(*a, **k)
    )
    monkeypatch.setattr(
        Deflate, "encode_alone", lambda self, o: compressed.append(1) or encode(self, o)
    )
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        uri = await enter(serving(subscriber(hub, "listener"), compression="deflate"))
        plain = [await enter(connect(uri, compression=None)) for _ in range(3)]
        deflating = [await enter(connect(uri)) for _ in range(3)]
        await until(lambda: len(topic) == 6)
        assert topic.publish("x" * 1000) == 6
        for client in plain + deflating:
            assert await client.recv() == "x" * 1000
    assert (len(frames), len(compressed)) == (2, 1)


async def test_a_hub_by_itself_starts_and_ends():
    async with Hub() as hub:
        await hub.synced()
        topic, member = hub.topic("x"), Fake()
        topic.subscribe(member)
    assert topic.publish("after the end") == 1
    assert member.seen == ["after the end"]
