"""A connection that its peer has failed is one line of the log; others are none."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.asyncio.wire import BINARY, CLOSE, TEXT, Wires, until
from wsfast import Listener
from wsfast.exceptions import ConnectionClosed, SlowConsumer

CODE = (1000).to_bytes(2, "big")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return all that wsfast logs."""
    caplog.set_level(logging.INFO, "wsfast")
    return caplog


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize(
    ("opcode", "payload", "code", "why"),
    [
        (3, b"", 1002, "reserved opcode"),
        (TEXT, b"\xff", 1007, "UTF-8"),
        (BINARY, bytes(101), 1009, "message over the size limit"),
    ],
)
async def test_a_peer_that_breaks_a_rule(
    wire: Wires,
    log: pytest.LogCaptureFixture,
    client: bool,
    opcode: int,
    payload: bytes,
    code: int,
    why: str,
):
    ws, peer = await wire(client=client, max_size=100)
    address = ws.remote_address
    octets = bytearray(peer.frame(TEXT, payload))
    octets[0] = 0x80 | opcode
    peer.send(bytes(octets))
    with pytest.raises(ConnectionClosed):
        await ws.recv()
    peer.close()
    await ws.wait_closed()
    (record,) = log.records
    assert record.name == ("wsfast.client" if client else "wsfast.server")
    assert record.exc_info is None
    line = record.getMessage()
    assert line.startswith(f"{address} failed with {code}: ")
    assert why in line


async def test_a_peer_that_does_not_read(wire: Wires, log: pytest.LogCaptureFixture):
    ws, peer = await wire(thin=True, max_send_buffer=10_000)
    with pytest.raises(SlowConsumer):
        while True:
            ws.send(b"x" * 1000)
    peer.close()
    await ws.wait_closed()
    (line,) = log.messages
    assert "failed with 1008: peer reads too slowly" in line


async def test_a_peer_that_is_silent(wire: Wires, log: pytest.LogCaptureFixture):
    ws, peer = await wire(ping_interval=0.05, ping_timeout=0.05)
    await until(lambda: log.messages)
    (line,) = log.messages
    assert line.endswith("failed with 1011: keepalive ping timeout")
    peer.close()
    await ws.wait_closed()
    assert len(log.messages) == 1


@pytest.mark.parametrize("end", ["close", "reset", "abort"])
async def test_other_ends_are_no_failures(
    wire: Wires, log: pytest.LogCaptureFixture, end: str
):
    ws, peer = await wire()
    if end == "close":
        peer.send(peer.frame(CLOSE, CODE))
        await peer.rest()
        peer.close()
    elif end == "reset":
        peer.reset()
    else:
        ws.abort()
    await ws.wait_closed()
    assert not log.messages


async def test_what_the_application_does_is_logged_by_itself(
    wire: Wires, log: pytest.LogCaptureFixture
):
    class Fail(Listener):
        def on_message(self, ws: Any, message: Any) -> None:
            raise ZeroDivisionError

    _, peer = await wire(Fail())
    peer.send_texts("go")
    await peer.rest()
    assert log.messages == ["connection handler failed"]


async def test_an_answer_to_what_comes_while_closing_is_no_failure(
    wire: Wires, log: pytest.LogCaptureFixture
):
    raised = []

    class Echo(Listener):
        def on_message(self, ws: Any, message: Any) -> None:
            try:
                ws.send(message)
            except ConnectionClosed as exc:
                raised.append(exc)
                raise

    ws, peer = await wire(Echo())
    ws.close(1001)
    peer.send_texts("one", "two")
    await until(lambda: len(raised) == 2)
    peer.send(peer.frame(CLOSE, (1001).to_bytes(2, "big")))
    await peer.rest()
    peer.close()
    await ws.wait_closed()
    assert (ws.close_code, log.messages) == (1001, [])
