"""
What a pass of the reactor costs: ``python -m bench.passes [--style coroutine] ...``.

Both ends are in one thread: each round sends to all connections, has the reactor serve
them, and takes the replies. Only the reactor's part is timed, and the tenth percentile
of the rounds is printed: on a busy machine it tells 1 % apart, where the load benchmark
needs 10. No loop sleeps and none is woken, so it is for comparing two states of the
sources, or the reactor with the same in C (``load/pass_floor.c``): without ``--style``,
or with several, they run in turns, and their ratios to the first of a turn are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns

import wsfast
from bench.load.servers._serving import listening_socket
from bench.load.targets import BUILD, HERE
from wsfast.asyncio import Connection, ServerConnection, broadcast, serve
from wsfast.asyncio._options import reactor_for

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
WARM_UP = 20  # rounds
STYLES = ["floor", "raw", "callback", "coroutine"]  # the first two are C


class Echo(wsfast.Listener):
    def on_message(self, ws: Connection, message: str | bytes) -> None:
        ws.send(message)


class Broadcast(wsfast.Listener):
    def on_message(self, ws: ServerConnection, message: str | bytes) -> None:
        broadcast(ws.server.connections, message)


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


Pass = Callable[[], None]


def timed(run_pass: Pass) -> int:
    """Have the reactor do one pass; return the nanoseconds that it took."""
    start = perf_counter_ns()
    run_pass()
    return perf_counter_ns() - start


async def measure(
    args: argparse.Namespace,
    meter: Callable[[Pass], int] = timed,
    warmed_up: Callable[[], object] = lambda: None,
) -> list[float]:
    """
    Return what each round took, per message, the shortest first.

    Args:
        args: What to measure.
        meter: Does a pass of the reactor, and returns what it took.
        warmed_up: Called between the rounds that do not count and those that do.

    """
    payload = os.urandom(args.size) if args.binary else "x" * args.size
    frame = wsfast.engine.encode_frame(2 if args.binary else 1, payload, mask=True)
    sent = frame * args.depth
    reply = (len(frame) - 4) * args.depth  # without the masking-key
    room = bytearray(reply)
    sock = listening_socket(0)
    listener = Broadcast if args.broadcast else Echo
    handler = listener if args.style == ["callback"] else echo
    settings = {"compression": None, "max_size": None, "ping_interval": None}
    async with serve(handler, sock=sock, **settings):
        peers = [await connected(sock.getsockname()) for _ in range(args.connections)]
        senders = peers[:1] if args.broadcast else peers
        run_pass = reactor_for(asyncio.get_running_loop()).run_pass
        found = []

        def received(peer: socket.socket) -> int:
            try:
                return peer.recv_into(room)
            except BlockingIOError:
                return 0

        def take_round() -> None:  # in a callback of the loop's: no task is running
            for peer in senders:
                if peer.send(sent) != len(sent):
                    raise SystemExit("too much to have in flight")
            took = meter(run_pass)
            for peer in peers:
                left = reply
                while left > 0:
                    got = received(peer)
                    left -= got
                    if got == 0:
                        took += meter(run_pass)
            found.append(took / len(peers) / args.depth)

        for number in range(WARM_UP + args.rounds):
            if number == WARM_UP:
                warmed_up()
            asyncio.get_running_loop().call_soon(take_round)
            await asyncio.sleep(0)
        for peer in peers:
            peer.close()
    return sorted(found[WARM_UP:])


def measure_floor(args: argparse.Namespace) -> dict[str, float]:
    """Return what the same costs in C, with WebSocket or without."""
    command = [str(BUILD / "pass_floor")]
    for name in ("connections", "depth", "size", "rounds", "core"):
        command += [f"--{name}", str(getattr(args, name))]
    for name in ("binary", "broadcast"):
        if getattr(args, name):
            command.append(f"--{name}")
    if args.style == ["raw"]:
        command.append("--raw")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_one(args: argparse.Namespace) -> dict[str, float]:
    """Return nanoseconds per message of the one style that is asked for."""
    if args.style[0] in ("floor", "raw"):
        return measure_floor(args)
    os.sched_setaffinity(0, {args.core})
    found = asyncio.run(measure(args))
    return {
        "p10": found[len(found) // 10],
        "shortest": found[0],
        "median": found[len(found) // 2],
    }


def compare(args: argparse.Namespace) -> None:
    """Measure the styles in turns, each in a process of its own; print the ratios."""
    results: dict[str, list[float]] = {style: [] for style in args.style}
    for _ in range(args.turns):
        for style in args.style:
            command = [sys.executable, "-m", "bench.passes", *sys.argv[1:]]
            done = subprocess.run(
                [*command, "--style", style, "--json"],
                check=True,
                stdout=subprocess.PIPE,
            )
            results[style].append(json.loads(done.stdout)["p10"])
    first = results[args.style[0]]
    for style, found in results.items():
        ratios = [ns / base for ns, base in zip(found, first, strict=True)]
        print(
            f"{style:10} {median(found):6.0f} ns per message, "
            f"{median(ratios):.2f} of {args.style[0]}"
            f" ({min(ratios):.2f} - {max(ratios):.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.passes", description=__doc__)
    parser.add_argument("--style", choices=STYLES, nargs="+", default=STYLES)
    parser.add_argument("--turns", type=int, default=5, help="of each style")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--depth", type=int, default=1, help="messages in flight")
    parser.add_argument("--size", type=int, default=64, help="octets")
    parser.add_argument("--binary", action="store_true")
    parser.add_argument(
        "--broadcast", action="store_true", help="one sends, all get it"
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.broadcast and "coroutine" in args.style:
        parser.error("a broadcast is by callback: --style floor callback")
    if not args.json:
        subprocess.run(["make", "-s", "-C", str(HERE), "build/pass_floor"], check=True)
    if len(args.style) > 1:
        compare(args)
        return
    found = measure_one(args)
    if args.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['p10']:.0f} ns per message"
            f" (shortest {found['shortest']:.0f}, median {found['median']:.0f})"
        )


if __name__ == "__main__":
    main()
