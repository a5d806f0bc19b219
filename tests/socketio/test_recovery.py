"""Connection state recovery, on the wire and of its history."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio
from wsfast.asyncio._timeout import timeout
from wsfast.socketio import namespace
from wsfast.socketio.packet import EVENT, Packet
from wsfast.socketio.parser import JSONParser
from wsfast.socketio.recovery import ConnectionStateRecovery, History, number_of


def offset_in(message):
    """Return what came behind the data of an event."""
    return json.loads(message[1:])[-1]


async def away(sio, raw, how="transport close"):
    """Cut a connection, and wait until the server has seen it."""
    gone = len(sio.of("/").sockets) - 1
    raw.ws.transport.abort()
    await until(lambda: len(sio.of("/").sockets) == gone)


@pytest.fixture
async def sio(place):
    """Return a server with recovery."""
    sio = socketio.Server(connection_state_recovery=True)
    sio.on("echo", lambda sid, *args: args)
    await place.start(sio)
    return sio


@pytest.mark.parametrize("had", [True, False], ids=["had an event", "had none"])
async def test_what_was_missed_comes_once_and_in_order(place, sio, had):
    raw = await place.raw()
    me = await raw.enter()
    sid, offset = me["sid"], None
    sio.enter_room(sid, "room")
    sio.socket(sid).data["user"] = "eva"
    if had:
        sio.emit("first")
        offset = offset_in(await raw.recv())
    await away(sio, raw)
    sio.emit("all", 1)
    sio.emit("room", {"a": b"x"}, room="room")
    sio.emit("not you", except_=sid)
    sio.emit("others", room="another")
    sio.emit("lost", volatile=True)
    sio.emit("you", to=sid)
    raw = await place.raw()
    auth = {"pid": me["pid"]} | ({"offset": offset} if offset else {})
    again = await raw.enter("", auth)
    assert again == me
    assert json.loads((await raw.recv())[1:])[:-1] == ["all", 1]
    assert (await raw.recv())[:9] == '51-["room'
    assert await raw.recv() == b"x"
    assert json.loads((await raw.recv())[1:])[0] == "you"
    socket = sio.socket(sid)
    assert socket.recovered
    assert socket.rooms == {sid, "room"}
    assert socket.data == {"user": "eva"}
    assert await raw.call("echo") == []


async def test_events_on_their_way_are_sent_again(place, sio):
    """The server had sent them, the client had not got one: socketio/socket.io#5538."""
    raw = await place.raw()
    me = await raw.enter()
    sio.emit("a")
    sio.emit("b")
    await away(sio, raw)
    raw = await place.raw()
    await raw.enter("", {"pid": me["pid"]})
    assert json.loads((await raw.recv())[1:])[0] == "a"
    assert json.loads((await raw.recv())[1:])[0] == "b"


async def test_a_dead_connection_that_nobody_saw_die(place, sio):
    raw = await place.raw()
    me = await raw.enter()
    sio.emit("a")
    again = await place.raw()
    assert await again.enter("", {"pid": me["pid"]}) == me
    assert json.loads((await again.recv())[1:])[0] == "a"
    await raw.recv()  # the same "a"
    await raw.ended()
    assert len(sio.of("/").sockets) == 1


@pytest.mark.parametrize("how", ["left", "pid", "offset", "future", "twice"])
async def test_others_begin_anew(place, sio, how):
    raw = await place.raw()
    me = await raw.enter()
    sio.emit("a")
    auth = {"pid": me["pid"], "offset": offset_in(await raw.recv())}
    if how == "left":
        await raw.send("1")
        await until(lambda: not sio.of("/").sockets)
    else:
        await away(sio, raw)
    if how == "twice":
        first = await place.raw()
        assert await first.enter("", auth) == me
        sio.socket(me["sid"]).disconnect()
    elif how == "pid":
        auth["pid"] = "guessed"
    elif how == "offset":
        auth["offset"] = "../.."
    elif how == "future":
        auth["offset"] = "ff"
    raw = await place.raw()
    new = await raw.enter("", auth)
    assert new["sid"] != me["sid"]
    assert new["pid"] != me["pid"]
    assert await raw.call("echo") == []


@pytest.mark.parametrize("skip", [True, False])
async def test_middlewares(place, skip):
    recovery = ConnectionStateRecovery(skip_middlewares=skip)
    sio = socketio.Server(connection_state_recovery=recovery)
    seen = []
    sio.use(lambda socket: seen.append(socket.recovered))
    await place.start(sio)
    raw = await place.raw()
    me = await raw.enter()
    await away(sio, raw)
    assert await (await place.raw()).enter("", {"pid": me["pid"]}) == me
    assert seen == ([False] if skip else [False, True])


async def test_an_event_that_cannot_be_sent_is_not_kept(place, sio):
    raw = await place.raw()
    me = await raw.enter()
    await away(sio, raw)
    sio.emit("a")
    for room in (None, me["sid"]):
        with pytest.raises(TypeError):
            sio.emit("bad", object(), to=room)
    other, sid = await place.client()
    with pytest.raises(TypeError):
        sio.emit("bad", object(), to=sid)
    with pytest.raises(TypeError):
        sio.socket(sid).emit("bad", object())
    sio.emit("b")
    assert json.loads((await other.recv())[1:])[0] == "b"
    raw = await place.raw()
    assert await raw.enter("", {"pid": me["pid"]}) == me
    assert [json.loads((await raw.recv())[1:])[0] for _ in "ab"] == ["a", "b"]


async def test_events_while_it_is_being_let_in_are_not_lost(place, sio):
    raw = await place.raw()
    me = await raw.enter()
    await away(sio, raw)
    sio.emit("a")
    asked, go_on = asyncio.Event(), asyncio.Event()

    @sio.on("connect")
    async def connect(sid, environ):
        asked.set()
        await go_on.wait()

    raw = await place.raw()
    entering = asyncio.ensure_future(raw.enter("", {"pid": me["pid"]}))
    async with timeout(WAIT_S):
        await asked.wait()
    sio.emit("b")
    sio.emit("not you", except_=me["sid"])
    go_on.set()
    assert await entering == me
    sio.emit("c")
    heard = [json.loads((await raw.recv())[1:])[0] for _ in "abc"]
    assert heard == ["a", "b", "c"]


async def test_events_with_acknowledgements_have_no_offset(place, sio):
    raw, sid = await place.client()
    sio.emit("q", to=sid, callback=lambda: None)
    assert await raw.recv() == '20["q"]'
    sio.emit("lost", volatile=True)
    assert await raw.recv() == '2["lost"]'


async def test_what_is_sent_is_what_was_emitted(place, sio):
    """Whatever becomes of the objects in it afterwards."""
    raw = await place.raw()
    me = await raw.enter()
    await away(sio, raw)
    news = {"list": [1]}
    sio.emit("all", news)
    sio.socket(await another(place)).broadcast.emit("others", news)
    news["list"].append(object())
    raw = await place.raw()
    assert await raw.enter("", {"pid": me["pid"]}) == me
    for event in ("all", "others"):
        heard = json.loads((await raw.recv())[1:])
        assert heard[:2] == [event, {"list": [1]}]


async def another(place):
    """Let another client in; return its id."""
    _, sid = await place.client()
    return sid


@pytest.mark.parametrize("how", ["refused", "refused later", "lost"])
async def test_a_client_that_is_not_let_in_may_come_again(place, how):
    """What it missed is kept until it is let in."""
    recovery = ConnectionStateRecovery(skip_middlewares=False)
    sio = socketio.Server(connection_state_recovery=recovery)
    asked, go_on = asyncio.Event(), asyncio.Event()
    verdict = "welcome"

    @sio.use
    async def middleware(socket):
        asked.set()
        if verdict == "refused":
            raise socketio.ConnectionRefusedError("not now")
        if verdict != "welcome":
            await go_on.wait()
        if verdict == "refused later":
            raise socketio.ConnectionRefusedError("not now")

    await place.start(sio)
    raw = await place.raw()
    me = await raw.enter()
    sio.enter_room(me["sid"], "room")
    await away(sio, raw)
    sio.emit("a", room="room")
    asked.clear()
    verdict = how
    raw = await place.raw()
    await raw.send("0" + json.dumps({"pid": me["pid"]}))
    async with timeout(WAIT_S):
        await asked.wait()
    if how == "lost":
        raw.ws.transport.abort()  # and nobody sees it for a while
    else:
        sio.emit("b", room="room")
        go_on.set()
        assert await raw.recv() == '4{"message":"not now"}'
    verdict = "welcome"
    raw = await place.raw()
    assert await raw.enter("", {"pid": me["pid"]}) == me
    for event in "a" if how == "lost" else "ab":
        assert json.loads((await raw.recv())[1:])[0] == event
    go_on.set()
    assert sio.rooms(me["sid"]) == sorted([me["sid"], "room"])
    assert len(sio.of("/").sockets) == 1


async def test_who_has_missed_more_than_can_be_sent_begins_anew(place):
    sio = socketio.Server(connection_state_recovery=True, max_send_buffer=1000)
    await place.start(sio)
    for size, good in ((900, True), (1000, False)):
        raw = await place.raw()
        me = await raw.enter()
        await away(sio, raw)
        sio.emit("a", "x" * size)
        raw = await place.raw()
        assert (await raw.enter("", {"pid": me["pid"]}) == me) is good
        await away(sio, raw)


class _Socket:
    def __init__(self, pid, first):
        self.id, self.pid, self.rooms, self.data = "sid", pid, {"sid"}, {}
        self.first_offset = self.last_offset = first


def history(**options):
    """Return a history and a function that lets its time pass."""
    now = [0.0]

    def pass_(seconds):
        now[0] += seconds

    options = ConnectionStateRecovery(**options)
    return History(options, JSONParser(), clock=lambda: now[0]), pass_


EVERYBODY: frozenset[str] = frozenset()


def add(log, *data, rooms=EVERYBODY):
    """Add an event."""
    return log.add(Packet(EVENT, "/", list(data)), rooms, EVERYBODY)[0]


def missed(log, pid, offset):
    """Return what a client has missed."""
    events = log.restore(pid, offset).events
    return [json.loads(text[1:]) for (text,) in events]


def test_sessions_and_events_grow_old():
    log, pass_ = history(max_disconnection_duration=10)
    add(log, "a")
    log.persist(_Socket("p", 0))
    pass_(9)
    add(log, "b")
    pass_(2)
    assert log.restore("p", "0") is None
    assert not log._sessions
    assert len(log._events) == 1


def test_what_is_forgotten_cannot_be_recovered():
    log, _ = history(max_events=2)
    log.persist(_Socket("p", None))
    log.persist(_Socket("q", 0))
    log.persist(_Socket("r", 0))
    for name in "abc":
        add(log, name)
    assert log.restore("p", None) is None  # it has missed "a", which is gone
    assert missed(log, "q", "0") == [["b", "1"], ["c", "2"]]
    assert missed(log, "r", "2") == []


@pytest.mark.parametrize(("limit", "left"), [(20, 2), (19, 1), (0, 0), (None, 3)])
def test_octets_of_events_are_limited(limit, left):
    log, _ = history(max_size=limit)
    for name in "abc":
        add(log, name)  # 2["a","0"]: ten octets
    assert len(log._events) == left
    log, _ = history(max_size=limit)
    log.add(Packet(EVENT, "/", ["a", b"x" * 20]), EVERYBODY, EVERYBODY)
    assert len(log._events) == (limit is None)


@pytest.mark.parametrize(("limit", "left"), [(3, 3), (2, 2), (0, 0), (None, 3)])
def test_sessions_are_limited(limit, left):
    log, _ = history(max_sessions=limit)
    for pid in "pqr":
        log.persist(_Socket(pid, None))
    assert list(log._sessions) == list("pqr")[3 - left :]


def test_a_session_that_is_kept_again_is_as_old_as_before():
    log, pass_ = history(max_disconnection_duration=10)
    log.persist(_Socket("p", None))
    pass_(5)
    log.persist(_Socket("q", None))
    log.keep(log.restore("p", None).session)
    pass_(6)
    assert log.restore("p", None) is None
    assert log.restore("q", None)


@pytest.mark.parametrize(
    "options",
    [
        {"max_disconnection_duration": -1},
        {"max_events": -1},
        {"max_size": -1},
        {"max_sessions": -1},
    ],
)
def test_limits_that_make_no_sense(options):
    recovery = ConnectionStateRecovery(**options)
    with pytest.raises(ValueError, match=next(iter(options))):
        socketio.Server(connection_state_recovery=recovery)


def test_a_long_time_without_an_event_is_no_loss():
    """Others had so many that they were forgotten; this one had none of them."""
    log, _ = history(max_events=2)
    for name in "abc":
        add(log, name, rooms=frozenset({"others"}))
    log.persist(_Socket("p", None))
    add(log, "d")
    assert missed(log, "p", None) == [["d", "3"]]


@pytest.mark.parametrize("offset", [None, 7, "", "0x1", "01", "-1", " 1", "1_0", "g"])
def test_what_is_no_offset(offset):
    assert number_of(offset) is None


@pytest.fixture
async def rooms(place, request):
    """Return a server whose namespaces are made as clients come."""
    terms = getattr(request, "param", {})
    recovery = socketio.ConnectionStateRecovery(**terms)
    sio = socketio.Server(connection_state_recovery=recovery)
    sio.of(re.compile(r"/room\d"))
    await place.start(sio)
    return sio


async def leave_alone(sio, raw, name):
    """Cut the connection of the last client of a namespace."""
    raw.ws.transport.abort()
    await until(lambda: not sio.namespaces[name].sockets)


async def test_a_namespace_of_a_rule_is_there_for_who_comes_back(place, rooms):
    raw = await place.raw()
    me = await raw.enter("/room1")
    await leave_alone(rooms, raw, "/room1")
    rooms.emit("missed", namespace="/room1")
    raw = await place.raw()
    assert await raw.enter("/room1", {"pid": me["pid"]}) == me
    assert (await raw.recv()).startswith('2/room1,["missed"')
    assert not rooms.empty
    await raw.send("1/room1,")  # who leaves on purpose does not come back
    child = rooms.namespaces["/room1"]
    await until(lambda: child in rooms.empty)
    child._ending.cancel()
    child._look_again()
    assert child.closed
    assert "/room1" not in rooms.namespaces
    assert not rooms.empty


@pytest.mark.parametrize("rooms", [{"max_disconnection_duration": 0.2}], indirect=True)
async def test_a_namespace_of_a_rule_goes_when_nobody_may_come_back(place, rooms):
    raw = await place.raw()
    await raw.enter("/room1")
    child = rooms.namespaces["/room1"]
    raw.ws.transport.abort()
    await until(lambda: child.closed)
    assert "/room1" not in rooms.namespaces
    assert not rooms.empty


async def test_l9_namespaces_that_are_kept_are_limited(place, rooms, monkeypatch):
    monkeypatch.setattr(namespace, "MAX_EMPTY", 2)
    for name in ("/room1", "/room2", "/room3"):
        raw = await place.raw()
        await raw.enter(name)
        await leave_alone(rooms, raw, name)
    assert sorted(rooms.namespaces) == ["/", "/room2", "/room3"]
    assert [each.name for each in rooms.empty] == ["/room2", "/room3"]
