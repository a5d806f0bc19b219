"""Echo with autobahn's asyncio protocol."""

from __future__ import annotations

import asyncio
import socket

import txaio
from autobahn.asyncio.websocket import (
    WebSocketServerFactory,
    WebSocketServerProtocol,
)

from bench.load.servers._serving import arguments, main, ssl_context

args = arguments().parse_args()


class Echo(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        self.sendMessage(payload, isBinary)


async def serve(sock: socket.socket) -> object:
    loop = asyncio.get_running_loop()
    txaio.config.loop = loop
    factory = WebSocketServerFactory(loop=loop)
    factory.protocol = Echo
    factory.setProtocolOptions(openHandshakeTimeout=60)
    return await loop.create_server(
        factory, sock=sock, backlog=4096, ssl=ssl_context(args)
    )


if __name__ == "__main__":
    main(serve, args)
