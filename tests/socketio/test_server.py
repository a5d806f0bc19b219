"""The server on the wire: what is sent and received, packet by packet."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from tests.socketio.conftest import until
from wsfast import socketio


def with_echo(**options):
    """Return a server that answers."""
    sio = socketio.Server(**options)
    sio.on("echo", lambda sid, *args: args)
    return sio


# ---- connecting ----


async def test_connect_handler_sees_the_request(place):
    sio = socketio.Server()
    seen = []

    @sio.event
    def connect(sid, environ, auth):
        seen.append((sid, environ["PATH_INFO"], environ["HTTP_HOST"], auth))

    await place.start(sio)
    _, sid = await place.client(auth={"token": 1})
    assert seen == [(sid, "/socket.io/", f"127.0.0.1:{place.port}", {"token": 1})]
    assert sio.socket(sid).handshake.query["EIO"] == "4"
    assert sio.get_environ(sid)["QUERY_STRING"] == "EIO=4&transport=websocket"
    assert sio.transport(sid) == "websocket"


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_connect_handler_takes_what_it_likes(place, most):
    sio = socketio.Server()
    seen = []
    functions = [
        lambda a: seen.append([a]),
        lambda a, b: seen.append([a, b]),
        lambda a, b, c: seen.append([a, b, c]),
    ]
    sio.on("connect", functions[most - 1])
    await place.start(sio)
    await place.client()
    assert len(seen[0]) == most


def refuse(*args):
    """Return a handler that refuses in this way."""

    def handler(sid):
        raise socketio.ConnectionRefusedError(*args)

    return handler


def fail(sid):
    raise RuntimeError("a fault of the application")


def builtin(sid):
    raise ConnectionRefusedError


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (lambda sid: False, {"message": "Connection rejected by server"}),
        (refuse(), {"message": "Connection rejected by server"}),
        (refuse("no"), {"message": "no"}),
        (refuse("no", {"code": 7}), {"message": "no", "data": {"code": 7}}),
        (refuse("no", 1, 2), {"message": "no", "data": [1, 2]}),
        (builtin, {"message": "Connection refused by server"}),
        (fail, {"message": "Internal server error"}),
    ],
)
@pytest.mark.parametrize("how", ["connect", "middleware", "coroutine"])
async def test_refusals(place, handler, error, how, caplog):
    caplog.set_level(logging.CRITICAL)
    sio = with_echo()
    if how == "connect":
        sio.on("connect", handler, namespace="/a")
    elif how == "middleware":

        def middleware(socket):
            if handler(socket) is False:
                raise socketio.ConnectionRefusedError

        sio.of("/a").use(middleware)
    else:

        async def connect(sid):
            await asyncio.sleep(0)
            return handler(sid)

        sio.on("connect", connect, namespace="/a")
    await place.start(sio)
    raw, _ = await place.client()
    await raw.send("0/a,")
    assert await raw.recv() == "4/a," + json.dumps(error, separators=(",", ":"))
    assert not sio.of("/a").sockets
    assert await raw.call("echo", 1) == [1]  # its other namespace does not mind
    await raw.send("0/a,")  # and it may try again
    assert (await raw.recv()).startswith("4/a,")


async def test_unknown_namespace_gets_an_object(place):
    await place.start(with_echo())
    raw = await place.raw()
    await raw.send("0/nowhere,")
    assert await raw.recv() == '4/nowhere,{"message":"Invalid namespace"}'


async def test_middlewares_in_their_order(place):
    sio = socketio.Server()
    order = []

    @sio.use
    async def first(socket):
        await asyncio.sleep(0)
        socket.data["user"] = socket.handshake.auth["user"]
        order.append(1)

    @sio.use
    def second(socket):
        order.append(2)

    @sio.event
    def connect(sid):
        order.append(sio.socket(sid).data["user"])

    @sio.of("/").on_connection
    def connection(socket):
        order.append(socket.connected)

    await place.start(sio)
    await place.client(auth={"user": "eva"})
    assert order == [1, 2, "eva", True]


async def test_what_connect_sends_follows_the_welcome(place):
    sio = socketio.Server()

    @sio.event
    async def connect(sid):
        sio.enter_room(sid, "kitchen")
        await sio.emit("hello", sid, to=sid)
        await asyncio.sleep(0)
        sio.emit("soup", room="kitchen")

    await place.start(sio)
    raw, sid = await place.client()
    assert await raw.recv() == f'2["hello","{sid}"]'
    assert await raw.recv() == '2["soup"]'


async def test_always_connect_welcomes_first(place):
    sio = socketio.Server(always_connect=True)
    sio.on("connect", lambda sid: False)
    await place.start(sio)
    raw, _ = await place.client()
    assert await raw.recv() == "1"
    assert not sio.of("/").sockets


async def test_connect_timeout(place):
    await place.start(socketio.Server(connect_timeout=0.05))
    raw = await place.raw()
    await raw.ended()


async def test_connect_timeout_is_over_with_a_namespace(place):
    sio = with_echo(connect_timeout=0.2)
    await place.start(sio)
    raw, _ = await place.client()
    await asyncio.sleep(0.4)
    assert await raw.call("echo") == []


# ---- events ----


async def test_replies(place):
    sio = with_echo()
    sio.on("none", lambda sid: None)
    sio.on("one", lambda sid: {"a": [1]})
    sio.on("list", lambda sid: [1, 2])

    @sio.event
    async def later(sid, n):
        await asyncio.sleep(0)
        return n + 1

    await place.start(sio)
    raw, _ = await place.client()
    assert await raw.call("echo", 1, "ü", None) == [1, "ü", None]
    assert await raw.call("none", number=7) == []
    assert await raw.call("one") == [{"a": [1]}]
    assert await raw.call("list") == [[1, 2]]
    assert await raw.call("later", 1, number=2**53) == [2]


async def test_binary_there_and_back(place):
    await place.start(with_echo())
    raw, _ = await place.client()
    await raw.send(
        '52-5["echo",{"a":{"_placeholder":true,"num":1}},'
        '{"_placeholder":true,"num":0}]',
        b"first",
        b"second",
    )
    assert await raw.recv() == (
        '62-5[{"a":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]'
    )
    assert [await raw.recv(), await raw.recv()] == [b"second", b"first"]


async def test_catch_all_handlers(place):
    sio = socketio.Server(namespaces=["/b"])
    sio.on("*", lambda event, sid, *args: ["/", event, *args])
    sio.on("named", lambda sid: "named")
    sio.on("*", lambda event, ns, sid, *args: [ns, event, *args], namespace="*")
    sio.on("known", lambda ns, sid: ["known", ns], namespace="*")
    await place.start(sio)
    raw, _ = await place.client()
    await raw.enter("/b")
    assert await raw.call("named") == ["named"]
    assert await raw.call("other", 1) == [["/", "other", 1]]
    assert await raw.call("known", namespace="/b") == [["known", "/b"]]
    assert await raw.call("other", 2, namespace="/b") == [["/b", "other", 2]]


async def test_handlers_that_fail_do_so_alone(place, caplog):
    sio = with_echo()

    @sio.event
    def bad(sid):
        raise RuntimeError("a fault of the application")

    @sio.event
    async def worse(sid):
        raise RuntimeError("another")

    sio.on("odd", lambda sid: object())
    await place.start(sio)
    raw, _ = await place.client()
    for event in ("bad", "worse", "odd"):
        await raw.send(f'20["{event}"]')
    assert await raw.call("echo", 1, number=1) == [1]
    await until(lambda: len(caplog.records) == 3)


async def test_socket_has_handlers_and_middlewares_of_its_own(place):
    sio = with_echo()
    seen = []

    @sio.event
    def connect(sid):
        socket = sio.socket(sid)
        socket.on("own", lambda *args: ("own", *args))
        socket.on_any(lambda event, *args: seen.append(("in", event, *args)))
        socket.on_any_outgoing(lambda event, *args: seen.append(("out", event, *args)))

        @socket.use
        async def filter_(event, *args):
            if event == "forbidden":
                raise ValueError(event)

    await place.start(sio)
    raw, sid = await place.client()
    assert await raw.call("own", 1) == ["own", 1]
    await raw.send('20["forbidden"]')
    assert await raw.call("echo", 2, number=1) == [2]
    sio.emit("all", 3)
    sio.socket(sid).emit("one", 4)
    assert seen == [
        ("in", "own", 1),
        ("in", "echo", 2),
        ("out", "all", 3),
        ("out", "one", 4),
    ]
    assert [await raw.recv(), await raw.recv()] == ['2["all",3]', '2["one",4]']
    socket = sio.socket(sid)
    assert len(socket.listeners_any()) == 1
    socket.off_any()
    socket.off_any_outgoing(socket.listeners_any_outgoing()[0])
    socket.prepend_any(lambda event: seen.append(event))
    socket.off("own")
    assert await raw.call("echo", number=3) == []
    assert seen[4:] == ["echo"]


async def test_calls_to_the_client(place):
    sio = socketio.Server()
    got = []
    await place.start(sio)
    raw, sid = await place.client()
    asked = asyncio.ensure_future(sio.call("sum", 1, 2, to=sid))
    assert await raw.recv() == '20["sum",1,2]'
    await raw.send("30[3]")
    assert await asked == 3
    sio.emit("ping", to=sid, callback=lambda *args: got.append(args))
    assert await raw.recv() == '21["ping"]'
    await raw.send("31[1,2]", "31[9,9]", "377[]")  # twice, and one nobody waits for
    asked = asyncio.ensure_future(sio.call("two", to=sid))
    assert await raw.recv() == '22["two"]'
    await raw.send("32[1,2]")
    assert await asked == (1, 2)
    assert got == [(1, 2)]
    with pytest.raises(socketio.AckTimeout, match=r"0.05 s") as caught:
        await sio.call("silence", to=sid, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert not sio.socket(sid)._acks
    asked = asyncio.ensure_future(sio.call("bye", to=sid))
    await raw.recv()
    await raw.recv()
    await raw.send("1")
    with pytest.raises(socketio.Disconnected):
        await asked
    with pytest.raises(KeyError):
        await sio.call("nobody", to=sid)


@pytest.mark.parametrize("event", ["connect", "disconnect", "newListener"])
def test_reserved_events_cannot_be_sent(event):
    with pytest.raises(ValueError, match="reserved"):
        socketio.Server().emit(event)
    with pytest.raises(TypeError, match="str"):
        socketio.Server().emit(7)


# ---- the end ----


async def test_disconnect_handlers(place):
    sio = socketio.Server()
    seen = []

    @sio.event
    def connect(sid):
        sio.enter_room(sid, "kitchen")
        sio.socket(sid).data["name"] = "eva"

    @sio.on("disconnecting")
    def disconnecting(sid, reason):
        seen.append(("disconnecting", set(sio.rooms(sid)) == {sid, "kitchen"}))

    @sio.event
    async def disconnect(sid, reason):
        await asyncio.sleep(0)
        seen.append((reason, (await sio.get_session(sid))["name"]))

    await place.start(sio)
    raw, sid = await place.client()
    await raw.send("1")
    await until(lambda: len(seen) == 2)
    assert seen == [("disconnecting", True), ("client namespace disconnect", "eva")]
    assert not sio.of("/").adapter.rooms
    with pytest.raises(KeyError):
        sio.rooms(sid)
    raw, sid = await place.client()
    await raw.ws.close()
    await until(lambda: len(seen) == 4)
    assert seen[3] == ("transport close", "eva")
    raw, sid = await place.client()
    await sio.disconnect(sid)
    assert await raw.recv() == "1"
    await until(lambda: len(seen) == 6)
    assert seen[5] == ("server namespace disconnect", "eva")
    raw, sid = await place.client()
    await sio.disconnect(sid, close=True)
    await raw.ended()
    await sio.disconnect("nobody")
    _, sid = await place.client()
    await sio.close()
    await until(lambda: len(seen) >= 9)


async def test_server_that_ends_says_so(place):
    sio = socketio.Server()
    reasons = []
    sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    await place.start(sio)
    raw, _ = await place.client()
    await sio.close()
    await raw.ended()
    assert reasons == ["server shutting down"]


BAD = [
    ("7", "an unknown type"),
    ('2["connect"]', "a reserved event"),
    ('2{"a":1}', "no array"),
    ("2" + "[" * 200 + "]" * 200, "depth"),
    ('511-["a"]', "attachments"),
    ("2" + "9" * 30 + '["a"]', "id"),
    ('2/nowhere,["a"]', "a namespace that it is not in"),
    ('4{"message":"x"}', "what servers send"),
    ("0", "the same namespace again"),
    (b"x", "an attachment of nothing"),
]


@pytest.mark.parametrize(("message", "why"), BAD, ids=[why for _, why in BAD])
async def test_l1_bad_packet_ends_that_client_only(place, message, why):
    sio = with_echo()
    reasons = []
    sio.on("disconnect", lambda sid, reason: reasons.append((sid, reason)))
    await place.start(sio)
    good, _ = await place.client()
    raw, sid = await place.client()
    await raw.send(message)
    await raw.ended()
    assert reasons == [(sid, "parse error")]
    assert await good.call("echo", why) == [why]


async def test_l1_placeholder_without_attachment_ends_that_client_only(place):
    await place.start(with_echo())
    good, _ = await place.client()
    raw, _ = await place.client()
    await raw.send('51-["echo",{"_placeholder":true,"num":9}]', b"x")
    await raw.ended()
    assert await good.call("echo", 1) == [1]


async def test_two_namespaces_on_one_connection(place):
    sio = socketio.Server()
    for name in ("/", "/a"):
        sio.on("who", lambda sid, name=name: name, namespace=name)
    await place.start(sio)
    raw, first = await place.client()
    second = (await raw.enter("/a"))["sid"]
    assert first != second
    assert await raw.call("who") == ["/"]
    assert await raw.call("who", namespace="/a") == ["/a"]
    await raw.send("1/a,")
    assert await raw.call("who") == ["/"]
    assert not sio.of("/a").sockets


async def test_leaving_while_being_let_in(place):
    sio = with_echo()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @sio.on("connect", namespace="/a")
    async def connect(sid):
        begun.set()
        await go_on.wait()

    await place.start(sio)
    raw, _ = await place.client()
    await raw.send("0/a,")
    await begun.wait()
    await raw.send("1/a,")
    assert await raw.call("echo") == []
    go_on.set()
    await asyncio.sleep(0.05)
    assert await raw.call("echo") == []  # no welcome came
    assert not sio.of("/a").sockets
    assert not sio.of("/a")._waiting


@pytest.mark.parametrize(
    ("between", "always_connect"), [([], False), (["1"], False), (["1"], True)]
)
async def test_coming_again_while_being_let_in(place, between, always_connect):
    """JavaScript's client says CONNECT twice after ``disconnect()``, ``connect()``."""
    sio = with_echo(always_connect=always_connect)
    begun, go_on, left = [], asyncio.Event(), []

    @sio.use
    async def middleware(socket):
        begun.append(socket)
        await go_on.wait()

    sio.on("disconnect", left.append)
    await place.start(sio)
    raw = await place.raw()
    await raw.send("0")
    await until(lambda: begun)
    await raw.send(*between, '0{"n":2}')
    await until(lambda: len(begun) == 2)
    go_on.set()
    if always_connect:
        assert (await raw.recv())[:2] == "0{"
    sid = json.loads((await raw.recv())[1:])["sid"]
    assert await raw.call("echo", 1) == [1]
    (socket,) = sio.of("/").sockets.values()
    assert socket is begun[1]
    assert socket.id == sid
    assert socket.handshake.auth == {"n": 2}
    assert left == ([begun[0].id] if always_connect else [])


async def test_leaving_before_anything_was_asked(place):
    sio = with_echo()
    asked = []
    sio.of("/a").use(asked.append)
    await place.start(sio)
    raw, _ = await place.client()
    raw.ws.send("40/a,")
    raw.ws.send("41/a,")  # in the same pass, most likely
    assert await raw.call("echo", 1) == [1]
    assert not sio.of("/a").sockets
    assert not sio.of("/a")._waiting


async def test_msgpack_on_the_wire(place):
    parser = socketio.parser_of("msgpack")
    sio = with_echo(parser="msgpack")
    await place.start(sio)
    raw = await place.raw()
    await raw.ws.send(parser.encode(socketio.Packet(0))[0])
    welcome = parser.feed(await raw.recv())
    assert welcome.type == 0
    event = socketio.Packet(2, "/", ["echo", b"\xff", {"a": 1}], 5)
    await raw.ws.send(parser.encode(event)[0])
    reply = socketio.Packet(3, "/", [b"\xff", {"a": 1}], 5)
    assert parser.feed(await raw.recv()) == reply
    await raw.ws.send(b"\xc1")
    await raw.ended()


async def test_volatile_events_are_dropped_for_whoever_is_not_ready(place, monkeypatch):
    sio = with_echo()
    await place.start(sio)
    raw, sid = await place.client()
    engine = type(sio.socket(sid).connection.engine)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "writable", property(lambda self: False))
        sio.emit("lost", volatile=True)
        sio.emit("lost", to=sid, volatile=True)
        sio.emit("kept")
    sio.emit("sent", volatile=True)
    assert [await raw.recv(), await raw.recv()] == ['2["kept"]', '2["sent"]']
