"""
Clients of three kinds through a proxy that cuts, halves, splits and delays (C-5, F-14).

The cuts go through all phases of a connection: TLS, the opening handshake, headers,
payloads, the closing handshake; counted in octets, in either direction.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.faults.conftest import TARGET
from tests.faults.proxy import Proxy
from tests.support.host import client_tls
from tests.support.process import Host, Served
from tests.support.targets import REACTOR
from wsfast import ConnectionClosed, InvalidHandshake, Listener, connect
from wsfast.sync import connect as connect_sync

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the clients are ours")

LIMIT_S = 30.0
MESSAGES = ["short", "x" * 1000, "y" * 70_000]  # a header of each length

#: What a cut may raise; anything else is a mistake.
EXPECTED = (ConnectionClosed, InvalidHandshake, OSError, EOFError, ssl.SSLError)


async def by_coroutine(uri: str, **options: Any) -> list[str]:
    """Say each message and return the echoes."""
    async with connect(uri, **options) as ws:
        for message in MESSAGES:
            await ws.send(message)
        return [await ws.recv() for _ in MESSAGES]


async def by_callbacks(uri: str, **options: Any) -> list[str]:
    """Do the same with callbacks; raise what ended it before its time."""
    got: list[str] = []

    class Talk(Listener):
        def on_open(self, ws: Any) -> None:
            ws.send_many(MESSAGES)

        def on_message(self, ws: Any, message: Any) -> None:
            got.append(message)
            if len(got) == len(MESSAGES):
                ws.close()

    ws = await connect(uri, listener=Talk, **options)
    await ws.wait_closed()
    if len(got) < len(MESSAGES):
        raise ws.closed_error()
    return got


async def by_thread(uri: str, **options: Any) -> list[str]:
    """Do the same in a thread."""
    options.pop("reactor")

    def talk() -> list[str]:
        with connect_sync(uri, **options) as ws:
            for message in MESSAGES:
                ws.send(message)
            return [str(ws.recv(timeout=LIMIT_S)) for _ in MESSAGES]

    return await asyncio.to_thread(talk)


KINDS: list[Callable[..., Awaitable[list[str]]]] = [
    by_coroutine,
    by_callbacks,
    by_thread,
]


def options_for(path: str, secure: bool) -> dict[str, Any]:
    """Return what a client is called with."""
    context = {"ssl": client_tls()} if secure else {}
    return {
        "reactor": path == REACTOR,
        "proxy": None,
        "compression": None,
        "open_timeout": LIMIT_S,
        "close_timeout": 2,
        **context,
    }


@pytest.fixture(scope="module", params=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@pytest.fixture(scope="module")
def server(shared_host: Host, secure: bool) -> Served:
    """Return an echo server for these tests."""
    tls = {"tls": True} if secure else {}
    return shared_host.serve("echo", compression=None, close_timeout=2, **tls)


def uri_of(proxy: Proxy, secure: bool) -> str:
    return f"{'wss' if secure else 'ws'}://127.0.0.1:{proxy.port}/"


@pytest.mark.parametrize("kind", KINDS)
async def test_c5_cut_in_each_phase(
    host: Host, server: Served, path: str, secure: bool, kind: Any
) -> None:
    """After so many octets of one side, in one of three manners."""
    options = options_for(path, secure)
    with Proxy(server.port) as proxy:
        assert await kind(uri_of(proxy, secure), **options) == MESSAGES
        await until_passed(proxy)
        whole = dict(proxy.passed)
    for side, total in whole.items():
        for n, after in enumerate(places(total)):
            how = ("reset", "eof", "half")[n % 3]
            with Proxy(server.port) as proxy:
                proxy.cut(side, after, how)
                talking = kind(uri_of(proxy, secure), **options)
                try:
                    got = await asyncio.wait_for(talking, LIMIT_S)
                except EXPECTED:
                    pass
                else:  # only the closing was cut
                    assert got == MESSAGES, (side, after, how)
                    assert after > total - 200, (side, after, how)


def places(total: int) -> list[int]:
    """Return where to cut: within heads and headers, payloads, and the last octets."""
    early = [0, 1, 50, 130, 200, 300]
    late = [total - 40, total - 8, total - 4, total - 1]
    return sorted({n for n in [*early, 1300, 5000, total // 2, *late] if n < total})


async def until_passed(proxy: Proxy) -> None:
    """Wait until the ends of both sides have come through the proxy."""
    before = None
    while before != proxy.passed:
        before = dict(proxy.passed)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", KINDS)
async def test_f14_single_octets(
    host: Host, server: Served, path: str, secure: bool, kind: Any
) -> None:
    """Each octet in a segment of its own, both ways."""
    with Proxy(server.port, split=1) as proxy:
        talking = kind(uri_of(proxy, secure), **options_for(path, secure))
        assert await asyncio.wait_for(talking, 2 * LIMIT_S) == MESSAGES


@pytest.mark.parametrize("kind", KINDS)
async def test_octets_that_are_late(
    host: Host, server: Served, path: str, secure: bool, kind: Any
) -> None:
    """Pieces of a few thousand octets, with a pause before each."""
    with Proxy(server.port, split=20_000, delay_s=0.03) as proxy:
        talking = kind(uri_of(proxy, secure), **options_for(path, secure))
        assert await asyncio.wait_for(talking, LIMIT_S) == MESSAGES
