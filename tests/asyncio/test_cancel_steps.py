"""Cancel each public operation at each of its waits: nothing is lost, none is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.asyncio.steps import WAIT_S, at_every_wait
from tests.asyncio.wire import Wires
from wsfast import ConnectionClosed, Listener
from wsfast.asyncio import connect, serve


def descriptors_now() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208


class Leftovers:
    """Descriptors are those of the beginning again; there is no other task."""

    def __init__(self, *servers: Any) -> None:
        self.servers = servers
        self.before = 0

    @classmethod
    async def of(cls, pair: Pair, *servers: Any) -> Leftovers:
        """Begin when all is there that is made once for a loop, and nothing else."""
        server = await serve(echo, "127.0.0.1", 0, reactor=pair.reactor)
        async with server, connect(uri(server), reactor=pair.reactor, proxy=None) as ws:
            await ws.send("x")
            await ws.recv()
        left = cls(*servers)
        await left.gone(descriptors=False)
        left.before = descriptors_now()
        return left

    async def gone(self, *, descriptors: bool = True) -> None:
        """Wait until nothing is left."""
        until = time.monotonic() + WAIT_S
        while True:
            tasks = len(asyncio.all_tasks()) - 1
            connections = sum(len(server.connections) for server in self.servers)
            more = descriptors_now() - self.before if descriptors else 0
            if not (tasks or connections or more):
                return
            assert time.monotonic() < until, (tasks, connections, more)
            await asyncio.sleep(0.005)


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


def outcome(task: asyncio.Task[Any]) -> Any:
    """Return what a task returned, None if it was cancelled: there is nothing else."""
    return None if task.cancelled() else task.result()


@pytest.mark.parametrize("how", ["ip", "name", "tls", "listener"])
async def test_connect(pair: Pair, how: str, server_tls, client_tls):
    secure = how == "tls"
    server = await pair.serve(echo, ssl=server_tls if secure else None)
    address = uri(server, scheme="wss" if secure else "ws")
    options: dict[str, Any] = {"reactor": pair.reactor, "proxy": None}
    if secure:
        options["ssl"] = client_tls
    if how == "name":
        address = address.replace("127.0.0.1", "localhost")
    if how == "listener":
        options["listener"] = Listener
    async with connect(address, **options):
        pass  # the thread that looks names up has started
    left = await Leftovers.of(pair, server)

    async def start() -> Any:
        return await connect(address, **options)

    async def after(task: asyncio.Task[Any]) -> None:
        ws = outcome(task)
        if ws is not None:
            await ws.close()
        await left.gone()

    assert await at_every_wait(start, after) >= 1


RECEIVING: dict[str, Callable[[Any], Any]] = {
    "recv": lambda ws: ws.recv(),
    "many": lambda ws: ws.recv_many(1),
    "for": lambda ws: ws.__anext__(),
    "timeout": lambda ws: asyncio.wait_for(ws.recv(), WAIT_S),
}


@pytest.mark.parametrize("how", RECEIVING)
@pytest.mark.parametrize("role", ["server", "client"])
async def test_receiving(pair: Pair, how: str, role: str):
    server, client = await pair.both()
    ws, peer = (server, client) if role == "server" else (client, server)
    sent, received = 0, 0

    async def start() -> Any:
        return await RECEIVING[how](ws)

    async def beside() -> None:
        nonlocal sent
        await peer.send(str(sent))
        sent += 1

    async def after(task: asyncio.Task[Any]) -> None:
        nonlocal received
        got = outcome(task)
        if got is not None:
            assert got in (str(received), [str(received)])
            received += 1
        while received < sent:
            assert await asyncio.wait_for(ws.recv(), WAIT_S) == str(received)
            received += 1

    assert await at_every_wait(start, after, beside) >= 1


@pytest.mark.parametrize("role", ["server", "client"])
async def test_send_that_waits(wire: Wires, role: str):
    """What send() took is sent, whole and in order, whoever waits for it."""
    ws, peer = await wire(
        client=role == "client",
        thin=True,
        write_limit=(8000, 2000),
        max_send_buffer=None,
    )
    sent: list[bytes] = []
    heard = 0

    async def start() -> None:
        for _ in range(3):
            sent.append(f"{len(sent)} ".encode().ljust(40_000, b"x"))
            await ws.send(sent[-1])

    async def beside() -> None:
        nonlocal heard
        for _ in range(5):
            await asyncio.sleep(0)
        while heard < len(sent):
            (frame,) = await peer.frames(1)
            assert frame.payload == sent[heard]
            heard += 1

    async def after(task: asyncio.Task[Any]) -> None:
        outcome(task)
        await beside()

    assert await at_every_wait(start, after, beside) >= 2


async def test_ping(pair: Pair):
    server = await pair.serve(echo)
    ws = await pair.connect(server)

    async def start() -> Any:
        return await (await ws.ping())

    async def after(task: asyncio.Task[Any]) -> None:
        outcome(task)
        waiter = await ws.ping()
        assert await asyncio.wait_for(waiter, WAIT_S) >= 0

    assert await at_every_wait(start, after) >= 1


@pytest.mark.parametrize("role", ["server", "client"])
async def test_close(pair: Pair, role: str):
    ends: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(ws: Any) -> None:
        ends.put_nowait(ws)
        await ws.wait_closed()

    server = await pair.serve(handler)
    left = await Leftovers.of(pair, server)
    client = peer = None

    async def start() -> None:
        nonlocal client, peer
        client = await connect(uri(server), reactor=pair.reactor, proxy=None)
        peer = await ends.get()
        await (client if role == "client" else peer).close()

    async def after(task: asyncio.Task[Any]) -> None:
        outcome(task)
        if client is not None:
            await asyncio.wait_for(client.close(), WAIT_S)
            assert client.close_code in (1000, 1001, 1005, 1006)
        while not ends.empty():
            ends.get_nowait()
        await left.gone()

    assert await at_every_wait(start, after) >= 2


async def test_wait_closed(pair: Pair):
    _, client = await pair.both()

    async def start() -> None:
        await asyncio.wait_for(client.wait_closed(), 0.01)

    async def after(task: asyncio.Task[Any]) -> None:
        assert task.cancelled() or isinstance(task.exception(), asyncio.TimeoutError)
        assert client.close_code is None

    assert await at_every_wait(start, after) >= 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_serve(pair: Pair, host: str):
    async with serve(echo, host, 0, reactor=pair.reactor):
        pass
    left = await Leftovers.of(pair)

    async def start() -> Any:
        return await serve(echo, host, 0, reactor=pair.reactor)

    async def after(task: asyncio.Task[Any]) -> None:
        server = outcome(task)
        if server is not None:
            server.close()
            await asyncio.wait_for(server.wait_closed(), WAIT_S)
        await left.gone()

    assert await at_every_wait(start, after) >= 1


@pytest.mark.parametrize("clients", [0, 3])
async def test_shutdown(pair: Pair, clients: int):
    left = await Leftovers.of(pair)
    server: Any = None
    open_now: list[Any] = []

    async def start() -> None:
        nonlocal server
        async with serve(echo, "127.0.0.1", 0, reactor=pair.reactor) as server:
            for _ in range(clients):
                ws = await connect(uri(server), reactor=pair.reactor, proxy=None)
                open_now.append(ws)

    async def after(task: asyncio.Task[Any]) -> None:
        outcome(task)
        if server is not None:
            server.close()
            await asyncio.wait_for(server.wait_closed(), WAIT_S)
        while open_now:
            ws = open_now.pop()
            await asyncio.wait_for(ws.wait_closed(), WAIT_S)
            assert ws.close_code in (1001, 1006)
        await left.gone()

    assert await at_every_wait(start, after) >= 1


async def test_whole_session_of_a_client(pair: Pair):
    """Connect, talk, and leave by the block's end: at whichever wait it is cut."""
    server = await pair.serve(echo)
    left = await Leftovers.of(pair, server)

    async def start() -> None:
        async with connect(uri(server), reactor=pair.reactor, proxy=None) as ws:
            for n in range(3):
                await ws.send(str(n))
                assert await ws.recv() == str(n)
            await (await ws.ping())
            await ws.send("last")
            async for message in ws:
                assert message == "last"
                break

    async def after(task: asyncio.Task[Any]) -> None:
        outcome(task)
        await left.gone()

    assert await at_every_wait(start, after) >= 4


async def test_whole_session_of_a_handler(pair: Pair):
    """A handler that is cancelled ends its connection, and no other."""
    waiting: list[asyncio.Task[Any]] = []
    started = asyncio.Event()
    free = asyncio.Event()

    async def handler(ws: Any) -> None:
        if ws.request.path == "/other":
            await echo(ws)
            return
        task = asyncio.current_task()
        assert task is not None
        waiting.append(task)
        started.set()
        await free.wait()
        with contextlib.suppress(ConnectionClosed):
            await echo(ws)

    server = await pair.serve(handler)
    other = await pair.connect(server, "/other")
    for late in (False, True):
        ws = await connect(uri(server), reactor=pair.reactor, proxy=None)
        await asyncio.wait_for(started.wait(), WAIT_S)
        if late:  # while it waits for a message
            free.set()
            await ws.send("hello")
            assert await ws.recv() == "hello"
        waiting.pop().cancel()
        await asyncio.wait_for(ws.wait_closed(), WAIT_S)
        assert ws.close_code in (1001, 1006, 1011), ws.close_code
        started.clear()
        await other.send("still there?")
        assert await other.recv() == "still there?"
