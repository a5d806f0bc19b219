"""
The demo's server: static files, a chat room, the same over Socket.IO, an echo.

It is written the way an application would be: one handler, the path chooses what a
connection is for, and ``process_request`` answers what is not a WebSocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import signal
import socket
import time
from collections import deque
from http import HTTPStatus
from pathlib import Path

from wsfast import engine, socketio, sockjs
from wsfast.asyncio.server import ServerConnection, serve
from wsfast.demo.front import Front, serve_websocket
from wsfast.exceptions import ConnectionClosed
from wsfast.protocol import Headers, Request, Response
from wsfast.sockjs.options import TRANSPORTS
from wsfast.version import version

DEFAULT_PORT = 8765
STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: The page loads nothing from elsewhere; isolated, its clock ticks in 5 us, not 100.
SAFETY = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MAX_NAME = 24  # characters
MAX_TEXT = 500  # characters
REMEMBERED = 50  # messages that a newcomer is shown


def static_files() -> dict[str, Response]:
    """Return the answer to each path that is a file of the page."""
    answers = {}
    for file in STATIC.iterdir():
        body = file.read_bytes()
        headers = Headers(
            {
                "Content-Type": KINDS[file.suffix],
                "Content-Length": str(len(body)),
                "Connection": "close",
                **SAFETY,
            }
        )
        path = "/" if file.name == "index.html" else f"/{file.name}"
        answers[path] = Response(HTTPStatus.OK, "OK", headers, body)
    return answers


class Demo:
    """A chat room, an echo, and the page that uses both."""

    def __init__(self) -> None:
        self.files = static_files()
        self.people: set[ServerConnection | sockjs.Session] = set()
        # JSONP, too: what is said here is no secret, from pages of whatever origin.
        self.sockjs = sockjs.SockJS(
            self.chat, "/sockjs", cors=False, transports=TRANSPORTS
        )
        self.said: deque[str] = deque(maxlen=REMEMBERED)
        self.echoed = 0
        self.sio = socketio.Server()
        self.sio.on("connect", self.entered)
        self.sio.on("say", self.say)

    def process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer what is not for a WebSocket; None lets the opening handshake go on."""
        if request.path in ("/chat", "/echo"):
            return None
        if request.path.startswith(("/socket.io/", "/sockjs/")):
            return None
        if request.path in self.files:
            return self.files[request.path]
        return connection.respond(HTTPStatus.NOT_FOUND, "There is nothing here.\n")

    async def handler(self, ws: ServerConnection) -> None:
        """Serve one connection."""
        if ws.request is not None and ws.request.path == "/echo":
            async for message in ws:
                self.echoed += 1
                await ws.send(message)
        elif ws.request is not None and ws.request.path.startswith("/socket.io/"):
            await self.socket_io(ws)
        elif ws.request is not None and ws.request.path.startswith("/sockjs/"):
            await serve_websocket(self.sockjs, ws)
        else:
            await self.chat(ws)

    async def chat(self, ws: ServerConnection | sockjs.Session) -> None:
        """Pass on what this visitor says until they leave, over whatever they came."""
        self.people.add(ws)
        self.tell_head_count()
        try:
            for line in self.said:
                await ws.send(line)
            async for message in ws:
                news = said(message)
                if news is None:
                    await ws.close(1008, "that is not a chat message")
                    return
                self.tell_all(news)
        finally:
            self.people.discard(ws)
            self.tell_head_count()

    def tell_all(self, news: str) -> None:
        """Tell everybody what was said: over WebSocket, SockJS and Socket.IO."""
        self.said.append(news)
        self.tell(news)
        self.sio.emit("said", json.loads(news))

    def tell(self, note: str) -> None:
        """Send something to everybody but those of Socket.IO."""
        prepared = sockjs.Prepared(note)
        for visitor in [*self.people]:
            with contextlib.suppress(ConnectionClosed):
                prepared.send_to(visitor)

    async def socket_io(self, ws: ServerConnection) -> None:
        """Serve a client of Socket.IO."""
        listener = self.sio.listener()
        listener.on_open(ws)
        try:
            async for message in ws:
                listener.on_message(ws, message)
        finally:
            listener.on_close(ws, ws.close_code or 1006, ws.close_reason or "")

    def entered(self, sid: str) -> None:
        """Show a newcomer what was said."""
        for news in self.said:
            self.sio.emit("said", json.loads(news), to=sid)

    def say(self, sid: str, note: object) -> bool:
        """Pass on what a client of Socket.IO says; return whether it was a message."""
        news = said(json.dumps(note))
        if news is None:
            return False
        self.tell_all(news)
        return True

    async def tell_cost(self) -> None:
        """Tell everybody once a second what echoing costs this process."""
        while True:
            wall_s, cpu_s, echoed = time.monotonic(), time.process_time(), self.echoed
            await asyncio.sleep(1)
            cpu_s = time.process_time() - cpu_s
            if self.echoed > echoed:
                note = {
                    "type": "cost",
                    "cpu_us": 1e6 * cpu_s / (self.echoed - echoed),
                    "core": cpu_s / (time.monotonic() - wall_s),
                }
                self.tell(json.dumps(note))

    def tell_head_count(self) -> None:
        """Tell everybody how many are here."""
        note = {"type": "people", "count": len(self.people), "server": describe()}
        self.tell(json.dumps(note))


def said(message: str | bytes) -> str | None:
    """
    Return what to pass on of a chat message.

    Args:
        message: As it came: a JSON object with ``name`` and ``text``.

    Returns:
        A JSON object with ``type``, ``name``, ``text`` and the time in milliseconds;
        None if the message is not what the page sends.

    """
    try:
        note = json.loads(message)
        name, text = note["name"], note["text"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not isinstance(text, str):
        return None
    name, text = name.strip(), text.strip()
    if not name or not text or len(name) > MAX_NAME or len(text) > MAX_TEXT:
        return None
    at = round(time.time() * 1000)
    return json.dumps({"type": "said", "name": name, "text": text, "at": at})


def describe() -> str:
    """Return what runs here, in a few words."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"wsfast {version} · {engine.KERNEL} · {python}"


def listening_socket(port: int | None) -> socket.socket:
    """
    Return a socket that listens on 127.0.0.1.

    Args:
        port: TCP port, 0 for any; None for the usual one, or any if that is taken.

    """
    if port is not None:
        return socket.create_server(("127.0.0.1", port))
    with contextlib.suppress(OSError):
        return socket.create_server(("127.0.0.1", DEFAULT_PORT))
    return socket.create_server(("127.0.0.1", 0))


async def main(port: int | None = None) -> None:
    """
    Serve until SIGINT or SIGTERM.

    Args:
        port: As for `listening_socket`.

    """
    demo = Demo()
    stopped = asyncio.Event()
    sock = listening_socket(port)
    port = sock.getsockname()[1]
    hosts = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")]
    with contextlib.suppress(NotImplementedError):  # no signals on a Windows loop
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serve(
        demo.handler,
        sock=sock,
        origins=[*hosts, None],  # other sites' pages may not talk to us; programs may
        process_request=demo.process_request,
        start_serving=False,
    ) as server:
        front = await asyncio.get_running_loop().create_server(
            lambda: Front(demo.sockjs, server), sock=sock.dup()
        )
        print(f"The demo is at {hosts[0]}/ -- Ctrl+C ends it.", flush=True)  # noqa: T201
        reporter = asyncio.create_task(demo.tell_cost())
        await stopped.wait()
        reporter.cancel()
        await demo.sio.close()
        await demo.sockjs.close()
        front.close()
