"""What the Python servers of the load benchmark share: socket, loop and exit."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

Serve = Callable[[socket.socket], Awaitable[object]]

#: made by bench/load/Makefile; the key is in it
CERTIFICATE = Path(__file__).parents[1] / "build" / "certificate.pem"


def listening_socket(port: int) -> socket.socket:
    """
    Return a listening socket on 127.0.0.1; what it accepts inherits its settings.

    Congestion control is reno where the system has it: bbr paces even on the loopback.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    except OSError:
        print("reno is not available", file=sys.stderr)
    sock.bind(("127.0.0.1", port))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def say_ready(sock: socket.socket) -> None:
    """Say that the server listens, and where."""
    print(f"port {sock.getsockname()[1]} pid {os.getpid()}", flush=True)


def exit_at_end(loop: asyncio.AbstractEventLoop) -> None:
    """End the process when standard input does, for servers that own their loop."""

    def read() -> None:
        if not os.read(0, 4096):
            os._exit(0)

    loop.add_reader(0, read)


async def _until_stdin_ends(serve: Serve, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        if not os.read(0, 4096) and not ended.done():
            ended.set_result(None)

    kept = await serve(sock)  # the caller's server must not be collected
    loop.add_reader(0, read)
    say_ready(sock)
    await ended
    del kept


def arguments() -> argparse.ArgumentParser:
    """Return a parser of what every server is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--core", type=int, default=-1)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--deflate", action="store_true")
    return parser


def ssl_context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """Return the context for ``--tls``, with the interpreter's own defaults."""
    if not args.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def main(serve: Serve, args: argparse.Namespace | None = None) -> None:
    """
    Run ``serve(socket)`` on the loop that ``--loop`` names, until standard input ends.

    Prints ``port P pid N`` when the server listens.
    """
    if args is None:
        args = arguments().parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    run = asyncio.run
    if args.loop == "uvloop":
        import uvloop

        run = uvloop.run
    try:
        run(_until_stdin_ends(serve, listening_socket(args.port)))
    finally:
        sys.stdout.flush()
        os._exit(0)  # thousands of open connections are not worth closing one by one
