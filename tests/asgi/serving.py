"""uvicorn in the event loop of the test: on asyncio and uvloop, on both paths."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

pytest.importorskip("uvicorn")  # it wants Python 3.11

import uvicorn

from wsfast import ClientConnection, connect
from wsfast.asgi.uvicorn import WebSocketProtocol


class Served:
    """
    A uvicorn server that runs in this event loop.

    Args:
        config: Its configuration.

    """

    def __init__(self, config: uvicorn.Config) -> None:
        self.server = uvicorn.Server(config)
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> Any:
        """What its connections share."""
        return self.server.server_state

    @property
    def protocol(self) -> WebSocketProtocol:
        """The protocol of its only connection."""
        (protocol,) = self.state.connections
        return protocol

    @property
    def address(self) -> Any:
        """Where it listens."""
        return self.server.servers[0].sockets[0].getsockname()

    def uri(self, target: str = "/", scheme: str = "ws") -> str:
        """Return its URI."""
        return f"{scheme}://127.0.0.1:{self.address[1]}{target}"

    async def start(self) -> None:
        """Listen."""
        self.task = asyncio.ensure_future(self.server._serve())
        while not self.server.started:
            assert not self.task.done(), self.task
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Shut down as on a signal, and wait for the end."""
        self.server.should_exit = True
        if self.task is not None:
            await asyncio.wait_for(self.task, 30)


class Uvicorn:
    """
    Maker of servers and clients, ended with the test.

    Args:
        reactor: Whether sockets are taken over.

    """

    def __init__(self, reactor: bool) -> None:
        self.reactor = reactor
        self.stack = contextlib.AsyncExitStack()

    async def serve(
        self,
        app: Any,
        protocol: type[WebSocketProtocol] = WebSocketProtocol,
        **config: Any,
    ) -> Served:
        """Serve an application."""

        class OnThisPath(protocol):  # type: ignore[misc,valid-type]
            __slots__ = ()
            reactor = self.reactor

        config = {
            "ws": OnThisPath,
            "host": "127.0.0.1",
            "port": 0,
            "lifespan": "off",
            "log_config": None,
            "access_log": False,
            "timeout_graceful_shutdown": 10,
            **config,
        }
        served = Served(uvicorn.Config(app, **config))
        await served.start()
        self.stack.push_async_callback(served.stop)
        return served

    async def connect(
        self, served: Served, target: str = "/", **options: Any
    ) -> ClientConnection:
        """Connect to a server."""
        options.setdefault("reactor", self.reactor)
        ws = await connect(served.uri(target), **options)
        self.stack.push_async_exit(ws)
        return ws
