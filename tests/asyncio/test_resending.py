"""What is sent while there is no connection, and what each connection begins with."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from tests.asyncio import faulty
from tests.asyncio.faulty import LIMIT_S, QUICK, Events, Faulty
from wsfast import ConnectionClosedError, Reconnecting


@pytest.fixture
def events() -> Events:
    return Events()


# ---- while down ----


async def test_send_raises_while_down(events: Events):
    async with Faulty(faulty.drop, faulty.echo) as server:
        ws = Reconnecting(server.uri, **{**QUICK, "timeout": 600}, **events.all())
        with pytest.raises(ConnectionClosedError):
            ws.send("before")
        ws.open()
        await events.until("close")
        with pytest.raises(ConnectionClosedError) as caught:
            ws.send("while")
        assert caught.value.__cause__ is not None
        await ws.close()


async def test_send_drops_while_down(events: Events):
    async with Faulty(faulty.drop, faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), while_down="drop")
        assert await ws.send("before") is False
        await events_open(ws, events, 2)
        assert await ws.send("hello") is None
        await events.until("message")
        await ws.close()
        assert server.got == [b"hello"]
        assert ws.dropped == 1


async def events_open(ws: Reconnecting, events: Events, count: int) -> None:
    ws.open()
    await events.until("open", count)


async def test_queue_keeps_the_order(events: Events, reactor: bool):
    async with Faulty(faulty.refuse, faulty.echo) as server:
        ws = Reconnecting(
            server.uri, **QUICK, **events.all(), while_down="queue", reactor=reactor
        )
        expected = []
        for number in range(500):
            ws.send(str(number) * 50)
            expected.append(str(number) * 50)
        ws.on_open = lambda ws: ws.send("from on_open")
        ws.open()
        await events.until("close")
        ws.send(bytearray(b"while"))
        last = ws.send("last")
        assert ws.queued == 502
        await last
        await ws.send("behind")
        await events.until("message", 504)
        await ws.close()
    behind = [e[1] for e in events.seen if e[0] == "message"]
    assert behind == [*expected, b"while", "last", "from on_open", "behind"]
    assert ws.queued == 0


async def test_queue_goes_on_with_the_next_connection(events: Events):
    """What a connection has not taken waits for the next; nothing comes twice."""
    async with Faulty(faulty.take(0), faulty.echo) as server:
        ws = Reconnecting(
            server.uri,
            **QUICK,
            **events.all(),
            while_down="queue",
            resume=lambda connection: None,
        )
        ws.open()
        await events.until("close")
        for number in range(10):
            ws.send(str(number))
        await events.until("message", 10)
        await ws.close()
        assert server.got == [b"%d" % number for number in range(10)]


async def test_queue_is_bounded():
    ws = Reconnecting("ws://127.0.0.1:9/", while_down="queue", queue=3, queue_size=10)
    ws.send("a")
    ws.send("\xe4" * 4)
    with pytest.raises(asyncio.QueueFull, match="10 octets"):
        ws.send("bb")
    ws.send("b")
    with pytest.raises(asyncio.QueueFull, match="3 messages"):
        ws.send("")
    with pytest.raises(TypeError, match="str and octets"):
        ws.send(["frag", "ments"])
    assert ws.queued == 3
    default = Reconnecting("ws://127.0.0.1:9/", while_down="queue")
    for _ in range(1000):
        default.send("x")
    with pytest.raises(asyncio.QueueFull):
        default.send("x")
    default = Reconnecting("ws://127.0.0.1:9/", while_down="queue")
    default.send(bytes(1 << 20))
    with pytest.raises(asyncio.QueueFull):
        default.send("x")


async def test_senders_are_told(caplog):
    caplog.set_level(logging.WARNING)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        ws = Reconnecting(address, **QUICK, while_down="queue", max_attempts=1)
        told = asyncio.ensure_future(_send(ws, "awaited"))
        given_up = asyncio.ensure_future(_send(ws, "given up"))
        await asyncio.sleep(0)
        ws.send("not awaited")
        given_up.cancel()
        ws.open()
        with pytest.raises(ConnectionRefusedError):
            await told
        await ws.wait_closed()
    assert "wait for a connection that will not come" in caplog.text
    with pytest.raises(ConnectionClosedError):
        ws.send("too late")
    async with Faulty(faulty.echo) as server:
        ws.uri = server.uri
        async with ws:
            assert await ws.recv() in ("not awaited", "given up")


async def _send(ws: Reconnecting, message: str) -> None:
    await ws.send(message)


# ---- resume ----


async def test_resume_comes_first_on_every_connection(events: Events):
    answers = []

    async def resume(connection):
        await connection.send("login")
        answers.append(await connection.recv())

    async def kick(visit):
        visit.accept()
        visit.got.append((await visit.recv())[1])
        visit.frame(1, b"welcome")
        visit.got.append((await visit.recv())[1])

    async with Faulty(kick, kick, faulty.echo) as server:
        ws = Reconnecting(
            server.uri, **QUICK, **events.all(), while_down="queue", resume=resume
        )
        ws.on_open = lambda ws: ws.send("hello")
        ws.send("queued")
        ws.open()
        await events.until("message")
        await ws.close()
        assert server.got == [
            *[b"login", b"queued"],
            *[b"login", b"hello"],
            *[b"login", b"hello"],
        ]
    assert answers == ["welcome", "welcome", "login"]


@pytest.mark.parametrize("how", ["drops", "hangs"])
async def test_resume_that_the_server_interrupts(events: Events, how: str):
    async def resume(connection):
        await connection.recv()

    async def silent(visit):
        visit.accept()
        if how == "hangs":
            await visit.reader.read()

    async with Faulty(silent, faulty.close(1000, b"welcome")) as server:
        ws = Reconnecting(
            server.uri, **QUICK, **events.all(), resume=resume, open_timeout=1
        )
        ws.open()
        await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
        assert server.visits == 2
    assert events.names == ["error", "close", "reconnect", "open", "close"]


async def test_resume_that_gives_up(events: Events):
    async def resume(connection):
        raise ValueError("wrong password")

    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), resume=resume)
        with pytest.raises(ValueError, match="wrong password"):
            await ws.open()
        assert server.visits == 1
