"""Hypercorn and Daphne serve, with what lies beneath them accelerated."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from websockets.sync.client import connect

WAIT_S = 60

APP = """
import sys

import wsfast.accelerate


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    names = " ".join(wsfast.accelerate.accelerated())
    await send({"type": "websocket.send", "text": names})
    while (event := await receive())["type"] == "websocket.receive":
        kind = "text" if event.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: event[kind]})
"""

#: Server -> what is accelerated under it, and its command, given a descriptor.
SERVERS = {
    "hypercorn": ("wsproto", ["-m", "hypercorn", "--bind", "fd://{fd}", "app:app"]),
    "daphne": ("autobahn", ["-m", "daphne", "--fd", "{fd}", "app:app"]),
}


@pytest.mark.parametrize("server", SERVERS)
def test_server_over_what_is_accelerated(server, tmp_path):
    pytest.importorskip(server)  # Python 3.10 has none of them
    target, command = SERVERS[server]
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd, port = listening.fileno(), listening.getsockname()[1]
        arguments = [part.format(fd=fd) for part in command]
        run = [sys.executable, "-m", "wsfast", "accelerate", target, "--", *arguments]
        with (
            (tmp_path / "log").open("wb") as log,
            subprocess.Popen(
                run, cwd=tmp_path, pass_fds=[fd], stdout=log, stderr=log
            ) as process,
        ):
            try:
                url = f"ws://127.0.0.1:{port}/"
                with connect(url, open_timeout=WAIT_S, max_size=None) as ws:
                    assert ws.recv(timeout=WAIT_S) == target
                    for message in ("text", "é" * 40_000, bytes(300_000), b"x"):
                        ws.send(message)
                        assert ws.recv(timeout=WAIT_S) == message
            finally:
                process.terminate()  # not kill(): that would leave hypercorn's worker
                try:
                    process.wait(WAIT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
