"""
Segments that are lost, some or all, in a network of their own: rows C-3 and C-4.

The server and its clients of three kinds are in there; the rules between them change
while they talk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.conftest import TARGET, loop_of
from tests.support.island import Island, islands
from tests.support.process import Served

pytestmark = [
    pytest.mark.needs("netns"),
    pytest.mark.skipif(not TARGET.own, reason="the clients are ours"),
]

#: Keepalive: nothing is heard for so long, and the peer has gone.
PING_INTERVAL, PING_TIMEOUT, CLOSE_TIMEOUT = 0.5, 5.0, 1.0

#: What a machine that is busy may take beyond that.
SLACK_S = 30.0

#: Each line that it reads is something to do, each line that it writes the outcome.
CLIENT = """
import asyncio, sys, time
import wsfast.sync
from wsfast import ConnectionClosedError, HandshakeTimeout, Listener, connect

kind, uri, interval, timeout, close = sys.argv[1:]
options = {
    "proxy": None, "compression": None, "close_timeout": float(close),
    "ping_interval": float(interval) or None, "ping_timeout": float(timeout),
}

class Queued(Listener):
    def on_open(self, ws):
        self.queue = asyncio.Queue()
    def on_message(self, ws, message):
        self.queue.put_nowait(message)
    def on_close(self, ws, code, reason):
        self.queue.put_nowait(None)

async def in_loop():
    ws = await connect(uri, listener=Queued if kind == "callback" else None, **options)
    async def recv():
        if kind == "coroutine":
            return await ws.recv()
        message = await ws.listener.queue.get()
        if message is None:
            raise ws.closed_error()
        return message
    print("open", flush=True)
    while True:
        what = await asyncio.to_thread(sys.stdin.readline)
        start = time.monotonic()
        try:
            if what == "talk\\n":
                for n in range(30):
                    message = f"{n} ".ljust(n * 400 + 5, "x")
                    await ws.send(message)
                    assert await recv() == message
                print("talked", flush=True)
            elif what == "send\\n":
                await ws.send("while cut")
                print("sent", flush=True)
            elif what == "recv\\n":
                print(await recv(), flush=True)
            elif what == "close\\n":
                await ws.close()
                print(ws.close_code, time.monotonic() - start, flush=True)
            elif what == "connect\\n":
                await connect(uri, open_timeout=1, proxy=None)
            else:
                break
        except (ConnectionClosedError, HandshakeTimeout) as exc:
            took = time.monotonic() - start
            print(type(exc).__name__, ws.close_code, took, flush=True)
    await ws.close()

def in_thread():
    with wsfast.sync.connect(uri, **options) as ws:
        print("open", flush=True)
        for what in sys.stdin:
            start = time.monotonic()
            try:
                if what == "talk\\n":
                    for n in range(30):
                        message = f"{n} ".ljust(n * 400 + 5, "x")
                        ws.send(message)
                        assert ws.recv() == message
                    print("talked", flush=True)
                elif what == "send\\n":
                    ws.send("while cut")
                    print("sent", flush=True)
                elif what == "recv\\n":
                    print(ws.recv(), flush=True)
                elif what == "close\\n":
                    ws.close()
                    print(ws.close_code, time.monotonic() - start, flush=True)
                elif what == "connect\\n":
                    wsfast.sync.connect(uri, open_timeout=1, proxy=None)
            except (ConnectionClosedError, HandshakeTimeout) as exc:
                took = time.monotonic() - start
                print(type(exc).__name__, ws.close_code, took, flush=True)

in_thread() if kind == "sync" else asyncio.run(in_loop())
"""


@pytest.fixture(scope="module")
def island(path: str) -> Iterator[Island]:
    """Return a network with a process in it."""
    with islands(TARGET, path, loop_of(path)) as made:
        yield made


class Clients:
    """One client of each kind, which all do the same."""

    kinds = ("coroutine", "callback", "sync")

    def __init__(self, island: Island, server: Served, interval: float) -> None:
        times = [str(interval), str(PING_TIMEOUT), str(CLOSE_TIMEOUT)]
        self.running = [
            island.python(CLIENT, kind, server.uri, *times) for kind in self.kinds
        ]

    def begin(self, what: str) -> None:
        """Have all begin something."""
        for client in self.running:
            assert client.stdin is not None
            client.stdin.write(what + "\n")
            client.stdin.flush()

    def lines(self) -> list[list[str]]:
        """Return what each has to say about it."""
        found = []
        for client in self.running:
            assert client.stdout is not None
            found.append(client.stdout.readline().split())
        return found

    def do(self, what: str) -> list[list[str]]:
        """Have all do something; return what they say."""
        self.begin(what)
        return self.lines()

    def end(self) -> None:
        """End the processes, which have left by themselves."""
        for client in self.running:
            client.communicate(timeout=SLACK_S)


@contextmanager
def clients(island: Island, server: Served, interval: float) -> Iterator[Clients]:
    """Connect clients; in the end there is no hole."""
    made = Clients(island, server, interval)
    try:
        assert made.lines() == [["open"]] * 3
        yield made
    finally:
        island.heal()
        made.end()


@pytest.mark.slow
def test_c4_segments_are_lost(island: Island) -> None:
    """Some: nobody notices. All, for a moment: nor then. All: keepalive does."""
    options = {"ping_interval": PING_INTERVAL, "ping_timeout": PING_TIMEOUT}
    server = island.host.serve(close_timeout=CLOSE_TIMEOUT, **options)
    with clients(island, server, PING_INTERVAL) as all_kinds:
        for percent in (1, 5):
            island.lose(percent)
            assert all_kinds.do("talk") == [["talked"]] * 3
        island.cut(server.port)
        assert all_kinds.do("send") == [["sent"]] * 3
        island.heal()
        assert all_kinds.do("recv") == [["while", "cut"]] * 3
        island.cut(server.port)
        for name, code, took in all_kinds.do("recv"):
            assert (name, code) == ("ConnectionClosedError", "1006")
            least = PING_TIMEOUT - PING_INTERVAL  # what came last counts as well
            most = PING_INTERVAL + PING_TIMEOUT + CLOSE_TIMEOUT
            assert least < float(took) < most + SLACK_S
        for _ in range(3):
            server.event("end", SLACK_S)
        for end in server.ends():
            assert (end["close_code"], end["sent"][0]) == (1006, 1011)
            assert end["error"] == "ConnectionClosedError"
    server.close()


@pytest.mark.slow
def test_c3_closing_in_a_black_hole(island: Island) -> None:
    """Neither end waits longer than it was told to, and nobody gets in."""
    server = island.host.serve(close_timeout=CLOSE_TIMEOUT, ping_interval=None)
    with clients(island, server, 0) as all_kinds:
        assert all_kinds.do("talk") == [["talked"]] * 3
        island.cut(server.port)
        for code, took in all_kinds.do("close"):
            assert code == "1006"
            assert CLOSE_TIMEOUT * 0.9 < float(took) < CLOSE_TIMEOUT + SLACK_S
        for name, _, took in all_kinds.do("connect"):
            assert name == "HandshakeTimeout"
            assert 0.9 < float(took) < 1 + SLACK_S
        assert not server.ends()  # it was not told
        closed = server.close(SLACK_S)
        assert CLOSE_TIMEOUT * 0.9 < closed["seconds"] < CLOSE_TIMEOUT + SLACK_S
        assert {end["close_code"] for end in server.ends()} == {1006}
        assert len(server.ends()) == 3


def test_the_network_is_another_one(island: Island) -> None:
    ours = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    assert os.readlink(f"/proc/{island.host.pid}/ns/net") != ours  # noqa: PTH115
