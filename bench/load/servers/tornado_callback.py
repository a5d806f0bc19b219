"""Echo with Tornado's handler, on asyncio's loop or uvloop."""

from __future__ import annotations

import socket

from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from bench.load.servers._serving import arguments, main, ssl_context

args = arguments().parse_args()


class Echo(WebSocketHandler):
    def open(self, *_: str, **__: str) -> None:
        self.set_nodelay(True)

    def get_compression_options(self) -> dict[str, object] | None:
        return {} if args.deflate else None

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, isinstance(message, bytes))


async def serve(sock: socket.socket) -> object:
    application = Application([("/", Echo)], websocket_max_message_size=1 << 30)
    server = HTTPServer(application, ssl_options=ssl_context(args))
    server.add_socket(sock)
    return server


if __name__ == "__main__":
    main(serve, args)
