"""A TCP echo without WebSocket: what the loop's own transport costs."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from bench.load.servers._serving import arguments, main, ssl_context

args = arguments().parse_args()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def serve(sock: socket.socket) -> object:
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        Echo, sock=sock, backlog=4096, ssl=ssl_context(args)
    )


if __name__ == "__main__":
    main(serve, args)
