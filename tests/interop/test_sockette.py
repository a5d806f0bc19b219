"""The same faults, the same order: Sockette and `Reconnecting` tell the same tale."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.asyncio import faulty
from tests.asyncio.faulty import Faulty
from wsfast import Reconnecting

FOLDER = Path(__file__).parent
TIMEOUT_MS = 30
LIMIT_S = 60

#: Behind each of these faults the server closes with 1000.
FAULTS = {
    "drops": [faulty.drop],
    "resets amid a frame": [faulty.reset],
    "refuses": [faulty.refuse, faulty.refuse],
    "breaks a rule": [faulty.bad_frame],
    "restarts": [faulty.close(1012, b"bye")],
    "says something": [faulty.close(1011, b"one", b"two")],
    **{f"closes with {code}": [faulty.close(code)] for code in (1002, 1003, 1008)},
    **{f"closes with {code}": [faulty.close(code)] for code in (1014, 3000, 4999)},
    "all of it": [
        *[faulty.drop, faulty.refuse, faulty.reset, faulty.refuse],
        *[faulty.close(1012, b"x"), faulty.drop, faulty.close(4000, b"y")],
    ],
}


async def sockette(uri: str, most: int | None, closes: str | None) -> list[Any]:
    """Return the events of Sockette until it rests."""
    node = needs.find("node")
    assert node is not None
    options = {
        "uri": uri,
        "timeout": TIMEOUT_MS,
        "maxAttempts": most,
        "closes": closes,
    }
    process = await asyncio.create_subprocess_exec(
        node,
        str(FOLDER / "sockette_peer.js"),
        json.dumps(options),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return [json.loads(line) for line in output.splitlines()]


async def ours(uri: str, most: int | None, closes: str | None) -> list[Any]:
    """Return the events of `Reconnecting` until it rests."""
    events: list[Any] = []

    def on_message(ws: Reconnecting, message: object) -> None:
        events.append(["message", message])
        if message == closes:
            ws.close(int(closes), "enough")

    ws = Reconnecting(
        uri,
        timeout=TIMEOUT_MS / 1000,
        min_timeout=0,
        jitter=0,
        backoff=1,
        max_attempts=most,
        proxy=None,
        on_open=lambda ws: events.append(["open"]),
        on_message=on_message,
        on_reconnect=lambda ws, exc: events.append(["reconnect"]),
        on_maximum=lambda ws, exc: events.append(["maximum"]),
        on_close=lambda ws, *how: events.append(["close", *how]),
        on_error=lambda ws, exc: events.append(["error"]),
    )
    ws.open()
    await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
    return events


async def both(
    *acts: faulty.Act, most: int | None = None, closes: str | None = None
) -> list[Any]:
    """Have both go through the same acts; return the events, which are the same."""
    tales = []
    for client in (sockette, ours):
        async with Faulty(*acts) as server:
            tales.append(await client(server.uri, most, closes))
    assert tales[1] == tales[0]
    return tales[0]


@pytest.mark.needs("node")
@pytest.mark.parametrize("fault", FAULTS)
async def test_faults(fault: str):
    tale = await both(*FAULTS[fault], faulty.close(1000, b"end"))
    assert tale[-3:-1] == [["open"], ["message", "end"]]
    assert tale[-1] == ["close", 1000, ""]
    assert ["reconnect"] in tale


@pytest.mark.needs("node")
@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_final_codes(code: int | None):
    assert await both(faulty.close(code)) == [["open"], ["close", code or 1005, ""]]


@pytest.mark.needs("node")
@pytest.mark.parametrize("most", [1, 3])
async def test_maximum(most: int):
    tale = await both(faulty.refuse, most=most)
    assert tale.count(["reconnect"]) == most
    assert tale[-3:] == [["error"], ["maximum"], ["close", 1006, ""]]


@pytest.mark.needs("node")
async def test_attempts_start_anew_with_each_connection():
    acts = [faulty.refuse, faulty.refuse, faulty.drop] * 3
    tale = await both(*acts, faulty.close(1000), most=3)
    assert ["maximum"] not in tale


@pytest.mark.needs("node")
async def test_nobody_listens():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        tale = await sockette(address, 2, None)
        assert await ours(address, 2, None) == tale
    assert tale[-3:] == [["error"], ["maximum"], ["close", 1006, ""]]


@pytest.mark.needs("node")
@pytest.mark.parametrize("code", [1000, 4000])
async def test_closed_by_us(code: int):
    async def say(visit: Any) -> None:
        visit.accept()
        visit.frame(1, b"%d" % code)
        _, payload = await visit.recv()
        visit.frame(8, payload)

    tales = []
    for client in (sockette, ours):
        async with Faulty(faulty.drop, say) as server:
            tales.append(await client(server.uri, None, str(code)))
    if code != 1000:
        # Sockette takes its own closing for a failure then, with no attempt left.
        tales[0].remove(["maximum"])
    assert tales[1] == tales[0]
    assert tales[0][-2:] == [["message", str(code)], ["close", code, "enough"]]
