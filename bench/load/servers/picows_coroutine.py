"""Echo with picows' layer that has the names of websockets."""

from __future__ import annotations

import socket

from picows.websockets.asyncio.server import ServerConnection
from picows.websockets.asyncio.server import serve as serve_picows
from picows.websockets.exceptions import ConnectionClosed

from bench.load.servers._serving import arguments, main, ssl_context

args = arguments().parse_args()


async def echo(ws: ServerConnection) -> None:
    try:
        async for message in ws:
            await ws.send(message)
    except ConnectionClosed:
        pass


async def serve(sock: socket.socket) -> object:
    return await serve_picows(
        echo,
        sock=sock,
        backlog=4096,
        compression="deflate" if args.deflate else None,
        ping_interval=None,
        max_size=None,
        max_queue=None,
        server_header=None,
        ssl=ssl_context(args),
    )


if __name__ == "__main__":
    main(serve, args)
