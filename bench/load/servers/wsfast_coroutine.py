"""Echo with wsfast's coroutine interface."""

from __future__ import annotations

import socket

from bench.load.servers._serving import main
from wsfast.asyncio import ServerConnection
from wsfast.asyncio import serve as serve_wsfast


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def serve(sock: socket.socket) -> object:
    return await serve_wsfast(
        echo, sock=sock, backlog=4096, compression=None, max_size=None
    )


if __name__ == "__main__":
    main(serve)
