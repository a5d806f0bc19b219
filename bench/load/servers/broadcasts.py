"""Send what comes to all connections, by the library's own means; some do not read."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from bench.load.servers._serving import arguments, main

parser = arguments()
parser.add_argument("library")
args = parser.parse_args()


async def wsfast(sock: socket.socket) -> object:
    from wsfast import Listener
    from wsfast.asyncio import Connection, broadcast, serve

    class All(Listener):
        def on_message(self, ws: Connection, message: str | bytes) -> None:
            broadcast(server.connections, message)

    server = await serve(All, sock=sock, backlog=4096, compression=None)
    return server


async def wsfast_hub(sock: socket.socket) -> object:
    from wsfast import Listener
    from wsfast.asyncio import Connection, serve
    from wsfast.hub import Hub

    everybody = Hub().topic("all")

    class All(Listener):
        def on_open(self, ws: Connection) -> None:
            everybody.subscribe(ws)

        def on_message(self, ws: Connection, message: str | bytes) -> None:
            everybody.publish(message)

    return await serve(All, sock=sock, backlog=4096, compression=None)


async def websockets(sock: socket.socket) -> object:
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    async def handle(ws: ServerConnection) -> None:
        async for message in ws:
            broadcast(server.connections, message)

    settings = {"compression": None, "ping_interval": None, "server_header": None}
    server = await serve(handle, sock=sock, backlog=4096, **settings)
    return server


async def picows(sock: socket.socket) -> object:
    import picows

    transports: set[picows.WSTransport] = set()

    class All(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            transports.add(transport)

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            transports.discard(transport)

        def on_ws_frame(
            self, transport: picows.WSTransport, frame: picows.WSFrame
        ) -> None:
            message = frame.get_payload_as_bytes()
            for other in transports:
                other.send(frame.msg_type, message)

    server = await picows.ws_create_server(
        lambda request: All(), sock=sock, backlog=4096, enable_auto_ping=False
    )
    await server.start_serving()
    return server


async def aiohttp(sock: socket.socket) -> object:
    import asyncio

    from aiohttp import web

    connections: set[web.WebSocketResponse] = set()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        connections.add(ws)
        async for message in ws:
            for other in connections:  # one that does not read must not hold the rest
                task = asyncio.ensure_future(other.send_str(message.data))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        return ws

    tasks: set[asyncio.Future[None]] = set()
    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock, backlog=4096).start()
    return runner


LIBRARIES: dict[str, Callable[[socket.socket], Awaitable[object]]] = {
    "wsfast": wsfast,
    "wsfast_hub": wsfast_hub,
    "websockets": websockets,
    "picows": picows,
    "aiohttp": aiohttp,
}


if __name__ == "__main__":
    main(LIBRARIES[args.library], args)
