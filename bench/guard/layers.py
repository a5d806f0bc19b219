"""What the guard counts above WebSocket: topics, Engine.IO, Socket.IO, SockJS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench.load.dialects import DIALECTS, Dialect
from bench.load.servers._serving import listening_socket
from wsfast import Listener, engine, engineio, socketio, sockjs
from wsfast.asyncio import Connection, broadcast, serve
from wsfast.asyncio._reactor import reactor_for
from wsfast.hub import Hub

WARM_UP = 3  # rounds
MOST_PASSES = 100  # that a round may take; what waits for the loop's turn never comes
PAYLOAD = "x" * 64
PLAIN = Dialect(path="/")


@dataclass(frozen=True)
class Workload:
    """
    Messages through a server's passes.

    Attributes:
        serve: Makes the server, on a listening socket.
        dialect: What it speaks.
        to_all: One client sends, and all get it; otherwise each gets its own back.
        depth: Messages that each sender has in flight.
        rounds: How many rounds are counted.

    """

    serve: Callable[[socket.socket], Awaitable[Any]]
    dialect: Dialect
    to_all: bool = False
    depth: int = 1
    rounds: int = 20


async def serve_broadcast(sock: socket.socket) -> Any:
    class Member(Listener):
        def on_message(self, ws: Connection, message: str | bytes) -> None:
            broadcast(server.connections, message)

    server = await serve(Member, sock=sock, compression=None, ping_interval=None)
    return server


async def serve_topic(sock: socket.socket) -> Any:
    topic = Hub().topic("all")

    class Member(Listener):
        def on_open(self, ws: Connection) -> None:
            topic.subscribe(ws)

        def on_message(self, ws: Connection, message: str | bytes) -> None:
            topic.publish(message)

    return await serve(Member, sock=sock, compression=None, ping_interval=None)


async def serve_engineio(sock: socket.socket) -> Any:
    class Echo(engineio.Listener):
        def on_message(self, data: str | bytes) -> None:
            self.socket.send(data)

    server = engineio.Server(Echo, ping_interval=3600)
    return await server.serve(sock=sock, compression=None, ping_interval=None)


async def serve_socketio(sock: socket.socket) -> Any:
    server = socketio.Server(ping_interval=3600)
    server.on("echo", lambda sid, data: server.emit("echo", data, to=sid))
    server.on("all", lambda sid, data: server.emit("all", data, to="everybody"))
    server.of("/").on_connection(lambda client: client.join("everybody"))
    return await server.serve(sock=sock, compression=None, ping_interval=None)


async def serve_sockjs(sock: socket.socket) -> Any:
    async def echo(session: sockjs.Session) -> None:
        async for message in session:
            await session.send(message)

    service = sockjs.SockJS(echo, "/echo")
    return await sockjs.serve(service, sock=sock, compression=None)


WORKLOADS = {
    "broadcast": Workload(serve_broadcast, PLAIN, to_all=True),
    "topic": Workload(serve_topic, PLAIN, to_all=True),
    "Socket.IO, room": Workload(serve_socketio, DIALECTS["socketio"], to_all=True),
    "Socket.IO, room, 16 in flight": Workload(
        serve_socketio, DIALECTS["socketio"], to_all=True, depth=16, rounds=3
    ),
    "Socket.IO, echo": Workload(serve_socketio, DIALECTS["socketio"]),
    "Engine.IO, echo": Workload(serve_engineio, DIALECTS["engineio"]),
    "SockJS, echo": Workload(serve_sockjs, DIALECTS["sockjs"]),
}


async def connected(address: Any, dialect: Dialect, number: int) -> socket.socket:
    """Open a connection up to its first message; return its socket."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, address)
    path = dialect.path.replace("%u", str(number))
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    await loop.sock_sendall(sock, head.encode())
    got = b""
    for kind, text in (("expect", "\r\n\r\n"), *dialect.steps):
        if kind == "say":
            got = b""
            await loop.sock_sendall(sock, engine.encode_frame(1, text, mask=True))
        while kind == "expect" and text.encode() not in got:
            piece = await loop.sock_recv(sock, 4096)
            if not piece:
                raise SystemExit(f"no {text!r} after {got!r}")
            got += piece
    return sock


def received(peer: socket.socket) -> int:
    try:
        return len(peer.recv(1 << 16))
    except BlockingIOError:
        return 0


async def count_rounds(
    workload: Workload,
    connections: int,
    meter: Callable[[Callable[[], None]], int],
    warmed_up: Callable[[], object],
) -> int:
    """
    Have the reactor do passes over what clients send.

    Args:
        workload: What they send, and to what.
        connections: How many clients there are.
        meter: Does a pass.
        warmed_up: Called before the rounds that count.

    Returns:
        How many messages have come to clients in these.

    """
    dialect, depth = workload.dialect, workload.depth
    before = dialect.room if workload.to_all else dialect.before
    back_before = before if dialect.back_before is None else dialect.back_before
    back_after = dialect.after if dialect.back_after is None else dialect.back_after
    frame = engine.encode_frame(1, before + PAYLOAD + dialect.after, mask=True)
    reply = engine.encode_frame(1, back_before + PAYLOAD + back_after)
    sock = listening_socket(0)
    server = await workload.serve(sock)
    address = sock.getsockname()
    peers = [await connected(address, dialect, n) for n in range(connections)]
    senders = peers[:1] if workload.to_all else peers
    loop = asyncio.get_running_loop()
    run_pass = reactor_for(loop).run_pass

    def take_round() -> None:  # in a callback of the loop's: no task is running
        for peer in senders:
            peer.send(frame * depth)
        meter(run_pass)
        passes = 1
        for peer in peers:
            left = len(reply) * depth
            while left > 0:
                got = received(peer)
                left -= got
                if got == 0:
                    meter(run_pass)
                    passes += 1
                    if passes > MOST_PASSES:
                        raise SystemExit(f"{left} octets have not come")

    for number in range(WARM_UP + workload.rounds):
        if number == WARM_UP:
            warmed_up()
        loop.call_soon(take_round)
        await asyncio.sleep(0)
    for peer in peers:
        peer.close()
    server.close()
    await server.wait_closed()
    return connections * depth * workload.rounds
