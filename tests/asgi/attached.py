"""What holds for connections of ours whichever server of another library has them."""

from __future__ import annotations

import asyncio
from typing import Any

import websockets.asyncio.client

from wsfast import connect

MESSAGES = ["", "text", "ä€😀" * 1000, b"", b"\x00\xff" * 50, b"x" * 1_000_000]

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def check_echo(served: Any) -> None:
    """Get all messages back, sent one behind the other."""
    await served.serve()
    async with connect(served.uri) as ws:
        for message in MESSAGES:
            await ws.send(message)
        assert [await ws.recv() for _ in MESSAGES] == MESSAGES
    assert ws.close_code == 1000
    await served.forgets()


async def check_another_client(served: Any, compression: str | None) -> None:
    """Serve the client of the websockets library, compressed if it wants that."""
    await served.serve()
    async with websockets.asyncio.client.connect(
        served.uri, compression=compression, proxy=None
    ) as ws:
        assert bool(ws.protocol.extensions) is (compression is not None)
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
    assert ws.close_code == 1000
    await served.forgets()


async def check_tls(served: Any, server_tls: Any, client_tls: Any) -> None:
    """Get all messages back over TLS."""
    await served.serve(ssl=server_tls)
    async with connect(served.uri, ssl=client_tls) as ws:
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
    assert ws.close_code == 1000
    await served.forgets()


async def check_early_message(served: Any) -> None:
    """Answer a message right behind the request, behind the response."""
    await served.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(REQUEST + b"\x81\x85\x00\x00\x00\x00early")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert await reader.readexactly(7) == b"\x81\x05early"
    writer.write(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
    assert await reader.read() == b"\x88\x02\x03\xe8"
    writer.close()
    await writer.wait_closed()
    await served.forgets()
