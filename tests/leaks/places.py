"""Where operations run: servers, and connections to them, made once for all rounds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from wsfast import (
    ClientConnection,
    DeflateOptions,
    Listener,
    Server,
    ServerConnection,
    connect,
    serve,
    sockjs,
)

LOCALHOST_PEM = Path(__file__).parents[1] / "support" / "localhost.pem"
TEXT = "A sentence of some length, which can be compressed: κόσμε. " * 8

Places = dict[str, Callable[[], AbstractAsyncContextManager[Any]]]


async def handle(ws: ServerConnection) -> None:
    """Do what the path says; in most cases send every message back."""
    path = ws.request.path if ws.request else ""
    if path == "/raise":
        raise RuntimeError("a handler that fails")
    if path == "/leave":
        return
    if path == "/pieces":
        async for message in ws:
            await ws.send([message[:9], message[9:]])
    async for message in ws:
        await ws.send(message)


class Echo(Listener):
    """The same by callbacks."""

    def on_message(self, ws: Any, message: str | bytes) -> None:
        if message == "raise":
            raise RuntimeError("a listener that fails")
        ws.send(message)


class Place(NamedTuple):
    """A server, and how to connect to it."""

    server: Server
    connect: Callable[..., connect]

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        port: int = self.server.sockets[0].getsockname()[1]
        return port


class Talk(NamedTuple):
    """A connection that is open, and its server."""

    ws: ClientConnection
    server: Server


@asynccontextmanager
async def a_server(
    reactor: bool, tls: bool = False, handler: Any = handle, **options: Any
) -> AsyncIterator[Place]:
    """Serve."""
    server_tls = client_tls = None
    if tls:
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_tls.load_cert_chain(LOCALHOST_PEM)
        client_tls = ssl.create_default_context(cafile=str(LOCALHOST_PEM))
    async with serve(
        handler, "127.0.0.1", 0, ssl=server_tls, reactor=reactor, **options
    ) as server:
        host, port = server.sockets[0].getsockname()
        scheme = "wss" if tls else "ws"

        def connect_to(path: str = "/", **more: Any) -> connect:
            # A limit of its own would make a timer for each.
            return connect(
                f"{scheme}://{host}:{port}{path}",
                ssl=client_tls,
                reactor=reactor,
                proxy=None,
                **more,
            )

        yield Place(server, connect_to)


@asynccontextmanager
async def a_talk(
    reactor: bool, path: str = "/", compression: Any = None, **options: Any
) -> AsyncIterator[Talk]:
    """Serve, and connect once."""
    async with (
        a_server(reactor, compression=compression, **options) as place,
        place.connect(path, compression=compression) as ws,
    ):
        yield Talk(ws, place.server)


def each_path(make: Callable[..., Any], **options: Any) -> Places:
    """Return a place for the reactor, one for the transport path, two for TLS."""
    return {
        "reactor": partial(make, True, **options),
        "transport": partial(make, False, **options),
        "tls-reactor": partial(make, True, tls=True, **options),
        "tls-transport": partial(make, False, tls=True, **options),
    }


SERVERS = each_path(a_server)
LISTENERS = each_path(a_server, handler=Echo)
TALKS = each_path(a_talk)
PIECES = each_path(a_talk, path="/pieces")
DEFLATED = each_path(a_talk, compression=DeflateOptions())


@asynccontextmanager
async def a_sockjs_server(reactor: bool) -> AsyncIterator[Callable[..., Any]]:
    """Serve SockJS; gives what connects to it by a transport."""

    async def obey(session: Any) -> None:
        async for message in session:
            if message == "raise":
                raise RuntimeError("a handler that fails")
            await session.send(message)

    app = sockjs.SockJS(obey, disconnect_delay=0.01)
    async with app.serve("127.0.0.1", 0, reactor=reactor) as server:
        host, port = server.sockets[0].getsockname()
        url = f"http://{host}:{port}/"
        yield partial(sockjs.connect, url, proxy=None, reactor=reactor)


async def turn(times: int = 3) -> None:
    """Let the event loop run a few times."""
    for _ in range(times):
        await asyncio.sleep(0)
