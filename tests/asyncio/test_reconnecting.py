"""A client that comes back, against a server of scripted faults (THREATS K-10)."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any

import pytest

from tests.asyncio import faulty
from tests.asyncio.conftest import Pair, uri
from tests.asyncio.faulty import LIMIT_S, QUICK, Events, Faulty
from wsfast import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    InvalidURI,
    ProtocolError,
    Reconnecting,
)


@pytest.fixture
def events() -> Events:
    return Events()


# ---- what happens, in which order ----


async def test_drop_reset_refuse_and_back(events: Events, reactor: bool):
    async with Faulty(
        faulty.drop, faulty.reset, faulty.refuse, faulty.close(1012), faulty.echo
    ) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), reactor=reactor)
        ws.open()
        await events.until("open", 4)
        ws.send("hello")
        await events.until("message")
        await ws.close()
    again = ("reconnect", ConnectionClosedError)
    assert events.seen == [
        *[("open",), ("close", 1006, ""), again] * 2,
        *[("error", InvalidStatus), ("close", 1006, ""), ("reconnect", InvalidStatus)],
        *[("open",), ("close", 1012, ""), again],
        *[("open",), ("message", "hello"), ("close", 1000, "")],
    ]
    assert ws.state == "closed"


@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_final_codes(events: Events, code: int | None):
    async with Faulty(faulty.close(code)) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        await ws.open()
        await ws.wait_closed()
        assert events.seen == [("open",), ("close", code or 1005, "")]
        assert server.visits == 1
        await ws.open()  # the same instance, again
        await ws.wait_closed()
    assert events.names == ["open", "close"] * 2


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1011, 1012, 3000, 4999])
async def test_codes_that_are_not_final(events: Events, code: int):
    async with Faulty(faulty.close(code), faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        await ws.open()
        await ws.wait_closed()
    assert events.names == ["open", "close", "reconnect", "open", "close"]


async def test_final_codes_can_be_chosen(events: Events):
    async with Faulty(faulty.close(1001), faulty.close(4001)) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), final_codes={4001})
        await ws.open()
        await ws.wait_closed()
    assert [e for e in events.seen if e[0] == "close"] == [
        ("close", 1001, ""),
        ("close", 4001, ""),
    ]


async def test_hanging_server(events: Events):
    async with Faulty(faulty.hang, faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), open_timeout=0.3)
        await ws.open()
        await ws.wait_closed()
    assert events.names == ["error", "close", "reconnect", "open", "close"]


async def test_server_that_breaks_a_rule(events: Events):
    async with Faulty(faulty.bad_frame, faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        await ws.open()
        await ws.wait_closed()
    assert events.names == ["open", "error", "close", "reconnect", "open", "close"]
    assert issubclass(events.seen[1][1], ProtocolError)


async def test_server_that_restarts(events: Events, reactor: bool):
    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), reactor=reactor)
        for count in (1, 2, 3):
            ws.open()
            await events.until("open", count)
            await server.stop()
            await events.until("error", 2 * count)  # nobody listens
            await server.listen()
        await events.until("open", 4)
        await ws.close()
    assert ("error", ConnectionRefusedError) in events.seen


async def test_maximum(events: Events):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        ws = Reconnecting(address, **QUICK, **events.all("message"), max_attempts=2)
        with pytest.raises(ConnectionRefusedError):
            await ws.open()
        with pytest.raises(ConnectionRefusedError):
            await ws.recv()
    failed = ["error", "close"]
    assert events.names == [*[*failed, "reconnect"] * 2, "error", "maximum", "close"]
    with pytest.raises(ConnectionRefusedError):
        async with Reconnecting(address, **QUICK, max_attempts=0):
            pass


async def test_attempts_count_in_a_row(events: Events):
    async with Faulty(
        *[faulty.refuse, faulty.refuse, faulty.drop] * 2, faulty.close(1000)
    ) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all(), max_attempts=3)
        await ws.open()
        await ws.wait_closed()
    assert events.names.count("open") == 3
    assert "maximum" not in events.names


@pytest.mark.parametrize(
    ("healthy", "expected"), [(0, [1, 2, 1, 2, 4]), (600, [1, 2, 4, 8, 16])]
)
async def test_a_healthy_connection_sets_the_delays_back(healthy, expected):
    delays: list[float] = []
    options: dict[str, Any] = {**QUICK, "backoff": 2.0, "healthy": healthy}
    refused = [faulty.refuse] * 2
    acts = [*refused, faulty.drop, *refused, faulty.close(1000)]
    async with Faulty(*acts) as server:
        ws = Reconnecting(
            server.uri, **options, on_reconnect=lambda ws, exc: delays.append(ws.delay)
        )
        ws.open()
        await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
    assert delays == pytest.approx([QUICK["timeout"] * times for times in expected])


def test_k10_delays_have_a_floor_and_a_ceiling():
    ws = Reconnecting("ws://127.0.0.1:9/")
    first = [ws._next_delay(0) for _ in range(1000)]
    assert 0.5 <= min(first) < 0.6
    assert 1.4 < max(first) <= 1.5
    for failures in (7, 100, 10_000):  # 2.0 ** 10_000 is beyond any float
        late = [ws._next_delay(failures) for _ in range(1000)]
        assert 0.5 <= min(late) < 5
        assert 55 < max(late) <= 60


async def test_what_no_attempt_can_mend(events: Events, caplog):
    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all("message"), no_such=1)
        with pytest.raises(TypeError, match="no_such"):
            await ws.open()
        with pytest.raises(TypeError, match="no_such"):
            await ws.recv()
    assert events.names == ["error", "close"]
    assert "gave up" in caplog.text


# ---- closing and reconnecting by hand ----


async def test_closed_while_it_waits(events: Events):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        ws = Reconnecting(address, **{**QUICK, "timeout": 600}, **events.all())
        ws.open()
        await events.until("close")
        assert ws.state == "waiting"
        await ws.close()
    assert events.names == ["error", "close"]


async def test_closed_while_it_connects(events: Events):
    async with Faulty(faulty.hang) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all("message"))
        ws.open()
        await server.visited(1)
        await ws.close()
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
    assert events.names == ["close"]


async def test_closed_and_opened_again(events: Events):
    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        for count in range(1, 4):
            await ws.open()
            await ws.send("hello")
            await events.until("message", count)
            await ws.close(4000, "bye")
            with pytest.raises(ConnectionClosedError):
                ws.send("too late")
    assert events.names == ["open", "message", "close"] * 3
    assert ("close", 4000, "bye") in events.seen


async def test_closed_by_its_own_callback():
    async with Faulty(faulty.echo) as server:
        for name in ("on_open", "on_message"):
            ws = Reconnecting(
                server.uri, **QUICK, **{name: lambda ws, *args: ws.close()}
            )
            await ws.open()
            if name == "on_message":
                ws.send("hello")
            await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
    async with Faulty(faulty.drop) as server:
        ws = Reconnecting(server.uri, **QUICK, on_close=lambda ws, *args: ws.close())
        ws.open()
        await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
        assert server.visits == 1


async def test_reconnect(events: Events):
    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        await ws.open()
        ws.reconnect()
        await events.until("open", 2)
        await ws.close()
        ws.reconnect()
        await events.until("open", 3)
        await ws.close()
    assert events.names[:4] == ["open", "close", "reconnect", "open"]


async def test_reconnect_overrules_a_final_code():
    count = 0

    def on_close(ws, code, reason):
        nonlocal count
        count += 1
        if count < 3:
            ws.reconnect()

    async with Faulty(faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, on_close=on_close)
        ws.open()
        await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
        assert server.visits == 3


async def test_opened_again_before_the_end(events: Events):
    async with Faulty(faulty.echo) as server:
        ws = Reconnecting(server.uri, **QUICK, **events.all())
        await ws.open()
        ws.close()
        ws.open()
        await events.until("open", 2)
        await ws.close()
    async with Faulty(faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, on_close=lambda ws, *args: ws.open())
        await ws.open()
        await server.visited(3)
        ws.on_close = None
        await ws.close()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        ws = Reconnecting(address, **QUICK, **events.all())
        for count in range(1, 20):
            ws.open()
            await events.until("error", count)
            ws.close()
            ws.open()
        await ws.close()
    assert ws.state == "closed"


async def test_callback_that_raises(caplog):
    def fail(ws, *args):
        raise RuntimeError("oops")

    async with Faulty(faulty.echo, faulty.echo, faulty.close(1000)) as server:
        ws = Reconnecting(server.uri, **QUICK, on_message=fail, on_close=fail)
        await ws.open()
        await ws.send("hello")
        await server.visited(2)
        await ws.open()
        await ws.send("hello")
        await asyncio.wait_for(ws.wait_closed(), LIMIT_S)
    assert caplog.text.count("on_message failed") == 2
    assert caplog.text.count("on_close failed") == 3


async def test_cancelled_from_outside(reactor: bool):
    async with Faulty(faulty.echo, faulty.hang) as server:
        for _ in range(2):
            ws = Reconnecting(server.uri, **QUICK, reactor=reactor)
            opening = asyncio.ensure_future(_opened(ws))
            await server.visited(1)
            await asyncio.sleep(0.05)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            assert ws.state == "closed"
            server.visits = 0
    gc.collect()


async def _opened(ws: Reconnecting) -> None:
    async with ws:
        await asyncio.sleep(LIMIT_S)


# ---- messages ----


async def test_messages_of_all_connections(pair: Pair, reactor: bool):
    """Those that came with the end are not lost either."""
    acts = [faulty.close(1012, b"%d" % n, b"%d!" % n) for n in range(6)]
    async with Faulty(*acts, faulty.close(1000, b"end")) as server:
        ws = Reconnecting(server.uri, **QUICK, reactor=reactor)
        got = [message async for message in ws]
    assert got == [x for n in range(6) for x in (str(n), f"{n}!")] + ["end"]


async def test_a_slow_reader_is_waited_for():
    async with Faulty(faulty.close(1012, b"x"), faulty.close(1012, b"x")) as server:
        ws = Reconnecting(server.uri, **QUICK)
        ws.open()
        await server.visited(4)
        await asyncio.sleep(0.3)
        assert server.visits == 4
        assert await ws.recv() == "x"
        assert await ws.recv() == "x"
        await server.visited(5)
        await ws.close()


async def test_who_only_sends_is_not():
    async with Faulty(faulty.drop) as server:
        ws = Reconnecting(server.uri, **QUICK)
        ws.open()
        await server.visited(8)
        await ws.close()


async def test_iteration_ends_as_the_connection_did():
    async with Faulty(faulty.close(1001), faulty.close(4001)) as server:
        assert [m async for m in Reconnecting(server.uri, **QUICK)] == []
        ws = Reconnecting(server.uri, **QUICK, final_codes={4001})
        with pytest.raises(ConnectionClosedError):
            _ = [m async for m in ws]
    async with Faulty(faulty.echo) as server, Reconnecting(server.uri, **QUICK) as ws:
        await ws.json({"a": [1]})
        async for message in ws:
            assert message == '{"a": [1]}'
            await ws.close(4000)


async def test_recv_loses_nothing_when_it_is_cancelled():
    async with Faulty(faulty.echo) as server, Reconnecting(server.uri, **QUICK) as ws:
        for number in range(20):
            task = asyncio.ensure_future(ws.recv())
            await asyncio.sleep(0)
            await ws.send(str(number))
            await asyncio.sleep(0.001 * (number % 5))
            if not task.cancel():
                assert await task == str(number)
                continue
            try:
                assert await task == str(number)
            except asyncio.CancelledError:
                assert await ws.recv() == str(number)


async def test_callbacks_take_the_messages():
    ws = Reconnecting("ws://127.0.0.1:9/", on_message=print)
    with pytest.raises(RuntimeError, match="on_message"):
        await ws.recv()


# ---- arguments ----


@pytest.mark.parametrize(
    "options",
    [
        {"jitter": 1.5},
        {"timeout": -1},
        {"min_timeout": 61},
        {"backoff": 0.5},
        {"while_down": "wait"},
        {"compression": "no such"},
        {"listener": object()},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(ValueError):
        Reconnecting("ws://127.0.0.1/", **options)


def test_other_arguments_that_make_no_sense():
    with pytest.raises(InvalidURI):
        Reconnecting("ftp://127.0.0.1/")

    async def on_message(ws, message):
        pass

    with pytest.raises(TypeError, match="on_message is a coroutine"):
        Reconnecting("ws://127.0.0.1/", on_message=on_message)


@pytest.mark.parametrize("protocols", ["chat", ["chat"], ("other", "chat")])
async def test_protocols(pair: Pair, protocols):
    server = await pair.serve(lambda ws: ws.wait_closed(), subprotocols=["chat"])
    async with Reconnecting(uri(server), protocols=protocols) as ws:
        assert ws.connection is not None
        assert ws.connection.subprotocol == "chat"
