"""Events "echo" and "all" with wsfast.socketio, without an ASGI server."""

from __future__ import annotations

import socket

from bench.load.servers._serving import arguments, main
from wsfast import socketio

args = arguments().parse_args()


async def serve(sock: socket.socket) -> object:
    sio = socketio.Server(ping_interval=3600)

    @sio.event
    def echo(sid: str, data: str) -> None:
        sio.emit("echo", data, to=sid)

    @sio.on("all")
    def to_all(sid: str, data: str) -> None:
        sio.emit("all", data, to="everybody")

    sio.of("/").on_connection(lambda client: client.join("everybody"))
    return await sio.serve(sock=sock, backlog=4096, ping_interval=None)


if __name__ == "__main__":
    main(serve, args)
