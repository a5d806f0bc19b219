"""A peer that speaks octets: what it sends, and when, is up to the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from wsfast.asyncio import Server

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

REQUEST = (
    "GET {path} HTTP/1.1\r\n"
    "Host: localhost\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "{extra}\r\n"
)


def request(path: str = "/", *extra: str) -> bytes:
    """Return the octets of a good request, with more header lines."""
    lines = "".join(f"{line}\r\n" for line in extra)
    return REQUEST.format(path=path, extra=lines).encode()


class RawPeer:
    """A TCP stream to a server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, server: Server) -> RawPeer:
        """Connect to a server."""
        host, port = server.sockets[0].getsockname()[:2]
        return cls(*await asyncio.open_connection(host, port))

    async def __aenter__(self) -> RawPeer:
        return self

    async def __aexit__(self, *args: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.writer.write(octets)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of a response."""
        octets = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        first, *lines = octets.decode("latin-1")[:-4].split("\r\n")
        fields = (line.partition(":") for line in lines)
        return int(first.split()[1]), {
            name.lower(): value.strip() for name, _, value in fields
        }

    async def rest(self) -> bytes:
        """Return everything up to the end of the stream."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionError:
            return b""


async def settle(condition: Callable[[], object], timeout_s: float = 5) -> None:
    """Wait until a condition holds."""
    for _ in range(int(timeout_s / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")
