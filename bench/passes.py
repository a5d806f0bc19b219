"""
What a pass of the reactor costs: ``python -m bench.passes [--style coroutine] ...``.

Both ends are in one thread: each round sends to all connections, has the reactor serve
them, and takes the replies. Only the reactor's part is timed, and the tenth percentile
of the rounds is printed: on a busy machine it tells 1 % apart, where the load benchmark
needs 10. Compare two states of the sources with it, not two servers: no loop sleeps and
none is woken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from time import perf_counter_ns

import wsfast
from bench.load.servers._serving import listening_socket
from wsfast.asyncio import Connection, ServerConnection, serve
from wsfast.asyncio._options import reactor_for

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WARM_UP = 20  # rounds


class Echo(wsfast.Listener):
    def on_message(self, ws: Connection, message: str | bytes) -> None:
        ws.send(message)


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def connected(address: tuple[str, int]) -> socket.socket:
    """Return the client's end of a connection whose opening handshake is done."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_sendall(sock, REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await loop.sock_recv(sock, 4096)
    return sock


async def measure(args: argparse.Namespace) -> list[float]:
    """Return what each round took, in nanoseconds per message, the shortest first."""
    payload = os.urandom(args.size) if args.binary else "x" * args.size
    frame = wsfast.engine.encode_frame(2 if args.binary else 1, payload, mask=True)
    sent = frame * args.depth
    reply = (len(frame) - 4) * args.depth  # without the masking-key
    room = bytearray(reply)
    sock = listening_socket(0)
    handler = Echo if args.style == "callback" else echo
    async with serve(handler, sock=sock, compression=None, max_size=None):
        peers = [await connected(sock.getsockname()) for _ in range(args.connections)]
        run_pass = reactor_for(asyncio.get_running_loop()).run_pass
        found = []

        def timed_pass() -> int:
            start = perf_counter_ns()
            run_pass()
            return perf_counter_ns() - start

        def received(peer: socket.socket) -> int:
            try:
                return peer.recv_into(room)
            except BlockingIOError:
                return 0

        def take_round() -> None:  # in a callback of the loop's: no task is running
            for peer in peers:
                if peer.send(sent) != len(sent):
                    raise SystemExit("too much to have in flight")
            took = timed_pass()
            for peer in peers:
                left = reply
                while left > 0:
                    got = received(peer)
                    left -= got
                    if got == 0:
                        took += timed_pass()
            found.append(took / len(peers) / args.depth)

        for _ in range(WARM_UP + args.rounds):
            asyncio.get_running_loop().call_soon(take_round)
            await asyncio.sleep(0)
        for peer in peers:
            peer.close()
    return sorted(found[WARM_UP:])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.passes", description=__doc__)
    parser.add_argument(
        "--style", choices=["callback", "coroutine"], default="callback"
    )
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--depth", type=int, default=1, help="messages in flight")
    parser.add_argument("--size", type=int, default=64, help="octets")
    parser.add_argument("--binary", action="store_true")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--core", type=int, default=0)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    found = asyncio.run(measure(args))
    print(
        f"{found[len(found) // 10]:.0f} ns per message"
        f" (shortest {found[0]:.0f}, median {found[len(found) // 2]:.0f})"
    )


if __name__ == "__main__":
    main()
