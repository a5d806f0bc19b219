"""Rooms, namespaces that a rule makes, and what is done with many at once."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio
from wsfast.asyncio._timeout import timeout


@pytest.fixture
async def three(place):
    """Return a server and three clients, with their ids: a and b in a room."""
    sio = socketio.Server(max_rooms_per_conn=3)
    sio.on("echo", lambda sid, *args: args)
    await place.start(sio)
    clients = [await place.client() for _ in range(3)]
    for _, sid in clients[:2]:
        await sio.enter_room(sid, "room")
    return sio, clients


async def got(raw):
    """Return the events that came before the reply to an event of now."""
    events = []
    await raw.send('299["echo"]')
    while (message := await raw.recv()) != "399[]":
        events.append(message)
    return events


async def heard(clients):
    """Return which of the clients have got something, all the same."""
    events = [await got(raw) for raw, _ in clients]
    return "".join(name for name, each in zip("abc", events, strict=True) if each)


async def test_who_hears_what(three):
    sio, clients = three
    a, b, c = [sid for _, sid in clients]
    root, socket = sio.of("/"), sio.socket(clients[0][1])
    for emit, who in [
        (lambda: sio.emit("e"), "abc"),
        (lambda: sio.emit("e", room="room"), "ab"),
        (lambda: sio.emit("e", to=c), "c"),
        (lambda: sio.emit("e", to=["room", c, b]), "abc"),
        (lambda: sio.emit("e", skip_sid=a), "bc"),
        (lambda: sio.emit("e", room="room", except_=b), "a"),
        (lambda: sio.emit("e", except_=["room"]), "c"),
        (lambda: sio.emit("e", room="nobody"), ""),
        (lambda: sio.send("e"), "abc"),
        (lambda: root.to("room").emit("e"), "ab"),
        (lambda: root.in_("room").except_(a).emit("e"), "b"),
        (lambda: root.except_("room").send("e"), "c"),
        (lambda: root.local.compress(False).volatile.emit("e"), "abc"),
        (lambda: socket.broadcast.emit("e"), "bc"),
        (lambda: socket.to("room").emit("e"), "b"),
        (lambda: socket.except_(c).emit("e"), "b"),
        (lambda: socket.local.emit("e"), "bc"),
        (lambda: socket.send("e"), "a"),
    ]:
        await emit()
        assert await heard(clients) == who


async def test_an_event_comes_once_and_octets_too(three):
    sio, clients = three
    sio.enter_room(clients[0][1], "other")
    sio.emit("e", b"x", to=["room", "other"])
    assert await got(clients[0][0]) == ['51-["e",{"_placeholder":true,"num":0}]', b"x"]


async def test_rooms_are_left_and_forgotten(three):
    sio, clients = three
    (_, a), (raw, b), (_, c) = clients
    rooms = sio.of("/").adapter.rooms
    assert list(rooms) == ["room"]
    await sio.leave_room(a, "room")
    await sio.leave_room(a, "room")
    sio.leave_room(a, a)
    assert sio.rooms(a) == [a]
    await raw.send("1")
    await until(lambda: not rooms)
    sio.of("/").to(a, c).sockets_join("x", "y")
    assert set(rooms) == {"x", "y"}
    sio.of("/").to("x").sockets_leave("x")
    assert set(rooms) == {"y"}
    await sio.close_room("y")
    assert not rooms
    assert sio.rooms(a) == [a]
    with pytest.raises(KeyError):
        sio.enter_room(b, "room")


async def test_l9_rooms_of_one_client_are_limited(three):
    sio, clients = three
    socket = sio.socket(clients[0][1])
    socket.join("room", "1", "2", socket.id)
    with pytest.raises(socketio.TooManyRooms, match="at most 3"):
        socket.join("3")
    assert socket.rooms == {socket.id, "room", "1", "2"}
    socket.leave("1")
    socket.join("3")
    with pytest.raises(TypeError, match="a room is a str"):
        socket.join(7)


async def test_l9_leaving_is_independent_of_others(place):
    """What a client leaves behind is nothing, however many rooms there were."""
    sio = socketio.Server()
    await place.start(sio)
    (stays, sid), (goes, other) = await place.client(), await place.client()
    for n in range(1000):
        sio.enter_room(other, f"room {n}")
    sio.enter_room(sid, "room 7")
    await goes.send("1")
    adapter = sio.of("/").adapter
    await until(lambda: len(adapter.rooms) == 1)
    assert list(adapter.rooms["room 7"]) == [sio.socket(sid)]
    await stays.send("1")
    await until(lambda: not adapter.rooms)


async def test_l6_a_slow_client_holds_nobody_up(place):
    """It is ended, and the others have had everything meanwhile."""
    sio = socketio.Server(max_send_buffer=100_000, write_limit=10_000)
    sio.on("echo", lambda sid, *args: args)
    ended = []
    sio.on("disconnect", lambda sid, reason: ended.append(sid))
    await place.start(sio)
    slow, sid = await place.client()
    fast, _ = await place.client()
    slow.ws.pause_reading()
    for n in range(2000):
        sio.emit("n", n, "x" * 20_000)
        message = await fast.recv()
        assert message.startswith(f'2["n",{n},')
        if ended:
            break
    assert ended == [sid]


async def test_acknowledgements_of_many(three):
    sio, clients = three
    room = sio.of("/").to("room")
    asked = asyncio.ensure_future(room.timeout(5).emit_with_ack("q", 1))
    await asyncio.sleep(0)
    for n, (raw, _) in enumerate(clients[:2]):
        message = await raw.recv()
        number = message[1 : message.index("[")]
        await raw.send(f"3{number}[{n}]" if n else f'3{number}["x","y"]')
    assert sorted(await asked, key=str) == [("x", "y"), 1]
    assert await room.except_("room").emit_with_ack("q") == []
    asked = asyncio.ensure_future(sio.emit_with_ack("q", to="room", timeout=1.0))
    await asyncio.sleep(0)
    message = await clients[1][0].recv()
    await clients[1][0].send(f"3{message[1 : message.index('[')]}[7]")
    with pytest.raises(socketio.AckTimeout, match="1 of 2") as caught:
        await asked
    assert caught.value.responses == [7]
    asked = asyncio.ensure_future(sio.emit_with_ack("q", to="room"))
    await asyncio.sleep(0)
    for n, (raw, _) in enumerate(clients[:2]):  # one of them goes instead
        while not (message := await raw.recv()).startswith("2"):
            pass
        number = max(int(message[1 : message.index("[")]), 3)
        await raw.send("1" if n else f"3{number}[8]")
    assert await asked == [8]


async def test_fetch_and_disconnect(three):
    sio, clients = three
    sids = [sid for _, sid in clients]
    root = sio.of("/")
    assert {socket.id for socket in await root.fetch_sockets()} == set(sids)
    found = await root.to("room").except_(sids[0]).fetch_sockets()
    assert [socket.id for socket in found] == [sids[1]]
    root.to("room").disconnect_sockets()
    assert await clients[0][0].recv() == "1"
    assert await clients[1][0].recv() == "1"
    assert set(root.sockets) == {sids[2]}
    root.disconnect_sockets(close=True)
    await clients[2][0].ended()


# ---- namespaces that a rule makes ----


@pytest.mark.parametrize(
    "rule",
    [
        re.compile(r"/room-\d+"),
        lambda name, auth: name.startswith("/room-") and name != "/room-x",
        None,
    ],
    ids=["pattern", "function", "coroutine function"],
)
async def test_l9_children_come_and_go(place, rule):
    sio = socketio.Server()

    async def allowed(name, auth):
        await asyncio.sleep(0)
        return name == "/room-7"

    parent = sio.of(rule or allowed)
    seen = []
    parent.on("echo", lambda sid, *args: args)
    parent.use(lambda socket: seen.append(socket.namespace.name))
    await place.start(sio)
    raw, _ = await place.client("/room-7")
    other, _ = await place.client("/room-7")
    await raw.send("0/room-x,")
    assert await raw.recv() == '4/room-x,{"message":"Invalid namespace"}'
    assert await raw.call("echo", 1, namespace="/room-7") == [1]
    await parent.emit("news")
    assert await other.recv() == '2/room-7,["news"]'
    assert seen == ["/room-7"] * 2
    assert set(sio.namespaces) == {"/", "/room-7"}
    await raw.ws.close()
    await other.ws.close()
    await until(lambda: set(sio.namespaces) == {"/"})
    assert not parent.children


async def test_l9_namespaces_of_one_connection_are_limited(place):
    sio = socketio.Server(namespaces="*", max_namespaces_per_conn=2)
    await place.start(sio)
    raw, _ = await place.client("/1")
    await raw.enter("/2")
    await raw.send("0/3,")
    assert await raw.recv() == '4/3,{"message":"More than 2 namespaces"}'
    await raw.send("1/2,")
    await raw.enter("/3")
    assert set(sio.namespaces) == {"/", "/1", "/3"}


async def test_l9_limits_may_be_off(place):
    sio = socketio.Server(
        namespaces="*", max_namespaces_per_conn=None, max_rooms_per_conn=None
    )
    await place.start(sio)
    raw, sid = await place.client()
    for n in range(101):
        await raw.enter(f"/{n}")
    sio.socket(sid).join(*map(str, range(1001)))
    assert len(sio.rooms(sid)) == 1002


@pytest.mark.parametrize(
    "option", [{"max_rooms_per_conn": -1}, {"max_namespaces_per_conn": 0}]
)
def test_limits_that_make_no_sense(option):
    with pytest.raises(ValueError, match="must be at least"):
        socketio.Server(**option)


async def test_rule_that_fails_refuses(place, caplog):
    sio = socketio.Server()
    sio.of(lambda name, auth: 1 / 0)
    await place.start(sio)
    raw = await place.raw()
    await raw.send("0/a,")
    assert await raw.recv() == '4/a,{"message":"Internal server error"}'
    assert "cannot be entered" in caplog.text


async def test_children_that_refuse_everybody_are_not_kept(place):
    sio = socketio.Server(namespaces="*")

    @sio.on("connect", namespace="*")
    def connect(namespace, sid):
        return False

    await place.start(sio)
    raw = await place.raw()
    for n in range(10):
        await raw.send(f"0/{n},")
        assert (await raw.recv()).startswith(f"4/{n},")
    await until(lambda: set(sio.namespaces) == {"/"})


async def test_children_are_kept_if_that_is_wanted(place):
    sio = socketio.Server(cleanup_empty_child_namespaces=False)
    sio.of(re.compile("/a"))
    await place.start(sio)
    raw, _ = await place.client("/a")
    await raw.ws.close()
    await until(lambda: not sio.of("/a").sockets)
    assert "/a" in sio.namespaces


def test_names_of_namespaces():
    sio = socketio.Server(namespaces=["/a", "b"])
    assert set(sio.namespaces) == {"/", "/a", "/b"}
    with pytest.raises(ValueError, match="comma"):
        sio.of("/a,b")


# ---- classes ----


async def test_class_based_namespace(place):
    class Chat(socketio.AsyncNamespace):
        def on_connect(self, sid, environ, auth):
            self.enter_room(sid, "all")

        async def on_say(self, sid, text):
            await self.emit("said", text, room="all")
            return self.rooms(sid)

        def on_disconnect(self, sid, reason):
            self.left = reason

    class Triggered(socketio.AsyncNamespace):
        def trigger_event(self, event, *args):
            return [event, len(args)]

    sio = socketio.Server()
    chat = Chat("/chat")
    sio.register_namespace(chat)
    sio.register_namespace(Triggered("/triggered"))
    sio.on("extra", lambda sid: "function", namespace="/chat")
    await place.start(sio)
    raw, sid = await place.client("/chat")
    await raw.send('2/chat,1["say","hi"]')
    assert await raw.recv() == '2/chat,["said","hi"]'
    reply = await raw.recv()
    assert set(json.loads(reply[len("3/chat,1") :])[0]) == {sid, "all"}
    assert await raw.call("extra", namespace="/chat") == ["function"]
    await raw.enter("/triggered")
    assert await raw.call("any", 1, namespace="/triggered") == [["any", 2]]
    await raw.ws.close()
    await until(lambda: getattr(chat, "left", None) == "transport close")
    with pytest.raises(AttributeError):
        _ = chat.nothing


async def test_acknowledgements_that_do_not_come_are_forgotten(place):
    """A client that never acknowledges costs nothing once nobody waits for it."""
    sio = socketio.Server()
    await place.start(sio)
    _, sid = await place.client()
    with pytest.raises(socketio.AckTimeout):
        await sio.emit_with_ack("q", timeout=0.02)
    asked = asyncio.ensure_future(sio.emit_with_ack("q", timeout=WAIT_S))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    with pytest.raises(TypeError):
        await sio.socket(sid).call("q", object())
    assert not sio.socket(sid)._acks


async def test_a_handler_closes_the_server(place):
    sio = socketio.Server()
    closed = asyncio.Event()

    @sio.on("stop")
    async def stop(sid):
        await sio.shutdown()
        closed.set()

    await place.start(sio)
    raw, _ = await place.client()
    await raw.send('2["stop"]')
    async with timeout(WAIT_S):
        await closed.wait()
    await raw.ended()


async def test_sessions_and_listeners_of_what_goes(place):
    sio = socketio.Server()
    await place.start(sio)
    raw, sid = await place.client()
    await sio.save_session(sid, {"user": "eva"})
    async with sio.session(sid) as session:
        session["seen"] = 1
    assert await sio.get_session(sid) == {"user": "eva", "seen": 1}
    socket, seen = sio.socket(sid), []
    socket.on_any_outgoing(lambda event, n: seen.append(("second", event, n)))
    socket.prepend_any_outgoing(lambda event, n: seen.append(("first", event, n)))
    sio.emit("n", 1)
    assert await raw.recv() == '2["n",1]'
    assert seen == [("first", "n", 1), ("second", "n", 1)]
    socket.off_any_outgoing()
    await sio.emit("n", 2)
    assert len(seen) == 2


@pytest.mark.parametrize("size", [0, 1000], ids=["many", "long"])
async def test_l6_what_waits_for_who_is_being_let_in_is_limited(place, caplog, size):
    sio = socketio.Server(max_send_buffer=10_000)
    kept = []

    @sio.use
    async def slow(socket):
        kept.append(socket)
        while not socket.ended:
            socket.emit("e", "x" * size)
            assert len(socket._early.messages if socket._early else ()) < 200

    await place.start(sio)
    raw = await place.raw()
    await raw.send("0")
    await raw.ended()
    assert raw.ws.close_code == 1008
    assert kept[0].ended
    assert "too much waits" in caplog.text
    assert not sio.of("/").sockets
