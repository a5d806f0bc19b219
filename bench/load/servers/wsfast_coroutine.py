"""Echo with wsfast's coroutine interface."""

from __future__ import annotations

import socket

from bench.load.servers._serving import arguments, main, ssl_context
from wsfast.asyncio import ServerConnection
from wsfast.asyncio import serve as serve_wsfast

args = arguments().parse_args()


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def serve(sock: socket.socket) -> object:
    return await serve_wsfast(
        echo,
        sock=sock,
        backlog=4096,
        compression="deflate" if args.deflate else None,
        max_size=None,
        ssl=ssl_context(args),
    )


if __name__ == "__main__":
    main(serve, args)
