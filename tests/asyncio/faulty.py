"""A server that fails as it is told, one connection after another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from wsfast import Reconnecting
from wsfast.protocol.server import accept_key

Act = Callable[["Visit"], Awaitable[None]]


#: Options of a client that does not make a test wait.
QUICK: dict[str, Any] = {
    "timeout": 0.02,
    "min_timeout": 0.0,
    "jitter": 0.0,
    "backoff": 1.0,
    "proxy": None,
}
LIMIT_S = 30  # for waiting: nothing here is timed


class Events:
    """The callbacks of a client, and what they were told."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.news = asyncio.Event()

    def __call__(self, name: str) -> Any:
        def callback(ws: Reconnecting, *args: Any) -> None:
            values = [a.__class__ if isinstance(a, BaseException) else a for a in args]
            self.seen.append((name, *values))
            self.news.set()

        return callback

    def all(self, *but: str) -> dict[str, Any]:
        """Return the callbacks as arguments."""
        names = {"open", "message", "reconnect", "maximum", "close", "error"}
        return {f"on_{name}": self(name) for name in names.difference(but)}

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.seen]

    async def until(self, name: str, count: int = 1) -> None:
        """Wait until there were so many events of a name."""
        while self.names.count(name) < count:
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), LIMIT_S)


class Visit:
    """One connection to the server, with its request read already."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: bytes,
    ) -> None:
        self.reader, self.writer, self.request = reader, writer, request

    def accept(self) -> None:
        """Accept the handshake."""
        (key,) = (
            line.partition(b": ")[2]
            for line in self.request.split(b"\r\n")
            if line.startswith(b"Sec-WebSocket-Key:")
        )
        self.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept_key(key)
        )

    def frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame of less than 64 KiB."""
        length = len(payload)
        size = bytes((length,)) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
        self.writer.write(bytes((0x80 | opcode,)) + size + payload)

    async def recv(self) -> tuple[int, bytes]:
        """Receive a frame of less than 64 KiB."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        key = await self.reader.readexactly(4)
        data = await self.reader.readexactly(length)
        return first & 15, bytes(b ^ key[i % 4] for i, b in enumerate(data))


class Faulty:
    """
    A server that does with each connection what the next of its acts says.

    Args:
        acts: What to do; the last of them again and again.

    Attributes:
        visits: How many requests there were.
        got: Text and binary messages, in order.

    """

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.visits = 0
        self.visit = asyncio.Event()
        self.got: list[bytes] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def uri(self) -> str:
        """The address to connect to."""
        return f"ws://127.0.0.1:{self.port}/"

    async def listen(self) -> None:
        """Listen, on the same port as before."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def visited(self, count: int) -> None:
        """Wait until there were so many requests."""
        while self.visits < count:
            self.visit.clear()
            await asyncio.wait_for(self.visit.wait(), 30)

    async def stop(self) -> None:
        """Be gone: end every connection, and refuse others."""
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def __aenter__(self) -> Faulty:
        await self.listen()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        for _ in range(3):
            await asyncio.sleep(0.01)  # transports close

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.visits += 1
            self.visit.set()
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            visit: Any = Visit(reader, writer, request)
            visit.got = self.got
            await act(visit)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


# ---- acts ----


async def drop(visit: Any) -> None:
    """Accept, and end TCP without a close frame."""
    visit.accept()


async def refuse(visit: Any) -> None:
    """Answer with status 503."""
    visit.writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


async def hang(visit: Any) -> None:
    """Never answer."""
    await visit.reader.read()


async def reset(visit: Any) -> None:
    """Accept, begin a frame, and reset TCP."""
    visit.accept()
    visit.writer.write(b"\x81\x7f")
    await visit.writer.drain()
    await asyncio.sleep(0.05)
    sock = visit.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.writer.transport.abort()


async def bad_frame(visit: Any) -> None:
    """Accept, and send a reserved opcode."""
    visit.accept()
    visit.frame(3, b"")
    await visit.reader.read()


async def echo(visit: Any) -> None:
    """Accept, and echo until the client closes."""
    visit.accept()
    while True:
        opcode, data = await visit.recv()
        if opcode in (1, 2):
            visit.got.append(data)
            visit.frame(opcode, data)
        elif opcode == 8:
            visit.frame(8, data)
            return


def close(code: int | None, *messages: bytes) -> Act:
    """Return an act: accept, send messages, close with a code or none, wait for it."""

    async def act(visit: Any) -> None:
        visit.accept()
        for message in messages:
            visit.frame(1, message)
        visit.frame(8, b"" if code is None else code.to_bytes(2, "big"))
        while (await visit.recv())[0] != 8:
            pass

    return act


def take(count: int) -> Act:
    """Return an act: accept, receive so many messages, then drop."""

    async def act(visit: Any) -> None:
        visit.accept()
        for _ in range(count):
            visit.got.append((await visit.recv())[1])

    return act
