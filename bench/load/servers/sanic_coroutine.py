"""Echo with Sanic's server: its own WebSockets, or ours."""

from __future__ import annotations

import socket
from typing import Any

from sanic import Sanic
from sanic.server.protocols.websocket_protocol import WebSocketProtocol as Own

from bench.load.servers._serving import arguments, main
from wsfast.asgi.sanic import WebSocketProtocol

parser = arguments()
parser.add_argument("--wsfast", action="store_true")
args = parser.parse_args()


class Uncompressed(WebSocketProtocol):
    __slots__ = ()

    @classmethod
    def compression(cls) -> None:
        return None


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def serve(sock: socket.socket) -> object:
    app = Sanic("echo", configure_logging=False)
    app.config.update(
        {
            "ACCESS_LOG": False,
            "MOTD": False,
            "WEBSOCKET_MAX_SIZE": 1 << 30,
            "WEBSOCKET_PING_INTERVAL": 10_000,
            "WEBSOCKET_PING_TIMEOUT": 10_000,
        }
    )
    app.add_websocket_route(echo, "/")  # type: ignore[no-untyped-call]
    server: Any = await app.create_server(
        sock=sock,
        backlog=4096,
        return_asyncio_server=True,
        protocol=Uncompressed if args.wsfast else Own,
    )
    await server.startup()
    await server.before_start()
    await server.start_serving()
    await server.after_start()
    return server


if __name__ == "__main__":
    main(serve, args)
