"""Echo with aiohttp.web, its own WebSockets or ours: no compression, no size limit."""

from __future__ import annotations

import socket

from aiohttp import WSMsgType, web

from bench.load.servers._serving import arguments, main, ssl_context
from wsfast.asgi.aiohttp import setup, upgrade

parser = arguments()
parser.add_argument("--wsfast", action="store_true")
args = parser.parse_args()


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=args.deflate, max_msg_size=0)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)
    return ws


async def echo_upgraded(request: web.Request) -> web.StreamResponse:
    ws = await upgrade(request)
    async for message in ws:
        await ws.send(message)
    return ws.upgraded


async def serve(sock: socket.socket) -> object:
    app = web.Application()
    app.router.add_get("/", echo_upgraded if args.wsfast else echo)
    setup(
        app,
        compression="deflate" if args.deflate else None,
        max_size=None,
        ping_interval=None,
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(
        runner, sock, backlog=4096, ssl_context=ssl_context(args)
    ).start()
    return runner


if __name__ == "__main__":
    main(serve, args)
