"""Event streams of ASGI applications: uvicorn, Hypercorn, Starlette, FastAPI."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.eventsource.wire import raw_client, soon
from wsfast import EventSource, EventSourceClient
from wsfast.eventsource import History

pytest.importorskip("uvicorn")  # Python 3.10 has none of the extra "asgi"

QUICK: dict[str, Any] = {"retry": 0.0, "jitter": 0.0, "max_retry": 0.1, "proxy": None}


class App:
    """An application that sends what its clients missed, three events, then waits."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.history = History()
        self.seen: list[tuple[str, str]] = []
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert EventSource.is_event_source(scope)
        options = {"history": self.history, "headers": {"X-A": "b"}, **self.options}
        async with EventSource(scope, receive, send, **options) as source:
            self.seen.append((source.url, source.last_event_id))
            for n in range(3):
                await source.send(self.history.add(f"é{n}\n{n}", event="add"))
            async for _ in source:
                raise AssertionError("nothing is received")
        self.gone.set()


@contextlib.asynccontextmanager
async def uvicorn_serving(app: Any, http: str) -> AsyncIterator[int]:
    """Run uvicorn; gives the port."""
    import uvicorn

    from tests.asgi.serving import Served

    served = Served(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            http=http,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=10,
        )
    )
    await served.start()
    try:
        yield served.address[1]
    finally:
        await served.stop()


@contextlib.asynccontextmanager
async def hypercorn_serving(app: Any) -> AsyncIterator[int]:
    """Run Hypercorn; gives the port."""
    import socket

    pytest.importorskip("hypercorn")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        config = Config()
        config.bind = [f"fd://{sock.detach()}"]
        port = 0
        end = asyncio.Event()
        config.graceful_timeout = 5
        sockets = config.create_sockets()
        port = sockets.insecure_sockets[0].getsockname()[1]
        config.create_sockets = lambda: sockets  # type: ignore[method-assign]
        task = asyncio.ensure_future(serve(app, config, shutdown_trigger=end.wait))
        try:
            yield port
        finally:
            end.set()
            await soon(task)


def serving(app: Any, server: str) -> Any:
    """Run a server by its name."""
    if server == "hypercorn":
        return hypercorn_serving(app)
    return uvicorn_serving(app, server)


@pytest.mark.parametrize("server", ["h11", "httptools", "hypercorn"])
async def test_events_disconnect_and_replay(server):
    app = App(ping=None)
    async with serving(app, server) as port:
        url = f"http://127.0.0.1:{port}/x?a=b"
        async with EventSourceClient(url, **QUICK) as source:
            got = [tuple(await soon(source.recv())) for _ in range(3)]
            assert source.response is not None
            assert source.response.headers["X-A"] == "b"
        assert [event[:2] for event in got] == [("add", f"é{n}\n{n}") for n in range(3)]
        await soon(app.gone.wait())  # without a ping to find out
        async with EventSourceClient(url, last_event_id=got[0][2], **QUICK) as source:
            again = [tuple(await soon(source.recv())) for _ in range(3)]
        assert again[:2] == got[1:]
    assert app.seen[0] == (url, "")
    assert app.seen[1] == (url, got[0][2])


async def test_client_that_resets_between_events():
    app = App(ping=None)
    async with uvicorn_serving(app, "httptools") as port, raw_client(port) as client:
        await client.until(b"data: 2\n\n")
        client.reset()
        await soon(app.gone.wait())


async def test_slow_client_of_uvicorn_leaves():
    sent: list[int] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with EventSource(scope, receive, send, ping=None) as source:
            for n in range(200):
                await source.send("x" * 50_000)
                sent.append(n)
            raise AssertionError("10 MB went where nobody reads")
        ended.set()

    async with uvicorn_serving(app, "httptools") as port:
        async with raw_client(port, small=True) as client:
            await client.until(b"data: ")
            before = -1
            while before != len(sent):  # until it waits
                before = len(sent)
                await asyncio.sleep(0.3)
            client.reset()
            await soon(ended.wait())


async def test_inside_of_starlette_and_fastapi():
    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.routing import Mount, Route

    first, second, third = App(), App(), App()
    fast = FastAPI()
    fast.mount("/events", second)
    app = Starlette(
        routes=[
            Route("/events", endpoint=_Endpoint(first)),
            Mount("/fast", fast),
            Mount("/zipped", third),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1)],
    )
    async with uvicorn_serving(app, "httptools") as port:
        for path, inner in (
            ("/events", first),
            ("/fast/events", second),
            ("/zipped", third),
        ):
            url = f"http://127.0.0.1:{port}{path}"
            async with EventSourceClient(url, **QUICK) as source:
                for n in range(3):
                    assert (await soon(source.recv())).data == f"é{n}\n{n}"
            await soon(inner.gone.wait())


class _Endpoint:
    """An object that Starlette takes for an application rather than a function."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def aiohttp_serving(handler: Any) -> AsyncIterator[int]:
    """Run aiohttp's server; gives the port."""
    from aiohttp import web

    app = web.Application()
    app.router.add_get("/events", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_aiohttp():
    from aiohttp import web

    gone = asyncio.Event()
    codes: list[int] = []

    async def events(request: web.Request) -> web.StreamResponse:
        source = EventSource.from_aiohttp(
            request,
            ping=None,
            headers={"X-A": "b"},
            on_close=lambda source, code, reason: codes.append(code),
        )
        async with source:
            await source.send(source.url, event="url", id=1)
            if request.query.get("wait"):
                async for _ in source:
                    pass
                gone.set()
        response: web.StreamResponse = source.response
        return response

    async with aiohttp_serving(events) as port:
        url = f"http://127.0.0.1:{port}/events"
        async with EventSourceClient(url, **QUICK) as source:  # the handler returns
            for _ in range(2):
                assert tuple(await soon(source.recv())) == ("url", url, "1")
            assert source.response is not None
            assert source.response.headers["X-A"] == "b"
            assert "Content-Encoding" not in source.response.headers
        assert codes[0] == 1000
        for how in ("closes", "resets"):
            gone.clear()
            codes.clear()
            target = b"GET /events?wait=1 HTTP/1.1\r\nHost: a\r\n"
            async with raw_client(port, request=target) as client:
                await client.until(b"data: ")
                if how == "resets":
                    client.reset()
                else:
                    client.writer.close()
                await soon(gone.wait())
            assert codes == [1006]


async def test_aiohttp_serves_the_next_request_of_the_connection():
    from aiohttp import web

    async def events(request: web.Request) -> web.StreamResponse:
        async with EventSource.from_aiohttp(request) as source:
            await source.send("1")
        response: web.StreamResponse = source.response
        return response

    async with aiohttp_serving(events) as port:
        async with raw_client(port) as client:
            for _ in range(3):
                assert b" 200 OK" in await client.until(b"\r\n\r\n")
                assert b"data: 1\n\n" in await client.until(b"0\r\n\r\n")
                client.writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.until(b"0\r\n\r\n")
