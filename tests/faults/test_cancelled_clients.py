"""
Clients of the layers, cancelled at each of their waits: nothing of them is left.

Each opens, says something, hears it and closes; a task, a descriptor or a session that
stays behind fails the test, and so does a warning. So it is without descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest

import wsfast
from tests.asyncio.steps import WAIT_S, at_every_wait
from tests.asyncio.test_cancel_steps import descriptors_now
from tests.faults.conftest import TARGET
from wsfast import EventSource, EventSourceClient, engineio, socketio, sockjs
from wsfast.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the layers are ours")


class Talk(NamedTuple):
    """What is said to a server, and where that is."""

    client: Callable[[str], Any]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __call__(self) -> Any:
        return self.client(self.url)


class Echo(engineio.Listener):
    def on_message(self, data: Any) -> None:
        self.socket.send(data)


class Hears(engineio.Listener):
    heard: asyncio.Future[Any]
    upgraded: asyncio.Future[None]

    def on_open(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()
        self.upgraded = asyncio.get_running_loop().create_future()

    def on_upgrade(self) -> None:
        self.upgraded.set_result(None)

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

        async def talk(url: str) -> None:
            async with wsfast.connect(f"ws{url[4:]}", proxy=None) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"

        yield Talk(talk, port_of(server))


#: How a session gets to its server: what its client is told, and whether that takes a
#: server of HTTP.
SESSIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "websocket": ({"transports": ["websocket"]}, False),
    "polling": ({"transports": ["polling"]}, True),
    "upgrade": ({}, True),
}


@contextlib.asynccontextmanager
async def listening(server: Any, polls: bool) -> AsyncIterator[int]:
    """Serve sessions, by uvicorn if they are polled; return the port."""
    if polls:
        from tests.asgi.serving import Uvicorn

        uvicorn = Uvicorn(True)
        async with uvicorn.stack:
            served = await uvicorn.serve(server)
            yield served.address[1]
            server.close()  # or uvicorn waits for the polls
    else:
        async with server.serve("127.0.0.1", 0) as serving:
            yield port_of(serving)


def over_engineio(way: str) -> Any:
    options, polls = SESSIONS[way]

    @contextlib.asynccontextmanager
    async def over() -> AsyncIterator[Talk]:
        async with listening(engineio.Server(Echo), polls) as port:

            async def talk(url: str) -> None:
                async with engineio.connect(url, Hears, proxy=None, **options) as it:
                    if way == "upgrade":
                        await it.listener.upgraded
                    await it.send("hello")
                    assert await it.listener.heard == "hello"

            yield Talk(talk, port)

    return over


def over_socketio(way: str) -> Any:
    options, polls = SESSIONS[way]

    @contextlib.asynccontextmanager
    async def over() -> AsyncIterator[Talk]:
        sio = socketio.Server()
        sio.on("echo", lambda sid, *args: args)
        async with listening(sio.engine if polls else sio, polls) as port:

            async def talk(url: str) -> None:
                known: Any = {"reconnection": False, "proxy": None, **options}
                async with socketio.Client(**known) as client:
                    await client.connect(url)
                    assert await client.call("echo", 1) == 1

            try:
                yield Talk(talk, port)
            finally:
                await sio.close()

    return over


def over_sockjs(transport: str) -> Any:
    @contextlib.asynccontextmanager
    async def over() -> AsyncIterator[Talk]:
        async def handler(session: Any) -> None:
            async for message in session:
                await session.send(message)

        app = sockjs.SockJS(handler, disconnect_delay=0.05)
        async with app.serve("127.0.0.1", 0) as server:

            async def talk(url: str) -> None:
                options: Any = {"proxy": None, "transport_timeout": WAIT_S}
                async with sockjs.connect(f"{url}/", transport, **options) as session:
                    await session.send("hello")
                    assert await session.recv() == "hello"

            yield Talk(talk, port_of(server))

    return over


@contextlib.asynccontextmanager
async def over_eventsource() -> AsyncIterator[Talk]:
    async def serve(reader: Any, writer: Any) -> None:
        with contextlib.suppress(OSError, ConnectionClosed):
            async with await EventSource.from_asyncio(reader, writer) as stream:
                await stream.send("hello")
                await stream.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)

    async def talk(url: str) -> None:
        def give_up(exc: Exception) -> Exception:
            return exc

        source = EventSourceClient(url, proxy=None, process_exception=give_up)
        async with source:
            assert (await source.recv()).data == "hello"

    try:
        yield Talk(talk, port_of(server))
    finally:
        server.close()
        await server.wait_closed()


WAYS: dict[str, Callable[[], Any]] = {
    "websocket": over_websocket,
    **{f"engineio-{way}": over_engineio(way) for way in SESSIONS},
    **{f"socketio-{way}": over_socketio(way) for way in SESSIONS},
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


async def told_of_none_left(talk: Callable[[], Any]) -> None:
    """Talk while there are no descriptors, and again when there are."""
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


@pytest.mark.parametrize("way", WAYS)
async def test_c8_no_descriptor_for_a_client(way: str) -> None:
    """It is told so; nothing is left, and the next attempt is as if nothing was."""
    async with WAYS[way]() as talk:
        await told_of_none_left(talk)


class Tells(engineio.Listener):
    def on_message(self, data: Any) -> None:
        HEARD.put(data)


HEARD: queue.SimpleQueue[Any] = queue.SimpleQueue()


def websocket_in_a_thread(url: str) -> None:
    with wsfast.sync.connect(f"ws{url[4:]}", proxy=None) as ws:
        ws.send("hello")
        assert ws.recv(WAIT_S) == "hello"


def engineio_in_a_thread(url: str) -> None:
    options: Any = {"transports": ["websocket"], "proxy": None}
    with engineio.SyncClient(url, Tells, **options) as client:
        client.send("hello")
        assert HEARD.get(timeout=WAIT_S) == "hello"


def socketio_in_a_thread(url: str) -> None:
    options: Any = {"transports": ["websocket"], "proxy": None}
    with socketio.SyncClient(reconnection=False, **options) as client:
        client.connect(url)
        assert client.call("echo", 1) == 1


IN_THREADS: dict[str, tuple[Callable[[], Any], Callable[[str], None]]] = {
    "websocket": (over_websocket, websocket_in_a_thread),
    "engineio": (over_engineio("websocket"), engineio_in_a_thread),
    "socketio": (over_socketio("websocket"), socketio_in_a_thread),
}


@contextlib.contextmanager
def half_a_loop() -> Iterator[None]:
    """Hear no complaint of an event loop that asyncio could not make to its end."""
    hook = sys.unraisablehook

    def heard(unraisable: Any) -> None:
        if unraisable.object is not asyncio.BaseEventLoop.__del__:
            hook(unraisable)

    sys.unraisablehook = heard
    try:
        yield
    finally:
        gc.collect()  # it is part of a cycle
        sys.unraisablehook = hook


@pytest.mark.parametrize("way", IN_THREADS)
async def test_c8_no_descriptor_for_a_client_in_a_thread(way: str) -> None:
    over, talk_to = IN_THREADS[way]
    async with over() as talk:

        async def in_a_thread() -> None:
            await asyncio.to_thread(talk_to, talk.url)

        with half_a_loop():
            await told_of_none_left(in_a_thread)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("wsfast http")]
