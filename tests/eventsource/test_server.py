"""The server's side over streams of asyncio, octet by octet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.eventsource.wire import REQUEST, raw_client, soon
from wsfast import ConnectionClosed, EventSource, SlowConsumer
from wsfast.asyncio.waiter import DROPPED
from wsfast.eventsource import EncodedEvent, EventSourceClosed, History
from wsfast.exceptions import InvalidHandshake
from wsfast.protocol.closing import State

Handler = Callable[[EventSource], Awaitable[Any]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[int]:
    """Serve event streams; gives the port. What a handler raises fails the test."""
    failures: list[BaseException] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            source = await EventSource.from_asyncio(reader, writer, **options)
            async with source:
                await handler(source)
        except BaseException as exc:
            failures.append(exc)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        if tasks:
            await soon(asyncio.wait(tasks))
    assert not failures, failures


async def test_what_is_sent():
    async def handler(source: EventSource) -> None:
        assert source.state is State.CONNECTING
        source.send("before it is open")
        await source.send("a\nb", event="add", id=7)
        assert source.ping("hi")
        await source.send(b"\xc3\xa9", retry=1.5)
        await source.send(EncodedEvent.of("done before"))
        with pytest.raises(TypeError, match="encoded already"):
            source.send(EncodedEvent.of("x"), event="y")
        await source.send("", id="")

    async with serving(handler) as port, raw_client(port) as client:
        head = await client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        for field in (
            b"Content-Type: text/event-stream",
            b"Cache-Control: no-store",
            b"X-Accel-Buffering: no",
            b"Connection: close",
        ):
            assert field + b"\r\n" in head
        assert await client.rest() == (
            b":\n\ndata: before it is open\n\n"
            b"event: add\nid: 7\ndata: a\ndata: b\n\n: hi\n\n"
            b"retry: 1500\ndata: \xc3\xa9\n\ndata: done before\n\nid: \ndata: \n\n"
        )


async def test_what_is_known_of_the_request():
    seen: list[Any] = []

    async def handler(source: EventSource) -> None:
        seen.extend((source.url, source.last_event_id, source.missed))

    async with serving(handler, retry=0.25) as port:
        async with raw_client(port, "Last-Event-ID: é1".encode()) as client:
            assert (await client.rest()).endswith(b"\r\n\r\nretry: 250\n\n")
    assert seen == ["http://localhost/events?a=b", "é1", False]


async def test_headers_of_the_application():
    options = {"headers": {"Access-Control-Allow-Origin": "*", "cache-control": "x"}}
    async with serving(lambda source: source.send("1"), **options) as port:
        async with raw_client(port) as client:
            head = await client.until(b"\r\n\r\n")
    assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in head
    assert head.lower().count(b"\r\ncache-control: ") == 1


async def test_l5_nothing_breaks_out_of_its_line():
    async def handler(source: EventSource) -> None:
        for wrong in ({"event": "a\ndata: x"}, {"id": "a\rb"}, {"id": "a\0"}):
            with pytest.raises(ValueError, match="must not contain"):
                source.send("x", **wrong)
        with pytest.raises(ValueError, match="must not contain"):
            source.ping("a\n\ndata: x")
        await source.send("x\n\nevent: y\r\rid: z")

    async with serving(handler) as port, raw_client(port) as client:
        await client.until(b"\r\n\r\n")
        assert await client.rest() == (
            b":\n\ndata: x\ndata: \ndata: event: y\ndata: \ndata: id: z\n\n"
        )


# ---- the end ----


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_disconnect_is_noticed_at_once(how):
    # No ping comes to help, and the handler waits for nothing of ours.
    gone = asyncio.Event()
    codes: list[int] = []

    async def handler(source: EventSource) -> None:
        with pytest.raises(EventSourceClosed, match="the peer has gone"):
            await source.recv()
        assert source.state is State.CLOSED
        assert not source.ping()
        with pytest.raises(ConnectionClosed):
            source.send("x")

    def on_close(source: EventSource, code: int, reason: str) -> None:
        codes.append(code)
        gone.set()

    async with serving(handler, ping=None, on_close=on_close) as port:
        async with raw_client(port) as client:
            await client.until(b":\n\n")
            if how == "reset":
                client.reset()
            else:
                client.writer.write_eof()
            await soon(gone.wait())
    assert codes == [1006]


async def test_iterating_ends_when_the_client_leaves():
    ended = asyncio.Event()

    async def handler(source: EventSource) -> None:
        async for _ in source:
            raise AssertionError("nothing is received")
        await source  # done already
        ended.set()

    async with serving(handler) as port:
        async with raw_client(port) as client:
            await client.until(b":\n\n")
        await soon(ended.wait())


async def test_close_sends_what_is_queued_and_callbacks_are_called():
    calls: list[Any] = []

    async def handler(source: EventSource) -> None:
        source.send("1")
        closing = source.close(1000, "as for a WebSocket")
        assert source.ready_state == 2
        with pytest.raises(EventSourceClosed, match="was closed"):
            source.send("2")
        await closing
        assert source.ready_state == 3
        await source.close()

    async with (
        serving(
            handler,
            on_open=lambda source: calls.append("open"),
            on_close=lambda source, code, reason: calls.append((code, reason)),
        ) as port,
        raw_client(port) as client,
    ):
        assert (await client.rest()).endswith(b":\n\ndata: 1\n\n")
    assert calls == ["open", (1000, "")]


async def test_handler_that_outlives_its_client_has_not_failed():
    async def handler(source: EventSource) -> None:
        while True:
            await source.send("x" * 1000)
            await asyncio.sleep(0)

    async with serving(handler) as port, raw_client(port) as client:
        await client.until(b":\n\n")
        client.reset()


async def test_cancelled_handler_ends_the_stream():
    sources: list[EventSource] = []

    async def handler(source: EventSource) -> None:
        sources.append(source)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await source.wait_closed()

    async with serving(handler) as port, raw_client(port) as client:
        assert (await client.rest()).endswith(b":\n\n")
    assert sources[0].state is State.CLOSED


# ---- pings ----


async def test_pings_while_there_is_nothing_else():
    async with serving(lambda source: source.wait_closed(), ping=0.05) as port:
        async with raw_client(port) as client:
            for _ in range(3):
                await client.until(b": ping\n\n")


async def test_no_pings_between_events():
    async def handler(source: EventSource) -> None:
        for n in range(5):
            await source.send(str(n))
            await asyncio.sleep(0.01)

    async with serving(handler, ping=30) as port, raw_client(port) as client:
        assert b"ping" not in await client.rest()


# ---- clients that come back ----


async def test_replay():
    history = History(count=3)
    events = [history.add(str(n), id=n) for n in range(5)]
    missed: list[bool] = []

    async def handler(source: EventSource) -> None:
        missed.append(source.missed)
        await source.send("new")

    got = []
    async with serving(handler, history=history) as port:
        for last in (b"", b"2", b"4", b"0"):
            async with raw_client(port, b"Last-Event-ID: " + last) as client:
                await client.until(b":\n\n")
                got.append(await client.rest())
    new = b"data: new\n\n"
    assert got == [new, b"".join(events[3:]) + new, new, b"".join(events[2:]) + new]
    assert missed == [False, False, False, True]


async def test_replay_is_not_counted_as_a_slow_consumer():
    history = History(count=100, size=2 << 20)
    ids = [history.add("x" * 20_000).id for _ in range(100)]

    async def handler(source: EventSource) -> None:
        assert source.buffered_amount > 1_900_000
        await source.send("new")

    async with serving(handler, history=history) as port:
        last = b"Last-Event-ID: " + ids[0].encode()
        async with raw_client(port, last) as client:
            octets = await client.rest()
    assert octets.count(b"x" * 20_000) == 99
    assert octets.endswith(b"data: new\n\n")


# ---- clients that do not read ----

LONG = "x" * 50_000


async def test_send_waits_for_a_slow_client():
    sent = 0

    async def handler(source: EventSource) -> None:
        nonlocal sent
        for _ in range(400):
            await source.send(LONG)
            assert source.buffered_amount <= 64 * 1024 + 2 * len(LONG)
            sent += 1

    async with serving(handler) as port, raw_client(port, small=True) as client:
        await client.until(b":\n\n")
        before = -1
        while before != sent:  # until it waits
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 400  # 20 MB
        assert (await client.rest()).count(b"data: ") == 400


@pytest.mark.parametrize("overflow", ["close", "drop", "wait"])
async def test_overflow(overflow):
    most = 950_000
    done = asyncio.Event()
    seen: dict[str, Any] = {"results": []}

    async def handler(source: EventSource) -> None:
        try:
            for _ in range(200):  # nobody awaits: 10 MB
                seen["results"].append(source.send(LONG))
                await asyncio.sleep(0)
        except SlowConsumer as exc:
            seen["error"] = exc
        seen["buffered"] = source.buffered_amount
        source.abort()
        done.set()

    options = {"overflow": overflow, "max_send_buffer": most}
    async with serving(handler, **options) as port:
        async with raw_client(port, small=True) as client:
            await client.until(b":\n\n")
            await soon(done.wait())
    assert ("error" in seen) == (overflow == "close")
    assert (seen["buffered"] > most) == (overflow == "wait")
    dropped = [r for r in seen["results"] if r is DROPPED]
    assert bool(dropped) == (overflow == "drop")
    if dropped:
        assert await dropped[0] is False


async def test_client_that_takes_nothing_is_given_up():
    given_up = asyncio.get_running_loop().create_future()

    async def handler(source: EventSource) -> None:
        with pytest.raises(SlowConsumer):
            while True:
                await source.send(LONG)

    async with serving(
        handler,
        send_timeout=0.3,
        on_close=lambda source, code, reason: given_up.set_result(code),
    ) as port:
        async with raw_client(port, small=True) as client:
            await client.until(b":\n\n")
            assert await soon(given_up) == 1008


# ---- requests that are none ----


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"406"),
        (REQUEST.replace(b"GET", b"PUT"), b"406"),
        (b"nonsense\r\n", b"400"),
        (REQUEST + b"X: " + b"x" * 9000 + b"\r\n", b"431"),
        (REQUEST + b"Content-Length: 5\r\n", b"400"),
    ],
)
async def test_refused(request_, status):
    refused = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await EventSource.from_asyncio(reader, writer)
        except InvalidHandshake as exc:
            refused.set_result(exc)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with raw_client(port, request=request_) as client:
            with contextlib.suppress(OSError):  # reset: it had more to say
                assert (await client.rest()).split()[1] == status
        assert str((await soon(refused)).status) == status.decode()


async def test_request_that_does_not_come():
    done = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await EventSource.from_asyncio(reader, writer, open_timeout=0.1)
        except TimeoutError as exc:
            done.set_result(exc)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await soon(reader.read()) == b""
        assert "timed out" in str(await soon(done))
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "options", [{"overflow": "x"}, {"ping": 0}, {"headers": {"A": "b\nc"}}]
)
async def test_wrong_options(options):
    async def never(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(ValueError, match=r"overflow|ping|A"):
        EventSource({"type": "http", "headers": []}, never, never, **options)
