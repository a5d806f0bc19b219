"""Connection state recovery, on the wire and of its history."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio
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
    async with asyncio.timeout(WAIT_S):
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


class _Socket:
    def __init__(self, pid, first):
        self.id, self.pid, self.rooms, self.data = "sid", pid, {"sid"}, {}
        self.first_offset = first


def history(**options):
    """Return a history and a function that lets its time pass."""
    now = [0.0]

    def pass_(seconds):
        now[0] += seconds

    return History(ConnectionStateRecovery(**options), lambda: now[0]), pass_


EVERYBODY: frozenset[str] = frozenset()


def test_sessions_and_events_grow_old():
    log, pass_ = history(max_disconnection_duration=10)
    log.add(["a"], EVERYBODY, EVERYBODY)
    log.persist(_Socket("p", 0))
    pass_(9)
    log.add(["b"], EVERYBODY, EVERYBODY)
    pass_(2)
    assert log.restore("p", "0") is None
    assert not log._sessions
    assert [event.data[0] for event in log._events] == ["b"]


def test_what_is_forgotten_cannot_be_recovered():
    log, _ = history(max_events=2)
    log.persist(_Socket("p", None))
    log.persist(_Socket("q", 0))
    log.persist(_Socket("r", 0))
    for name in "abc":
        log.add([name], EVERYBODY, EVERYBODY)
    assert log.restore("p", None) is None  # it has missed "a", which is gone
    assert log.restore("q", "0")[1] == [["b", "1"], ["c", "2"]]
    assert log.restore("r", "2")[1] == []


def test_a_long_time_without_an_event_is_no_loss():
    """Others had so many that they were forgotten; this one had none of them."""
    log, _ = history(max_events=2)
    for name in "abc":
        log.add([name], frozenset({"others"}), EVERYBODY)
    log.persist(_Socket("p", None))
    log.add(["d"], EVERYBODY, EVERYBODY)
    assert log.restore("p", None)[1] == [["d", "3"]]


@pytest.mark.parametrize("offset", [None, 7, "", "0x1", "01", "-1", " 1", "1_0", "g"])
def test_what_is_no_offset(offset):
    assert number_of(offset) is None
