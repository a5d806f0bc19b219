"""Servers of others, in the event loop of the test; each gives its port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.eventsource.wire import soon


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
