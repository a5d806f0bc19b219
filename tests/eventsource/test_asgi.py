"""Event streams of ASGI applications: uvicorn, Hypercorn, Starlette, FastAPI."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.eventsource.hosts import aiohttp_serving, serving, uvicorn_serving
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


@pytest.mark.parametrize("server", ["h11", "httptools", "hypercorn"])
async def test_events_disconnect_and_replay(server):
    if server == "hypercorn":
        pytest.importorskip("hypercorn")
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
