"""Handlers and how they are registered; sockets that have gone; small refusals."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.socketio.conftest import FAST, WAIT_S, until
from wsfast import socketio
from wsfast.asyncio._timeout import timeout
from wsfast.socketio.packet import EVENT, Packet


@pytest.fixture
async def sio(place):
    """Return a server that runs."""
    sio = socketio.Server(namespaces=["/a"])
    await place.start(sio)
    return sio


async def test_decorators(place, sio):
    @sio.on("one")
    def one(sid, *args):
        return ["one", *args]

    @sio.event
    def two(sid):
        return "two"

    @sio.event(namespace="/a")
    def three(sid):
        return "three"

    @sio.of("/a").on("four")
    async def four(sid):
        await asyncio.sleep(0)
        return "four"

    raw, _ = await place.client()
    assert await raw.call("one", 1) == [["one", 1]]
    assert await raw.call("two") == ["two"]
    raw, _ = await place.client("/a")
    assert await raw.call("three", namespace="/a") == ["three"]
    assert await raw.call("four", namespace="/a") == ["four"]


async def test_handlers_of_one_client(place, sio):
    sio.on("q", lambda sid: "the namespace's")
    raw, sid = await place.client()
    socket = sio.socket(sid)
    socket.off("q")  # it has none

    @socket.on("q")
    def q():
        return "its own"

    @socket.on("later")
    async def later():
        await asyncio.sleep(0)

    assert await raw.call("q") == ["its own"]
    assert await raw.call("later") == []
    socket.off("q")
    assert await raw.call("q") == ["the namespace's"]


async def test_listeners_are_taken_away_one_by_one(place, sio):
    raw, sid = await place.client()
    socket, seen = sio.socket(sid), []

    def first(*args):
        seen.append("first")

    async def second(*args):
        seen.append("second")

    for listener in (first, second):
        socket.on_any(listener)
    socket.off_any(print)  # it is none
    sio.on("ping", lambda sid: None)
    await raw.call("ping")
    await until(lambda: len(seen) == 2)
    socket.off_any(first)
    await raw.call("ping")
    await until(lambda: len(seen) == 3)
    assert sorted(seen) == ["first", "second", "second"]
    socket.off_any()
    await raw.call("ping")
    assert len(seen) == 3


async def test_replies_without_a_client(place, sio):
    raw, sid = await place.client()
    replies = []
    sio.emit("all", 1, callback=lambda *args: replies.append(args))
    assert await raw.recv() == '20["all",1]'
    await raw.send('30["yes"]')
    await until(lambda: replies == [("yes",)])
    sio.emit("several", (1, 2), to=sid)
    assert await raw.recv() == '2["several",1,2]'
    with pytest.raises(ValueError, match="needs a client"):
        await sio.call("q")
    with pytest.raises(ValueError, match="timeout= needs one client"):
        sio.emit("q", callback=print, timeout=1)
    with pytest.raises(KeyError):
        await sio.call("q", to="nobody")


async def test_a_client_that_has_gone(place, sio):
    answer = asyncio.Event()

    @sio.event
    async def slow(sid):
        await answer.wait()
        return "nobody hears this"

    sio.on("nothing", lambda sid: None, namespace="/a")
    raw, sid = await place.client()
    await raw.enter("/a")  # which keeps the connection
    socket = sio.socket(sid)
    await raw.send('27["slow"]')
    await raw.call("nothing", namespace="/a")
    socket.disconnect()
    assert await raw.recv() == "1"
    with pytest.raises(socketio.Disconnected):
        await socket.call("q")
    with pytest.raises(socketio.Disconnected):
        socket.join("room")
    answer.set()
    again = await raw.enter()  # and there was nothing in between
    assert again["sid"] != sid


async def test_class_of_all_namespaces(place):
    class Everything(socketio.AsyncNamespace):
        async def on_hello(self, namespace, sid, *args):
            return namespace, *args

    sio = socketio.Server(namespaces="*")
    sio.register_namespace(Everything("*"))
    await place.start(sio)
    raw, _ = await place.client("/x")
    assert await raw.call("hello", 1, namespace="/x") == ["/x", 1]
    with pytest.raises(AttributeError, match="has no emit"):
        _ = Everything("*").emit
    with pytest.raises(AttributeError, match="has no such"):
        _ = Everything("/x").such


def test_times_are_positive():
    with pytest.raises(ValueError, match="connect_timeout"):
        socketio.Server(connect_timeout=0)


def test_packets_are_equal_to_packets():
    packet = Packet(EVENT, "/", ["e"], 1)
    assert packet == Packet(EVENT, "/", ["e"], 1)
    assert packet != Packet(EVENT, "/", ["e"], 2)
    assert packet != (EVENT, "/", ["e"], 1)
    assert repr(packet) == "Packet(2, '/', ['e'], id=1)"


# ---- clients ----


async def test_handlers_of_a_client_that_is_connected(place, sio):
    async with socketio.Client(timeout=None, **FAST) as client:
        await client.wait()  # there is nothing to wait for
        await client.connect(place.url)
        socket = client.socket()
        got = []

        @socket.on("one")
        def one(n):
            got.append(n)

        client.on("two", got.append)
        assert socket.connect() is socket  # it is already
        await socket.wait_connected()
        sid = client.get_sid()
        sio.emit("one", 1, to=sid)
        sio.emit("two", 2, to=sid)
        await until(lambda: got == [1, 2])
        socket.off("one")
        sio.emit("one", 3, to=sid)
        sio.emit("two", 4, to=sid)
        await until(lambda: got == [1, 2, 4])


async def test_a_client_that_gives_up_while_it_waits():
    """Leaving between two attempts ends them."""
    async with socketio.Client(**FAST) as client:
        await client.connect("http://127.0.0.1:9", wait=False)
        attempts = []
        client.manager.on("reconnect_attempt", attempts.append)
        await until(lambda: attempts)
        socket = client.socket()
        waiting = asyncio.ensure_future(socket.wait_connected())
        await asyncio.sleep(0)
        socket.disconnect()
        with pytest.raises(socketio.ConnectionError):
            await waiting
        async with timeout(WAIT_S):
            await client.wait()
        assert not socket.active


async def test_clients_of_threads(place, sio, caplog):
    sio.on("ask", lambda sid, *args: sio.emit(*args, to=sid))
    sio.on("echo", lambda sid, *args: args)

    def program():
        client = socketio.SyncClient(**FAST)
        client.disconnect()  # it was not connected
        failed = threading.Event()

        @client.event
        def fails():
            failed.set()
            raise ZeroDivisionError

        with client:
            client.connect(place.url)
            with pytest.raises(RuntimeError, match="connected"):
                client.connect(place.url)
            client.emit("ask", "fails")
            assert failed.wait(WAIT_S)
            assert client.call("echo", 1) == 1  # it goes on
        with pytest.raises(socketio.Disconnected):
            client.call("echo")

    await asyncio.to_thread(program)
    assert "ZeroDivisionError" in caplog.text
