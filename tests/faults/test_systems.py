"""
What the system does to a process: stops it, forks it, interrupts it, sets its clock.

Rows C-4, C-10, C-12 and C-14, by programs of their own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import needs
from tests.faults.conftest import TARGET, loop_of
from tests.faults.rawpeer import PING, PONG, TEXT, Peer, opened
from tests.support.process import Child, hosting
from tests.support.targets import environment

pytestmark = pytest.mark.skipif(not TARGET.own, reason="the programs are ours")

SLACK_S = 30.0

#: Echoes, but for what it is told to do by the path.
SERVER = """
import asyncio, gc, os, signal, sys, time
from wsfast import Listener, serve

def fork():
    if os.fork() == 0:
        gc.collect()
        os._exit(0)  # as subprocess and multiprocessing do

async def handler(ws):
    path = ws.request.path
    async for message in ws:
        if path == "/fork":
            fork()
        elif path == "/block":
            time.sleep(float(message))
        await ws.send(message)

class Callback(Listener):
    def on_message(self, ws, message):
        if ws.request.path == "/fork":
            fork()
        elif ws.request.path == "/block":
            time.sleep(float(message))
        ws.send(message)

async def main():
    options = {} if len(sys.argv) < 3 else {
        "ping_interval": float(sys.argv[2]), "ping_timeout": float(sys.argv[2])
    }
    what = Callback if sys.argv[1] == "callback" else handler
    async with serve(what, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        if sys.argv[1] == "signals":
            signal.signal(signal.SIGALRM, lambda *args: None)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@contextmanager
def running(path: str, *arguments: str, **env: str) -> Iterator[tuple[Child, int]]:
    """Run the server; nothing may be on its standard error in the end."""
    warnings = "ignore::DeprecationWarning"  # of fork() with threads
    command = [sys.executable, "-W", warnings, "-c", SERVER, *arguments]
    child = Child(command, {**environment(path), **env})
    try:
        with child.changed:
            child.changed.wait_for(lambda: child.lines or child.over, SLACK_S)
            assert child.lines, child.log
        yield child, int(child.lines[0])
        assert child.process.poll() is None, child.log
    finally:
        child.stop()
    assert not child.log


def echo(peer: Peer, message: str) -> None:
    """Say something and hear it; answer pings."""
    peer.frame(TEXT, message)
    while (received := peer.recv()).opcode == PING:
        peer.frame(PONG, received.payload)
    assert (received.opcode, received.payload) == (TEXT, message.encode())


@pytest.mark.parametrize("style", ["coroutine", "callback"])
def test_fork_with_connections_open(path: str, style: str) -> None:
    """The child takes nothing from its parent, and says nothing to its peers."""
    with running(path, style) as (_, port), opened(port) as other:
        echo(other, "before")
        with opened(port, "/fork") as peer:
            for n in range(5):
                echo(peer, str(n))
                echo(other, str(n))
            peer.close()
            assert peer.recv().code == 1000
            assert peer.ended(SLACK_S) == "eof"
        echo(other, "after")


@pytest.mark.parametrize("style", ["coroutine", "callback"])
def test_handler_that_blocks_the_loop(path: str, style: str) -> None:
    """Nobody is taken for dead because the server itself did not listen."""
    with (
        running(path, style, "0.4") as (_, port),
        opened(port, "/block") as peer,
        opened(port) as other,
    ):
        echo(other, "before")
        for _ in range(2):
            peer.frame(TEXT, "1.5")  # longer than ping_interval and ping_timeout
            other.frame(TEXT, "meanwhile")
            for end in (other, peer):
                while (received := end.recv()).opcode == PING:
                    end.frame(PONG, received.payload)
                assert received.opcode == TEXT
        echo(other, "after")


def test_c12_signals_all_the_time(path: str) -> None:
    """A thousand a second, with a handler of Python's, and nothing is interrupted."""
    with running(path, "signals") as (_, port), opened(port) as peer:
        for n in range(200):
            echo(peer, f"{n} ".ljust(n * 50 + 4, "x"))
        peer.close()
        assert peer.recv().code == 1000


SYNC_SIGNALS = """
import signal, sys
from wsfast.sync import connect

signal.signal(signal.SIGALRM, lambda *args: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
with connect(sys.argv[1], proxy=None) as ws:
    for n in range(100):
        message = str(n).ljust(n * 300, "x")
        ws.send(message)
        assert ws.recv(timeout=30) == message
    try:
        ws.recv(timeout=0.1)
    except TimeoutError:
        print("timed out")
"""


def test_c12_signals_in_a_thread_that_waits(path: str) -> None:
    with running(path, "coroutine") as (_, port):
        done = subprocess.run(
            [sys.executable, "-c", SYNC_SIGNALS, f"ws://127.0.0.1:{port}/"],
            env=environment(path),
            capture_output=True,
            text=True,
            timeout=2 * SLACK_S,
        )
    assert (done.stdout, done.stderr) == ("timed out\n", "")


def test_c4_server_that_is_stopped_for_a_while(path: str) -> None:
    """Shorter than keepalive allows, and everything goes on where it was."""
    with running(path, "coroutine", "20") as (child, port), opened(port) as peer:
        echo(peer, "before")
        child.process.send_signal(signal.SIGSTOP)
        for n in range(20):
            peer.frame(TEXT, str(n))
        time.sleep(0.5)
        child.process.send_signal(signal.SIGCONT)
        assert [peer.recv().payload for _ in range(20)] == [
            str(n).encode() for n in range(20)
        ]


@pytest.mark.parametrize("stopped", ["server", "client"])
def test_c4_process_that_is_stopped(path: str, stopped: str) -> None:
    """Keepalive of the other process finds it; when it goes on, it finds out too."""
    times = {"ping_interval": 0.5, "ping_timeout": 2, "close_timeout": 0.5}
    calm = {"ping_interval": None, "close_timeout": 0.5}
    with (
        hosting(TARGET, path, loop_of(path)) as serving,
        hosting(TARGET, path, loop_of(path)) as connecting,
    ):
        server = serving.serve("echo", **(calm if stopped == "server" else times))
        client = connecting.connect(
            server.uri, "ask", ["hello"], **(times if stopped == "server" else calm)
        )
        server.event("open")
        client.event("open")
        halted, ends = (
            (serving, (client, server))
            if stopped == "server"
            else (connecting, (server, client))
        )
        halted.process.send_signal(signal.SIGSTOP)
        try:
            end = ends[0].event("end", SLACK_S)
            assert (end["close_code"], end["sent"][0]) == (1006, 1011)
        finally:
            halted.process.send_signal(signal.SIGCONT)
        end = ends[1].event("end", SLACK_S)
        assert end["error"] == "ConnectionClosedError"
        assert end["close_code"] in (1011, 1006)  # the close frame waited for it


@pytest.mark.needs("faketime")
def test_clock_that_jumps(path: str, tmp_path: Path) -> None:
    """Time-outs are those of a clock that nobody sets: a day either way is nothing."""
    library = needs.find("faketime")
    assert library is not None
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running(path, "coroutine", "1", **env) as (_, port), opened(port) as peer:
        for jump in ("+1d", "-1d", "+0"):
            clock.write_text(jump)
            peer.frame(TEXT, jump)
            pings = 0
            echoed = False
            until = time.monotonic() + 1.5
            while time.monotonic() < until or pings == 0 or not echoed:
                received = peer.recv()
                if received.opcode == PING:
                    pings += 1
                    peer.frame(PONG, received.payload)
                    continue
                assert (received.opcode, received.payload) == (TEXT, jump.encode())
                echoed = True
            assert pings < 20  # they come at their pace, not all at once


@pytest.mark.needs("faketime")
def test_the_clock_does_jump() -> None:
    """The test above is one: the wall's clock is another for the process."""
    library = needs.find("faketime")
    assert library is not None
    env = {
        "LD_PRELOAD": library,
        "FAKETIME": "+1d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    program = "import time; print(time.time(), time.monotonic())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    wall, steady = map(float, done.stdout.split())
    assert wall - time.time() > 80_000
    assert abs(steady - time.monotonic()) < 60
