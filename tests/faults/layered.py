"""
An end of a layer on WebSockets: ``python -m tests.faults.layered END LAYER [PORT]``.

``END`` is ``serve`` or ``connect``; what happens is printed, one word or two a line. A
client echoes once. Heartbeats are quick, and so are time-outs.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from wsfast import ConnectionClosed, engineio, socketio, sockjs

INTERVAL_S, TIMEOUT_S = 0.5, 3.0
PINGS = {"ping_interval": INTERVAL_S, "ping_timeout": TIMEOUT_S, "close_timeout": 1}


def say(*words: object) -> None:
    print(*words, flush=True)


class Session(engineio.Listener):
    """Either end of a session of Engine.IO; the server's echoes."""

    echoes = True

    def on_open(self) -> None:
        say("open")

    def on_message(self, data: Any) -> None:
        if self.echoes:
            self.socket.send(data)
        else:
            say("echo", data)

    def on_close(self, reason: str, description: Any) -> None:
        say("closed", reason.replace(" ", "-"))


class Asking(Session):
    echoes = False


def socketio_server() -> socketio.Server:
    sio = socketio.Server(ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S)
    sio.on("connect", lambda sid, environ: say("open"))
    sio.on("disconnect", lambda sid, reason: say("closed", reason.replace(" ", "-")))
    sio.on("ask", lambda sid, what: what)
    return sio


async def sockjs_session(session: Any) -> None:
    say("open")
    async for message in session:
        await session.send(message)
    say("closed", session.close_code)


async def serve(layer: str) -> None:
    """Serve until standard input ends."""
    server: Any
    if layer == "engineio":
        engine = engineio.Server(
            Session, ping_interval=INTERVAL_S, ping_timeout=TIMEOUT_S
        )
        server = engine.serve("127.0.0.1", 0)
    elif layer == "socketio":
        server = socketio_server().serve("127.0.0.1", 0)
    else:
        service = sockjs.SockJS(sockjs_session, "/echo")
        server = sockjs.serve(service, "127.0.0.1", 0, **PINGS)
    async with server as serving:
        sockets = [*serving.sockets]
        say("port", sockets[0].getsockname()[1])
        await asyncio.to_thread(sys.stdin.readline)


async def connect(layer: str, port: str) -> None:
    """Connect, echo once, and stay until it ends."""
    origin = f"http://127.0.0.1:{port}"
    if layer == "engineio":
        socket = await engineio.connect(origin, Asking, transports=["websocket"])
        await socket.send("hello")
        await socket.wait_closed()
    elif layer == "socketio":
        await connect_socketio(origin)
    else:
        async with sockjs.connect(f"{origin}/echo", **PINGS) as ws:
            await ws.send("hello")
            say("echo", await ws.recv())
            try:
                await ws.recv()
            except ConnectionClosed:
                say("closed", ws.close_code)


async def connect_socketio(origin: str) -> None:
    ended = asyncio.Event()
    client = socketio.Client(transports=["websocket"], reconnection=False)

    @client.event
    def disconnect(reason: str, *rest: Any) -> None:
        say("closed", reason.replace(" ", "-"))
        ended.set()

    async with client:
        await client.connect(origin)
        say("echo", await client.call("ask", "hello"))
        await ended.wait()


if __name__ == "__main__":
    end, *arguments = sys.argv[1:]
    asyncio.run(serve(*arguments) if end == "serve" else connect(*arguments))
