"""Many threads on one connection, each doing something else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.host import client_tls, server_tls
from tests.sync.conftest import WAIT_S, Running, running
from wsfast.exceptions import ConnectionClosed, ConnectionClosedOK
from wsfast.sync import ClientConnection, connect

SENDERS = 4
MESSAGES = 200


@pytest.fixture(params=["plain", "deflate", "TLS"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Running, dict[str, Any]]]:
    """Return an echo server, and the options for connecting to it."""
    ssl = server_tls() if request.param == "TLS" else None
    compression = "deflate" if request.param == "deflate" else None
    with running(ssl=ssl, compression=compression) as found:
        client: dict[str, Any] = {"compression": compression, "proxy": None}
        if ssl is not None:
            client |= {"ssl": client_tls()}
        yield found, client


class Crew:
    """Threads that begin at the same moment; none may hang, or raise."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        self.start = threading.Event()

    def add(self, work: Callable[..., object], *args: object) -> None:
        """Have a thread do some work."""

        def run() -> None:
            self.start.wait()
            try:
                work(*args)
            except BaseException as exc:
                self.failures.append(exc)

        self.threads.append(threading.Thread(target=run, daemon=True))

    def run(self) -> None:
        """Do all of it."""
        for thread in self.threads:
            thread.start()
        self.start.set()
        for thread in self.threads:
            thread.join(4 * WAIT_S)
            assert not thread.is_alive(), self.failures
        assert self.failures == []


def test_send_receive_ping_and_look_at_once(server):
    found, options = server
    crew = Crew()
    received: list[list[int]] = [[] for _ in range(SENDERS)]
    done = threading.Event()

    def send(ws: ClientConnection, me: int) -> None:
        for number in range(MESSAGES):
            text = f"{me} {number} " + "x" * (number * 37 % 3000)
            if number % 3 == 0:
                ws.send_many([text])
            else:
                ws.send(text if number % 3 == 1 else text.encode(), text=True)

    def receive(ws: ClientConnection) -> None:
        for _ in range(SENDERS * MESSAGES):
            sender, number, padding = ws.recv(WAIT_S).split(" ")
            assert len(padding) == int(number) * 37 % 3000
            received[int(sender)].append(int(number))
        done.set()

    def ping(ws: ClientConnection) -> None:
        while not done.is_set():
            assert ws.ping().wait(WAIT_S)

    def look(ws: ClientConnection) -> None:
        while not done.wait(0.001):
            assert ws.state == 1
            assert ws.buffered_amount >= 0

    with connect(found.uri.replace("127.0.0.1", "localhost"), **options) as ws:
        for number in range(SENDERS):
            crew.add(send, ws, number)
        crew.add(receive, ws)
        crew.add(ping, ws)
        crew.add(ping, ws)
        crew.run()
    assert received == [list(range(MESSAGES))] * SENDERS


@pytest.mark.parametrize("closers", [1, 3])
def test_close_while_all_are_at_it(server, closers: int):
    found, options = server
    for _ in range(5):
        crew = Crew()
        ws = connect(found.uri.replace("127.0.0.1", "localhost"), **options)
        under_way = threading.Barrier(SENDERS + closers)

        def pour(ws: ClientConnection, way: threading.Barrier) -> None:
            ws.send("first")
            way.wait(WAIT_S)
            with pytest.raises(ConnectionClosed):
                while True:
                    ws.send(bytes(5000))

        def drain(ws: ClientConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    ws.recv()

        def ping(ws: ClientConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    ws.ping().wait(WAIT_S)

        def close(ws: ClientConnection, way: threading.Barrier) -> None:
            way.wait(WAIT_S)
            ws.close()
            assert ws.state == 3

        for _ in range(SENDERS):
            crew.add(pour, ws, under_way)
        for _ in range(closers):
            crew.add(close, ws, under_way)
        crew.add(drain, ws)
        crew.add(ping, ws)
        crew.run()
        with pytest.raises(ConnectionClosedOK):
            ws.recv()
