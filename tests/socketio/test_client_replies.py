"""Replies and listeners of clients: who is told what, and on which thread."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

import wsfast
from tests.socketio.conftest import FAST, WAIT_S, until
from wsfast import socketio

RETRYING = {**FAST, "retries": 3, "ack_timeout": WAIT_S}


@pytest.fixture
async def sio(place):
    """Return a server that runs."""
    sio = socketio.Server(namespaces=["/a"])
    sio.on("echo", lambda sid, *args: args)
    sio.on("ask", lambda sid, *args: sio.emit(*args, to=sid))
    await place.start(sio)
    return sio


@pytest.mark.parametrize("given", [(), (1,), (1, "two")])
async def test_reply_to_what_is_retried(place, sio, given):
    async with socketio.Client(**RETRYING) as client:
        await client.connect(place.url)
        got = []
        client.emit("echo", *given, callback=lambda *args: got.append(args))
        await until(lambda: got)
        assert got == [given]
        client.emit("echo")  # nobody wants to know
        assert await client.call("echo", 2) == 2


async def test_callback_that_is_a_coroutine_function(place, sio):
    async with socketio.Client(**RETRYING) as client:
        await client.connect(place.url)
        got = []

        async def callback(value):
            await asyncio.sleep(0)
            got.append(value)

        client.emit("echo", 1, callback=callback)
        await until(lambda: got == [1])


async def test_what_is_given_up_is_logged(place, sio, caplog):
    async with socketio.Client(**FAST, retries=1, ack_timeout=0.05) as client:
        await client.connect(place.url)
        got = []
        with caplog.at_level(logging.WARNING, "wsfast.socketio"):
            client.emit("nobody acknowledges", callback=got.append)
            await until(lambda: caplog.records)
        assert "'nobody acknowledges' was given up" in caplog.text
        assert got == []


async def test_callback_in_the_thread_of_the_program(place, sio):
    def program():
        with socketio.SyncClient(**RETRYING) as client:
            client.connect(place.url)
            done, got = threading.Event(), []

            def callback(*args):
                got.append((threading.current_thread().name, args))
                done.set()

            client.emit("echo", 1, 2, callback=callback)
            assert done.wait(WAIT_S)
            assert got == [(f"wsfast {place.url} handlers", (1, 2))]

    await asyncio.to_thread(program)


async def test_what_waits_for_its_turn_may_be_cancelled(place, sio):
    """Before it is sent, and while its reply is due: what follows goes on."""
    came = []
    sio.on("order", lambda sid, n: came.append(n))

    @sio.event
    async def slow(sid):
        came.append("slow")
        await asyncio.sleep(WAIT_S)

    async with socketio.Client(**RETRYING) as client:
        await client.connect(place.url)
        first, second = (
            asyncio.ensure_future(client.call(*args))
            for args in (["slow"], ["order", 1])
        )
        await until(lambda: came == ["slow"])
        second.cancel()
        first.cancel()
        await asyncio.wait([first, second])
        socket = client.socket()
        for ack in list(socket._acks.values()):
            ack()  # its reply comes all the same
        await client.call("order", 2)
        assert came == ["slow", 2]


async def test_retries_that_wait_are_bounded(place, sio):
    async with socketio.Client(max_offline=2, **RETRYING) as client:
        await client.connect("http://127.0.0.1:9", wait=False)
        for n in range(2):
            client.emit("order", n)
        with pytest.raises(socketio.Disconnected, match="2 events"):
            client.emit("order", 3)


async def test_volatile_without_a_connection_is_dropped(place, sio):
    async with socketio.Client(**FAST) as client:
        await client.connect("http://127.0.0.1:9", wait=False)
        assert await client.emit("n", volatile=True, callback=print) is None
        assert not client.socket()._acks
        assert not client.socket()._offline


async def test_listeners_of_all_events(place, sio):
    async with socketio.Client(**FAST) as client:
        await client.connect(place.url)
        seen, sent = [], []
        socket = client.socket()
        socket.on_any(lambda *args: seen.append(args))
        socket.on_any_outgoing(lambda *args: sent.append(args))
        client.emit("ask", "nobody listens", 7)
        await until(lambda: seen)
        assert sent == [("ask", "nobody listens", 7)]
        assert seen == [("nobody listens", 7)]


async def test_handler_without_a_value_acknowledges(place, sio):
    async with socketio.Client(**FAST) as client:

        @client.on("question")
        def question(n):
            return None

        @client.on("later")
        async def later(n):
            await asyncio.sleep(0)

        await client.connect(place.url)
        sid = client.get_sid()
        assert await sio.call("question", 1, to=sid) is None
        assert await sio.call("later", 1, to=sid) is None


async def test_decorators_of_a_namespace(place, sio):
    got = []
    async with socketio.Client(**FAST) as client:

        @client.event(namespace="/a")
        def news(n):
            got.append(n)

        await client.connect(place.url, namespaces=["/a"])
        sio.emit("news", 1, namespace="/a")
        await until(lambda: got == [1])

    def program():
        with socketio.SyncClient(**FAST) as client:
            heard = threading.Event()

            @client.on("news", namespace="/a")
            def news(n):
                heard.set()

            @client.event(namespace="/a")
            def other(n):
                raise AssertionError("nobody has said this")

            client.connect(place.url, namespaces=["/a"])
            sid = client.get_sid("/a")
            loop.call_soon_threadsafe(
                lambda: sio.emit("news", 2, namespace="/a", to=sid)
            )
            assert heard.wait(WAIT_S)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(program)


class Scripted(wsfast.Listener):
    """A server of Engine.IO that answers the first packet with these."""

    packets: tuple[str, ...] = ()

    def on_open(self, ws):
        ws.send('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')

    def on_message(self, ws, message):
        packets, self.packets = self.packets, ()
        for packet in packets:
            ws.send(packet)


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        ("40", "a server of an older version"),
        ('40{"sid":5}', "a server of an older version"),
        ('44"not you"', "not you"),
    ],
)
async def test_answers_that_are_no_entry(packet, error):
    class Server(Scripted):
        packets = (packet,)

    async with wsfast.serve(Server, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = socketio.Client(reconnection=False, **FAST)
        errors = []
        client.on("connect_error", errors.append)
        with pytest.raises(socketio.ConnectionError):
            await client.connect(url)
        assert errors == [error]


async def test_packets_nobody_waits_for(place, sio):
    """A reply to no question, and an event of a namespace that was not entered."""

    class Server(Scripted):
        packets = ('40{"sid":"s"}', "439[1]", '42/b,["e"]', '42["done"]')

    async with wsfast.serve(Server, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with socketio.Client(**FAST) as client:
            got = []
            client.on("*", lambda *args: got.append(args))
            await client.connect(url)
            await until(lambda: got)
            assert got == [("done",)]


def test_delays_are_not_negative():
    for options in ({"reconnection_delay": -1}, {"reconnection_delay_max": -1}):
        with pytest.raises(ValueError, match="delays must be >= 0"):
            socketio.Manager("http://x", **options)


async def test_it_comes_late_for_auth_that_takes_long(place, sio):
    """The connection that auth was asked for has gone when it is there."""
    asked, go = [], asyncio.Event()

    async def auth():
        asked.append(len(asked))
        if len(asked) == 1:
            await go.wait()
        return {"n": len(asked)}

    async with socketio.Client(**FAST) as client:
        await client.connect(place.url, auth=auth, wait=False)
        await until(lambda: asked)
        client.manager.engine.close()
        await until(lambda: client.connected)
        go.set()
        await asyncio.sleep(0)
        assert await client.call("echo", 1) == 1
        assert asked == [0, 1]
        assert [s.handshake.auth for s in sio.of("/").sockets.values()] == [{"n": 2}]
