"""A connection through the events of an ASGI server, which the test plays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wsfast import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    PayloadTooBig,
    SlowConsumer,
)
from wsfast.asyncio.prepared import GONE, QUEUED, SLOW
from wsfast.attach import WebSocket
from wsfast.attach.asgi import MAX_SEND_BUFFER, AsgiConnection, is_over
from wsfast.exceptions import NegotiationError
from wsfast.hub import Message

SCOPE = {
    "type": "websocket",
    "scheme": "ws",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [(b"host", b"localhost")],
    "subprotocols": ["a", "b"],
}


class Server:
    """A server of ASGI: what it says is put, what it is told is noted."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for event in events:
            self.events.put_nowait(event)
        self.told: list[dict[str, Any]] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = False

    async def receive(self) -> dict[str, Any]:
        return await self.events.get()

    async def send(self, event: dict[str, Any]) -> None:
        await self.takes.wait()
        if self.gone:
            raise OSError("the client has gone")
        self.told.append(event)

    def says(self, kind: str, **fields: Any) -> None:
        self.events.put_nowait({"type": f"websocket.{kind}", **fields})

    def connection(self, max_size: int | None = None) -> AsgiConnection:
        return AsgiConnection(self.receive, self.send, None, max_size)

    @property
    def sent(self) -> list[Any]:
        return [event.get("text", event.get("bytes")) for event in self.told]


@pytest.fixture
async def server() -> Server:
    return Server()


def attached(server: Server, **options: Any) -> WebSocket:
    return WebSocket(SCOPE, server.receive, server.send, **options)


async def test_client_that_leaves_before_it_is_accepted(server: Server):
    server.says("disconnect", code=1006)
    with pytest.raises(InvalidHandshake, match="left during its handshake"):
        async with attached(server):
            pass
    assert server.told == []


async def test_no_subprotocol_in_common(server: Server):
    server.says("connect")
    with pytest.raises(NegotiationError, match="expected one of x, y"):
        async with attached(server, protocols=["x", "y"]):
            pass
    assert [event["type"] for event in server.told] == ["websocket.close"]


async def test_subprotocol_and_headers(server: Server):
    server.says("connect")
    server.says("disconnect", code=1000)
    async with attached(server, protocols=["b"], headers={"X-A": "1"}) as ws:
        assert ws.protocol == "b"
    assert server.told[0] == {
        "type": "websocket.accept",
        "subprotocol": "b",
        "headers": [(b"x-a", b"1")],
    }


@pytest.mark.parametrize(
    ("message", "kind", "event"),
    [
        ("text", None, {"text": "text"}),
        (b"octets", None, {"bytes": b"octets"}),
        (bytearray(b"text"), True, {"text": "text"}),
        ("octets", False, {"bytes": b"octets"}),
        (memoryview(b"view"), None, {"bytes": b"view"}),
    ],
)
async def test_messages_of_both_kinds(server: Server, message, kind, event):
    connection = server.connection()
    await connection.send(message, kind)
    assert server.told == [{"type": "websocket.send", **event}]


async def test_what_is_no_message(server: Server):
    with pytest.raises(TypeError, match="must be str or bytes-like"):
        server.connection().send(7)


async def test_order_of_what_is_not_awaited(server: Server):
    connection = server.connection()
    for n in range(5):
        connection.send(str(n))
    await connection.send("5")
    assert server.sent == list("012345")
    assert connection.buffered_amount == 0


async def test_one_task_receives(server: Server):
    connection = server.connection()
    first = asyncio.ensure_future(connection.recv())
    await asyncio.sleep(0)
    with pytest.raises(ConcurrencyError, match="another task is receiving"):
        await connection.recv()
    server.says("receive", text="x")
    assert await first == "x"
    server.says("receive", bytes=b"y", text=None)
    assert await connection.recv() == b"y"


@pytest.mark.parametrize(
    ("event", "code", "reason", "error"),
    [
        ({"code": 1000, "reason": "bye"}, 1000, "bye", ConnectionClosedOK),
        ({"code": 1001}, 1001, "", ConnectionClosedOK),
        ({"code": 4000, "reason": None}, 4000, "", ConnectionClosedError),
        ({"code": 1006}, 1006, None, ConnectionClosedError),
        ({}, 1005, "", ConnectionClosedOK),
    ],
)
async def test_how_the_client_has_closed(server: Server, event, code, reason, error):
    connection = server.connection()
    assert (connection.close_code, connection.close_reason) == (None, None)
    server.says("disconnect", **event)
    for _ in range(2):
        with pytest.raises(error):
            await connection.recv()
    assert (connection.close_code, connection.close_reason) == (code, reason)
    with pytest.raises(error):
        connection.send("late")
    assert connection.offer(Message("late"), -1) == GONE
    await connection.close(1000)  # there is nobody left
    assert server.told == []


async def test_our_close_is_behind_what_is_queued(server: Server):
    connection = server.connection()
    connection.send("last")
    await connection.close(4001, "enough")
    await connection.wait_closed()
    assert server.told[-1] == {
        "type": "websocket.close",
        "code": 4001,
        "reason": "enough",
    }
    assert server.sent[0] == "last"
    assert (connection.close_code, connection.close_reason) == (4001, "enough")
    with pytest.raises(ConnectionClosedError):
        connection.send("late")


async def test_waiting_for_the_end_takes_what_comes(server: Server):
    connection = server.connection()
    for n in range(3):
        server.says("receive", text=str(n))
    server.says("disconnect", code=1000)
    await connection.wait_closed()
    assert connection.close_code == 1000


@pytest.mark.parametrize("message", [b"x" * 11, "x" * 11, "\N{EURO SIGN}" * 4])
async def test_message_that_is_too_long(server: Server, message):
    connection = server.connection(max_size=10)
    for kind in ("x" * 10, message):
        server.says("receive", **{"text" if isinstance(kind, str) else "bytes": kind})
    assert await connection.recv() == "x" * 10
    with pytest.raises(ConnectionClosedError) as caught:
        await connection.recv()
    assert isinstance(caught.value.__cause__, PayloadTooBig)
    assert server.told[-1]["code"] == 1009


def test_octets_of_a_text_are_counted_as_late_as_can_be():
    assert not is_over("\N{EURO SIGN}" * 3, 9)
    assert is_over("\N{EURO SIGN}" * 3, 8)
    assert not is_over(b"x" * 9, 9)


async def test_client_that_has_gone_while_we_send(server: Server):
    connection = server.connection()
    server.gone = True
    with pytest.raises(ConnectionClosedError) as caught:
        await connection.send("x")
    assert isinstance(caught.value.__cause__, OSError)
    assert connection.buffered_amount == 0
    assert connection.close_code == 1006
    with pytest.raises(ConnectionClosedError):
        await connection.recv()


async def test_server_that_does_not_take_it(server: Server):
    """Members of topics are told; what is sent all the same, has an end."""
    connection = server.connection()
    server.takes.clear()
    assert connection.offer(Message("first"), 100) == QUEUED
    assert connection.offer(Message(b"x" * 200), 100) == QUEUED
    assert connection.offer(Message("late"), 100) == SLOW
    drained = asyncio.Event()
    connection.when_drained(drained.set)
    await asyncio.sleep(0)
    assert not drained.is_set()
    server.takes.set()
    await asyncio.wait_for(drained.wait(), 20)
    assert server.sent == ["first", b"x" * 200]
    drained.clear()
    connection.when_drained(drained.set)  # at once, when nothing waits
    await asyncio.wait_for(drained.wait(), 20)
    server.takes.clear()
    with pytest.raises(SlowConsumer):
        for _ in range(3):
            connection.send(bytes(MAX_SEND_BUFFER))
    assert connection.buffered_amount == 0
    with pytest.raises(SlowConsumer):
        connection.send("late")
    server.takes.set()
    await connection.wait_closed()
    assert server.told[-1]["code"] == 1008
