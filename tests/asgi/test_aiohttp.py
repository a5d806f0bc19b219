"""Handlers of aiohttp's server, with our connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import websockets.asyncio.client
from aiohttp import web

from tests.asgi.attached import (
    check_another_client,
    check_early_message,
    check_echo,
    check_tls,
)
from tests.asyncio.wire import until
from wsfast import connect
from wsfast.asgi.aiohttp import setup, upgrade
from wsfast.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus


async def echo(request: web.Request) -> web.StreamResponse:
    ws = await upgrade(request)
    async for message in ws:
        await ws.send(message)
    return ws.upgraded


class Served:
    """A server of aiohttp in this event loop."""

    def __init__(self, reactor: bool) -> None:
        self.reactor = reactor
        self.stack = contextlib.AsyncExitStack()
        self.runner: Any = None

    async def serve(
        self,
        handler: Any = echo,
        ssl: Any = None,
        unix: Any = None,
        runner: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Serve a handler at / and a page at /page."""

        async def page(request: web.Request) -> web.Response:
            return web.Response(text="a page")

        app = web.Application()
        app.router.add_get("/", handler)
        app.router.add_get("/page", page)
        setup(app, reactor=self.reactor, **options)
        self.scheme = "ws" if ssl is None else "wss"
        self.runner = web.AppRunner(
            app, **({"access_log": None} if runner is None else runner)
        )
        await self.runner.setup()
        self.stack.push_async_callback(self.runner.cleanup)
        site: Any = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=ssl)
        if unix is not None:
            site = web.UnixSite(self.runner, unix)
        await site.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.runner.addresses[0][1]

    @property
    def uri(self) -> str:
        """Where it serves."""
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    @property
    def known(self) -> list[Any]:
        """The server's own list of its connections."""
        return self.runner.server.connections

    async def forgets(self) -> None:
        """Wait until aiohttp knows of no connection any more."""
        await until(lambda: not self.known)


@pytest.fixture
async def served(reactor: bool) -> AsyncIterator[Served]:
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


async def test_the_client_of_aiohttp(served: Served):
    await served.serve()
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(served.uri, compress=15) as other:
            await other.send_str("text" * 1000)
            assert await other.receive_str() == "text" * 1000
        assert other.close_code == 1000
    await served.forgets()


async def test_tls(served: Served, server_tls, client_tls):
    await check_tls(served, server_tls, client_tls)


async def test_tls_the_client_vanishes(served: Served, server_tls, client_tls):
    await served.serve(ssl=server_tls)
    ws = await connect(served.uri, ssl=client_tls)
    assert len(served.known) == 1
    ws.abort()
    await served.forgets()


async def test_unix_socket(served: Served, tmp_path):
    path = str(tmp_path / "socket")
    await served.serve(unix=path)
    async with websockets.asyncio.client.unix_connect(path, "ws://localhost/") as ws:
        await ws.send("text")
        assert await ws.recv() == "text"


async def test_messages_right_behind_the_request(served: Served):
    await check_early_message(served)


async def test_after_other_requests_on_the_connection(served: Served):
    """A client may have asked for pages before."""
    await served.serve()
    host, port = served.runner.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    upgrade_request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n" + upgrade_request)
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(6) == b"a page"
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x81\x82\x00\x00\x00\x00hi")
    assert await reader.readexactly(4) == b"\x81\x02hi"
    writer.close()
    await writer.wait_closed()
    await served.forgets()


async def test_refusals(served: Served):
    """The server sends them; the connection goes on."""
    await served.serve(origins=["https://here.example"])
    page = served.uri.replace("ws:", "http:")
    async with aiohttp.ClientSession() as session:
        async with session.get(page) as response:
            assert response.status == 426
            assert response.headers["Upgrade"] == "websocket"
            assert "WebSocket client" in await response.text()
        async with session.get(page + "page") as response:
            assert await response.text() == "a page"
    with pytest.raises(InvalidStatus) as refused:
        await connect(served.uri, origin="https://there.example")
    assert refused.value.response.status_code == 403
    async with connect(served.uri, origin="https://here.example") as ws:
        await ws.send("text")
        assert await ws.recv() == "text"


async def test_subprotocol_and_request(served: Served):
    async def handler(request):
        ws = await upgrade(request)
        await ws.send(f"{ws.subprotocol} {request.query['q']} {ws.request.path}")
        await ws.send(f"{ws.remote_address == request.get_extra_info('none', None)}")
        assert ws.response.status_code == 101
        return ws.upgraded

    await served.serve(handler, subprotocols=["one", "two"])
    async with connect(served.uri + "?q=1", subprotocols=["two"]) as ws:
        assert ws.subprotocol == "two"
        assert await ws.recv() == "two 1 /?q=1"
        assert await ws.recv() == "False"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
    assert ws.close_code == 1000


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_close_codes(served: Served, code):
    seen = asyncio.get_running_loop().create_future()

    async def handler(request):
        ws = await upgrade(request)
        await ws.recv()
        await ws.close(code, "from here")
        seen.set_result((ws.close_code, ws.close_reason))
        return ws.upgraded

    await served.serve(handler)
    async with connect(served.uri) as ws:
        await ws.send("close")
        await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (code, "from here")
    assert await asyncio.wait_for(seen, 10) == (code, "from here")
    await served.forgets()


async def test_close_code_of_the_client(served: Served):
    seen = asyncio.get_running_loop().create_future()

    async def handler(request):
        ws = await upgrade(request)
        try:
            await ws.recv()
        except ConnectionClosedError as exc:
            seen.set_result((exc.rcvd.code, exc.rcvd.reason))
        return ws.upgraded

    await served.serve(handler)
    ws = await connect(served.uri)
    await ws.close(4321, "from there")
    assert await asyncio.wait_for(seen, 10) == (4321, "from there")
    await served.forgets()


async def test_an_error_in_the_handler(served: Served, caplog):
    async def handler(request):
        ws = await upgrade(request)
        raise ValueError(await ws.recv())

    await served.serve(handler)
    ws = await connect(served.uri)
    await ws.send("oh dear")
    await ws.wait_closed()
    assert ws.close_code == 1011
    await served.forgets()
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "oh dear" in str(errors[0].exc_info[1])


@pytest.mark.parametrize("result", ["nothing", "page", "forbidden"])
async def test_another_result(served: Served, result, caplog):
    """Nothing of it gets into the stream of frames."""

    async def handler(request):
        ws = await upgrade(request)
        await ws.send("hello")
        if result == "forbidden":
            raise web.HTTPForbidden
        return web.Response(text="a page") if result == "page" else None

    await served.serve(handler)
    ws = await connect(served.uri)
    assert await ws.recv() == "hello"
    with pytest.raises(ConnectionClosedError):
        await ws.recv()
    assert ws.close_code == 1011
    await served.forgets()


async def test_a_message_too_big(served: Served):
    await served.serve(max_size=1000)
    ws = await connect(served.uri)
    await ws.send("x" * 1001)
    await ws.wait_closed()
    assert ws.close_code == 1009
    await served.forgets()


async def test_shutdown(served: Served):
    await served.serve()
    clients = [await connect(served.uri) for _ in range(3)]
    for ws in clients:
        await ws.send("text")
        assert await ws.recv() == "text"
    await asyncio.wait_for(served.runner.cleanup(), 30)
    for ws in clients:
        await ws.wait_closed()
    assert {ws.close_code for ws in clients} == {1001}


async def test_shutdown_with_a_client_that_does_not_answer(served: Served):
    await served.serve(drain_timeout=0.2)
    host, port = served.runner.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.wait_for(served.runner.cleanup(), 30)
    assert await reader.read() == b"\x88\x02\x03\xe9"
    writer.close()
    await writer.wait_closed()


async def test_the_client_vanishes(served: Served, caplog):
    seen = asyncio.get_running_loop().create_future()

    async def handler(request):
        ws = await upgrade(request)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(lambda: seen.set_result(ws.close_code))
            async for _ in ws:
                pass
        return ws.upgraded

    await served.serve(handler)
    ws = await connect(served.uri)
    ws.abort()
    assert await asyncio.wait_for(seen, 10) == 1006
    await served.forgets()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_access_log(served: Served, caplog):
    caplog.set_level(logging.INFO, "aiohttp.access")
    await served.serve(runner={})
    async with connect(served.uri) as ws:
        await ws.send("text")
        await ws.recv()
    await until(lambda: any(r.name == "aiohttp.access" for r in caplog.records))
    (line,) = [r.getMessage() for r in caplog.records if r.name == "aiohttp.access"]
    assert '"GET / HTTP/1.1" 101 ' in line


async def test_middlewares_and_subapplications(reactor: bool):
    seen = []

    @web.middleware
    async def middleware(request, handler):
        response = await handler(request)
        seen.append(response.status)
        return response

    small, app = web.Application(), web.Application(middlewares=[middleware])
    small.router.add_get("/", echo)
    setup(small, max_size=10, reactor=reactor)
    app.add_subapp("/small", small)
    app.router.add_get("/", echo)
    setup(app, reactor=reactor)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    uri = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    async with connect(uri + "/") as ws:
        await ws.send("x" * 11)
        assert await ws.recv() == "x" * 11
    ws = await connect(uri + "/small/")
    await ws.send("x" * 11)
    await ws.wait_closed()
    assert ws.close_code == 1009
    await runner.cleanup()
    assert seen == [101, 101]


async def test_back_pressure(served: Served):
    """Who does not receive makes the handler wait, not the memory grow."""
    sent = 0

    async def handler(request):
        nonlocal sent
        ws = await upgrade(request)
        for _ in range(400):
            await ws.send(b"x" * 65536)
            sent += 1
        return ws.upgraded

    await served.serve(handler, compression=None)
    async with connect(served.uri, max_queue=1) as ws:
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.2)
        assert 0 < sent < 400
        for _ in range(400):
            assert len(await ws.recv()) == 65536
    await served.forgets()


async def test_mistakes(served: Served):
    app = web.Application()
    with pytest.raises(TypeError, match=r"not an option of a connection: host, prot"):
        setup(app, prot=1, host="x")
    setup(app)
    with pytest.raises(RuntimeError, match="before"):
        setup(app)
    request: Any = web.Application()
    request.config_dict = {}
    with pytest.raises(RuntimeError, match=r"call wsfast.asgi.aiohttp.setup"):
        await upgrade(request)
