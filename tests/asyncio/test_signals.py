"""SIGTERM: a server that closes gracefully, and exits with 0 (C-11)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.asyncio.conftest import Pair
from wsfast import ConnectionClosedError, ConnectionClosedOK
from wsfast.asyncio import connect

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, sys
from wsfast import serve

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def stubborn(ws):
    await asyncio.sleep(60)

async def main():
    handler = stubborn if sys.argv[1] == "stubborn" else echo
    reactor = sys.argv[2] == "True"
    server = await serve(handler, "127.0.0.1", 0, reactor=reactor, drain_timeout=30)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
    print("closed", flush=True)

asyncio.run(main())
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no SIGTERM")


async def start(handler: str, reactor: bool) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        handler,
        str(reactor),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20))
    return process, f"ws://127.0.0.1:{port}/"


async def test_one_signal_closes(pair: Pair):
    process, address = await start("echo", pair.reactor)
    ws = await connect(address)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(ConnectionClosedOK) as caught:
        await ws.recv()
    assert caught.value.code == 1001
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert out == b"closed\n"
    assert process.returncode == 0


async def test_a_second_signal_cuts(pair: Pair):
    process, address = await start("stubborn", pair.reactor)
    ws = await connect(address)
    process.send_signal(signal.SIGTERM)
    with pytest.raises((ConnectionClosedOK, ConnectionClosedError)):
        await ws.recv()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), 0.5)
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert out == b"closed\n"
    assert process.returncode == 0
