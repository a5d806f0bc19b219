"""aio-libs' SockJS in aiohttp: echo at /echo, broadcast at /broadcast."""

from __future__ import annotations

import socket
import warnings

import sockjs
from aiohttp import web

from bench.load.servers._serving import main

warnings.simplefilter("ignore")  # it is older than what aiohttp recommends by now


async def echo(
    manager: sockjs.SessionManager, session: sockjs.Session, msg: sockjs.SockjsMessage
) -> None:
    if msg.type == sockjs.MsgType.MESSAGE:
        session.send(msg.data)


async def broadcast(
    manager: sockjs.SessionManager, session: sockjs.Session, msg: sockjs.SockjsMessage
) -> None:
    if msg.type == sockjs.MsgType.MESSAGE:
        manager.broadcast(msg.data)


async def serve(sock: socket.socket) -> object:
    app = web.Application()
    sockjs.add_endpoint(app, echo, prefix="/echo", name="echo")
    sockjs.add_endpoint(app, broadcast, prefix="/broadcast", name="broadcast")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner


if __name__ == "__main__":
    main(serve)
