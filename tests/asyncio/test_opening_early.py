"""Requests that are there when a client is accepted, and what comes behind them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.raw import RawPeer, request
from wsfast import Server, engine, serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def early(server: Server, octets: bytes) -> RawPeer:
    """Connect and send in one go: the server, in this loop, cannot come between."""
    sock = socket.create_connection(server.sockets[0].getsockname()[:2])
    sock.sendall(octets)
    sock.setblocking(False)
    return RawPeer(*await asyncio.open_connection(sock=sock))


HELLO = engine.encode_frame(1, b"hello", mask=b"abcd")
CLOSE = engine.encode_frame(8, b"\x03\xe8", mask=b"abcd")


async def test_request_with_frames_behind_it(pair: Pair):
    server = await pair.serve(echo)
    async with await early(server, request() + HELLO + CLOSE) as peer:
        assert (await peer.head())[0] == 101
        assert await peer.rest() == b"\x81\x05hello\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    ("octets", "options", "status"),
    [
        (request("/no"), {"path": "/yes"}, 404),
        (request("/", "Origin: http://no"), {"origins": ["http://yes"]}, 403),
        (request().replace(b": 13", b": 12"), {}, 426),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", {}, 426),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", {}, 405),
        (b"GET /\r\n\r\n", {}, 400),
        (b"\0" * 20 + b"\r\n\r\n", {}, 400),
    ],
)
async def test_request_that_is_refused(pair: Pair, octets, options, status):
    server = await pair.serve(echo, **options)
    async with await early(server, octets) as peer:
        assert (await peer.head())[0] == status
    assert not server.connections


async def test_half_a_request(pair: Pair):
    server = await pair.serve(echo)
    octets = request()
    async with await early(server, octets[:50]) as peer:
        peer.send(octets[50:] + HELLO)
        assert (await peer.head())[0] == 101
        assert await peer.reader.readexactly(7) == b"\x81\x05hello"


async def test_should_handle_of_ones_own(reactor: bool):
    class Picky(Server):
        def should_handle(self, request):
            return request.path == "/yes"

    async with Picky(echo, "127.0.0.1", 0, reactor=reactor) as server:
        for path, status in (("/yes", 101), ("/no", 404)):
            async with await early(server, request(path)) as peer:
                assert (await peer.head())[0] == status


async def test_connection_that_cannot_be_made(pair: Pair, caplog):
    def fails(*args, **kwargs):
        raise ZeroDivisionError

    server = await pair.serve(echo, create_connection=fails)
    async with await early(server, request()) as peer:
        assert (await peer.head())[0] == 500
    assert "ZeroDivisionError" in caplog.text


class Deciding:
    """A hook that decides when it is told to."""

    def __init__(self):
        self.asked, self.decide = asyncio.Event(), asyncio.Event()

    async def __call__(self, ws, request):
        self.asked.set()
        await self.decide.wait()


async def test_frames_that_come_while_a_hook_decides(pair: Pair):
    hook = Deciding()
    server = await pair.serve(echo, process_request=hook)
    async with await RawPeer.to(server) as peer:
        peer.send(request() + HELLO[:3])
        await asyncio.wait_for(hook.asked.wait(), 10)
        peer.send(HELLO[3:])
        await other(server)
        peer.send(CLOSE)
        await other(server)
        hook.decide.set()
        assert (await peer.head())[0] == 101
        assert await peer.rest() == b"\x81\x05hello\x88\x02\x03\xe8"


async def test_flood_in_pieces_while_a_hook_decides(pair: Pair):
    hook = Deciding()
    server = await pair.serve(echo, process_request=hook)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await asyncio.wait_for(hook.asked.wait(), 10)
        for _ in range(5):
            peer.send(bytes(30_000))
            await other(server)
        assert (await peer.head())[0] == 400
    hook.decide.set()
    assert not server.connections


async def other(server: Server) -> None:
    """Have the server do something for somebody else, behind what it has to read."""
    async with await RawPeer.to(server) as peer:
        peer.send(b"GET /\r\n\r\n")
        assert (await peer.head())[0] == 400


async def test_server_without_a_name(reactor: bool):
    async with (
        serve(echo, "127.0.0.1", 0, reactor=reactor, server_header=None) as server,
        await early(server, request()) as peer,
    ):
        status, headers = await peer.head()
        assert status == 101
        assert "server" not in headers
