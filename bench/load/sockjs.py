"""
SockJS beyond the echo over WebSocket: streams over HTTP, and broadcasts, in turns.

``python -m bench.load.sockjs [ROUNDS [LOAD...]]`` starts our server, sockjs-node and
aio-libs' sockjs, and prints the CPU time of each server per message that came to a
client, the median of the rounds, and the median of the rounds' ratios of ours to
theirs. Messages have 64 octets, one of them in each request, and all of them are
counted as they come. Each server is set up as its documentation has it best: ours by
``wsfast.sockjs.serve()`` and ``broadcast()``, aio-libs' in aiohttp with its
``broadcast()``, both on uvloop; sockjs-node in Node's own server.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.load.targets import TARGETS
from wsfast import Listener, connect

SERVERS = ("sockjs-wsfast", "sockjs-node", "sockjs-aiohttp")
PAYLOAD = "<" + "x" * 62 + ">"  # what ends it is counted
ECHOING, ECHOES = 50, 40
LISTENING, BROADCASTS = 200, 100


class Server:
    """One of the servers, as a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            TARGETS[name].command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        self.port, self._pid = int(words[1]), int(words[3])

    def cpu(self) -> float:
        """Return the CPU seconds used by its threads, of user and system."""
        threads = Path(f"/proc/{self._pid}/task").iterdir()
        used = [int((each / "schedstat").read_text().split()[0]) for each in threads]
        return sum(used) / 1e9

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Count:
    """Messages that have come, and somebody who waits for so many."""

    def __init__(self) -> None:
        self.seen = 0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    def add(self, count: int) -> None:
        self.seen += count
        if self._reached is not None and self.seen >= self._wanted:
            self._reached.set_result(None)
            self._reached = None

    async def reaches(self, wanted: int) -> None:
        if self.seen < wanted:
            self._wanted = wanted
            self._reached = asyncio.get_running_loop().create_future()
            await self._reached


class Stream(asyncio.Protocol):
    """A request for a stream; messages are counted."""

    def __init__(self, path: str, count: Count) -> None:
        self._path = path
        self._count = count
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        head = f"POST {self._path}/xhr_streaming HTTP/1.1\r\nHost: x\r\n"
        transport.write(f"{head}Content-Length: 0\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if not self.opened.done() and b"o\n" in data:
            self.opened.set_result(None)
        self._count.add(data.count(b">"))


class Sender:
    """What sends messages of a session, one in a request."""

    def __init__(self, path: str) -> None:
        body = f'["{PAYLOAD}"]'
        head = f"POST {path}/xhr_send HTTP/1.1\r\nHost: x\r\n"
        fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = (head + fields + body).encode()

    async def open(self, port: int) -> None:
        streams = await asyncio.open_connection("127.0.0.1", port)
        self._reader, self.writer = streams

    async def send(self) -> None:
        self.writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 204 " in head, head


async def stream(port: int, service: str, number: int, count: Count) -> Any:
    """Open a session that streams; return its transport and its path."""
    path = f"/{service}/000/{os.getpid()}-{os.urandom(6).hex()}-{number}"
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: Stream(path, count), "127.0.0.1", port
    )
    await protocol.opened
    return transport, path


async def xhr_echo(server: Server) -> float:
    """Echo over xhr-streaming; return CPU seconds per message."""
    counts = [Count() for _ in range(ECHOING)]
    opened = [await stream(server.port, "echo", n, c) for n, c in enumerate(counts)]
    senders = [Sender(path) for _, path in opened]
    for sender in senders:
        await sender.open(server.port)

    async def client(sender: Sender, count: Count) -> None:
        for number in range(ECHOES):
            await sender.send()
            await count.reaches(number + 1)

    before = server.cpu()
    await asyncio.gather(*map(client, senders, counts))
    used = server.cpu() - before
    for (transport, _), sender in zip(opened, senders, strict=True):
        transport.abort()
        sender.writer.close()
    return used / (ECHOING * ECHOES)


async def xhr_broadcast(server: Server) -> float:
    """Broadcast over xhr-streaming; return CPU seconds per message and client."""
    count = Count()
    opened = [
        await stream(server.port, "broadcast", n, count) for n in range(LISTENING)
    ]
    sender = Sender(opened[0][1])
    await sender.open(server.port)
    before = server.cpu()
    for number in range(BROADCASTS):
        await sender.send()
        await count.reaches((number + 1) * LISTENING)
    used = server.cpu() - before
    for transport, _ in opened:
        transport.abort()
    sender.writer.close()
    return used / (LISTENING * BROADCASTS)


async def websocket_broadcast(server: Server) -> float:
    """Broadcast over WebSocket; return CPU seconds per message and client."""
    count = Count()

    class Client(Listener):
        def on_message(self, ws: Any, message: str | bytes) -> None:
            assert isinstance(message, str)
            count.add(message.count(">"))

    url = f"ws://127.0.0.1:{server.port}/broadcast/000/%d/websocket"
    clients = [
        await connect(url % n, listener=Client(), compression=None)
        for n in range(LISTENING)
    ]
    await asyncio.sleep(0.1)  # until all of them are among those that are sent to
    before = server.cpu()
    for number in range(BROADCASTS):
        clients[0].send(f'["{PAYLOAD}"]')
        await count.reaches((number + 1) * LISTENING)
    used = server.cpu() - before
    for ws in clients:
        await ws.close()
    return used / (LISTENING * BROADCASTS)


LOADS: list[Callable[[Server], Awaitable[float]]] = [
    xhr_echo,
    xhr_broadcast,
    websocket_broadcast,
]


async def measure(rounds: int, servers: list[Server], names: list[str]) -> None:
    """Measure all, in turns, and print what came of it."""
    for load in LOADS:
        if names and load.__name__ not in names:
            continue
        taken: dict[str, list[float]] = {server.name: [] for server in servers}
        for number in range(rounds + 1):
            for server in servers:
                seconds = await load(server)
                if number:  # the first warms up
                    taken[server.name].append(seconds * 1e6)
        print(f"{load.__name__}: us of CPU per message")
        ours = taken[servers[0].name]
        for name, times in taken.items():
            ratios = [a / b for a, b in zip(ours, times, strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            line = f"  {name:>14}: {statistics.median(times):6.1f}"
            if times is not ours:
                line += f"; ours is {statistics.median(ratios):.2f} of it ({spread})"
            print(line)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    servers = []
    try:
        for name in SERVERS:
            missing = TARGETS[name].missing()
            if missing is None:
                servers.append(Server(name))
            else:
                print(f"{name}: left out, no {missing}")
        asyncio.run(measure(rounds, servers, sys.argv[2:]))
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
