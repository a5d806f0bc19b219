"""Ways to a server: TLS, UNIX sockets, proxies, for both clients."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.asyncio.conftest import client_tls, server_tls
from tests.eventsource.wire import LIMIT_S, Scripted, soon, stay, stream
from tests.support.proxies import proxy
from wsfast import EventSource, EventSourceClient
from wsfast.eventsource import SyncEventSourceClient

__all__ = ["client_tls", "server_tls"]


class Greeter:
    """Greets clients, and waits until they have gone."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None] | None] = []

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.tasks.append(asyncio.current_task())
        async with await EventSource.from_asyncio(reader, writer, ping=None) as source:
            await source.send("hello")
            async for _ in source:
                pass

    async def end(self, server: asyncio.AbstractServer) -> None:
        """Stop listening, and wait for what is going on."""
        server.close()
        await soon(asyncio.gather(*filter(None, self.tasks)))
        await server.wait_closed()


async def greeted(url: str, common: Any, own: Any, own_sync: Any) -> None:
    """See that both clients are greeted."""
    async with EventSourceClient(url, **common, **own) as source:
        assert (await soon(source.recv())).data == "hello"

    def follow() -> None:
        with SyncEventSourceClient(url, **common, **own_sync) as source:
            assert source.recv(LIMIT_S).data == "hello"

    await asyncio.to_thread(follow)


async def test_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    greet = Greeter()
    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server_tls)
    try:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        here = {"host": "127.0.0.1"}, {"address": ("127.0.0.1", int(url[18:-1]))}
        await greeted(url, {"ssl": client_tls, "proxy": None}, *here)
        with pytest.raises(ssl.SSLCertVerificationError):  # by a context of its own
            async with EventSourceClient(
                url, proxy=None, **here[0], process_exception=lambda exc: exc
            ):
                pass
    finally:
        await greet.end(server)


async def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    greet = Greeter()
    server = await asyncio.start_unix_server(greet, path)
    try:
        await greeted("http://localhost/", {"unix_path": path}, {}, {})
    finally:
        await greet.end(server)


@pytest.mark.needs("tinyproxy")
async def test_proxy() -> None:
    async with Scripted(stream(b"data:hello\n\n", then=stay)) as server:
        with proxy("tinyproxy") as port:
            by = {"proxy": f"http://127.0.0.1:{port}"}
            url = server.url().replace("127.0.0.1", "localhost")
            await greeted(url, by, {}, {})
        assert server.visits[0].fields["host"].startswith("localhost:")
