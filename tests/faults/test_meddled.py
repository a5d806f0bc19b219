"""Allocations that fail, one by one, and output and input in bits of a few octets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import TARGET
from tests.support.process import ROOT
from tests.support.targets import TRANSPORT, environment

pytestmark = [
    pytest.mark.needs("gcc"),
    pytest.mark.skipif(not TARGET.own, reason="what is run is ours"),
    pytest.mark.skipif(sys.platform != "linux", reason="it is for glibc"),
]

#: Echoes over the loopback in one process, so that both ends are meddled with.
ECHO = """
import asyncio
from tests.support.host import client_tls, server_tls
from wsfast import Listener, connect, serve

async def coroutine(ws):
    async for message in ws:
        await ws.send(message)

class Callback(Listener):
    def on_message(self, ws, message):
        ws.send(message)

async def main():
    for handler in (coroutine, Callback):
        for tls in (False, True):
            context = server_tls() if tls else None
            async with serve(handler, "127.0.0.1", 0, ssl=context) as server:
                port = server.sockets[0].getsockname()[1]
                uri = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
                context = client_tls() if tls else None
                for compression in (None, "deflate"):
                    async with connect(
                        uri, ssl=context, compression=compression, proxy=None
                    ) as ws:
                        for size in (0, 1, 125, 126, 3000):
                            message = bytes(range(256)) * (size // 256 + 1)
                            await ws.send(message[:size])
                            assert await ws.recv() == message[:size]
                            await (await ws.ping())
                    assert ws.close_code == 1000
    print("echoed")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of the library that is preloaded."""
    built = tmp_path_factory.mktemp("meddle") / "meddle.so"
    source = Path(__file__).with_name("meddle.c")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", built, source, "-ldl"], check=True)
    return str(built)


def meddled(library: str, *arguments: str, path: str = "", **env: str) -> str:
    """Run Python with the library and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", *arguments],
        cwd=ROOT,
        env={**environment(path), "LD_PRELOAD": library, **env},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_each_allocation_fails_in_turn(library: str) -> None:
    """It is a `MemoryError`, or fails the connection; or it does not matter."""
    out = meddled(library, "-m", "tests.faults.out_of_memory", PYTHONMALLOC="malloc")
    lines = [line.partition(":") for line in out.splitlines()]
    counts = {name: tuple(map(int, re.findall(r"\d+", n))) for name, _, n in lines}
    assert len(counts) == 10
    for allocations, refused in counts.values():
        assert 0 < refused <= allocations


@pytest.mark.parametrize("most", [1, 5])
def test_input_and_output_in_bits(library: str, most: int) -> None:
    """
    No call of the system takes or gives more octets than that.

    The reactor has it from epoll(7) that a short read empties a socket, and a short
    write fills it: its short writes are those of ``thin`` pairs in ``tests/asyncio``.
    """
    options = {"path": TRANSPORT, "MEDDLE_MOST": str(most)}
    assert meddled(library, "-c", ECHO, **options) == "echoed\n"
