"""The clients against our server."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.socketio.conftest import until
from wsfast import socketio
from wsfast.asyncio._timeout import timeout

FAST = {"reconnection_delay": 0.02, "reconnection_delay_max": 0.05}
WS = {"transports": ["websocket"], **FAST}


@pytest.fixture
async def make():
    """Return a maker of clients, which are disconnected at the end."""
    clients = []

    def new(**options):
        clients.append(socketio.Client(**{**WS, **options}))
        return clients[-1]

    yield new
    for client in clients:
        await client.disconnect()


@pytest.fixture
async def sio(place):
    """Return a server that runs."""
    sio = socketio.Server(namespaces=["/a"], connection_state_recovery=True)
    sio.on("echo", lambda sid, *args: args)
    sio.on("who", lambda sid: "a", namespace="/a")
    await place.start(sio)
    return sio


async def cut(sio, namespace="/"):
    """Have all connections end as the network would."""
    sockets = list(sio.of(namespace).sockets.values())
    for socket in sockets:
        socket.connection.engine.end("transport close", code=1001)
    await until(lambda: not any(socket.connected for socket in sockets))


async def test_events(place, sio, make):
    client = make()
    got = []

    @client.event
    def news(*args):
        got.append(args)

    @client.event
    async def question(n):
        await asyncio.sleep(0)
        return n, b"x"

    client.on("*", lambda event, *args: event)
    await client.connect(place.url, auth={"a": 1})
    sid = client.get_sid()
    assert client.connected
    assert client.transport == "websocket"
    assert sio.socket(sid).handshake.auth == {"a": 1}
    assert await client.call("echo", 1, b"\x00", {"x": [b"y"]}) == (
        1,
        b"\x00",
        {"x": [b"y"]},
    )
    assert await client.call("echo") is None
    replies = []
    client.emit("echo", 5, callback=replies.append)
    assert await sio.call("question", 7, to=sid) == (7, b"x")
    assert await sio.call("whatever", 7, to=sid) == "whatever"
    sio.emit("news", 1)
    await until(lambda: got and replies == [5])
    assert got[0][0] == 1
    with pytest.raises(ValueError, match="reserved"):
        client.emit("connect")
    with pytest.raises(socketio.AckTimeout):
        await client.call("silence", timeout=0.05)
    await client.disconnect()
    assert not client.connected
    with pytest.raises(socketio.Disconnected):
        client.emit("news")


async def test_namespaces_share_a_connection(place, sio, make):
    client = make()
    await client.connect(place.url, namespaces=["/", "/a"])
    assert await client.call("who", namespace="/a") == "a"
    assert len(sio.engine.sockets) == 1
    first = socketio.io(place.url, **WS)
    second = socketio.io(f"{place.url}/a", **WS)
    third = socketio.io(place.url, force_new=True, **WS)
    again = socketio.io(place.url, connect=False, **WS)
    alone = socketio.io(f"{place.url}/b", multiplex=False, connect=False, **WS)
    try:
        for each in (first, second, third):
            await each.wait_connected()
        assert first.manager is second.manager
        managers = {each.manager for each in (first, third, again, alone)}
        assert len(managers) == 4
        assert len(sio.engine.sockets) == 3
        assert await second.call("who") == "a"
        await first.disconnect()
        assert second.connected
    finally:
        for each in (first, second, third):
            each.disconnect()
            await each.manager.wait_closed()


@pytest.mark.parametrize("auth", ["object", "function", "coroutine function"])
async def test_auth(place, sio, make, auth):
    given = {"token": auth}

    async def later():
        await asyncio.sleep(0)
        return given

    client = make()
    way = {"object": given, "function": lambda: given}.get(auth, later)
    await client.connect(place.url, auth=way)
    assert sio.socket(client.get_sid()).handshake.auth == given


async def test_refusal(place, sio, make):
    def no(socket):
        raise socketio.ConnectionRefusedError("no", {"code": 1})

    sio.of("/a").use(no)
    client = make()
    seen = []
    client.on("connect_error", seen.append, namespace="/a")
    with pytest.raises(socketio.ConnectionError, match="/a: no") as caught:
        await client.connect(place.url)
    assert caught.value.data == {"message": "no", "data": {"code": 1}}
    assert seen == [caught.value.data]


async def test_nobody_there(make):
    client = make()
    with pytest.raises(socketio.ConnectionError, match="9"):
        await client.connect("http://127.0.0.1:9")
    assert client.manager is None
    client = make(reconnection_attempts=2)
    await client.connect("http://127.0.0.1:9", wait=False)
    tried, failed = [], asyncio.Event()
    client.manager.on("reconnect_attempt", tried.append)
    client.manager.on("reconnect_failed", failed.set)
    async with timeout(20):
        await failed.wait()
    assert tried == [1, 2]
    await client.wait()
    assert not client.socket().active


async def test_it_comes_back_and_nothing_is_lost(place, sio, make):
    """Reconnection, recovery, the offline buffer; volatile events do not wait."""
    client = make()
    log = []
    client.on("connect", lambda: log.append("connect"))
    client.on("disconnect", lambda reason: log.append(reason))
    client.on("n", lambda n: log.append(n))
    await client.connect(place.url)
    sid = client.get_sid()
    sio.emit("n", 1)
    await until(lambda: log == ["connect", 1])
    await cut(sio)
    sio.emit("n", 2)
    await until(lambda: "transport close" in log)
    socket = client.socket()
    assert socket.active
    assert not socket.connected
    client.emit("echo", "lost", volatile=True)
    replies = []
    client.emit("echo", "kept", callback=replies.append)
    await until(lambda: replies == ["kept"])
    await until(lambda: log == ["connect", 1, "transport close", "connect", 2])
    assert socket.recovered
    assert client.get_sid() == sid


async def test_recovery_without_an_event(place, sio, make):
    client = make()
    got = []
    client.on("n", lambda n: got.append(n))
    await client.connect(place.url)
    await cut(sio)
    sio.emit("n", 1)
    await until(lambda: got == [1])


async def test_offline_buffer_is_bounded(make):
    client = make(max_offline=3, reconnection_delay=60, reconnection_delay_max=60)
    await client.connect("http://127.0.0.1:9", wait=False)
    for n in range(3):
        client.emit("n", n)
    with pytest.raises(socketio.Disconnected, match="3 events"):
        client.emit("n", 3)


async def test_retries_until_acknowledged(place, sio, make):
    got = []

    @sio.event
    async def order(sid, n):
        got.append(n)
        if got.count(n) < 2:
            await asyncio.sleep(20)  # no reply in time
        return n

    client = make(retries=3, ack_timeout=0.2)
    await client.connect(place.url)
    replies = []
    client.emit("order", 1, callback=replies.append)
    assert await client.call("order", 2) == 2
    assert replies == [1]
    assert got == [1, 1, 2, 2]
    client = make(retries=1, ack_timeout=0.05)
    await client.connect(place.url)
    with pytest.raises(socketio.AckTimeout):
        await client.call("nobody acknowledges this")
    with pytest.raises(ValueError, match="ack_timeout"):
        await make(retries=1).connect(place.url)


async def test_leaving_and_coming_at_once(place, sio):
    socket = socketio.io(place.url, force_new=True, **WS)
    try:
        for _ in range(3):
            async with timeout(20):
                await socket.wait_connected()
            socket.disconnect()
            assert not socket.active
            socket.connect()
        async with timeout(20):
            await socket.wait_connected()
        assert await socket.call("echo", 1) == 1
    finally:
        socket.disconnect()
        await socket.manager.wait_closed()


async def test_leaving_gives_up_what_is_queued(make):
    client = make(retries=3, ack_timeout=5)
    await client.connect("http://127.0.0.1:9", wait=False)
    asked = asyncio.ensure_future(client.call("order", 1))
    await asyncio.sleep(0)
    await client.disconnect()
    with pytest.raises(socketio.Disconnected):
        await asked


async def test_calls_fail_when_the_connection_is_lost(place, sio, make):
    client = make(reconnection=False)
    await client.connect(place.url)
    asked = asyncio.ensure_future(client.call("silence"))
    await asyncio.sleep(0.05)
    await cut(sio)
    with pytest.raises(socketio.Disconnected):
        await asked
    await client.wait()
    assert not client.socket().active


async def test_server_throws_out(place, sio, make):
    client = make()
    reasons = []
    client.on("disconnect", reasons.append)
    await client.connect(place.url)
    sio.of("/").disconnect_sockets()
    async with timeout(20):
        await client.wait()
    assert reasons == ["io server disconnect"]
    await client.connect(place.url)  # it may come again
    with pytest.raises(RuntimeError, match="connected"):
        await client.connect(place.url)
    assert client.connected


def test_delays_grow_and_are_limited():
    manager = socketio.Manager("http://x", randomization_factor=0)
    assert [manager.delay(n) for n in range(5)] == [1, 2, 4, 5, 5]
    manager = socketio.Manager("http://x", randomization_factor=0.5)
    delays = [manager.delay(1) for _ in range(200)]
    assert 1 <= min(delays) < 1.5 < 2.5 < max(delays) <= 3
    assert manager.delay(10**6) <= 5
    with pytest.raises(ValueError, match="0 to 1"):
        socketio.Manager("http://x", randomization_factor=2)


async def test_all_transports_are_tried(place, sio, make):
    """``serve()`` knows no polling."""
    client = make(transports=["polling", "websocket"], try_all_transports=True)
    await client.connect(place.url)
    assert client.transport == "websocket"


async def test_threads(place, sio):
    def program():
        with socketio.SyncClient(**WS) as client:
            got = threading.Event()

            @client.event
            def question(n):
                got.set()
                return client.call("echo", n + 1)  # it may block

            client.connect(place.url)
            assert client.connected
            assert client.call("echo", 1, b"x") == (1, b"x")
            sid = client.get_sid()
            replies = []
            done = threading.Event()
            client.emit("echo", 2, callback=lambda n: (replies.append(n), done.set()))
            assert done.wait(20)
            assert replies == [2]
            asking.append(sid)
            assert got.wait(20)
            assert answered.wait(20)
        with pytest.raises(socketio.Disconnected):
            client.call("echo")
        with pytest.raises(socketio.ConnectionError):
            client.connect("http://127.0.0.1:9")

    asking: list[str] = []
    answered = threading.Event()
    running = asyncio.get_running_loop().run_in_executor(None, program)
    await until(lambda: asking or running.done())
    if asking:
        assert await sio.call("question", 7, to=asking[0]) == 8
        answered.set()
    await running
