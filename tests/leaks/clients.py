"""Connections that come and go, each for a reason of its own."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import partial
from typing import Any

from tests.asyncio.raw import request
from tests.faults import rawpeer
from tests.leaks.measure import Operations
from tests.leaks.places import (
    LISTENERS,
    SERVERS,
    TEXT,
    Place,
    a_server,
    a_sockjs_server,
    turn,
)
from wsfast import Listener, Reconnecting
from wsfast.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

operations = Operations("cycle")

PATHS = ("reactor", "transport")  # a TLS handshake takes long, and is not ours
PLAIN = {name: SERVERS[name] for name in PATHS}
PLAIN_LISTENERS = {name: LISTENERS[name] for name in PATHS}
REQUEST = request()
SOCKJS = {name: partial(a_sockjs_server, name == "reactor") for name in PATHS}


@operations.within(**SERVERS)
async def open_talk_close(place: Place) -> None:
    async with place.connect() as ws:
        await ws.send(TEXT)
        assert await ws.recv() == TEXT


@operations.within(**PLAIN)
async def server_closes(place: Place) -> None:
    async with place.connect("/leave") as ws:
        async for _ in ws:
            pass
        assert ws.close_code == 1000
        with suppress(ConnectionClosed):
            await ws.send("too late")


@operations.within(**PLAIN)
async def handler_raises(place: Place) -> None:
    async with place.connect("/raise") as ws:
        with suppress(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011


@operations.within(**PLAIN_LISTENERS)
async def listeners(place: Place) -> None:
    done = asyncio.get_running_loop().create_future()

    class Client(Listener):
        def on_open(self, ws: Any) -> None:
            ws.send("hello")

        def on_message(self, ws: Any, message: Any) -> None:
            ws.close()

        def on_close(self, ws: Any, code: int, reason: str) -> None:
            done.set_result(code)

    await place.connect(listener=Client())
    assert await done == 1000


@operations.within(**PLAIN_LISTENERS)
async def listener_raises(place: Place) -> None:
    async with place.connect() as ws:
        await ws.send("raise")
        with suppress(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011


@operations.within(**PLAIN)
async def aborted(place: Place) -> None:
    async with place.connect() as ws:
        await ws.send(TEXT)
        ws.abort()


@operations.within(**PLAIN)
async def left_unread(place: Place) -> None:
    async with place.connect() as ws:
        for _ in range(20):
            await ws.send(TEXT)
        await turn()


@operations.within(**PLAIN)
async def closed_under_recv(place: Place) -> None:
    ws = await place.connect()
    receiving = asyncio.ensure_future(ws.recv())
    await turn()
    await ws.close(1001, "going")
    with suppress(ConnectionClosed):
        await receiving


@operations.within(**PLAIN)
async def cancelled_opening(place: Place) -> None:
    opening = asyncio.ensure_future(_open(place))
    await turn(4)
    opening.cancel()
    with suppress(asyncio.CancelledError):
        await (await opening).close()


async def _open(place: Place) -> Any:
    return await place.connect()


@operations.within(**PLAIN)
async def cancelled_closing(place: Place) -> None:
    ws = await place.connect()
    closing = asyncio.ensure_future(_close(ws))
    await turn(1)
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
    await ws.wait_closed()


async def _close(ws: Any) -> None:
    await ws.close()


async def _say(place: Place, octets: bytes) -> bytes:
    """Send octets to a server that will not like them; return what it answers."""
    with socket.socket() as sock:
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", place.port))
        await loop.sock_sendall(sock, octets)
        answer = b""
        with suppress(ConnectionError):
            while part := await loop.sock_recv(sock, 65536):
                answer += part
                if part[-2:-1] and rawpeer.CLOSE | 0x80 in part[-60:]:
                    break
        return answer


BAD = {
    "unmasked": rawpeer.frame(rawpeer.TEXT, "x", key=None),
    "rsv": rawpeer.frame(rawpeer.TEXT, "x", rsv=rawpeer.RSV2),
    "utf8": rawpeer.frame(rawpeer.TEXT, b"\xed\xa0\x80"),
    "too_big": rawpeer.header(rawpeer.BINARY, 1 << 30, key=rawpeer.KEY),
    "close_code": rawpeer.close_frame(999),
    "orderly": rawpeer.close_frame(1000, "bye"),
}


def _bad_peer(name: str, octets: bytes) -> None:
    async def peer(place: Place) -> None:
        assert b" 101 " in await _say(place, REQUEST + octets)

    for path, within in PLAIN.items():
        operations.add(f"peer_sends_{name}[{path}]", peer, within)


for _name, _octets in BAD.items():
    _bad_peer(_name, _octets)


@operations.within(**PLAIN)
async def refused_requests(place: Place) -> None:
    for octets in (
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 9000,
    ):
        assert b"HTTP/1.1 4" in await _say(place, octets)


@operations.within(**PLAIN)
async def peer_goes_in_the_middle(place: Place) -> None:
    for octets in (b"", b"GET / HT", REQUEST, REQUEST + b"\x81\x85aa"):
        with socket.socket() as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", place.port))
            await loop.sock_sendall(sock, octets)
            await turn()


def _choosy(reactor: bool) -> Any:
    return a_server(reactor, path="/right", origins=["https://right"])


@operations.within(reactor=lambda: _choosy(True), transport=lambda: _choosy(False))
async def refused(place: Place) -> None:
    for path, origin in (("/wrong", "https://right"), ("/right", "https://wrong")):
        with suppress(InvalidStatus):
            await place.connect(path, origin=origin)
            raise AssertionError("not refused")


@operations
async def nobody_listens() -> None:
    from wsfast import connect

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with suppress(OSError, InvalidHandshake):
            await connect(f"ws://127.0.0.1:{port}", proxy=None)


@operations.within(**PLAIN)
async def reconnecting(place: Place) -> None:
    async with Reconnecting(f"ws://127.0.0.1:{place.port}", proxy=None) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@operations
async def a_server_of_its_own() -> None:
    async with a_server(True) as place, place.connect() as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@operations
async def a_server_of_its_own_by_transport() -> None:
    async with a_server(False) as place, place.connect() as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@operations.within(**SOCKJS)
async def sockjs_over_websocket(open_session: Any) -> None:
    async with open_session("websocket") as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@operations.within(**SOCKJS)
async def sockjs_over_a_stream(open_session: Any) -> None:
    async with open_session("xhr-streaming") as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


@operations.within(reactor=SOCKJS["reactor"])
async def sockjs_handler_raises(open_session: Any) -> None:
    async with open_session("xhr-polling") as ws:
        await ws.send("raise")
        with suppress(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1011
