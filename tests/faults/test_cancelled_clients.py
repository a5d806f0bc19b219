"""
Clients of the layers, cancelled at each of their waits: nothing of them is left.

Each opens, says something, hears it and closes; a task, a descriptor or a session that
stays behind fails the test, and so does a warning. So it is without descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import wsfast
from tests.asyncio.steps import WAIT_S, at_every_wait
from tests.asyncio.test_cancel_steps import descriptors_now
from tests.faults.conftest import TARGET
from wsfast import EventSource, EventSourceClient, engineio, socketio, sockjs
from wsfast.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the layers are ours")

Talk = Callable[[], Any]


class Echo(engineio.Listener):
    def on_message(self, data: Any) -> None:
        self.socket.send(data)


class Hears(engineio.Listener):
    heard: asyncio.Future[Any]

    def on_open(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()

    def on_message(self, data: Any) -> None:
        self.heard.set_result(data)


def port_of(server: Any) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def over_websocket() -> AsyncIterator[Talk]:
    async def handler(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with wsfast.serve(handler, "127.0.0.1", 0) as server:

        async def talk() -> None:
            url = f"ws://127.0.0.1:{port_of(server)}"
            async with wsfast.connect(url, proxy=None) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"

        yield talk


@contextlib.asynccontextmanager
async def over_engineio() -> AsyncIterator[Talk]:
    async with engineio.Server(Echo).serve("127.0.0.1", 0) as server:
        options: Any = {"transports": ["websocket"], "proxy": None}

        async def talk() -> None:
            url = f"http://127.0.0.1:{port_of(server)}"
            async with engineio.connect(url, Hears, **options) as session:
                await session.send("hello")
                assert await session.listener.heard == "hello"

        yield talk


@contextlib.asynccontextmanager
async def over_socketio() -> AsyncIterator[Talk]:
    sio = socketio.Server()
    sio.on("echo", lambda sid, *args: args)
    async with sio.serve("127.0.0.1", 0) as server:

        async def talk() -> None:
            url = f"http://127.0.0.1:{port_of(server)}"
            options: Any = {"transports": ["websocket"], "reconnection": False}
            async with socketio.Client(proxy=None, **options) as client:
                await client.connect(url)
                assert await client.call("echo", 1) == 1

        try:
            yield talk
        finally:
            await sio.close()


def over_sockjs(transport: str) -> Any:
    @contextlib.asynccontextmanager
    async def over() -> AsyncIterator[Talk]:
        async def handler(session: Any) -> None:
            async for message in session:
                await session.send(message)

        app = sockjs.SockJS(handler, disconnect_delay=0.05)
        async with app.serve("127.0.0.1", 0) as server:

            async def talk() -> None:
                url = f"http://127.0.0.1:{port_of(server)}/"
                options: Any = {"proxy": None, "transport_timeout": WAIT_S}
                async with sockjs.connect(url, transport, **options) as session:
                    await session.send("hello")
                    assert await session.recv() == "hello"

            yield talk

    return over


@contextlib.asynccontextmanager
async def over_eventsource() -> AsyncIterator[Talk]:
    async def serve(reader: Any, writer: Any) -> None:
        with contextlib.suppress(OSError, ConnectionClosed):
            async with await EventSource.from_asyncio(reader, writer) as stream:
                await stream.send("hello")
                await stream.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def talk() -> None:
        url = f"http://127.0.0.1:{port_of(server)}"

        def give_up(exc: Exception) -> Exception:
            return exc

        source = EventSourceClient(url, proxy=None, process_exception=give_up)
        async with source:
            assert (await source.recv()).data == "hello"

    try:
        yield talk
    finally:
        server.close()
        await server.wait_closed()


WAYS: dict[str, Callable[[], Any]] = {
    "websocket": over_websocket,
    "engineio": over_engineio,
    "socketio": over_socketio,
    "eventsource": over_eventsource,
    **{f"sockjs-{t}": over_sockjs(t) for t in ("websocket", "xhr-streaming")},
    **{f"sockjs-{t}": over_sockjs(t) for t in ("xhr-polling", "eventsource")},
}


async def nothing_left(tasks: int, descriptors: int) -> None:
    """Wait until there is no more than there was."""
    until = time.monotonic() + WAIT_S
    while len(asyncio.all_tasks()) > tasks or descriptors_now() > descriptors:
        assert time.monotonic() < until, (asyncio.all_tasks(), descriptors_now())
        await asyncio.sleep(0.005)


async def settled() -> tuple[int, int]:
    """Return how many tasks and descriptors there are once nothing goes any more."""
    now, before, since = (0, 0), None, time.monotonic()
    while now != before or time.monotonic() - since < 0.2:
        if now != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(0.02)
        now = len(asyncio.all_tasks()), descriptors_now()
    return now


@pytest.mark.parametrize("way", WAYS)
async def test_c10_cancelled_at_every_wait(way: str) -> None:
    async with WAYS[way]() as talk:
        await talk()
        tasks, descriptors = await settled()

        async def after(task: asyncio.Task[Any]) -> None:
            assert task.cancelled() or task.exception() is None
            await nothing_left(tasks, descriptors)

        assert await at_every_wait(talk, after) >= 2


@contextlib.contextmanager
def without_descriptors() -> Iterator[None]:
    """
    Let nobody have a descriptor, for the length of a block.

    The least ones are in use for good, so it helps nobody if one is closed meanwhile.
    """
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for standard in range(3):
        os.fstat(standard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("way", WAYS)
async def test_c8_no_descriptor_for_a_client(way: str) -> None:
    """It is told so; nothing is left, and the next attempt is as if nothing was."""
    async with WAYS[way]() as talk:
        await talk()
        tasks, descriptors = await settled()
        with without_descriptors(), pytest.raises(Exception) as info:
            await asyncio.wait_for(talk(), WAIT_S)
        chain: list[BaseException | None] = [info.value]
        while chain[-1] is not None:
            chain.append(chain[-1].__cause__)
        codes = [exc.errno for exc in chain if isinstance(exc, OSError)]
        assert errno.EMFILE in codes, chain
        del chain, info
        await nothing_left(tasks, descriptors)
        await talk()
        await nothing_left(tasks, descriptors)
