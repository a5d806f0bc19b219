"""The client for threads, against the same faults as the one for asyncio."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.eventsource.test_client import CHUNKED, EVENTS, QUICK, STREAM, chunks
from tests.eventsource.wire import (
    LIMIT_S,
    Scripted,
    answer,
    drop,
    reset,
    stay,
    stream,
)
from wsfast.engine import EventError
from wsfast.eventsource import (
    EventSourceClosed,
    InvalidContentType,
    SyncEventSourceClient,
    UnexpectedStatus,
)
from wsfast.exceptions import HandshakeTimeout, InvalidURI, SecurityError


def client(url: str, **options: Any) -> SyncEventSourceClient:
    """Return a client that does not make a test wait."""
    return SyncEventSourceClient(url, **{**QUICK, **options})


async def take(url: str, count: int, **options: Any) -> list[tuple[str, ...]]:
    """Receive so many events, in a thread."""

    def follow() -> list[tuple[str, ...]]:
        with client(url, **options) as source:
            return [tuple(source.recv(LIMIT_S)) for _ in range(count)]

    return await asyncio.to_thread(follow)


@pytest.mark.parametrize(
    "act",
    [
        stream(*(bytes((octet,)) for octet in STREAM), then=stay),
        stream(*chunks(STREAM), b"0\r\n\r\n", head=CHUNKED),
    ],
)
async def test_events(act):
    async with Scripted(act) as server:
        assert await take(server.url("/a?b"), 2) == EVENTS
        assert server.visits[0].line == "GET /a?b HTTP/1.1"
        assert server.visits[0].fields["accept"] == "text/event-stream"


async def test_comes_back_with_the_last_id_until_204():
    errors: list[str] = []
    acts = [
        stream(b"id:1\ndata:one\n\nid:2\ndata:half\n"),
        stream(b"retry: 120\nid:3\ndata:ha", then=reset),
        drop,
        stream(b"data:two\n\n"),
        answer("204 No Content"),
    ]

    def follow() -> list[str]:
        source = client(
            server.url(), on_error=lambda _, exc: errors.append(type(exc).__name__)
        )
        with source:
            seen = [event.data for event in source]
            assert source.retry == 0.12
            with pytest.raises(EventSourceClosed, match="the peer has gone"):
                source.recv()
            return seen

    async with Scripted(*acts) as server:
        assert await asyncio.to_thread(follow) == ["one", "two"]
        ids = [visit.fields.get("last-event-id") for visit in server.visits]
    assert ids == [None, "1", "1", "1", "1"]
    assert errors[0] == errors[3] == "EOFError"
    assert errors[1] == "ConnectionResetError"
    assert len(errors) == 4


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (answer("500 No", body=b"sorry"), UnexpectedStatus),
        (answer("200 OK", b"Content-Type: text/html"), InvalidContentType),
        (answer("302 There", b"Location: /"), SecurityError),
        (stream(b"data:" + b"x" * 100, then=stay), EventError),
    ],
)
async def test_what_fails_it(act, error):
    async with Scripted(act) as server:
        for _ in range(2):  # it stays so
            with pytest.raises(error):
                await take(server.url(), 1, max_line=64)


async def test_redirect_to_another_origin_without_credentials():
    options = {"additional_headers": {"Authorization": "x", "X-Other": "kept"}}
    async with Scripted(stream(b"data:1\n\n", then=stay)) as target:
        there = b"Location: " + target.url("/new").encode()
        async with Scripted(answer("307 There", there)) as first:
            assert await take(first.url(), 1, **options) == [("message", "1", "")]
            assert first.visits[0].fields["authorization"] == "x"
        seen = target.visits[0].fields
        assert seen["x-other"] == "kept"
        assert "authorization" not in seen


@pytest.mark.parametrize(
    ("act", "options", "error"),
    [
        (stay, {"open_timeout": 0.3}, HandshakeTimeout),
        (stream(b": hi\n", then=stay), {"idle_timeout": 0.3}, TimeoutError),
    ],
)
async def test_silence(act, options, error):
    errors: list[Exception] = []
    options["on_error"] = lambda _, exc: errors.append(exc)
    async with Scripted(act, stream(b"data:1\n\n", then=stay)) as server:
        assert await take(server.url(), 1, **options) == [("message", "1", "")]
    assert type(errors[0]) is error


async def test_timeout_loses_nothing():
    go = asyncio.Event()

    async def late(visit: Any) -> None:
        await go.wait()
        await visit.write(b"ta:1\n\n")
        await visit.reader.read()

    def follow() -> str:
        with client(server.url()) as source:
            with pytest.raises(TimeoutError, match="waiting for an event"):
                source.recv(timeout=0.1)
            loop.call_soon_threadsafe(go.set)
            return source.recv(timeout=LIMIT_S).data

    loop = asyncio.get_running_loop()
    async with Scripted(stream(b"da", then=late)) as server:
        assert await asyncio.to_thread(follow) == "1"
        assert len(server.visits) == 1


@pytest.mark.parametrize("where", ["in a stream", "between streams"])
async def test_closed_by_another_thread(where):
    act = stream(b": hi\n", then=stay) if where == "in a stream" else answer("503 No")
    waiting = threading.Event()
    source: Any = None

    def follow() -> None:
        with pytest.raises(EventSourceClosed, match="was closed"):
            waiting.set()
            source.recv()

    async with Scripted(act) as server:
        options = {"process_exception": lambda exc: None, "retry": 60.0}
        source = client(server.url(), **{**options, "max_retry": 60.0})
        following = asyncio.ensure_future(asyncio.to_thread(follow))
        await server.visited(1)
        await asyncio.sleep(0.1)  # it waits by now, or will find out at once
        source.close()
        await asyncio.wait_for(following, LIMIT_S)
        source.close()


def test_wrong_arguments():
    with pytest.raises(InvalidURI):
        client("ws://localhost/")
    with pytest.raises(ValueError, match="incompatible"):
        client("http://localhost/", ssl=object())
    with pytest.raises(ValueError, match="Last-Event-ID"):
        client("http://localhost/", last_event_id="a\nb")
