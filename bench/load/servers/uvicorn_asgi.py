"""Echo with an ASGI application in uvicorn, by the WebSocket class of ``--ws``."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

import wsfast
from bench.load.servers._asgi import echo
from bench.load.servers._serving import CERTIFICATE, arguments, main

parser = arguments()
parser.add_argument("--ws", required=True)
parser.add_argument("--http", default="auto")
parser.add_argument("--accelerate", action="append", default=[], metavar="TARGET")
args = parser.parse_args()
if args.accelerate:
    wsfast.accelerate(*args.accelerate)


async def serve(sock: socket.socket) -> object:
    config = uvicorn.Config(
        echo,
        ws=args.ws,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws_per_message_deflate=args.deflate,
        ssl_certfile=str(CERTIFICATE) if args.tls else None,
        http=args.http,
        ws_ping_interval=None,
        ws_max_size=1 << 30,
        backlog=4096,
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has none)
        await asyncio.sleep(0.01)
    return task


if __name__ == "__main__":
    main(serve, args)
