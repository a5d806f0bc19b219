"""The reactor takes over sockets of transports that others have made."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import weakref

import pytest

from tests.asyncio.conftest import HAVE_REACTOR, Pair
from tests.asyncio.raw import request
from tests.asyncio.wire import CLOSE, TEXT, Peer, WireConnection, tcp_pair, turn, until
from wsfast import Listener
from wsfast.asyncio._options import reactor_for
from wsfast.protocol.heads import HeadReader, parse_request
from wsfast.protocol.options import Options

pytestmark = pytest.mark.skipif(not HAVE_REACTOR, reason="there is no reactor")

NORMAL = (1000).to_bytes(2, "big")


class Owner(asyncio.Protocol):
    """A protocol that reads until told otherwise, and waits for the end."""

    def __init__(self):
        self.data = b""
        self.lost = []
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data

    def connection_lost(self, exc):
        self.lost.append(exc)
        self.transport.close()  # Python 3.10 wants that of a TLS transport


class Keeps(Listener):
    def __init__(self):
        self.got = []
        self.code = None

    def on_message(self, ws, message):
        self.got.append(message)
        if message == "echo":
            ws.send(message)

    def on_close(self, ws, code, reason):
        self.code = code


async def owned():
    """Return a protocol on a transport, and the other end of that."""
    here, there = tcp_pair()
    loop = asyncio.get_running_loop()
    _, owner = await loop.create_connection(Owner, sock=here)
    return owner, Peer(there)


def adopt(owner, listener=None, keep=True):
    """Have the reactor take an owner's transport over; return link and connection."""
    link = reactor_for(asyncio.get_running_loop()).adopt(owner.transport, keep)
    if link is None:
        return None, None
    options = Options(ping_interval=None, close_timeout=1)
    return link, WireConnection(link, options, client=False, listener=listener)


def start(link, ws, rest=b""):
    ws.opened()
    link.start(ws, rest)


async def test_messages_go_past_the_owner():
    owner, peer = await owned()
    keeps = Keeps()
    link, ws = adopt(owner, keeps)
    start(link, ws)
    peer.send_texts("one", "echo")
    assert await peer.messages(1) == ["echo"]
    assert keeps.got == ["one", "echo"]
    assert owner.data == b""
    assert ws.remote_address == owner.transport.get_extra_info("peername")
    peer.close()
    ws.abort()
    await turn(2)


async def test_octets_behind_the_handshake_come_first():
    owner, peer = await owned()
    rest = peer.texts("one") + peer.texts("two")[:3]
    behind = peer.texts("two")  # masked with another key: so send its octets together
    link, ws = adopt(owner, keeps := Keeps())
    peer.send(behind)
    rest = peer.texts("one")
    start(link, ws, rest)
    await until(lambda: len(keeps.got) == 2)
    assert keeps.got == ["one", "two"]
    peer.close()
    await until(lambda: owner.lost)


async def test_a_greeting_does_not_overtake_the_response():
    """What is written through the link before start() leaves before any frame."""

    class Greets(Keeps):
        def on_open(self, ws):
            ws.send("hello")

    owner, peer = await owned()
    link, ws = adopt(owner, Greets())
    link.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    start(link, ws)
    octets = b""
    while len(octets) < 36 + 7:
        octets += await peer.read()
    assert octets == b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello"
    peer.close()
    await until(lambda: owner.lost)


async def test_a_response_waits_in_the_transport():
    """With octets to write in its buffer, a transport keeps its socket."""
    owner, peer = await owned()
    owner.transport.write(b"x" * 10_000_000)
    assert adopt(owner) == (None, None)
    owner.transport.abort()
    peer.close()
    await until(lambda: owner.lost)


async def test_a_transport_that_is_closing_is_refused():
    owner, peer = await owned()
    owner.transport.close()
    assert adopt(owner) == (None, None)
    peer.close()
    await until(lambda: owner.lost)


async def test_tls_is_refused(server_tls, client_tls):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Owner, "127.0.0.1", 0, ssl=server_tls)
    _, owner = await loop.create_connection(
        Owner, *server.sockets[0].getsockname(), ssl=client_tls
    )
    assert adopt(owner) == (None, None)
    owner.transport.close()
    server.close()
    await until(lambda: owner.lost)


async def test_a_foreign_transport_is_refused():
    class Foreign(asyncio.Transport):
        """No transport of a socket: what aiohttp's tests have, for example."""

        def get_extra_info(self, name, default=None):
            return default

        def is_closing(self):
            return False

    class OfASocket(Foreign):
        """One that cannot stop reading."""

        def get_extra_info(self, name, default=None):
            return sock if name == "socket" else default

    sock = socket.socket()
    owner = Owner()
    for kind in (Foreign, OfASocket):
        owner.transport = kind()
        assert adopt(owner) == (None, None)
    sock.close()


@pytest.mark.parametrize("end", ["peer", "reset", "close", "abort", "protocol error"])
async def test_the_owner_learns_of_the_end(end):
    owner, peer = await owned()
    keeps = Keeps()
    link, ws = adopt(owner, keeps)
    start(link, ws)
    peer.send_texts("one")
    await until(lambda: keeps.got)
    if end == "peer":
        peer.close()
    elif end == "reset":
        peer.reset()
    elif end == "abort":
        ws.abort()
    elif end == "protocol error":
        peer.send(b"\xff\x80\0\0\0\0")
    else:
        ws.close()
        (close,) = await peer.frames(1)
        peer.send(peer.frame(CLOSE, close.payload))
    await until(lambda: owner.lost)
    assert len(owner.lost) == 1
    assert keeps.code == (1000 if end == "close" else 1006)
    assert owner.transport.is_closing()
    peer.close()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_the_owner_ends_it(how):
    """It may end its transport as always; the connection learns of that."""
    owner, peer = await owned()
    keeps = Keeps()
    link, ws = adopt(owner, keeps)
    start(link, ws)
    getattr(owner.transport, how)()
    await until(lambda: owner.lost)
    assert keeps.code == 1006
    assert link.closed
    # The number of the descriptor goes to somebody else, who is left alone.
    others = [await owned() for _ in range(3)]
    with pytest.raises(Exception, match="close frame"):
        ws.send("to nobody")
    for other, other_peer in others:
        other_peer.send(other_peer.frame(TEXT, "for its owner"))
        await until(lambda other=other: other.data)
        other.transport.abort()
        other_peer.close()
    assert keeps.got == []
    peer.close()
    await turn(3)


async def test_a_number_given_out_again_while_the_owner_ends_it():
    owner, peer = await owned()
    number = owner.transport.get_extra_info("socket").fileno()
    link, ws = adopt(owner)
    start(link, ws)
    owner.transport.abort()
    while not owner.lost:
        await turn()
    await turn(2)
    sockets = [socket.socket() for _ in range(3)]
    assert number in [sock.fileno() for sock in sockets]
    ws.abort()
    assert sockets[0].fileno() >= 0
    for sock in sockets:
        sock.getsockname()  # it was not closed by another
        sock.close()
    peer.close()


async def test_handle_upgrade(pair: Pair):
    """A server takes clients whose requests another has read."""

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    server = await pair.serve(echo)

    class Http(Owner):
        """The other server: it reads the head, and hands over."""

        def data_received(self, data):
            reader = HeadReader(server.limits)
            assert reader.feed(data)
            server.handle_upgrade(
                parse_request(reader.head), self.transport, reader.rest
            )

    loop = asyncio.get_running_loop()
    owners = []

    def make():
        owners.append(Http())
        return owners[-1]

    http = await loop.create_server(make, "127.0.0.1", 0)
    there = socket.create_connection(http.sockets[0].getsockname())
    there.setblocking(False)
    peer = Peer(there)
    peer.send(request() + peer.texts("early"))
    octets = b""
    while b"early" not in octets:
        octets += await peer.read()
    assert octets.startswith(b"HTTP/1.1 101 ")
    assert octets.endswith(b"\r\n\r\n\x81\x05early")
    peer.send_texts("late")
    assert await peer.messages(1) == ["late"]
    peer.send(peer.frame(CLOSE, NORMAL))
    await peer.rest()
    peer.close()
    if pair.reactor:
        await until(lambda: owners[0].lost)
    http.close()
    await http.wait_closed()


async def test_a_transport_that_is_not_kept():
    """It ends at once, unheard by its owner; the connection goes on without it."""
    owner, peer = await owned()
    address = owner.transport.get_extra_info("peername")
    link, ws = adopt(owner, keeps := Keeps(), keep=False)
    assert owner.transport.is_closing()
    link.write(b"hello")
    start(link, ws)
    assert await peer.read() == b"hello"
    transport = weakref.ref(owner.transport)
    owner.transport = None
    await until(lambda: gc.collect() >= 0 and transport() is None)
    peer.send_texts("one", "echo")
    assert await peer.messages(1) == ["echo"]
    assert ws.remote_address == address
    assert link.transport is None
    ws.close()
    (close,) = await peer.frames(1)
    peer.send(peer.frame(CLOSE, close.payload))
    await until(lambda: keeps.code == 1000)
    assert await peer.read() == b""
    assert keeps.got == ["one", "echo"]
    assert owner.lost == []
    peer.close()


async def test_without_a_descriptor_more_the_transport_is_kept(monkeypatch):
    def refuse(fd):
        raise OSError(errno.EMFILE, "Too many open files")

    owner, peer = await owned()
    monkeypatch.setattr(os, "dup", refuse)
    link, ws = adopt(owner, keeps := Keeps(), keep=False)
    monkeypatch.undo()
    start(link, ws)
    peer.send_texts("one")
    await until(lambda: keeps.got == ["one"])
    assert link.transport is owner.transport
    peer.close()
    await until(lambda: owner.lost)
