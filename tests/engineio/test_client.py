"""Our clients, against our server: each transport, the upgrade, the end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.engineio.conftest import WAIT_S, WAYS, Peer, Place, recv, until, url_of
from wsfast import engineio
from wsfast.engineio import SyncClient, connect
from wsfast.exceptions import InvalidHandshake


@pytest.mark.parametrize("way", WAYS)
async def test_echo_in_order(place, way):
    await place.start()
    async with connect(url_of(place), Peer, **WAYS[way]) as socket:
        sent = [f"m{n}" if n % 3 else bytes([n]) for n in range(100)]
        for message in sent[:50]:
            await socket.send(message)
        if way == "upgrade":
            await until(socket.listener, "upgraded")
        await socket.send_many(sent[50:])
        assert [await recv(socket) for _ in sent] == sent
        assert socket.transport == ("polling" if way == "polling" else "websocket")
        assert place.listener.socket.transport == socket.transport
        assert place.server.sockets.keys() == {socket.id}
    assert socket.listener.events[-1] == ("close", "forced close")
    assert await place.ended() == "transport close"
    with pytest.raises(engineio.SessionClosed):
        await socket.send("too late")


@pytest.mark.parametrize("way", WAYS)
async def test_under_hypercorn(way):
    place = Place("hypercorn")
    async with place.stack:
        await place.start()
        async with connect(url_of(place), Peer, **WAYS[way]) as socket:
            if way == "upgrade":
                await until(socket.listener, "upgraded")
            sent = ["hello", b"\0\xff", "x" * 100_000]
            await socket.send_many(sent)
            assert [await recv(socket) for _ in sent] == sent
        assert await place.ended() == "transport close"
        with pytest.raises(engineio.BadReply, match="40"):
            await connect(url_of(place), Peer, query={"sid": "x"}, **WAYS[way])


async def test_messages_cross_the_upgrade_in_order(place):
    await place.start()
    async with connect(url_of(place), Peer) as socket:
        count = 0
        while not socket.listener.upgraded or count % 100:
            socket.send(str(count))
            count += 1
            await asyncio.sleep(0)
        got = [await recv(socket) for _ in range(count)]
        assert got == [str(n) for n in range(count)]


async def test_server_that_closes(place):
    await place.start()
    for way in WAYS.values():
        place.made.clear()
        async with connect(url_of(place), Peer, **way) as socket:
            socket.send("close")
            reason = await asyncio.wait_for(socket.listener.ended, WAIT_S)
            assert reason == "transport close"
            assert await place.ended() == "forced close"


async def test_server_that_is_silent(reactor_place):
    class Silent(engineio.Server):
        def open_session(self, *arguments):
            socket = super().open_session(*arguments)
            self.wheel.cancel(socket)
            return socket

    reactor_place.kind = Silent
    await reactor_place.start(ping_interval=0.05, ping_timeout=0.05)
    for way in WAYS.values():
        socket = await connect(url_of(reactor_place), Peer, **way)
        reason = await asyncio.wait_for(socket.listener.ended, WAIT_S)
        assert reason == "ping timeout"
        await socket.wait_closed()


async def test_heartbeat_is_answered(reactor_place):
    await reactor_place.start(ping_interval=0.03, ping_timeout=5.0)
    async with connect(url_of(reactor_place), Peer, transports=["polling"]) as socket:
        await asyncio.sleep(0.3)
        assert socket.state == "open"
        socket.send("still")
        assert await recv(socket) == "still"


async def test_refusals(place):
    await place.start(allow_request=lambda request: "not today")
    with pytest.raises(engineio.BadReply, match="403: not today") as caught:
        await connect(url_of(place), Peer)
    assert caught.value.error == 4
    with pytest.raises(engineio.BadReply, match="400: not today"):
        await connect(url_of(place), Peer, transports=["websocket"])
    with pytest.raises(engineio.BadReply, match="404") as caught:
        await connect(url_of(place), Peer, path="/elsewhere")
    assert caught.value.error is None


async def test_redirects_are_not_followed():
    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for way in WAYS.values():
            with pytest.raises(InvalidHandshake, match=r"302|redirect"):
                await connect(url, Peer, **way)


async def test_no_server(unused_tcp_port):
    for way in WAYS.values():
        with pytest.raises(OSError):
            await connect(f"http://127.0.0.1:{unused_tcp_port}", Peer, **way)


async def test_upgrade_that_is_refused_leaves_polling(place):
    await place.start(transports=["polling"])
    place.server.transports = ("polling", "websocket")  # is offered, and then is not
    socket = await connect(url_of(place), Peer, upgrade=False)
    await socket.close()
    socket = await connect(url_of(place), Peer)
    place.server.transports = ("polling",)
    await asyncio.wait([socket._tasks["upgrade"]], timeout=WAIT_S)
    socket.send("still")
    assert await recv(socket) == "still"
    assert socket.transport == "polling"
    await socket.close()


async def test_cookies_query_and_headers(reactor_place):
    seen = []

    def headers(fields, request):
        seen.append((request.query.get("a"), request.headers.get("x-a")))
        seen.append(request.cookies.get("io"))

    await reactor_place.start(cookie="io", headers=headers)
    options = {"query": {"a": "ä b"}, "additional_headers": {"X-A": "1"}}
    async with connect(url_of(reactor_place) + "/?b=2", Peer, **options) as socket:
        await until(socket.listener, "upgraded")
        request = reactor_place.listener.socket.request
        assert request.query == {
            "b": "2",
            "a": "ä b",
            "EIO": "4",
            "transport": "polling",
        }
    assert seen[0] == ("ä b", "1")
    assert seen[1] is None
    assert socket.id in seen[2:]


@pytest.mark.parametrize("way", WAYS)
async def test_sync_client(place, way):
    await place.start()
    got = []
    ended = threading.Event()

    class Noting(engineio.Listener):
        def on_message(self, data):
            got.append(data)
            if len(got) == 20:
                self.socket.send("close")

        def on_close(self, reason, description):
            got.append(reason)
            ended.set()

    def talk():
        with SyncClient(url_of(place), Noting, **WAYS[way]) as client:
            assert client.id in place.server.sockets
            for n in range(20):
                client.send(str(n))
            assert client.wait(WAIT_S)
            with pytest.raises(engineio.SessionClosed):
                client.send("too late")
        assert client.state == "closed"
        with pytest.raises(engineio.SessionClosed):
            client.send("too late")
        client.open()
        assert client.state == "open"
        client.close()
        client.close()

    await asyncio.wait_for(asyncio.to_thread(talk), WAIT_S)
    assert got[:21] == [*map(str, range(20)), "transport close"]
    assert ended.is_set()


async def test_sync_client_without_a_server(unused_tcp_port):
    def talk():
        client = SyncClient(f"http://127.0.0.1:{unused_tcp_port}", Peer)
        before = set(threading.enumerate())
        for attempt in (client.__enter__, client.open):
            with pytest.raises(OSError):
                attempt()
            assert set(threading.enumerate()) <= before

    await asyncio.to_thread(talk)


def test_arguments():
    for arguments, error in (
        ({"url": "ftp://x"}, "scheme"),
        ({"url": "http://x", "transports": []}, "transports"),
        ({"url": "http://x", "transports": ["webtransport"]}, "transports"),
        ({"url": "http://x", "sock": object()}, "sock"),
    ):
        with pytest.raises(Exception, match=error):
            connect(listener_factory=Peer, **arguments)
