"""Applications that raise, block or never return, under a layer: rows C-9, C-14."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import wsfast
from tests.asyncio.steps import WAIT_S
from tests.faults.conftest import TARGET
from tests.faults.test_cancelled_clients import (
    SESSIONS,
    listening,
    nothing_left,
    over_websocket,
    settled,
)
from wsfast import engineio, socketio, sockjs

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the layers are ours")

BLOCKS_S = 0.2


class MistakeError(Exception):
    """What applications raise here."""


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[Any]]:
    """Return what tells the mistakes that were logged; they are no others' to see."""
    caplog.set_level(logging.ERROR)

    def found() -> list[Any]:
        return [
            record.exc_info and type(record.exc_info[1])
            for record in caplog.records
            if record.levelno >= logging.ERROR
        ]

    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait for what comes in its own time."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def nothing_is_left() -> AsyncIterator[None]:
    """See that a block leaves no task and no descriptor."""
    async with over_websocket() as talk:  # it makes what a loop has one of
        await talk()
    before = await settled()
    yield
    await nothing_left(*before)


# ---- Engine.IO ----


class Faulty(engineio.Listener):
    """Echoes; does as it was told by the query of the request."""

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.fault = socket.request.query.get("fault", "")

    def _do(self, what: str) -> None:
        if self.fault == what:
            raise MistakeError(what)

    def on_open(self) -> None:
        self._do("on_open")

    def on_message(self, data: Any) -> None:
        self._do("on_message")
        if self.fault == "block":
            time.sleep(BLOCKS_S)
        self.socket.send(data)

    def on_upgrade(self) -> None:
        self._do("on_upgrade")

    def on_close(self, reason: str, description: Any) -> None:
        self._do("on_close")


class Notes(engineio.Listener):
    """A client that notes what it hears."""

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        loop = asyncio.get_running_loop()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Future[Any] = loop.create_future()

    def on_message(self, data: Any) -> None:
        self.heard.put_nowait(data)

    def on_close(self, reason: str, description: Any) -> None:
        self.ended.set_result(description)

    async def echo(self, data: str) -> None:
        await self.socket.send(data)
        assert await asyncio.wait_for(self.heard.get(), WAIT_S) == data


def engineio_to(port: int, fault: str, **options: Any) -> Any:
    query = {"fault": fault}
    url = f"http://127.0.0.1:{port}"
    return engineio.connect(url, Notes, query=query, proxy=None, **options)


FAULTS = ["on_open", "on_message", "on_close"]
CASES = [(way, fault) for way in SESSIONS for fault in FAULTS]


@pytest.mark.parametrize(("way", "fault"), [*CASES, ("upgrade", "on_upgrade")])
async def test_c14_listener_of_engineio_raises(
    way: str, fault: str, errors: Callable[[], list[Any]]
) -> None:
    options, polls = SESSIONS[way]
    server = engineio.Server(Faulty)
    async with nothing_is_left(), listening(server, polls) as port:
        other = await engineio_to(port, "", **options)
        if fault == "on_open" and polls:
            with pytest.raises(engineio.BadReply, match="500"):
                await engineio_to(port, fault, **options)
        else:
            bad = await engineio_to(port, fault, **options)
            if fault == "on_message":
                await bad.send("go")
            elif fault == "on_close":
                await bad.close()
            end = await asyncio.wait_for(bad.listener.ended, WAIT_S)
            if way == "websocket" and fault != "on_close":
                assert end == (1011, "server error")
            await bad.wait_closed()
        await until(lambda: len(server.sockets) == 1)
        await other.listener.echo("still there?")
        assert errors() == [MistakeError]
        await other.close()
    assert server.sockets == {}
    assert errors() == [MistakeError]


class Clumsy(Notes):
    """A client that raises."""

    def on_message(self, data: Any) -> None:
        raise MistakeError


@pytest.mark.parametrize("way", SESSIONS)
async def test_c14_listener_of_a_client_of_engineio_raises(
    way: str, errors: Callable[[], list[Any]]
) -> None:
    """Its session ends; over polling, the server finds out by its heartbeat."""
    options, polls = SESSIONS[way]
    server = engineio.Server(Faulty)
    async with nothing_is_left(), listening(server, polls) as port:
        url = f"http://127.0.0.1:{port}"
        client = await engineio.connect(url, Clumsy, proxy=None, **options)
        await client.send("go")
        end = await asyncio.wait_for(client.listener.ended, WAIT_S)
        assert isinstance(end, MistakeError)
        await asyncio.wait_for(client.wait_closed(), WAIT_S)
        if way == "websocket":
            await until(lambda: not server.sockets)
    assert errors() == [MistakeError]


@pytest.mark.parametrize("way", SESSIONS)
async def test_c9_listener_of_engineio_blocks(way: str) -> None:
    options, polls = SESSIONS[way]
    server = engineio.Server(Faulty)
    async with nothing_is_left(), listening(server, polls) as port:
        other = await engineio_to(port, "", **options)
        bad = await engineio_to(port, "block", **options)
        for n in range(3):
            await bad.send(str(n))
            await other.listener.echo(str(n))
        for n in range(3):
            heard = await asyncio.wait_for(bad.listener.heard.get(), WAIT_S)
            assert heard == str(n)
        await asyncio.gather(other.close(), bad.close())
    assert server.sockets == {}


# ---- Socket.IO ----


async def raises(*args: Any) -> None:
    await asyncio.sleep(0)
    raise MistakeError


def raises_at_once(*args: Any) -> None:
    raise MistakeError


async def never(*args: Any) -> None:
    await asyncio.Event().wait()


def blocks(*args: Any) -> None:
    time.sleep(BLOCKS_S)


HOW: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (raises, raises_at_once, never, blocks)
}
#: What is told of a client's fault: where, and how.
Fault = tuple[str, str]


def faulty_server(where: str, how: str) -> socketio.Server:
    """Return a server whose handler of one kind has a fault, for clients that ask."""
    sio = socketio.Server()
    fault = HOW[how]

    def is_meant(sid: str) -> bool:
        return bool(sio.socket(sid).handshake.auth["bad"])

    @sio.use
    async def middleware(socket: Any) -> None:
        if where == "packet" and socket.handshake.auth["bad"]:
            socket.use(fault)
        if where == "middleware" and socket.handshake.auth["bad"]:
            result = fault()
            await result if result is not None else None

    def connect(sid: str, environ: Any) -> Any:
        return fault() if where == "connect" and is_meant(sid) else None

    def disconnect(sid: str, reason: str) -> Any:
        return fault() if where == "disconnect" and is_meant(sid) else None

    async def ask(sid: str) -> None:
        await sio.emit("question", to=sid, callback=fault)

    for handler in (connect, disconnect, ask):
        sio.event(handler)
    sio.on("echo", lambda sid, *args: args)
    sio.on("event", fault)
    return sio


@contextlib.asynccontextmanager
async def connected(port: int, *, bad: bool) -> AsyncIterator[socketio.Client]:
    """Connect to a server; whoever is bad may not be let in."""
    options: Any = {"transports": ["websocket"], "proxy": None}
    async with socketio.Client(reconnection=False, **options) as client:
        client.on("question", lambda: "answer")
        url = f"http://127.0.0.1:{port}"
        await client.connect(url, auth={"bad": bad}, wait=not bad)
        yield client


#: Where and how; whether the client is let in, and stays; how many mistakes are logged.
APPLICATIONS = {
    ("event", "raises"): (True, 1),
    ("event", "raises_at_once"): (True, 1),
    ("event", "never"): (True, 0),
    ("event", "blocks"): (True, 0),
    ("ask", "raises"): (True, 1),
    ("ask", "raises_at_once"): (True, 1),
    ("ask", "never"): (True, 0),
    ("packet", "raises"): (True, 0),
    ("packet", "never"): (True, 0),
    ("middleware", "raises"): (False, 1),
    ("middleware", "never"): (False, 0),
    ("connect", "raises"): (False, 1),
    ("connect", "raises_at_once"): (False, 1),
    ("connect", "never"): (False, 0),
    ("connect", "blocks"): (True, 0),
    ("disconnect", "raises"): (True, 1),
    ("disconnect", "raises_at_once"): (True, 1),
    ("disconnect", "never"): (True, 0),
}


@pytest.mark.parametrize(("where", "how"), APPLICATIONS)
async def test_c14_application_of_socketio(
    where: str, how: str, errors: Callable[[], list[Any]]
) -> None:
    stays, mistakes = APPLICATIONS[where, how]
    sio = faulty_server(where, how)
    expected = [MistakeError] * mistakes
    async with nothing_is_left(), listening(sio, False) as port:
        async with connected(port, bad=False) as other:
            async with connected(port, bad=True) as client:
                await other.call("echo", 1)
                if stays:
                    socket = client.socket()
                    await asyncio.wait_for(socket.wait_connected(), WAIT_S)
                    if where in ("event", "ask"):
                        await client.emit(where)
                    if where == "packet":
                        await client.emit("echo", 1)
                    else:
                        assert await client.call("echo", 1) == 1
                elif how != "never":
                    with pytest.raises(socketio.ConnectionError, match="Internal"):
                        await client.socket().wait_connected()
                await other.call("echo", 2)
                if where != "disconnect":
                    await until(lambda: errors() == expected)
            await other.call("echo", 3)
            await until(lambda: errors() == expected)
        await asyncio.wait_for(sio.close(), WAIT_S)
    assert errors() == expected
    assert not sio.tasks.running
    assert not sio.engine.sockets


@pytest.mark.parametrize("how", ["raises", "raises_at_once", "blocks", "never"])
async def test_c14_handler_of_a_client_of_socketio(
    how: str, errors: Callable[[], list[Any]]
) -> None:
    """It is logged; the connection goes on, and nothing is acknowledged."""
    sio = faulty_server("", "never")
    expected = [MistakeError] if how.startswith("raises") else []
    async with nothing_is_left(), listening(sio, False) as port:
        async with connected(port, bad=False) as client:
            client.on("fault", HOW[how])
            await sio.emit("fault")
            await until(lambda: errors() == expected)
            assert await client.call("echo", 1) == 1
        await asyncio.wait_for(sio.close(), WAIT_S)
    assert errors() == expected


# ---- SockJS ----

TRANSPORTS = ("websocket", "xhr-streaming", "xhr-polling", "eventsource")
HOSTS = ("own", "uvicorn")


@contextlib.asynccontextmanager
async def sockjs_on(host: str, app: sockjs.SockJS) -> AsyncIterator[int]:
    """Serve, by our own server or by uvicorn; close as one should."""
    if host == "own":
        async with app.serve("127.0.0.1", 0, drain_timeout=1) as server:
            yield server.sockets[0].getsockname()[1]
        return
    from tests.asgi.serving import Uvicorn

    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(app, timeout_graceful_shutdown=1)
        yield served.address[1]
        await asyncio.wait_for(app.close(), WAIT_S)


async def as_told(session: Any) -> None:
    """Echo; do as the first message says."""
    async for message in session:
        fault = HOW.get(message)
        await session.send(message)
        if fault is not None:
            result = fault()
            await result if result is not None else None


CASES_OF_SOCKJS = [
    *((host, t, "raises") for host in HOSTS for t in TRANSPORTS),
    *((host, t, "blocks") for host in HOSTS for t in ("websocket", "xhr-polling")),
    *((host, t, "never") for host in HOSTS for t in ("websocket", "xhr-streaming")),
]


@pytest.mark.parametrize(("host", "transport", "how"), CASES_OF_SOCKJS)
async def test_c14_handler_of_sockjs(
    host: str, transport: str, how: str, errors: Callable[[], list[Any]]
) -> None:
    app = sockjs.SockJS(as_told, disconnect_delay=0.05)
    expected = [MistakeError] if how == "raises" else []
    options: Any = {"proxy": None, "transport_timeout": WAIT_S}
    async with nothing_is_left(), sockjs_on(host, app) as port:
        url = f"http://127.0.0.1:{port}/"
        async with (
            sockjs.connect(url, transport, **options) as other,
            sockjs.connect(url, transport, **options) as bad,
        ):
            await bad.send(how)
            assert await bad.recv() == how
            if how == "raises":
                with pytest.raises(wsfast.ConnectionClosed):
                    await bad.recv()
                assert (bad.close_code, bad.close_reason) == (1011, "Internal error")
            await other.send("still there?")
            assert await other.recv() == "still there?"
        assert errors() == expected
    if (host, transport, how) == ("uvicorn", "websocket", "never"):
        # It is uvicorn's task, which uvicorn cancels, and says so.
        expected = [None, asyncio.CancelledError]
    assert errors() == expected
    assert app.sessions == []
