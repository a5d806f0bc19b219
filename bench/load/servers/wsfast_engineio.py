"""Echo with wsfast.engineio: over WebSocket alone, without an ASGI server."""

from __future__ import annotations

import socket

from bench.load.servers._serving import arguments, main
from wsfast import engineio

args = arguments().parse_args()


class Echo(engineio.Listener):
    def on_message(self, data: str | bytes) -> None:
        self.socket.send(data)


async def serve(sock: socket.socket) -> object:
    return await engineio.Server(Echo, ping_interval=3600).serve(
        sock=sock, backlog=4096, compression=None, ping_interval=None
    )


if __name__ == "__main__":
    main(serve, args)
