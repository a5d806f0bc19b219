"""Echo with aiohttp.web: no compression, no access log, no size limit."""

from __future__ import annotations

import socket

from aiohttp import WSMsgType, web

from bench.load.servers._serving import main


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False, max_msg_size=0)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)
    return ws


async def serve(sock: socket.socket) -> object:
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, backlog=4096).start()
    return runner


if __name__ == "__main__":
    main(serve)
