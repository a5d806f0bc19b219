"""The command line, worker processes, reloading, and gunicorn."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import uvicorn

from tests.asgi.process import Server, serving
from wsfast import ConnectionClosedError, WebSocketException, connect
from wsfast.asgi.uvicorn import WebSocketProtocol

pytestmark = pytest.mark.timeout(120)


async def greeted(uri: str) -> tuple[int, str]:
    """Connect, exchange a message; return what the application says of itself."""
    async with connect(uri) as ws:
        pid, path = (await ws.recv()).split()
        await ws.send("over there?")
        assert await ws.recv() == "over there?"
    return int(pid), path


def greet(uri: str) -> tuple[int, str]:
    """Return what the application says of itself."""
    return asyncio.run(asyncio.wait_for(greeted(uri), 30))


async def shut_down(server: Server) -> int | None:
    """Have a server end while there is a connection; return that one's close code."""
    async with connect(server.uri) as ws:
        await ws.recv()
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
    return ws.close_code


@pytest.mark.parametrize("path", ["reactor", "transport"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_command(path: str, loop: str):
    with serving("tests.asgi.apps:who", "--loop", loop, path=path) as server:
        assert greet(server.uri) == (server.pid, path)
        assert asyncio.run(asyncio.wait_for(shut_down(server), 30)) == 1012


@pytest.mark.slow
def test_workers():
    with serving("tests.asgi.apps:who", "--workers", "2") as server:
        server.wait_for(re.compile("Started server process"))
        seen = [greet(server.uri) for _ in range(8)]
        assert {path for _, path in seen} == {"reactor"}
        assert server.pid not in {pid for pid, _ in seen}


@pytest.mark.slow
def test_reload(tmp_path: Path):
    program = tmp_path / "program.py"
    text = "from tests.asgi.apps import who as app\n"
    program.write_text(text)
    with serving(
        *("program:app", "--reload", "--reload-dir", str(tmp_path)),
        PYTHONPATH=f"{tmp_path}:{Path.cwd()}",
    ) as server:
        first, _ = greet(server.uri)
        deadline = time.monotonic() + 60
        second, written = first, 0.0
        while second == first:
            now = time.monotonic()
            assert now < deadline, server.log[-20:]
            if now > written + 5:  # what is changed before it watches, it misses
                program.write_text(f"{text}changed = {now}\n")
                written = now
            time.sleep(0.2)
            # A worker that ends takes nobody with it, but those who are connecting.
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                second, _ = greet(server.uri)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for POSIX")
def test_gunicorn(tmp_path: Path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "from uvicorn_worker import UvicornWorker\n"
        "class Worker(UvicornWorker):\n"
        "    CONFIG_KWARGS = {'ws': 'wsfast.asgi.uvicorn:WebSocketProtocol',\n"
        "                     'lifespan': 'off'}\n"
    )
    assert importlib.util.find_spec("gunicorn") is not None
    server = Server(
        *("gunicorn", "tests.asgi.apps:who", "-k", "worker.Worker", "-w", "2"),
        *("-b", "127.0.0.1:0", "--pythonpath", str(tmp_path)),
        PYTHONPATH=f"{tmp_path}:{Path.cwd()}",
    )
    try:
        seen = [greet(server.uri) for _ in range(8)]
        assert {path for _, path in seen} == {"reactor"}
        assert server.pid not in {pid for pid, _ in seen}
    finally:
        server.end()


def test_given_as_a_class():
    config = uvicorn.Config("tests.asgi.apps:who", ws=WebSocketProtocol)
    config.load()
    assert config.ws_protocol_class is WebSocketProtocol
