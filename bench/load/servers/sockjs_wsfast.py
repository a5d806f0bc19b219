"""SockJS in uvicorn with our WebSockets: echo at /echo, broadcast at /broadcast."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from bench.load.servers._serving import main
from wsfast.sockjs import Prepared, Session, SockJS


async def echo(session: Session) -> None:
    async for message in session:
        await session.send(message)


everybody: set[Session] = set()


async def broadcast(session: Session) -> None:
    everybody.add(session)
    try:
        async for message in session:
            prepared = Prepared(message)
            for other in everybody:
                prepared.send_to(other)
    finally:
        everybody.discard(session)


SERVICES = {"/e": SockJS(echo, "/echo"), "/b": SockJS(broadcast, "/broadcast")}


async def app(scope: object, receive: object, send: object) -> None:
    path: str = scope["path"]  # type: ignore[index]
    await SERVICES[path[:2]](scope, receive, send)  # type: ignore[arg-type]


async def serve(sock: socket.socket) -> object:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        ws="wsfast.asgi.uvicorn:WebSocketProtocol",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not server.started and not task.done():  # noqa: ASYNC110 (uvicorn has none)
        await asyncio.sleep(0.01)
    return task


if __name__ == "__main__":
    main(serve)
