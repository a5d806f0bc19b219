"""A Sanic application that runs as people start it; ``[WORKERS]``, else one process."""

from __future__ import annotations

import os
import socket
import sys

from sanic import Sanic

from wsfast.asgi.sanic import WebSocketProtocol

app = Sanic("echoes")
app.config.MOTD = False


@app.websocket("/pid")
async def pid(request, ws):
    await ws.send(f"{os.getpid()} {type(ws.connection.link).__name__}")


@app.websocket("/")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if workers:
        os.setpgrp()  # a group that can be killed: Sanic itself may do so
    sock = socket.create_server(("127.0.0.1", 0))
    print(f"running on http://127.0.0.1:{sock.getsockname()[1]}", file=sys.stderr)
    app.run(
        sock=sock,
        protocol=WebSocketProtocol,
        access_log=False,
        single_process=not workers,
        workers=workers or 1,
    )
