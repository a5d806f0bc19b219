"""Events "echo" and "all" with python-socketio in uvicorn: its own mode, or ours."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import socketio
import uvicorn

from bench.load.servers._serving import arguments, main
from wsfast.asgi.socketio import AsyncServer

parser = arguments()
parser.add_argument("mode", choices=["asgi", "wsfast"])
args = parser.parse_args()
WS = {"asgi": "websockets-sansio", "wsfast": "wsfast.asgi.uvicorn:WebSocketProtocol"}


async def serve(sock: socket.socket) -> object:
    cls: Any = AsyncServer if args.mode == "wsfast" else socketio.AsyncServer
    sio = cls(async_mode=args.mode, async_handlers=False, ping_interval=3600)

    async def echo(sid: str, data: str) -> None:
        await sio.emit("echo", data, to=sid)

    async def to_all(sid: str, data: str) -> None:
        await sio.emit("all", data, room="everybody")

    async def join(sid: str, environ: dict[str, Any]) -> None:
        await sio.enter_room(sid, "everybody")

    sio.on("echo", echo)
    sio.on("all", to_all)
    sio.on("connect", join)
    config = uvicorn.Config(
        socketio.ASGIApp(sio),
        ws=WS[args.mode],
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_level="warning",
        backlog=4096,
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has none)
        await asyncio.sleep(0.01)
    return task


if __name__ == "__main__":
    main(serve, args)
