"""Requests of plain HTTP over a connection that is kept (RFC 9112 §6, §9.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from wsfast.asyncio import _streaming
from wsfast.asyncio._dialing import dial
from wsfast.asyncio._streaming import Requests
from wsfast.exceptions import HeadTooLong, InvalidMessage, InvalidStatus
from wsfast.protocol.heads import Limits
from wsfast.protocol.targets import Target

LIMIT_S = 30
Act = Callable[["Site", asyncio.StreamWriter], Awaitable[None]]


class Site:
    """A server that answers each request with the next act, the last one for ever."""

    def __init__(self, *acts: bytes | Act) -> None:
        self.acts = list(acts)
        self.requests: list[bytes] = []
        self.connections = 0
        self.held = asyncio.Event()

    async def serve(self, reader: Any, writer: Any) -> None:
        self.connections += 1
        self.reader = reader
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2]
                body = await reader.readexactly(int(length.split()[0] if length else 0))
                self.requests.append(head + body)
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                if callable(act):
                    await act(self, writer)
                else:
                    writer.write(act)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


def ok(body: bytes, *fields: bytes, version: bytes = b"1.1") -> bytes:
    """Return a response with a length."""
    lines = b"".join(field + b"\r\n" for field in fields)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return b"HTTP/%b 200 OK\r\n%b%b%b" % (version, lines, length, body)


@asynccontextmanager
async def site(*acts: bytes | Act, **limits: Any) -> AsyncIterator[tuple[Site, Any]]:
    """Serve; gives the server, and a function that sends a request."""
    found = Site(*acts)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = Target(f"http://127.0.0.1:{port}/a?b", None, None)
    bounds = Limits(**limits)

    async def open_link() -> Any:
        return await dial(
            target.uri,
            None,
            {},
            limits=bounds,
            user_agent_header=None,
            proxy_headers=None,
        )

    requests = Requests(open_link, bounds)

    async def ask(body: bytes = b"", **options: Any) -> bytes:
        fields = [("Content-Length", str(len(body)))]
        head = target.make_request(fields, method="POST").serialize()
        answer = bytearray()
        receive = options.pop("receive", answer.extend)
        asking = requests.request(head + body, receive, **options)
        await asyncio.wait_for(asking, LIMIT_S)
        return bytes(answer)

    ask.requests = requests  # type: ignore[attr-defined]
    try:
        yield found, ask
    finally:
        requests.close()
        found.held.set()
        server.close()
        await server.wait_closed()


CHUNKS = b"2\r\non\r\n1\r\ne\r\n0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    deadline = time.monotonic() + LIMIT_S
    while not check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_connection_is_kept():
    async with site(ok(b"one"), CHUNKED, b"HTTP/1.1 204 No\r\n\r\n") as (server, ask):
        assert [await ask(b"x"), await ask(), await ask(b"yz")] == [b"one", b"one", b""]
        assert server.connections == 1
    assert [request[-2:] for request in server.requests] == [b"\nx", b"\r\n", b"yz"]
    assert server.requests[0].startswith(b"POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    "act",
    [
        ok(b"one", b"Connection: keep-alive, Close"),
        ok(b"one", version=b"1.0"),
    ],
)
async def test_connection_is_not_kept(act):
    async with site(act) as (server, ask):
        assert [await ask(), await ask()] == [b"one", b"one"]
        assert server.connections == 2


async def test_connection_is_not_kept_for_long(monkeypatch):
    monkeypatch.setattr(_streaming, "KEEP_S", -1.0)
    async with site(ok(b"one")) as (server, ask):
        assert [await ask(), await ask()] == [b"one", b"one"]
        assert server.connections == 2


async def test_body_up_to_the_end_of_the_connection():
    async def answer(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\non")
        await writer.drain()
        writer.write(b"e")
        writer.close()

    async with site(answer) as (server, ask):
        assert [await ask(), await ask()] == [b"one", b"one"]
        assert server.connections == 2


@pytest.mark.parametrize(
    "part", [ok(b"one")[:-1], CHUNKED[:-3], b"HTTP/1.1 200 OK\r\nX: y\r\n"]
)
async def test_response_breaks_off(part):
    async def answer(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        writer.close()

    async with site(answer) as (_, ask):
        with pytest.raises((EOFError, InvalidMessage)):
            await ask(again=True)


async def test_malformed_chunks():
    async with site(CHUNKED.replace(b"\r\n1\r\n", b"\r\nx\r\n")) as (_, ask):
        with pytest.raises(InvalidMessage, match="body of the response is malformed"):
            await ask()


async def test_status_that_refuses_has_its_body():
    refusal = ok(b"so sorry").replace(b"200 OK", b"404 No")
    async with site(refusal, ok(b"one")) as (server, ask):
        with pytest.raises(InvalidStatus) as info:
            await ask()
        assert info.value.response.body == b"so sorry"
        assert await ask() == b"one"
        assert server.connections == 2


async def test_kept_connection_ends_meanwhile():
    """A request goes out on another one; again, if it was on its way already."""

    async def close(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with site(ok(b"one"), close, ok(b"two"), close) as (server, ask):
        assert await ask() == b"one"
        assert await ask(again=True) == b"two"
        assert server.connections == 2
        with pytest.raises(InvalidMessage):
            await ask()  # it may have done something


async def test_octets_nobody_has_asked_for():
    async def chat(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"one"))
        await writer.drain()
        await server.held.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n" * 1000)
        await writer.drain()
        server.held.clear()

    async with site(chat, ok(b"two")) as (server, ask):
        assert await ask() == b"one"
        link = ask.requests._link
        server.held.set()
        await until(lambda: link._finished)
        assert await ask() == b"two"
        assert server.connections == 2


async def test_silence_ends_it():
    async def hold(server: Site, writer: asyncio.StreamWriter) -> None:
        await server.held.wait()

    async def half(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"one")[:-1])
        await server.held.wait()

    for act in (hold, half):
        async with site(act) as (_, ask):
            with pytest.raises(TimeoutError, match=r"nothing came for 0\.2 seconds"):
                await ask(idle_timeout=0.2)


async def test_what_receives_may_refuse():
    def receive(data: bytes) -> None:
        raise ValueError("enough")

    async with site(CHUNKED) as (server, ask):
        for _ in range(2):
            with pytest.raises(ValueError, match="enough"):
                await ask(receive=receive)
        assert server.connections == 2


async def test_head_has_its_limits():
    async with site(ok(b"", b"X: " + b"y" * 600), head=500) as (_, ask):
        with pytest.raises(HeadTooLong):
            await ask()


@pytest.mark.parametrize("part", [b"", ok(b"one")[:-1]])
async def test_cancelling_ends_the_connection(part):
    gone = asyncio.Event()

    async def answer(server: Site, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        server.held.set()
        await server.reader.read()
        gone.set()

    async with site(answer, ok(b"two")) as (server, ask):
        task = asyncio.ensure_future(ask())
        await asyncio.wait_for(server.held.wait(), LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), LIMIT_S)
        assert await ask() == b"two"


async def test_reading_pauses():
    """Nothing more is taken, and the silence that follows is nobody's fault."""
    size = 20 << 20
    got = 0

    def receive(data: bytes) -> None:
        nonlocal got
        got += len(data)
        if got == len(data):
            ask.requests.pause_reading()

    async with site(ok(b"x" * size)) as (_, ask):
        task = asyncio.ensure_future(ask(receive=receive, idle_timeout=0.8))
        await until(lambda: got > 0)
        await asyncio.sleep(1.6)
        assert got < size
        assert not task.done()
        ask.requests.resume_reading()
        await asyncio.wait_for(task, LIMIT_S)
        assert got == size
