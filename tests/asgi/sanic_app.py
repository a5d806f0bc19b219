"""A Sanic application that runs as people start it."""

from __future__ import annotations

import socket
import sys

from sanic import Sanic

from wsfast.asgi.sanic import WebSocketProtocol

app = Sanic("echoes")
app.config.MOTD = False


@app.websocket("/")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    sock = socket.create_server(("127.0.0.1", 0))
    print(f"running on http://127.0.0.1:{sock.getsockname()[1]}", file=sys.stderr)
    app.run(
        sock=sock,
        protocol=WebSocketProtocol,
        access_log=False,
        single_process=True,
    )
