"""Echo with an ASGI application in Hypercorn, by itself or with wsproto accelerated."""

from __future__ import annotations

import asyncio
import os
import socket

from hypercorn.asyncio import serve as serve_hypercorn
from hypercorn.config import Config

import wsfast
from bench.load.servers._asgi import echo
from bench.load.servers._serving import arguments, main

parser = arguments()
parser.add_argument("--accelerate", action="store_true")
args = parser.parse_args()
if args.accelerate:
    wsfast.accelerate("wsproto")


async def serve(sock: socket.socket) -> object:
    config = Config()
    config.bind = [f"fd://{os.dup(sock.fileno())}"]
    config.errorlog = None
    config.backlog = 4096
    config.websocket_max_message_size = 1 << 30
    never = asyncio.Event()
    return asyncio.ensure_future(
        serve_hypercorn(echo, config, shutdown_trigger=never.wait)  # type: ignore[arg-type]
    )


if __name__ == "__main__":
    main(serve, args)
