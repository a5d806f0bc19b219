"""Echo with an ASGI application in Granian, whose loop it is given: uvloop."""

from __future__ import annotations

import asyncio
import os
import socket

import uvloop
from granian.server.embed import Server

from bench.load.servers._asgi import echo
from bench.load.servers._serving import arguments, exit_at_end

args = arguments().parse_args()


def free_port() -> int:
    """Return a port that was free: it takes no socket of ours, and tells no port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


async def run() -> None:
    loop = asyncio.get_running_loop()
    port = args.port or free_port()
    server = Server(echo, address="127.0.0.1", port=port, interface="asginl")
    task = asyncio.ensure_future(server.serve())
    for _ in range(200):
        await asyncio.sleep(0.05)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    exit_at_end(loop)
    print(f"port {port} pid {os.getpid()}", flush=True)
    await task


if __name__ == "__main__":
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    uvloop.run(run())
