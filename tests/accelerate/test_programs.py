"""Real programs run by ``python -m wsfast accelerate``, and talk as they always do."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading

import pytest

from wsfast.sync import connect, serve

SERVER = """
import uvicorn
from wsproto import connection


async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    proto = connection.Connection(connection.SERVER)._proto
    await send({"type": "websocket.send", "text": type(proto).__module__})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            print("closed", event["code"], event.get("reason"), flush=True)
            return
        data = {"text": event["text"]} if event.get("text") is not None else {
            "bytes": event["bytes"]
        }
        await send({"type": "websocket.send", **data})


config = uvicorn.Config(
    app, port=0, ws="wsproto", lifespan="off", log_level="info", use_colors=False
)
uvicorn.Server(config).run()
"""

CLIENT = """
import sys
import websocket

ws = websocket.create_connection(sys.argv[1], timeout=30)
assert websocket._abnf.validate_utf8.__name__ == "is_valid_utf8"
for size in (0, 5, 125, 126, 65535, 65536, 300000):
    ws.send("x" * (size - 1) + "é" if size else "")
    print(len(ws.recv()))
    ws.send_binary(bytes(size))
    print(len(ws.recv()))
ws.close(3001, b"done")
"""
SIZES = (0, 5, 125, 126, 65535, 65536, 300_000)


@pytest.fixture
def uvicorn(tmp_path):
    """Run uvicorn on an accelerated wsproto; return its URI and the process."""
    pytest.importorskip("uvicorn")
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    command = [sys.executable, "-m", "wsfast", "accelerate", "wsproto", "--", program]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines = []
    watch = threading.Timer(60, process.kill)
    watch.start()
    try:
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"running on http://(\S+)", line):
                break
        else:
            pytest.fail("".join(lines))
        yield f"ws://{found[1]}/", process
    finally:
        watch.cancel()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_uvicorn_on_wsproto(uvicorn):
    uri, process = uvicorn
    with connect(uri, max_size=1 << 20, compression="deflate") as ws:
        assert ws.recv(timeout=30) == "wsfast.accelerate._wsproto"
        for size in SIZES:
            for message in ("é" * size, bytes(size)):
                ws.send(message)
                assert ws.recv(timeout=30) == message
        ws.close(3001, "done")
    assert process.stdout.readline() == "closed 3001 done\n"


def test_websocket_client():
    pytest.importorskip("websocket")

    def echo(ws):
        for message in ws:
            ws.send(message)

    with serve(echo, "127.0.0.1", 0, max_size=1 << 20) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        port = server.socket.getsockname()[1]
        command = [sys.executable, "-m", "wsfast", "accelerate", "websocket-client"]
        command += ["--", "-c", CLIENT, f"ws://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        server.shutdown()
        serving.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert [int(line) for line in done.stdout.split()] == [
        size for size in SIZES for _ in range(2)
    ]
