"""Echo with wsfast's callback class: no task at all."""

from __future__ import annotations

import socket

import wsfast
from bench.load.servers._serving import main
from wsfast.asyncio import Connection
from wsfast.asyncio import serve as serve_wsfast


class Echo(wsfast.Listener):
    def on_message(self, ws: Connection, message: str | bytes) -> None:
        ws.send(message)


async def serve(sock: socket.socket) -> object:
    return await serve_wsfast(
        Echo, sock=sock, backlog=4096, compression=None, max_size=None
    )


if __name__ == "__main__":
    main(serve)
