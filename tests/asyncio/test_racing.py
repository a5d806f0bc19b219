"""Connecting to a name that has several addresses (RFC 8305), and from an address."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.support import systems
from tests.support.ports import never_accepting
from wsfast import HandshakeTimeout
from wsfast.asyncio import _racing, connect
from wsfast.asyncio._racing import open_tcp
from wsfast.protocol.addresses import Info, interleaved

V4, V6 = socket.AF_INET, socket.AF_INET6


def info(address: str, port: int = 0, family: int = V4) -> Info:
    return (family, socket.SOCK_STREAM, 0, "", (address, port))


@pytest.fixture
def named(monkeypatch):
    """Return a function that says which addresses the name "some.host" has."""

    def name(*infos: Info) -> None:
        real = _racing._addresses

        async def addresses(host, *args):
            return list(infos) if host == "some.host" else await real(host, *args)

        monkeypatch.setattr(_racing, "_addresses", addresses)

    return name


@pytest.mark.parametrize(
    ("families", "first", "expected"),
    [
        ("666444", 1, "646464"),
        ("666444", 2, "664644"),
        ("644", 1, "644"),
        ("6444", 1, "6444"),
        ("4466", 1, "4646"),
        ("666", 1, "666"),
        ("4", 3, "4"),
    ],
)
def test_families_take_turns(families, first, expected):
    infos = [info(str(n), 0, V6 if f == "6" else V4) for n, f in enumerate(families)]
    got = interleaved(infos, first)
    assert sorted(got) == sorted(infos)
    assert "".join("6" if one[0] == V6 else "4" for one in got) == expected


async def test_silent_address_does_not_hold_up_the_next(named):
    with never_accepting() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        port = good.getsockname()[1]
        named(info("127.0.0.1", silent), info("127.0.0.1", port))
        with await open_tcp("some.host", 1) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
            assert sock.getblocking() is False


async def test_refusal_does_not_wait_for_the_delay(named):
    with (
        socket.socket() as bound,  # and not listening
        socket.create_server(("127.0.0.1", 0)) as good,
    ):
        bound.bind(("127.0.0.1", 0))
        addresses = [bound.getsockname()] * 3 + [good.getsockname()]
        named(*(info(*address) for address in addresses))
        start = time.monotonic()
        with await open_tcp("some.host", 1, happy_eyeballs_delay=20) as sock:
            assert sock.getpeername() == good.getsockname()
        assert time.monotonic() - start < 15


async def test_no_address_answers(named):
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        named(info(*one.getsockname()), info(*two.getsockname()))
        with pytest.raises(ConnectionRefusedError):
            await open_tcp("some.host", 1)


async def test_time_is_one_for_all_addresses(named):
    """K-3."""
    with never_accepting() as one, never_accepting() as two:
        named(info("127.0.0.1", one), info("127.0.0.1", two))
        with pytest.raises(HandshakeTimeout):
            await connect("ws://some.host/", proxy=None, open_timeout=0.6)


async def test_name_that_is_none():
    with pytest.raises(socket.gaierror):  # numeric only: no server is asked
        await connect("ws://some.host/", proxy=None, flags=socket.AI_NUMERICHOST)


async def test_losers_of_the_race_are_closed(named, monkeypatch):
    made = []

    class Noted(socket.socket):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    with never_accepting() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        infos = [info("127.0.0.1", silent)] * 2 + [info(*good.getsockname())]
        named(*infos)
        monkeypatch.setattr(_racing.socket, "socket", Noted)
        with await open_tcp("some.host", 1, happy_eyeballs_delay=0.01) as sock:
            assert [one.fileno() != -1 for one in made] == [one is sock for one in made]
        assert len(made) == 3


async def test_localhost(pair: Pair):
    """A name whose addresses the system knows, of which one has no server."""
    server = await pair.serve(echo)
    async with connect(uri(server).replace("127.0.0.1", "localhost")) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def echo(ws):
    async for message in ws:
        await ws.send(message)


@systems.other_loopbacks
async def test_local_address(pair: Pair):
    peers: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def handler(ws):
        peers.put_nowait(ws.remote_address)

    server = await pair.serve(handler)
    ws = await pair.connect(server, local_addr=("127.0.0.2", 0))
    assert (await peers.get())[0] == "127.0.0.2"
    assert ws.local_address[0] == "127.0.0.2"


async def test_local_address_that_is_taken(pair: Pair):
    server = await pair.serve(echo)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        with pytest.raises(OSError, match="cannot connect from"):
            await pair.connect(server, local_addr=address)
    with pytest.raises(OSError, match="local address"):
        await pair.connect(server, local_addr=("::1", 0))
