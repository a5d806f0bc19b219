"""Echo with wsfast's callback class: no task at all."""

from __future__ import annotations

import socket

import wsfast
from bench.load.servers._serving import arguments, main, ssl_context
from wsfast.asyncio import Connection
from wsfast.asyncio import serve as serve_wsfast

parser = arguments()
parser.add_argument("--poll", type=float, default=0.0, help="seconds before it sleeps")
args = parser.parse_args()


class Echo(wsfast.Listener):
    def on_message(self, ws: Connection, message: str | bytes) -> None:
        ws.send(message)


async def serve(sock: socket.socket) -> object:
    return await serve_wsfast(
        Echo,
        sock=sock,
        backlog=4096,
        compression="deflate" if args.deflate else None,
        max_size=None,
        busy_poll=args.poll,
        ssl=ssl_context(args),
    )


if __name__ == "__main__":
    main(serve, args)
