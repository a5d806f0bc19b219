"""Our clients against npm's server and python-socketio's; its clients against ours."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from tests.asgi.serving import Uvicorn
from tests.socketio.conftest import WAIT_S, until
from wsfast import socketio

python_socketio = pytest.importorskip("socketio")  # as uvicorn, from Python 3.11 on

SERVER = """
const { Server } = require("socket.io");
const options = { connectionStateRecovery: args.recovery ? {} : undefined };
if (args.parser === "msgpack") options.parser = require("socket.io-msgpack-parser");
const io = shared.io = new Server(options);
io.use((socket, next) => {
  if (socket.handshake.auth.token !== "bad") return next();
  const error = new Error("not you");
  error.data = { code: 7 };
  next(error);
});
const serve = (socket) => {
  socket.on("echo", (...event) => event.pop()(...event));
  socket.on("ask_me", async (what, reply) =>
    reply(await socket.timeout(20000).emitWithAck("question", what)));
  socket.on("throw_me_out", () => socket.disconnect());
  socket.on("cut", () => socket.conn.transport.socket.terminate());
  socket.join("room");
};
io.on("connection", serve);
io.of("/admin").on("connection", serve);
io.listen(0, { host: "127.0.0.1" });
await new Promise((resolve) => io.httpServer.once("listening", resolve));
return io.httpServer.address().port;
"""

WAYS = {
    "upgrade": (["polling", "websocket"], "default"),
    "polling": (["polling"], "default"),
    "websocket": (["websocket"], "default"),
    "msgpack": (["websocket"], "msgpack"),
}
FAST = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.05}


@pytest.fixture
async def serve_node(node):
    """Return a function that starts npm's server."""

    async def start(**args):
        port = await node.run(SERVER, **args)
        return f"http://127.0.0.1:{port}"

    yield start
    await node.run("await shared.io.close()")


@pytest.fixture(params=WAYS)
async def way(request):
    """Return transports, and the parser."""
    return WAYS[request.param]


async def tour(client, url, transports):
    """Have our client try everything that both servers have."""
    got = []
    client.on("*", lambda event, *args: got.append((event, *args)))
    client.on("question", lambda what: (what, b"\x07"))
    gone = asyncio.get_running_loop().create_future()
    client.on("disconnect", gone.set_result)
    await client.connect(url, transports=transports, namespaces=["/", "/admin"])
    assert await client.call("echo", "grüße ☃ 😀", {"a": [1.5, None]}) == (
        "grüße ☃ 😀",
        {"a": [1.5, None]},
    )
    assert await client.call("echo", b"\x00\xff", {"x": [b"y"]}) == (
        b"\x00\xff",
        {"x": [b"y"]},
    )
    assert await client.call("echo", 1, namespace="/admin") == 1
    if "websocket" in transports:
        await until(lambda: client.transport == "websocket")
    big = "ü" * 100_000
    assert await client.call("echo", big) == big
    await client.emit("throw_me_out")
    assert await asyncio.wait_for(gone, WAIT_S) == "io server disconnect"


@pytest.mark.needs("node")
async def test_tour_of_npms_server(serve_node, way):
    transports, parser = way
    url = await serve_node(parser=parser)
    client = socketio.Client(parser=parser)
    try:
        await tour(client, url, transports)
    finally:
        await client.disconnect()


@pytest.mark.needs("node")
async def test_npms_server_asks_refuses_and_sends_to_rooms(serve_node, node):
    url = await serve_node()
    async with socketio.Client(transports=["websocket"]) as client:
        client.on("question", lambda what: f"{what}!")
        got = []
        client.on("news", lambda *args: got.append(args))
        await client.connect(url)
        assert await client.call("ask_me", "why") == "why!"
        await node.run("shared.io.to('room').emit('news', 1, Buffer.from('x'))")
        await until(lambda: got == [(1, b"x")])
    async with socketio.Client(transports=["websocket"]) as client:
        with pytest.raises(socketio.ConnectionError, match="not you") as caught:
            await client.connect(url, auth={"token": "bad"})
        assert caught.value.data == {"message": "not you", "data": {"code": 7}}
        with pytest.raises(socketio.ConnectionError, match="Invalid namespace"):
            await client.connect(url, namespaces=["/nowhere"])


@pytest.mark.needs("node")
async def test_npms_server_recovers_us(serve_node, node):
    url = await serve_node(recovery=True)
    async with socketio.Client(transports=["websocket"], **FAST) as client:
        got = []
        client.on("n", lambda n: got.append(n))
        await client.connect(url)
        sid = client.get_sid()
        await node.run("shared.io.emit('n', 1)")
        await until(lambda: got == [1])
        await client.emit("cut")
        await until(lambda: not client.connected)
        await node.run("shared.io.emit('n', 2); shared.io.to('room').emit('n', 3)")
        await until(lambda: got == [1, 2, 3])
        assert client.socket().recovered
        assert client.get_sid() == sid


@pytest.mark.needs("node")
async def test_threads_and_npms_server(serve_node):
    url = await serve_node()

    def program():
        with socketio.SyncClient() as client:
            client.on("question", lambda what: f"{what}!")
            client.connect(url)
            assert client.call("echo", b"x") == b"x"
            assert client.call("ask_me", "why") == "why!"

    await asyncio.to_thread(program)


# ---- python-socketio ----


@pytest.fixture
async def uvicorn():
    """Return where ASGI applications are served."""
    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        yield uvicorn


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
async def test_tour_of_python_socketio(uvicorn, transports):
    sio = python_socketio.AsyncServer(async_mode="asgi")
    for name in ("/", "/admin"):
        sio.on("echo", lambda sid, *args: args, namespace=name)
    sio.on("throw_me_out", lambda sid: sio.start_background_task(sio.disconnect, sid))
    app = python_socketio.ASGIApp(sio)
    served = await uvicorn.serve(app, timeout_graceful_shutdown=1)
    client = socketio.Client()
    try:
        await tour(
            client, served.uri(scheme="http"), transports or ["polling", "websocket"]
        )
    finally:
        await client.disconnect()
        await sio.shutdown()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
async def test_python_socketios_client(uvicorn, transports):
    sio = socketio.Server()
    left = asyncio.get_running_loop().create_future()

    @sio.event
    def connect(sid, environ, auth):
        if auth == {"token": "bad"}:
            raise socketio.ConnectionRefusedError("not you")
        sio.enter_room(sid, "room")

    sio.on("disconnect", lambda sid, reason: left.set_result(reason))
    sio.on("echo", lambda sid, *args: args)
    served = await uvicorn.serve(sio)
    client = python_socketio.AsyncClient()
    news: list = []
    client.on("news", lambda *args: news.append(args))
    client.on("question", lambda n: n + 1)
    options = {"transports": transports} if transports else {}
    url = served.uri(scheme="http")
    try:
        errors: list = []
        client.on("connect_error", errors.append)
        with pytest.raises(python_socketio.exceptions.ConnectionError):
            await client.connect(url, auth={"token": "bad"}, **options)
        assert errors == [{"message": "not you"}]
        await client.disconnect()
        await client.connect(url, wait_timeout=WAIT_S, **options)
        sid = client.get_sid()
        assert await client.call("echo", ("ü", b"\x00", {"a": [b"y"]})) == (
            "ü",
            b"\x00",
            {"a": [b"y"]},
        )
        sio.emit("news", 1, b"x", room="room")
        assert await sio.call("question", 1, to=sid) == 2
        await until(lambda: news == [(1, b"x")])
        sio.disconnect(sid)
        assert await asyncio.wait_for(left, WAIT_S) == "server namespace disconnect"
    finally:
        await client.disconnect()
        await sio.close()


@pytest.fixture
async def ours(uvicorn):
    """Return a server of ours for clients in threads, and its URL."""
    sio = socketio.Server()
    sio.on("echo", lambda sid, *args: args)
    sio.on("news", lambda sid, n: sio.emit("news", n, to=sid))

    @sio.event
    async def ask_me(sid, what):
        return await sio.call("question", what, to=sid, timeout=WAIT_S)

    @sio.event
    def connect(sid, environ, auth):
        if auth == {"token": "bad"}:
            raise socketio.ConnectionRefusedError("not you")

    served = await uvicorn.serve(sio, timeout_graceful_shutdown=1)
    yield served.uri(scheme="http")
    await sio.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
async def test_python_socketios_client_for_threads(ours, transports):
    def program():
        client = python_socketio.Client()
        asked, news = [], []
        client.on("question", lambda what: asked.append(what) or f"{what}!")
        client.on("news", news.append)
        options = {"transports": transports, "wait_timeout": WAIT_S}
        with pytest.raises(python_socketio.exceptions.ConnectionError):
            client.connect(ours, auth={"token": "bad"}, **options)
        client.disconnect()
        client.connect(ours, **options)
        try:
            given = ("ü", b"\x00", {"a": [b"y"]})
            assert client.call("echo", given, timeout=WAIT_S) == given
            replied = threading.Event()
            client.emit("echo", 1, callback=lambda n: replied.set())
            assert replied.wait(WAIT_S)
            client.emit("news", 1)
            assert client.call("ask_me", "why", timeout=WAIT_S) == "why!"
            assert asked == ["why"]
            assert news == [1]
        finally:
            client.disconnect()

    await asyncio.to_thread(program)


async def test_python_socketios_simple_client(ours):
    def program():
        with python_socketio.SimpleClient() as client:
            client.connect(ours, wait_timeout=WAIT_S)
            assert client.sid
            assert client.call("echo", b"x", timeout=WAIT_S) == b"x"
            client.emit("news", 7)
            assert client.receive(timeout=WAIT_S) == ["news", 7]

    await asyncio.to_thread(program)
    async with python_socketio.AsyncSimpleClient() as client:
        await client.connect(ours, wait_timeout=WAIT_S)
        assert await client.call("echo", 1, timeout=WAIT_S) == 1
        await client.emit("news", 8)
        assert await client.receive(timeout=WAIT_S) == ["news", 8]


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
async def test_threads_and_python_socketios_server(uvicorn, transports):
    sio = python_socketio.AsyncServer(async_mode="asgi")
    sio.on("echo", lambda sid, *args: args)

    @sio.event
    def ask_me(sid, what):
        sio.start_background_task(ask, sid, what)

    async def ask(sid, what):
        answer = await sio.call("question", what, to=sid, timeout=WAIT_S)
        await sio.emit("answer", list(answer), to=sid)

    app = python_socketio.ASGIApp(sio)
    served = await uvicorn.serve(app, timeout_graceful_shutdown=1)

    def program():
        options = {"transports": transports} if transports else {}
        with socketio.SyncClient(**options) as client:
            answers = queue.SimpleQueue()
            client.on("answer", answers.put)

            @client.event
            def question(what):
                return what, client.call("echo", b"x")  # it may block

            client.connect(served.uri(scheme="http"))
            given = ("ü", b"\x00", {"a": [b"y"]})
            assert client.call("echo", *given) == given
            client.emit("ask_me", "why")
            assert answers.get(timeout=WAIT_S) == ["why", b"x"]

    try:
        await asyncio.to_thread(program)
    finally:
        await sio.shutdown()
