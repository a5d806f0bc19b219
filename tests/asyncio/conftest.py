"""Every test of this folder runs on asyncio and uvloop, by reactor and by transport."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import wsfast
import wsfast.engine
from tests.asyncio.wire import Wires
from wsfast.asyncio import ClientConnection, Server, connect, serve

LOCALHOST_PEM = Path(__file__).parents[1] / "support" / "localhost.pem"

HAVE_REACTOR = (
    wsfast.engine.KERNEL != "python"
    and importlib.util.find_spec("wsfast.asyncio._reactor") is not None
    and os.environ.get("WSFAST_REACTOR") != "0"
)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the event loops; uvloop is not everywhere."""
    factories = {"asyncio": asyncio.new_event_loop}
    with contextlib.suppress(ImportError):
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(params=["reactor", "transport"] if HAVE_REACTOR else ["transport"])
def reactor(request: pytest.FixtureRequest) -> bool:
    """Tell whether to use the reactor; ask for it to run a test on both paths."""
    return request.param == "reactor"


#: For what the reactor alone does.
only_reactor = pytest.mark.parametrize(
    "reactor", ["reactor"] if HAVE_REACTOR else [], indirect=True
)


class Pair:
    """
    A server, and clients of it, on one path.

    Args:
        reactor: Whether that is the reactor.

    """

    def __init__(self, reactor: bool) -> None:
        self.reactor = reactor
        self.stack = contextlib.AsyncExitStack()

    async def serve(self, handler: Any, **kwargs: Any) -> Server:
        """Start a server, closed at the end of the test."""
        if not kwargs.keys() & {"sock", "unix_path", "host"}:
            kwargs.update(host="127.0.0.1", port=0)
        kwargs.setdefault("reactor", self.reactor)
        return await self.stack.enter_async_context(serve(handler, **kwargs))

    async def connect(
        self, server: Server, path: str = "/", **kwargs: Any
    ) -> ClientConnection:
        """Connect to a server; the connection is closed at the end of the test."""
        kwargs.setdefault("reactor", self.reactor)
        ws = await connect(uri(server, path), **kwargs)
        self.stack.push_async_exit(ws)
        return ws

    async def both(
        self, **kwargs: Any
    ) -> tuple[wsfast.ServerConnection, ClientConnection]:
        """Return both ends of one connection; ``kwargs`` are for both."""
        ends: asyncio.Queue[wsfast.ServerConnection] = asyncio.Queue()

        async def handler(ws: wsfast.ServerConnection) -> None:
            ends.put_nowait(ws)
            await ws.wait_closed()

        client = await self.connect(await self.serve(handler, **kwargs), **kwargs)
        return await ends.get(), client


def uri(server: Server, path: str = "/", scheme: str = "ws") -> str:
    """Return the URI of a server."""
    port = server.sockets[0].getsockname()[1]
    return f"{scheme}://127.0.0.1:{port}{path}"


@pytest.fixture(scope="session", autouse=True)
def quick_collections() -> Iterator[None]:
    """Leave what is imported out of the collections that every test ends with."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Allow this process 4000 descriptors: a user's may have 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4000 if hard == resource.RLIM_INFINITY else min(4000, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def pair(reactor: bool) -> AsyncIterator[Pair]:
    """Return a maker of servers and clients."""
    made = Pair(reactor)
    async with made.stack:
        yield made
    await asyncio.sleep(0)
    gc.collect()  # what is unclosed complains now, in the test that left it


@pytest.fixture(scope="session")
def server_tls() -> ssl.SSLContext:
    """Return a context with a certificate for ``localhost`` and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOCALHOST_PEM)
    return context


@pytest.fixture(scope="session")
def client_tls() -> ssl.SSLContext:
    """Return a context that trusts that certificate."""
    return ssl.create_default_context(cafile=str(LOCALHOST_PEM))


@pytest.fixture
async def wire(reactor: bool) -> AsyncIterator[Wires]:
    """Return a maker of connections whose peers are plain sockets."""
    made = Wires(reactor)
    yield made
    await made.close()
