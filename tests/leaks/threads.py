"""Connections and servers without an event loop."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from tests.leaks.measure import Operations
from tests.leaks.places import TEXT
from wsfast.exceptions import ConnectionClosed
from wsfast.sync import Server, connect, serve

operations = Operations("sync")


def _handle(ws: Any) -> None:
    if ws.request.path == "/raise":
        raise RuntimeError("a handler that fails")
    for message in ws:
        ws.send(message)


def _start() -> Server:
    server = serve(_handle, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Running:
    """A server that is started when the first operation wants it, and never stopped."""

    server: Server | None = None

    @classmethod
    def connect(cls, path: str = "/") -> Any:
        if cls.server is None:
            cls.server = _start()
        port = cls.server.socket.getsockname()[1]
        return connect(f"ws://127.0.0.1:{port}{path}", proxy=None)


_connect = _Running.connect


@operations
def open_talk_close() -> None:
    with _connect() as ws:
        ws.send(TEXT)
        assert ws.recv(timeout=10) == TEXT


@operations
def everything() -> None:
    with _connect() as ws:
        ws.send_many(["one", b"two"])
        ws.send(["three ", "pieces"])
        got: list[Any] = []
        while len(got) < 3:
            got += ws.recv_many(timeout=10)
        assert ws.ping().wait(timeout=10)
        ws.pong()
        with suppress(TimeoutError):
            ws.recv(timeout=0)
        with suppress(TypeError):
            ws.send(1)
        ws.send(TEXT)
        assert "".join(ws.recv_streaming()) == TEXT
        for name in ("id", "latency", "local_address", "remote_address"):
            repr(getattr(ws, name))


@operations
def handler_raises() -> None:
    with _connect("/raise") as ws:
        with suppress(ConnectionClosed):
            ws.recv(timeout=10)
        assert ws.close_code == 1011


@operations
def aborted() -> None:
    ws = _connect()
    ws.send(TEXT)
    ws.abort()
