"""Raw ends of event streams: a client that reads octets, a server that is told what."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

LIMIT_S = 30  # for waiting: nothing here is timed

REQUEST = (
    b"GET /events?a=b HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
)

Act = Callable[["Visit"], Awaitable[None]]


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Wait for something, but not for ever."""
    return await asyncio.wait_for(awaitable, LIMIT_S)


# ---- a client ----


class RawClient:
    """A client that reads octets, and does nothing by itself."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""

    async def until(self, octets: bytes) -> bytes:
        """Read up to these octets."""
        return await soon(self.reader.readuntil(octets))

    async def rest(self) -> bytes:
        """Read to the end."""
        return await soon(self.reader.read())

    def reset(self) -> None:
        """End the connection without a word more."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_client(
    port: int, *fields: bytes, request: bytes = REQUEST, small: bool = False
) -> AsyncIterator[RawClient]:
    """Connect and ask for an event stream, with these header fields besides."""
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    try:
        writer.write(request + b"".join(field + b"\r\n" for field in fields) + b"\r\n")
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


# ---- a server ----


class Visit:
    """One request to a server."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: bytes,
    ) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    @property
    def fields(self) -> dict[str, str]:
        """Header fields of the request, by name in lower case."""
        lines = self.request.decode("latin-1").split("\r\n")[1:-2]
        pairs = (line.partition(": ") for line in lines)
        return {name.lower(): value for name, _, value in pairs}

    @property
    def line(self) -> str:
        """The request line."""
        return self.request.decode("latin-1").partition("\r\n")[0]

    async def write(self, data: bytes) -> None:
        """Send octets, in a segment of their own."""
        self.writer.write(data)
        await self.writer.drain()

    async def reset(self) -> None:
        """Reset the connection, after what was sent has arrived."""
        await asyncio.sleep(0.05)
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Scripted:
    """
    A server that does with each request what the next of its acts says.

    Args:
        acts: What to do; the last of them again and again.

    Attributes:
        visits: What was asked.

    """

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.visits: list[Visit] = []
        self.news = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    def url(self, target: str = "/") -> str:
        """Return a URL."""
        return f"http://127.0.0.1:{self.port}{target}"

    async def visited(self, count: int) -> None:
        """Wait until there were so many requests."""
        while len(self.visits) < count:
            self.news.clear()
            await soon(self.news.wait())

    async def __aenter__(self) -> Scripted:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            visit = Visit(reader, writer, await reader.readuntil(b"\r\n\r\n"))
            self.visits.append(visit)
            self.news.set()
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            await act(visit)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def stream(*pieces: bytes, head: bytes = HEAD, then: Act | None = None) -> Act:
    """Return an act: a head, octets piece by piece; then the end, or another act."""

    async def act(visit: Visit) -> None:
        await visit.write(head + b"\r\n")
        for piece in pieces:
            await visit.write(piece)
        if then is not None:
            await then(visit)

    return act


def answer(status: str, *fields: bytes, body: bytes = b"") -> Act:
    """Return an act: a whole response."""

    async def act(visit: Visit) -> None:
        lines = [b"HTTP/1.1 " + status.encode(), *fields]
        lines.append(b"Content-Length: %d" % len(body))
        await visit.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    return act


async def stay(visit: Visit) -> None:
    """Keep the connection until the client ends it."""
    await visit.reader.read()


async def reset(visit: Visit) -> None:
    """Reset the connection."""
    await visit.reset()


async def drop(visit: Visit) -> None:
    """End the connection without an answer."""
