"""Servers and connections that are gone when a test ends."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.rawpeer import Peer
from wsfast.protocol.options import Options
from wsfast.sync import Server, ServerConnection, serve
from wsfast.sync._stream import SocketStream
from wsfast.sync.connection import Connection

WAIT_S = 15


def echo(ws: ServerConnection) -> None:
    """Send every message back."""
    for message in ws:
        ws.send(message)


class Running:
    """A server that runs in a thread, and what its log says."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.thread = threading.Thread(target=server.serve_forever)
        self.thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        port: int = self.server.socket.getsockname()[1]
        return port

    @property
    def uri(self) -> str:
        """Where to connect to."""
        scheme = "ws" if self.server.ssl is None else "wss"
        return f"{scheme}://127.0.0.1:{self.port}/"


@contextlib.contextmanager
def running(
    handler: Callable[[ServerConnection], object] = echo, **kwargs: Any
) -> Iterator[Running]:
    """Run a server; it is shut down at the end, and its threads have ended then."""
    if not {"sock", "unix_path"} & set(kwargs):
        kwargs |= {"host": "127.0.0.1", "port": 0}
    found = Running(serve(handler, **kwargs))
    try:
        yield found
    finally:
        found.server.shutdown()
        found.thread.join(WAIT_S)
        assert not found.thread.is_alive()


@pytest.fixture
def echoing() -> Iterator[Running]:
    """Return a running echo server, in whose log nothing may be that is an error."""
    with running() as found:
        yield found


@contextlib.contextmanager
def wired(client: bool = False, **limits: Any) -> Iterator[tuple[Connection, Peer]]:
    """Give an open connection, and the peer at the other end of its socket."""
    ours, theirs = socket.socketpair()
    limits.setdefault("ping_interval", None)
    limits.setdefault("close_timeout", 2)
    connection = Connection(
        SocketStream(ours), Options(overflow="wait", **limits), client=client
    )
    connection.opened()
    with Peer(theirs, masks=not client) as peer:
        try:
            yield connection, peer
        finally:
            connection.abort()


@contextlib.contextmanager
def threaded(run: Callable[..., Any], *args: Any) -> Iterator[list[Any]]:
    """Run a function in a thread; its result, or exception, is in the list after."""
    results: list[Any] = []

    def call() -> None:
        try:
            results.append(run(*args))
        except BaseException as exc:
            results.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield results
    finally:
        thread.join(WAIT_S)
        assert not thread.is_alive(), run


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which an error was logged that it did not ask for."""
    yield
    errors = [
        record
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR and record.name.startswith("wsfast")
    ]
    assert not errors, [record.getMessage() for record in errors]
