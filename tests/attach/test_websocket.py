"""What a WebSocket does between opening and closing, over streams in this loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.protocol.sample_extensions import MarkedFactory
from wsfast import (
    ConcurrencyError,
    ConnectionClosedError,
    InvalidHandshake,
    InvalidStatus,
    SlowConsumer,
    connect,
)
from wsfast.attach import SyncWebSocket, WebSocket
from wsfast.attach.asgi import MAX_SEND_BUFFER
from wsfast.exceptions import HandshakeTimeout, NegotiationError

WAIT_S = 60


@pytest.fixture(autouse=True)
async def nothing_unclosed() -> AsyncIterator[None]:
    """Have what is unclosed complain in the test that left it."""
    yield
    await asyncio.sleep(0)
    gc.collect()


Handler = Callable[[WebSocket], Awaitable[object]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """Serve by streams of asyncio; give the URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: Any, writer: Any) -> None:
        await handler(WebSocket.from_asyncio(reader, writer, **options))

    def client(reader: Any, writer: Any) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        ended = asyncio.ensure_future(writer.wait_closed())  # the streams are told
        tasks.add(ended)

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await asyncio.wait_for(server.wait_closed(), WAIT_S)
        outcomes = asyncio.gather(*tasks, return_exceptions=True)
        for outcome in await asyncio.wait_for(outcomes, WAIT_S):
            expected = outcome is None or isinstance(
                outcome, (OSError, InvalidHandshake)
            )
            assert expected, outcome


def recorded(ws: WebSocket) -> list[Any]:
    """Return a list of what happens from now on."""
    told: list[Any] = []
    ws.on_open = lambda ws: told.append("open")
    ws.on_error = lambda ws, exc: told.append(type(exc))
    ws.on_close = lambda ws, code, reason: told.append((code, reason))
    return told


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


# ---- before it is open ----


async def test_what_waits_is_bounded():
    ws = WebSocket.client("ws://127.0.0.1:1/")
    for _ in range(1000):
        ws.send("x")
    with pytest.raises(OverflowError, match="1000 messages wait"):
        ws.send("x")
    assert ws.buffered_amount == 1000
    ws = WebSocket.client("ws://127.0.0.1:1/")
    ws.send(bytes(1 << 20))
    with pytest.raises(OverflowError, match="over 1048576 octets"):
        ws.send("x")
    with pytest.raises(TypeError):
        ws.send(["fragments"])
    ws.close()
    with pytest.raises(ConnectionClosedError):
        ws.send("too late")


async def test_closed_before_it_is_open():
    async with serving(echo) as url:
        ws = WebSocket.client(url)
        told = recorded(ws)
        ws.send("on the way")
        ws.close(4000, "at once")
        await asyncio.wait_for(ws, WAIT_S)
    assert told == ["open", (4000, "at once")]
    assert (ws.ready_state, ws.close_code, ws.close_reason) == (3, 4000, "at once")


async def test_only_one_task_opens_it():
    async with serving(echo) as url:
        ws = WebSocket.client(url)
        first = asyncio.ensure_future(ws.open())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await ws.open()
        await first
        await ws.open()  # it is open
        await ws.close()
        assert not ws.ping()


async def test_messages_are_for_one_of_two():
    async with serving(echo) as url:
        ws = WebSocket.client(url)
        ws.on_message = lambda ws, message: None
        with pytest.raises(RuntimeError, match="on_message, which takes"):
            await ws.recv()
        async with ws:
            with pytest.raises(RuntimeError, match="on_message, which takes"):
                async for _ in ws:
                    pass


async def test_a_server_that_refuses():
    async with serving(echo, origins=["https://example.com"]) as url:
        ws = WebSocket.client(url)
        told = recorded(ws)
        with pytest.raises(InvalidStatus):
            await ws
        assert (ws.status, ws.ready_state) == (403, 3)
        assert ws.headers["Content-Type"].startswith("text/plain")
        assert told == [InvalidStatus, (1006, "")]
        with pytest.raises(ConnectionClosedError):
            await ws.open()
        with pytest.raises(ConnectionClosedError):
            ws.send("in vain")


async def test_a_server_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    ws = WebSocket.client(f"ws://127.0.0.1:{port}/")
    told = recorded(ws)
    with pytest.raises(OSError):
        await ws
    assert told[0] is not None
    assert told[1:] == [(1006, "")]


async def test_a_client_that_says_nothing():
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        told = recorded(ws)
        with pytest.raises(HandshakeTimeout):
            await ws.open()
        outcome.set_result(told)

    async with serving(handler, open_timeout=0.1) as url:
        port = int(url.rpartition(":")[2].rstrip("/"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert await outcome == [HandshakeTimeout, (1006, "")]


# ---- options, extensions ----


@pytest.mark.parametrize("name", ["extensions", "ping_interval", "compression"])
def test_what_an_asgi_server_has_to_be_told(name):
    with pytest.raises(TypeError, match=f"for the ASGI server to be told: {name}"):
        WebSocket({"type": "websocket"}, None, None, **{name: None})


def test_other_scopes():
    with pytest.raises(ValueError, match="not the scope of a WebSocket: 'http'"):
        WebSocket({"type": "http"}, None, None)


async def test_extensions_and_their_bits():
    names: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        await ws.open()
        names.append([extension.name for extension in ws.extensions])
        await echo(ws)

    factories = [MarkedFactory("a", 2), MarkedFactory("b", 2), MarkedFactory("c", 3)]
    async with serving(handler, extensions=factories, compression=None) as url:
        ws = WebSocket.client(url, extensions=factories, compression=None)
        async with ws:
            await ws.send("marked twice")
            assert await ws.recv() == "marked twice"
            assert [extension.name for extension in ws.extensions] == ["a", "c"]
    assert names == [["a", "c"]]  # b wants the bit that a has


async def test_a_server_whose_extensions_conflict():
    async def server(reader: Any, writer: Any) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ") for line in request.splitlines()[1:] if line)
        from wsfast.protocol.server import accept_key

        key = accept_key(lines["Sec-WebSocket-Key"].encode()).decode()
        writer.write(
            f"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {key}\r\n"
            f"Sec-WebSocket-Extensions: a; level=3, b; level=3\r\n\r\n".encode()
        )
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    factories = [MarkedFactory("a", 2), MarkedFactory("b", 2)]
    ws = WebSocket.client(f"ws://127.0.0.1:{port}/", extensions=factories)
    told = recorded(ws)
    with pytest.raises(NegotiationError, match="b claims RSV2"):
        await ws
    assert told == [NegotiationError, (1006, "")]
    listening.close()
    await listening.wait_closed()


async def test_a_silent_peer_is_found_by_pings():
    ended = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        told = recorded(ws)
        async for _ in ws:
            pass
        assert told[0] == "open"
        assert told[2][0] == 1006
        ended.set()

    options = {"ping_interval": 0.1, "ping_timeout": 0.1, "close_timeout": 0.1}
    async with serving(handler, **options) as url:
        ws = await connect(url, auto_pong=False, ping_interval=None)
        ws.pause_reading()
        await asyncio.wait_for(ended.wait(), WAIT_S)
        ws.abort()


# ---- the task it belongs to ----


@pytest.mark.parametrize(
    ("how", "code"), [("returns", 1000), ("is cancelled", 1001), ("fails", 1011)]
)
async def test_it_ends_with_its_task(how, code):
    tasks: list[asyncio.Task[Any]] = []
    opened = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.open()
        if how == "is cancelled":
            opened.set()
            await asyncio.Event().wait()
        if how == "fails":
            raise LookupError("on purpose")

    left, right = socket.socketpair()
    ws = WebSocket.from_socket(left)
    tasks.append(asyncio.ensure_future(handler(ws)))
    client = await connect("ws://localhost/", sock=right)
    if how == "is cancelled":
        await opened.wait()
        tasks[0].cancel()
    await asyncio.wait_for(client.wait_closed(), WAIT_S)
    assert client.close_code == code
    outcome = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, LookupError) for one in outcome] == [how == "fails"]
    await asyncio.wait_for(ws.wait_closed(), WAIT_S)


async def test_a_connection_that_ends_is_no_failure_of_async_with():
    async def handler(ws: WebSocket) -> None:
        async with ws:
            while True:
                await ws.send(await ws.recv())
        assert ws.close_code == 4001

    async with serving(handler) as url, connect(url) as ws:
        await ws.send("x")
        assert await ws.recv() == "x"
        await ws.close(4001)


# ---- ASGI servers that are not ours ----


class Scripted:
    """
    The two callables of an ASGI server that takes nothing.

    A server takes what is sent, sooner or later; this stands for the one that does not.
    """

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.blocked = asyncio.Event()

    async def receive(self) -> Any:
        if self.sent:
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def send(self, event: Any) -> None:
        self.sent.append(event)
        if event["type"] == "websocket.send":
            await self.blocked.wait()


async def test_an_asgi_server_that_takes_nothing():
    server = Scripted()
    ws = WebSocket({"type": "websocket", "path": "/"}, server.receive, server.send)
    await ws.open()
    with pytest.raises(SlowConsumer):
        for _ in range(20):
            ws.send(bytes(MAX_SEND_BUFFER // 10))
            await asyncio.sleep(0)
    server.blocked.set()
    await asyncio.wait_for(ws.wait_closed(), WAIT_S)
    assert server.sent[-1]["type"] == "websocket.close"
    assert server.sent[-1]["code"] == 1008


# ---- threads ----


def test_sockets_for_threads(caplog):
    caplog.set_level(logging.ERROR)
    left, right = socket.socketpair()
    told: list[Any] = []

    def serve() -> None:
        ws = SyncWebSocket.from_socket(left, extensions=[MarkedFactory()])
        ws.on_close = lambda ws, code, reason: told.append((code, reason))
        ws.send("early")
        with ws:
            for message in ws:
                ws.send(message)
            told.append([extension.name for extension in ws.extensions])

    thread = threading.Thread(target=serve)
    thread.start()
    ws = SyncWebSocket.client(
        "ws://localhost/", sock=right, extensions=[MarkedFactory()], compression=None
    )
    with ws:
        ws.send("hello")
        assert [ws.recv(WAIT_S), ws.recv(WAIT_S)] == ["early", "hello"]
        with pytest.raises(TimeoutError):
            ws.recv(0)
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert told == [(1000, ""), ["mark"]]
    assert not caplog.records


def test_a_client_for_threads_that_is_refused():
    left, right = socket.socketpair()
    failures: list[BaseException] = []

    def serve() -> None:
        ws = SyncWebSocket.from_socket(left, origins=["https://example.com"])
        try:
            ws.run()
        except InvalidHandshake as exc:
            failures.append(exc)

    thread = threading.Thread(target=serve)
    thread.start()
    ws = SyncWebSocket.client("ws://localhost/", sock=right)
    with pytest.raises(InvalidStatus):
        ws.run()
    assert (ws.status, ws.close_code) == (403, 1006)
    thread.join(WAIT_S)
    assert len(failures) == 1


def test_a_wsgi_server_that_keeps_its_socket():
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "PATH_INFO": "/",
        "HTTP_HOST": "localhost",
        "HTTP_CONNECTION": "Upgrade",
        "HTTP_UPGRADE": "websocket",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
        "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    ws = WebSocket.from_wsgi(environ)
    with pytest.raises(RuntimeError, match=r"gunicorn \(gthread, gevent\)"):
        list(ws)
