"""
The hosts that have no command of their own, or none that tells its port.

``python -m tests.attach.serve NAME [CERTIFICATE]`` listens, says where, and serves
until SIGTERM.
"""

from __future__ import annotations

import sys

if sys.argv[1:] == ["pywsgi"]:
    from gevent import monkey

    monkey.patch_all()

import asyncio
import logging
import signal
import socket
import ssl
import threading
from typing import Any

from tests.attach.apps import TERMS, asgi, protocols_of, wsgi
from tests.attach.handlers import SYNC_HANDLERS, handle
from wsfast import InvalidHandshake
from wsfast.attach import SyncWebSocket, WebSocket, is_websocket

log = logging.getLogger(__name__)


def tls() -> ssl.SSLContext | None:
    """Return the settings of TLS, if that is wanted."""
    if len(sys.argv) < 3:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[2])
    return context


def say(sock: Any) -> None:
    """Tell the test where we listen."""
    host, port = sock.getsockname()[:2]
    print(f"Listening at: http://{host}:{port}", file=sys.stderr, flush=True)


async def until_sigterm() -> None:
    """Wait for SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()


async def aiohttp() -> None:
    from aiohttp import web

    async def attached(request: web.Request) -> Any:
        if not is_websocket(request):
            return web.Response(text="plain")
        ws = WebSocket.from_aiohttp(request, protocols_of(request.path), **TERMS)
        await handle(ws, request.path)
        return ws.response

    app = web.Application()
    app.router.add_get("/{name}", attached)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    say(sock)
    await until_sigterm()
    await runner.cleanup()


async def hypercorn() -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    sock = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.graceful_timeout = 1.0
    config.errorlog = logging.getLogger("hypercorn.error")
    logging.basicConfig(level=logging.INFO)
    with socket.socket(fileno=int(config.bind[0][5:])) as listening:
        say(listening)
        listening.detach()
    await serve(asgi, config, shutdown_trigger=until_sigterm)  # type: ignore[arg-type]


def path_of(head: bytes) -> str:
    return head.split(b" ", 2)[1].split(b"?")[0].decode()


async def streams() -> None:
    async def client(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            head = await reader.readuntil(b"\r\n")
        except EOFError:
            writer.close()
            return
        path = path_of(head)
        ws = WebSocket.from_asyncio(reader, writer, head, protocols_of(path), **TERMS)
        await handle(ws, path)

    server = await asyncio.start_server(client, "127.0.0.1", 0, ssl=tls())
    say(server.sockets[0])
    async with server:
        await until_sigterm()


async def sockets() -> None:
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()

    async def client(sock: socket.socket) -> None:
        head = await loop.sock_recv(sock, 4096)
        if not head:
            sock.close()
            return
        path = path_of(head)
        ws = WebSocket.from_socket(sock, head, protocols_of(path), **TERMS)
        try:
            await handle(ws, path)
        except (ValueError, InvalidHandshake):
            log.exception("a client could not be served")

    async def accept() -> None:
        while True:
            sock, _ = await loop.sock_accept(listening)
            task = loop.create_task(client(sock))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    say(listening)
    accepting = loop.create_task(accept())
    await until_sigterm()
    accepting.cancel()
    for task in tasks:
        task.cancel()
    listening.close()


def threads() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    context = tls()

    def client(sock: socket.socket) -> None:
        if context is not None:
            try:
                sock = context.wrap_socket(sock, server_side=True)
            except OSError:
                return
        head = sock.recv(4096)
        if not head:
            sock.close()
            return
        path = path_of(head)
        ws = SyncWebSocket.from_socket(sock, head, protocols_of(path), **TERMS)
        SYNC_HANDLERS[path](ws)
        ws.close()

    say(listening)
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=client, args=(sock,), daemon=True).start()


def werkzeug() -> None:
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, wsgi, threaded=True, ssl_context=tls())
    say(server.socket)
    server.serve_forever()


def pywsgi() -> None:
    from gevent.pywsgi import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), wsgi)
    server.init_socket()
    say(server.socket)
    server.serve_forever()


def main(name: str) -> None:
    serve = globals()[name]
    if asyncio.iscoroutinefunction(serve):
        asyncio.run(serve())
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve()


if __name__ == "__main__":
    main(sys.argv[1])
