"""Clients and what goes wrong: servers that are silent, connections that are lost."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

import wsfast
from tests.socketio.conftest import FAST, WAIT_S, until
from wsfast import socketio


@pytest.fixture
async def sio(place):
    """Return a server that runs."""
    sio = socketio.Server()
    sio.on("echo", lambda sid, *args: args)
    await place.start(sio)
    return sio


async def cut(sio):
    """Have all connections end as the network would."""
    sockets = list(sio.of("/").sockets.values())
    for socket in sockets:
        socket.connection.engine.end("transport close", code=1001)
    await until(lambda: not any(socket.connected for socket in sockets))


async def offline(sio, client):
    """Have the client lose its connection, and not come back soon."""
    client.manager.reconnection_delay = client.manager.reconnection_delay_max = 0.3
    await cut(sio)
    await until(lambda: not client.connected)


async def test_what_cannot_be_sent_is_refused_at_once(place, sio):
    async with socketio.Client(**FAST) as client:
        await client.connect(place.url)
        await offline(sio, client)
        for send in (client.emit, client.call):
            with pytest.raises(TypeError):
                await send("echo", object())
        replies = []
        with pytest.raises(TypeError):
            client.emit("echo", object(), callback=replies.append, timeout=0.01)
        news = [1]
        client.emit("echo", news, callback=replies.append)
        news.append(object())
        await until(lambda: replies)
        assert replies == [[1]]
        assert not client.socket()._acks
    gc.collect()


async def test_who_waits_no_longer_does_not_ask(place, sio):
    """A call that is given up before there is a connection is not sent at all."""
    seen = []
    sio.on("order", lambda sid, n: seen.append(n))
    async with socketio.Client(**FAST) as client:
        await client.connect(place.url)
        await offline(sio, client)
        with pytest.raises(socketio.AckTimeout):
            await client.call("order", 1, timeout=0.01)
        asked = asyncio.ensure_future(client.call("order", 2))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        late = []
        client.emit("order", 3, callback=late.append, timeout=0.01)
        await client.call("order", 4)
        assert seen == [4]
        await until(lambda: late)
        assert isinstance(late[0], socketio.AckTimeout)


async def test_more_than_one_buffer_has_waited(place, sio):
    """Longer than what may wait to be sent: all of it comes, in order."""
    seen = []
    sio.on("n", lambda sid, n, text: seen.append(n))
    async with socketio.Client(max_send_buffer=100_000, **FAST) as client:
        await client.connect(place.url, wait=False)
        for n in range(300):
            client.emit("n", n, "x" * 10_000)
        await client.socket().wait_connected()
        for n in range(300, 303):
            client.emit("n", n, "behind them")
        await until(lambda: len(seen) == 303)
        assert seen == [*range(303)]


async def test_callbacks_of_a_client_are_bounded(place, sio):
    sio.on("silence", lambda sid: None)
    got = []
    async with socketio.Client(max_acks=2, **FAST) as client:
        await client.connect(place.url)
        for _ in range(3):
            client.emit("nobody", callback=got.append, timeout=WAIT_S)
        await until(lambda: got)
        assert "more than 2" in str(got[0])
        assert len(client.socket()._acks) == 2
        await cut(sio)
        await until(lambda: len(got) == 3)
        assert isinstance(got[2], socketio.Disconnected)


class Silent(wsfast.Listener):
    """A server of Engine.IO that says what it is told, and no CONNECT."""

    packets: tuple[str, ...] = ()

    def on_open(self, ws):
        ws.send('0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')

    def on_message(self, ws, message):
        for packet in self.packets:
            ws.send(packet)


async def test_server_that_does_not_answer():
    async with wsfast.serve(Silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = socketio.Client(timeout=0.3, **FAST)
        with pytest.raises(socketio.ConnectionError, match="has not answered"):
            await client.connect(url)
        assert client.manager is None


async def test_server_that_talks_before_it_answers():
    class Talking(Silent):
        packets = ('42["e"]',) * 101

    async with wsfast.serve(Talking, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = socketio.Client(max_offline=100, **FAST)
        lost = asyncio.Event()
        try:
            await client.connect(url, wait=False)
            client.manager.on("close", lambda reason: lost.set())
            await asyncio.wait_for(lost.wait(), WAIT_S)
            assert not client.socket()._early
        finally:
            await client.disconnect()


async def test_a_handler_of_a_thread_disconnects(place, sio):
    """What it is called for is over then; the thread goes on with the next one."""

    def program():
        done = threading.Event()
        client = socketio.SyncClient(**FAST)
        log = []

        @client.event
        def leave():
            client.disconnect()
            log.append("left")
            done.set()

        for _ in range(2):
            done.clear()
            client.connect(place.url)
            client.emit("ask", "leave")
            assert done.wait(WAIT_S)
        assert log == ["left", "left"]
        with pytest.raises(socketio.Disconnected):
            client.emit("ask", "leave")

    sio.on("ask", lambda sid, event: sio.emit(event, to=sid))
    await asyncio.to_thread(program)
