"""The class as a client: a proxy, TLS and header fields, as `connect()` takes them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tests.support.host import client_tls, server_tls
from tests.support.proxies import proxy
from tests.sync.conftest import running
from wsfast.attach import SyncWebSocket, WebSocket

WAIT_S = 60


def tell(ws: Any) -> None:
    """Say what the client has asked with, then echo."""
    ws.send(f"{ws.request.headers['X-Client']} {ws.subprotocol}")
    for message in ws:
        ws.send(message)


async def coroutine(url: str, options: dict[str, Any]) -> list[Any]:
    ws = WebSocket.client(url, "chat", headers={"X-Client": "coroutine"}, **options)
    ws.send("early")
    async with ws:
        got = [await asyncio.wait_for(ws.recv(), WAIT_S) for _ in range(2)]
        return [*got, ws.connection.remote_address[1]]


def thread(url: str, options: dict[str, Any]) -> list[Any]:
    ws = SyncWebSocket.client(url, "chat", headers={"X-Client": "thread"}, **options)
    ws.send("early")
    with ws:
        return [*(ws.recv(WAIT_S) for _ in range(2)), ws.connection.remote_address[1]]


@pytest.mark.needs("tinyproxy")
async def test_proxy_tls_and_headers():
    with (
        running(tell, ssl=server_tls(), subprotocols=["chat"]) as server,
        proxy("tinyproxy") as port,
    ):
        url = f"wss://localhost:{server.port}/"
        options = {"proxy": f"http://127.0.0.1:{port}", "ssl": client_tls()}
        got = await coroutine(url, options)
        assert got == ["coroutine chat", "early", port]
        got = await asyncio.to_thread(thread, url, options)
        assert got == ["thread chat", "early", port]
        with pytest.raises(ssl.SSLCertVerificationError):  # unless it is trusted
            await coroutine(url, {"proxy": None})
