"""npm's socket.io-client against the server: both transports, both parsers."""

from __future__ import annotations

import asyncio

import pytest

from tests.asgi.serving import Uvicorn
from tests.socketio.conftest import until
from wsfast import socketio

pytestmark = pytest.mark.needs("node")

#: How a client gets here: over uvicorn by either transport and by the upgrade, or by
#: ``serve``; with which parser.
WAYS = {
    "upgrade": (True, ["polling", "websocket"], "default"),
    "polling": (True, ["polling"], "default"),
    "websocket": (False, ["websocket"], "default"),
    "msgpack": (False, ["websocket"], "msgpack"),
    "msgpack polling": (True, ["polling"], "msgpack"),
}

OPEN = """
const { io } = require("socket.io-client");
const options = { transports: args.transports, forceNew: true, reconnection: false };
if (args.parser === "msgpack") options.parser = require("socket.io-msgpack-parser");
const socket = shared.socket = io(args.url + (args.nsp || ""), {
  ...options, ...args.options,
});
shared.events = [];
shared.socket.onAny((...event) => shared.events.push(event));
return await new Promise((resolve) => {
  socket.once("connect", () => resolve({ id: socket.id }));
  socket.once("connect_error", (e) => resolve({ message: e.message, data: e.data }));
});
"""


class Client:
    """One socket.io-client."""

    def __init__(self, node, url, way):
        self.node, self.url = node, url
        _, self.transports, self.parser = WAYS[way]

    async def open(self, nsp="", **options):
        """Connect; return its id, or the error."""
        return await self.node.run(
            OPEN,
            url=self.url,
            nsp=nsp,
            transports=self.transports,
            parser=self.parser,
            options=options,
        )

    async def run(self, code, **args):
        """Run code that knows the socket."""
        return await self.node.run(f"const {{ socket }} = shared; {code}", **args)

    async def events(self, count):
        """Wait for so many events, and return them."""
        return await self.run(
            "while (shared.events.length < args.count)"
            " await new Promise((resolve) => setTimeout(resolve, 2));"
            " return shared.events",
            count=count,
        )

    async def close(self):
        """Disconnect."""
        await self.run("socket.disconnect()")


@pytest.fixture(params=WAYS)
async def way(request):
    """Return each way that a client has."""
    return request.param


@pytest.fixture
async def start(place, node):
    """Return a function that serves, and makes a client."""
    uvicorn, clients = Uvicorn(True), []

    async def begin(sio, way):
        if WAYS[way][0]:
            uvicorn.stack.push_async_callback(sio.close)
            served = await uvicorn.serve(sio)
            url = served.uri(scheme="http").rstrip("/")
        else:
            await place.start(sio)
            url = place.url
        clients.append(Client(node, url, way))
        return clients[-1]

    async with uvicorn.stack:
        yield begin
        for client in clients:
            await client.close()


def server(way, **options):
    """Return a server for a way."""
    return socketio.Server(parser=WAYS[way][2], **options)


async def test_events_there_and_back(start, way):
    sio = server(way)
    connected, left = [], asyncio.get_running_loop().create_future()

    @sio.event
    def connect(sid, environ, auth):
        connected.append((sid, auth))
        sio.enter_room(sid, "room")

    sio.on("disconnect", lambda sid, reason: left.set_result(reason))
    sio.on("echo", lambda sid, *args: args)
    client = await start(sio, way)
    me = await client.open(auth={"token": "t"})
    assert connected == [(me["id"], {"token": "t"})]
    values = ["grüße ☃ 😀", 1.5, None, True, {"a": [1, {}]}, []]
    echoed = await client.run(
        "return await new Promise((resolve) =>"
        " socket.emit('echo', ...args.values, (...back) => resolve(back)))",
        values=values,
    )
    assert echoed == values
    binary = await client.run(
        "const back = await socket.emitWithAck('echo',"
        " { a: Buffer.from([0, 255]), b: [new Uint8Array([7]).buffer] }); return back"
    )
    assert binary == {"a": {"hex": "00ff"}, "b": [{"hex": "07"}]}
    sio.emit("all", "x", b"\x01", {"b": [b"\x02"]})
    sio.emit("room", room="room")
    sio.emit("mine", "ü" * 1000, to=me["id"])
    sio.emit("not mine", skip_sid=me["id"])
    await client.run("socket.on('ask', (n, reply) => reply(n + 1, Buffer.from('z')))")
    assert await sio.call("ask", 4, to=me["id"], timeout=20) == (5, b"z")
    assert await sio.emit_with_ack("ask", 5, timeout=20) == [(6, b"z")]
    events = await client.events(5)
    assert events[0] == ["all", "x", {"hex": "01"}, {"b": [{"hex": "02"}]}]
    assert [event[0] for event in events[1:]] == ["room", "mine", "ask", "ask"]
    await client.run("socket.disconnect()")
    assert await asyncio.wait_for(left, 20) == "client namespace disconnect"


async def test_namespaces_and_refusals(start, way):
    sio = server(way)

    @sio.of("/admin").use
    async def only_with_token(socket):
        if socket.handshake.auth.get("token") != "t":
            raise socketio.ConnectionRefusedError("not you", {"code": 1})

    sio.on("who", lambda sid: "admin", namespace="/admin")
    client = await start(sio, way)
    refused = await client.open("/admin")
    assert refused == {"message": "not you", "data": {"code": 1}}
    refused = await client.open("/unknown")
    assert refused["message"] == "Invalid namespace"
    await client.open("/admin", auth={"token": "t"})
    assert await client.run("return socket.emitWithAck('who')") == "admin"
    gone = asyncio.ensure_future(
        client.run(
            "return new Promise((resolve) => socket.once('disconnect', resolve))"
        )
    )
    await asyncio.sleep(0.05)
    sio.of("/admin").disconnect_sockets()
    assert await gone == "io server disconnect"


@pytest.mark.parametrize("way", ["upgrade", "websocket"])
@pytest.mark.parametrize("had", [True, False])
async def test_recovery(start, way, had):
    sio = server(way, connection_state_recovery=True)
    client = await start(sio, way)
    options = {"reconnection": True, "reconnectionDelay": 50, "randomizationFactor": 0}
    me = await client.open(**options)
    if had:
        sio.emit("first", 0)
        await client.events(1)
    await client.run(
        "shared.again = new Promise((resolve) =>"
        " socket.once('connect', () => resolve([socket.recovered, socket.id])));"
        " socket.io.engine.close()"
    )
    await until(lambda: not sio.of("/").sockets)
    for n in range(1, 4):
        sio.emit("missed", n)
    assert await client.run("return shared.again") == [True, me["id"]]
    events = await client.events(3 + had)
    assert [event[1] for event in events] == ([0] if had else []) + [1, 2, 3]


@pytest.mark.parametrize("way", ["websocket"])
async def test_retries_are_acknowledged(start, way):
    """The client's retries: at least once, and in order."""
    sio = server(way)
    got = []

    @sio.event
    def order(sid, n):
        got.append(n)
        if got == [1]:  # the reply gets lost: it is told nothing in time
            sio.socket(sid).namespace.handlers.by_event["order"] = silent

    def silent(sid, n):
        sio.on("order", order)
        got.append(n)

    client = await start(sio, way)
    await client.open(retries=3, ackTimeout=300)
    await client.run("for (const n of [1, 2, 3]) await socket.emitWithAck('order', n)")
    assert sorted(set(got)) == [1, 2, 3]
