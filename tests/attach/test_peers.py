"""The originals: faye-websocket of npm at the other end, and ws."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers import Program
from wsfast.attach import SyncWebSocket, WebSocket

pytestmark = pytest.mark.needs("node")

PEER = Path(__file__).parent.parent / "interop" / "attach_peer.js"
WAIT_S = 60


@pytest.mark.parametrize("library", ["faye-websocket", "ws"])
@pytest.mark.parametrize(
    "host", ["uvicorn", "aiohttp", "streams", "gthread", "pywsgi"], indirect=True
)
def test_their_client(host, library):
    program = Program(["node", str(PEER), library, "client", host.url("/events")])
    try:
        end = program.event(WAIT_S, event="end")
    finally:
        program.stop()
    opened, first, second = end["messages"]
    assert opened == "open ws /events? superchat hybi-13"
    assert first == f"from {library}"
    assert second == "é" * 80
    assert (end["code"], end["reason"], end["protocol"]) == (
        4002,
        "enough",
        "superchat",
    )


@pytest.fixture(scope="module")
def faye():
    """Run faye-websocket's server; return the program, and its URL."""
    program = Program(["node", str(PEER), "faye-websocket", "server"])
    port = program.event(WAIT_S, event="listening")["port"]
    yield program, f"ws://127.0.0.1:{port}/path?q=1"
    program.stop()


async def test_our_client_for_coroutines(faye):
    program, url = faye
    told: list[Any] = []
    ws = WebSocket.client(url, ["chat"], headers={"X-Client": "wsfast"})
    assert (ws.ready_state, ws.status, ws.headers) == (0, 0, None)
    ws.send("before")
    ws.send(b"it was open")
    ws.on_open = lambda ws: told.append((ws.ready_state, ws.protocol, ws.url))
    ws.on_message = lambda ws, message: answer(ws, message, told)
    ws.on_error = lambda ws, exc: told.append(exc)
    ws.on_close = lambda ws, code, reason: told.append((code, reason))
    await asyncio.wait_for(ws, WAIT_S)
    assert (ws.ready_state, ws.status) == (3, 101)
    assert ws.headers["X-Host"] == "faye"
    assert told == [
        (1, "chat", url),
        "before",
        b"it was open",
        "pong",
        "ponged",
        (4003, "as told"),
    ]
    assert program.event(WAIT_S, event="end", code=4003)["reason"] == "as told"


def answer(ws: WebSocket, message: Any, told: list[Any]) -> None:
    """Go on with the talk."""
    told.append(message)
    if message == b"it was open":
        ws.send("!ping")
    elif message == "pong":

        def ponged() -> None:
            told.append("ponged")
            ws.send("!close")

        assert ws.ping("of mine", ponged)


def test_our_client_for_threads(faye):
    program, url = faye
    ponged = threading.Event()
    ws = SyncWebSocket.client(url, "chat")
    ws.send("before")
    with ws:
        assert ws.recv(WAIT_S) == "before"
        assert (ws.protocol, ws.status, ws.headers["X-Host"]) == ("chat", 101, "faye")
        assert ws.ping(callback=ponged.set)
        ws.send("!ping")
        assert ws.recv(WAIT_S) == "pong"
        assert ponged.wait(WAIT_S)
        ws.close(4004, "enough")
    assert (ws.ready_state, ws.close_code) == (3, 4004)
    assert program.event(WAIT_S, event="end", code=4004)["reason"] == "enough"
