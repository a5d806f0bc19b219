"""Sanic's routes and handlers, with our connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from sanic import Sanic
from sanic.exceptions import ServerError, WebsocketClosed

from tests.asgi.attached import (
    check_another_client,
    check_early_message,
    check_echo,
    check_tls,
)
from tests.asgi.process import Server
from tests.asyncio.wire import until
from wsfast import connect
from wsfast.asgi.sanic import WebSocketProtocol
from wsfast.exceptions import InvalidStatus

numbers = itertools.count()


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


class Served:
    """A server of Sanic in this event loop."""

    def __init__(self, reactor: bool) -> None:
        self.protocol = type(
            "Protocol", (WebSocketProtocol,), {"reactor": reactor, "__slots__": ()}
        )
        self.stack = contextlib.AsyncExitStack()
        self.server: Any = None

    async def serve(
        self, handler: Any = echo, ssl: Any = None, route: Any = None, **config: Any
    ) -> None:
        """Serve a handler at /."""
        app = Sanic(f"app{next(numbers)}", configure_logging=False)
        app.config.update({"MOTD": False, "ACCESS_LOG": False})
        app.config.update(config)
        app.add_websocket_route(handler, "/", **(route or {}))
        self.scheme = "ws" if ssl is None else "wss"
        self.server = await app.create_server(
            host="127.0.0.1",
            port=0,
            return_asyncio_server=True,
            protocol=self.protocol,
            ssl=ssl,
        )
        await self.server.startup()
        await self.server.before_start()
        await self.server.start_serving()
        await self.server.after_start()
        self.stack.push_async_callback(self.stop)

    async def stop(self) -> None:
        """Stop as Sanic's runner does."""
        await self.server.before_stop()
        self.server.close()
        for connection in list(self.server.connections):
            connection.close_if_idle()
        await self.forgets()
        await self.server.wait_closed()
        await self.server.after_stop()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.server.sockets[0].getsockname()[1]

    @property
    def uri(self) -> str:
        """Where it serves."""
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    async def forgets(self) -> None:
        """Wait until Sanic knows of no connection any more."""
        await until(lambda: not self.server.connections)


@pytest.fixture
async def served(
    reactor: bool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    # Sanic rewrites functions of its own as it starts, which succeeds a second time
    # in its mode for tests alone.
    monkeypatch.setattr(Sanic, "test_mode", True)
    made = Served(reactor)
    async with made.stack:
        yield made
    await asyncio.sleep(0)
    gc.collect()  # what is unclosed complains now, in the test that left it


async def test_echo(served: Served):
    await check_echo(served)


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_other_clients(served: Served, compression):
    await check_another_client(served, compression)


async def test_tls(served: Served, server_tls, client_tls):
    await check_tls(served, server_tls, client_tls)


async def test_messages_right_behind_the_request(served: Served):
    await check_early_message(served)


async def test_a_request_that_is_no_handshake(served: Served):
    await served.serve()
    page = served.uri.replace("ws:", "http:")
    async with aiohttp.ClientSession() as session, session.get(page) as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert "WebSocket client" in await response.text()
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri + "nowhere")
    assert refused.value.response.status_code == 404


async def test_subprotocols_of_a_route(served: Served):
    async def handler(request, ws):
        await ws.send(f"{ws.subprotocol} {request.args.get('q')}")

    await served.serve(handler, route={"subprotocols": {"two"}})
    async with connect(served.uri + "?q=1", subprotocols=["one", "two"]) as ws:
        assert ws.subprotocol == "two"
        assert await ws.recv() == "two 1"
        await ws.wait_closed()
    assert ws.close_code == 1000
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri)
    assert refused.value.response.status_code == 400


async def test_receiving(served: Served):
    """The whole of Sanic's interface for it."""
    found: list[Any] = []

    async def handler(request, ws):
        found.append(await ws.recv(timeout=0))
        found.append(await ws.recv(timeout=0.01))
        await ws.send("go")
        found.append(await ws.recv(timeout=30))
        found.append(await ws.recv())
        await until(lambda: ws.connection.queue_length() == 3)
        found.append(await ws.recv(timeout=0))
        found.append(await ws.recv_burst())
        found.append(await ws.recv_burst())
        await ws.send("stream")
        found.append([part async for part in ws.recv_streaming()])
        waiting = asyncio.ensure_future(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(ServerError):
            await ws.recv()
        waiting.cancel()
        await ws.send("done")

    await served.serve(handler)
    async with connect(served.uri, compression=None) as ws:
        assert await ws.recv() == "go"
        for number in range(5):
            await ws.send(str(number))
        assert await ws.recv() == "stream"
        await ws.send(["a", "b"])
        assert await ws.recv() == "done"
    assert found[:4] == [None, None, "0", "1"]
    assert found[4:7] == ["2", ["3", "4"], []]
    assert "".join(found[7]) == "ab"


async def test_sending(served: Served):
    found: list[Any] = []

    async def handler(request, ws):
        await ws.send(bytearray(b"one"))
        await ws.send(memoryview(b"two"))
        for wrong in ({}, 1, None):
            with pytest.raises(TypeError):
                await ws.send(wrong)
        with pytest.raises(NotImplementedError):
            await ws.send(["a", "b"])
        pong = await ws.ping(b"abc")
        with pytest.raises(ValueError, match="already waiting"):
            await ws.ping(b"abc")
        found.append(await asyncio.wait_for(pong, 30) < 30)
        await ws.pong("x")
        await ws.close(4000, "enough")
        with pytest.raises(WebsocketClosed):
            await ws.send("late")
        with pytest.raises(WebsocketClosed):
            await ws.ping()
        await ws.pong()
        found.append("end")

    await served.serve(handler)
    async with connect(served.uri) as ws:
        assert [await ws.recv(), await ws.recv()] == [b"one", b"two"]
        await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (4000, "enough")
    assert found == [True, "end"]
    await served.forgets()


@pytest.mark.parametrize("code", [1000, 1001, 3210])
async def test_the_client_closes(served: Served, code):
    """A handler that waits is cancelled, as in Sanic; afterwards recv() says so."""
    seen = asyncio.get_running_loop().create_future()

    async def handler(request, ws):
        try:
            await ws.recv()
        except asyncio.CancelledError:
            assert await ws.wait_for_connection_lost(30)
            with pytest.raises(WebsocketClosed):
                await ws.recv()
            seen.set_result((ws.ws_proto.close_code, ws.ws_proto.close_reason))
            raise

    await served.serve(handler)
    ws = await connect(served.uri)
    await ws.close(code, "there")
    assert await asyncio.wait_for(seen, 30) == (code, "there")
    assert (ws.close_code, ws.close_reason) == (code, "there")
    await served.forgets()


async def test_the_client_vanishes(served: Served, caplog):
    seen = asyncio.get_running_loop().create_future()

    async def handler(request, ws):
        try:
            async for _ in ws:
                pass
        finally:
            seen.set_result(ws.ws_proto.close_code)

    await served.serve(handler)
    ws = await connect(served.uri)
    ws.abort()
    assert await asyncio.wait_for(seen, 30) == 1006
    await served.forgets()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_an_error_in_the_handler(served: Served, caplog):
    """Sanic logs it, and closes with code 1000."""

    async def handler(request, ws):
        raise ValueError(await ws.recv())

    await served.serve(handler)
    caplog.set_level(logging.ERROR)
    logger = logging.getLogger("sanic.error")
    logger.addHandler(caplog.handler)
    try:
        ws = await connect(served.uri)
        await ws.send("oh dear")
        await ws.wait_closed()
    finally:
        logger.removeHandler(caplog.handler)
    assert ws.close_code == 1000
    assert "oh dear" in caplog.text
    await served.forgets()


async def test_configuration(served: Served):
    seen = asyncio.get_running_loop().create_future()

    async def handler(request, ws):
        options = ws.connection.options
        seen.set_result((options.ping_interval, options.ping_timeout))
        await echo(request, ws)

    await served.serve(
        handler,
        WEBSOCKET_MAX_SIZE=1000,
        WEBSOCKET_PING_INTERVAL=33,
        WEBSOCKET_PING_TIMEOUT=44,
    )
    ws = await connect(served.uri)
    await ws.send("x" * 1000)
    assert await ws.recv() == "x" * 1000
    await ws.send("x" * 1001)
    await ws.wait_closed()
    assert ws.close_code == 1009
    assert await seen == (33, 44)
    await served.forgets()


@pytest.mark.parametrize("how", ["cancelled", "asked"])
async def test_shutdown(served: Served, how):
    await served.serve()
    clients = [await connect(served.uri) for _ in range(3)]
    for ws in clients:
        await ws.send("text")
        assert await ws.recv() == "text"
    if how == "asked":
        for connection in list(served.server.connections):
            connection.close_if_idle()
    else:  # as before_server_stop does it
        Sanic._cancel_websocket_tasks(served.server.app)
    for ws in clients:
        await ws.wait_closed()
    assert {ws.close_code for ws in clients} == {1001 if how == "asked" else 1000}
    await served.forgets()


async def test_access_log(served: Served, caplog):
    await served.serve(ACCESS_LOG=True)
    logger = logging.getLogger("sanic.access")
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, "sanic.access")
    try:
        async with connect(served.uri) as ws:
            await ws.send("text")
            await ws.recv()
        await served.forgets()
    finally:
        logger.removeHandler(caplog.handler)
    lines = {r.getMessage(): r for r in caplog.records if r.name == "sanic.access"}
    assert {"OPEN", "CLOSE"} <= lines.keys()
    assert lines["CLOSE"].status == 1000  # type: ignore[attr-defined]


async def test_as_people_start_it(reactor: bool):
    """With all of Sanic's runner, and its end on a signal."""
    path = "reactor" if reactor else "transport"
    server = await asyncio.to_thread(Server, "tests.asgi.sanic_app", path=path)
    try:
        clients = [await connect(server.uri) for _ in range(4)]
        for ws in clients:
            await ws.send("text" * 1000)
            assert await ws.recv() == "text" * 1000
    except BaseException:
        await asyncio.to_thread(server.give_up)
        raise
    await asyncio.to_thread(server.end)
    for ws in clients:
        await ws.wait_closed()
    assert {ws.close_code for ws in clients} == {1000}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_workers():
    """Each process of Sanic's takes over the sockets of its connections."""

    async def visit() -> None:
        for _ in range(4):
            async with connect(f"{server.uri}/pid", open_timeout=60) as ws:
                pid, link = (await ws.recv()).split()
            assert int(pid) != server.pid
            assert link == "ReactorLink"
        async with connect(f"{server.uri}/", open_timeout=60) as ws:
            await ws.send("text" * 1000)
            assert await ws.recv() == "text" * 1000

    server = Server("tests.asgi.sanic_app", "2")
    try:
        asyncio.run(visit())
    finally:  # Sanic's manager, asked to end soon after its start, may never do so
        os.killpg(server.pid, signal.SIGKILL)
        server.stop()
    assert not any("Traceback" in line for line in server.log), "\n".join(server.log)
