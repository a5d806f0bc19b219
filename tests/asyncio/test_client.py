"""Clients: what a server may answer, redirects, timeouts, reconnecting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.asyncio.conftest import Pair, uri
from wsfast import (
    ConnectionClosed,
    HandshakeTimeout,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    Listener,
    Response,
)
from wsfast.asyncio import ClientConnection, connect
from wsfast.asyncio.client import backoff, process_exception
from wsfast.exceptions import InvalidMessage, SecurityError
from wsfast.protocol.server import accept_key

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


async def echo(ws):
    async for message in ws:
        await ws.send(message)


@contextlib.asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[str]:
    """Run a server that answers the octets of a request; yields its URI."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await answer(await reader.readuntil(b"\r\n\r\n"), writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close


def accepting(request: bytes, *extra: str) -> bytes:
    """Return the octets that accept a request."""
    (key,) = (
        line.partition(b": ")[2]
        for line in request.split(b"\r\n")
        if line.startswith(b"Sec-WebSocket-Key:")
    )
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key).decode()}",
        *extra,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_messages_right_behind_the_response(reactor: bool):
    async def answer(request, writer):
        writer.write(accepting(request) + b"\x81\x02hi\x82\x01x")
        await asyncio.sleep(0.1)

    async with raw_server(answer) as address:
        ws = await connect(address, reactor=reactor)
        assert [await ws.recv(), await ws.recv()] == ["hi", b"x"]
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1006


async def test_response_octet_by_octet(reactor: bool):
    async def answer(request, writer):
        for octet in accepting(request) + b"\x81\x02hi":
            writer.write(bytes([octet]))
            await writer.drain()
        await asyncio.sleep(0.1)

    async with raw_server(answer) as address:
        ws = await connect(address, reactor=reactor)
        assert await ws.recv() == "hi"
        ws.abort()


@pytest.mark.parametrize(
    ("octets", "cause"),
    [
        (b"", EOFError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Exception),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgr", EOFError),
    ],
)
async def test_server_that_does_not_speak_http(reactor: bool, octets, cause):
    async def answer(request, writer):
        writer.write(octets)

    async with raw_server(answer) as address:
        with pytest.raises(InvalidMessage, match="valid HTTP response") as caught:
            await connect(address, reactor=reactor)
    assert isinstance(caught.value.__cause__, cause)


async def test_wrong_accept(reactor: bool):
    """K-1."""

    async def answer(request, writer):
        writer.write(accepting(b"Sec-WebSocket-Key: of somebody else\r\n"))

    async with raw_server(answer) as address:
        with pytest.raises(InvalidHandshake, match="Sec-WebSocket-Accept"):
            await connect(address, reactor=reactor)


@pytest.mark.parametrize(
    "extra",
    [
        "Sec-WebSocket-Protocol: surprise",
        "Sec-WebSocket-Extensions: x-surprise",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7",
    ],
)
async def test_what_was_not_asked_for(reactor: bool, extra: str):
    """K-2."""

    async def answer(request, writer):
        writer.write(accepting(request, extra))

    async with raw_server(answer) as address:
        with pytest.raises(InvalidHandshake):
            await connect(address, reactor=reactor)


@pytest.mark.parametrize("how", ["length", "chunked", "end", "cut"])
async def test_refusal_shows_its_body(reactor: bool, how: str):
    async def answer(request, writer):
        head = b"HTTP/1.1 403 Forbidden\r\nX-Reason: because\r\n"
        if how == "length":
            writer.write(head + b"Content-Length: 8\r\n\r\nnot ")
            await asyncio.sleep(0.02)
            writer.write(b"you!")
            await asyncio.sleep(10)
        elif how == "chunked":
            writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n4\r\nnot \r\n")
            writer.write(b"4\r\nyou!\r\n0\r\n\r\n")
            await asyncio.sleep(10)
        elif how == "end":
            writer.write(head + b"\r\nnot you!")
        else:
            writer.write(head + b"Content-Length: 80\r\n\r\nnot you!")

    async with raw_server(answer) as address:
        started = time.monotonic()
        with pytest.raises(InvalidStatus) as caught:
            await connect(address, reactor=reactor)
        assert time.monotonic() - started < 8
    assert caught.value.response.status_code == 403
    assert caught.value.response.headers["X-Reason"] == "because"
    assert caught.value.response.body == b"not you!"


async def test_refusal_whose_body_never_ends(reactor: bool, monkeypatch):
    monkeypatch.setattr("wsfast.asyncio._connecting.BODY_S", 0.1)

    async def answer(request, writer):
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 80\r\n\r\npartly")
        await asyncio.sleep(10)

    async with raw_server(answer) as address:
        with pytest.raises(InvalidStatus) as caught:
            await connect(address, reactor=reactor)
    assert caught.value.response.body == b"partly"


async def test_endless_response_head(reactor: bool):
    """K-4."""

    async def answer(request, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
        for n in range(100_000):
            writer.write(b"X-%d: y\r\n" % n)
            await writer.drain()

    async with raw_server(answer) as address:
        with pytest.raises(InvalidHandshake):
            await connect(address, reactor=reactor)


# Time


async def test_silent_server(reactor: bool):
    """K-3."""

    async def answer(request, writer):
        await asyncio.sleep(10)

    async with raw_server(answer) as address:
        started = time.monotonic()
        with pytest.raises(HandshakeTimeout, match="timed out") as caught:
            await connect(address, reactor=reactor, open_timeout=0.2)
        assert isinstance(caught.value, TimeoutError)
        assert time.monotonic() - started < 8


async def test_server_that_drips(reactor: bool):
    """K-3: the time is for all of it, not for each octet."""

    async def answer(request, writer):
        for octet in accepting(request):
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with raw_server(answer) as address:
        started = time.monotonic()
        with pytest.raises(HandshakeTimeout):
            await connect(address, reactor=reactor, open_timeout=0.3)
        assert time.monotonic() - started < 8


async def test_cancelled_connect_leaves_nothing_open(reactor: bool):
    began, gone = asyncio.Event(), asyncio.Event()

    async def answer(request, writer):
        began.set()
        while not writer.transport.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.01)
        gone.set()

    async with raw_server(answer) as address:
        connecting = asyncio.ensure_future(connect(address, reactor=reactor).connect())
        await asyncio.wait_for(began.wait(), 30)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await asyncio.wait_for(gone.wait(), 30)


@pytest.mark.parametrize("steps", range(12))
async def test_connect_cancelled_after_any_number_of_steps(pair: Pair, steps: int):
    """Whatever it was at, neither side keeps a connection that nobody has."""
    server = await pair.serve(echo)
    attempt = connect(uri(server), reactor=pair.reactor)
    connecting = asyncio.ensure_future(attempt.connect())
    for _ in range(steps):
        await asyncio.sleep(0)
    if connecting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await connecting
    else:
        await (await connecting).close()
    for _ in range(200):
        if not server._connections:
            break
        await asyncio.sleep(0.01)
    assert not server._connections


# Redirects


def redirecting(to: str, status: int = 302):
    """Return a hook that redirects requests for ``/``, and notes what it saw."""
    seen = []

    def process(ws, request):
        seen.append(request)
        if request.path == "/":
            return Response(
                status, "Elsewhere", {"Location": to, "Content-Length": "0"}
            )
        return None

    return seen, process


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_redirect_to_the_same_origin(pair: Pair, status: int):
    seen, process = redirecting("/there?x=1", status)
    server = await pair.serve(echo, process_request=process)
    ws = await pair.connect(server, additional_headers={"Authorization": "secret"})
    assert [r.path for r in seen] == ["/", "/there?x=1"]
    assert seen[1].headers["Authorization"] == "secret"
    await ws.send("hello")
    assert await ws.recv() == "hello"


async def test_redirect_to_another_origin_drops_credentials(pair: Pair):
    """K-5."""
    there, process_there = redirecting("/never")
    other = await pair.serve(echo, process_request=process_there)
    _, process = redirecting(uri(other, "/there"))
    server = await pair.serve(echo, process_request=process)
    await pair.connect(
        server,
        additional_headers={
            "Authorization": "secret",
            "Cookie": "secret",
            "Proxy-Authorization": "secret",
            "X-Other": "fine",
        },
    )
    (request,) = there
    assert request.headers["X-Other"] == "fine"
    assert "secret" not in repr(request.headers)


async def test_credentials_of_the_uri_stay_at_their_origin(pair: Pair):
    there, process_there = redirecting("/never")
    other = await pair.serve(echo, process_request=process_there)
    _, process = redirecting(uri(other, "/there"))
    server = await pair.serve(echo, process_request=process)
    async with connect(uri(server).replace("//", "//me:secret@")):
        pass
    assert "Authorization" not in there[0].headers


async def test_redirects_without_end(pair: Pair):
    seen, process = redirecting("/")
    server = await pair.serve(echo, process_request=process)
    with pytest.raises(SecurityError, match="more than 5 redirects"):
        await pair.connect(server)
    assert len(seen) == 6
    with pytest.raises(SecurityError, match="more than 0 redirects"):
        await pair.connect(server, max_redirects=0)


async def test_any_number_of_redirects(pair: Pair):
    left = iter(range(20))

    def process(ws, request):
        if next(left, None) is None:
            return None
        return Response(302, "Found", {"Location": "/", "Content-Length": "0"})

    server = await pair.serve(echo, process_request=process)
    ws = await pair.connect(server, max_redirects=None)
    await ws.send("hello")
    assert await ws.recv() == "hello"


async def test_redirect_that_gives_up_tls(pair: Pair, server_tls, client_tls):
    _, process = redirecting("ws://127.0.0.1:1/")
    server = await pair.serve(echo, process_request=process, ssl=server_tls)
    with pytest.raises(SecurityError, match="non-secure"):
        await connect(uri(server, scheme="wss"), ssl=client_tls)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ws+unix:/run/docker.sock:/"])
async def test_redirect_to_something_else(pair: Pair, to: str):
    _, process = redirecting(to)
    server = await pair.serve(echo, process_request=process)
    with pytest.raises((InvalidURI, SecurityError)):
        await pair.connect(server)


async def test_redirect_with_an_explicit_address(pair: Pair):
    _, process = redirecting("ws://other.example/")
    server = await pair.serve(echo, process_request=process)
    host, port = server.sockets[0].getsockname()
    with pytest.raises(ValueError, match="explicit host"):
        await connect("ws://name.example/", host=host, port=port)
    sock = socket.create_connection((host, port))
    with pytest.raises(ValueError, match="preexisting socket"):
        await connect("ws://name.example/", sock=sock)


# Addresses and arguments


async def test_host_and_port_override_the_uri(pair: Pair):
    server = await pair.serve(echo)
    host, port = server.sockets[0].getsockname()
    async with connect("ws://name.example/", host=host, port=port) as ws:
        assert ws.request.headers["Host"] == "name.example"


async def test_sock(pair: Pair):
    server = await pair.serve(echo)
    sock = socket.create_connection(server.sockets[0].getsockname())
    async with connect("ws://name.example/", sock=sock, reactor=pair.reactor) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_refused_connection(reactor: bool):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/", reactor=reactor)


def test_arguments_that_make_no_sense():
    with pytest.raises(InvalidURI):
        connect("ftp://127.0.0.1/")
    with pytest.raises(ValueError, match="incompatible"):
        connect("ws://127.0.0.1/", ssl=True)
    with pytest.raises(TypeError, match="not a Listener"):
        connect("ws://127.0.0.1/", listener=print)


async def test_create_connection_and_headers(pair: Pair):
    class Mine(ClientConnection):
        pass

    server = await pair.serve(echo)
    ws = await pair.connect(
        server,
        create_connection=Mine,
        additional_headers=[("X-A", "1"), ("X-A", "2")],
        user_agent_header="me/1",
        origin="https://here.example",
    )
    assert isinstance(ws, Mine)
    (other,) = server.connections
    headers = other.request.headers
    assert headers.get_all("X-A") == ["1", "2"]
    assert headers["User-Agent"] == "me/1"
    assert headers["Origin"] == "https://here.example"


async def test_context_is_not_reentrant(pair: Pair):
    attempt = connect(uri(await pair.serve(echo)))
    async with attempt:
        with pytest.raises(RuntimeError, match="reentrant"):
            async with attempt:
                pass
    async with attempt:
        pass


# Reconnecting


async def test_iteration_reconnects(pair: Pair):
    class Bye(Listener):
        def on_open(self, ws):
            ws.send("hello")
            ws.close(1012)

    server = await pair.serve(Bye)
    got = []
    attempts = connect(uri(server), reconnect_delays=lambda: iter([0.0] * 9))
    async for ws in attempts:
        try:
            async for message in ws:
                got.append(message)  # noqa: PERF401 - as people write it
        except ConnectionClosed:
            if len(got) == 3:
                break
    assert got == ["hello"] * 3


async def test_iteration_retries_what_may_go_away(pair: Pair, caplog):
    answers = iter([503, 502, None])

    def process(ws, request):
        status = next(answers)
        return None if status is None else ws.respond(status, "")

    server = await pair.serve(echo, process_request=process)
    delays = []

    def noted():
        for delay in backoff(initial=0.01):
            delays.append(delay)
            yield delay

    async for ws in connect(uri(server), reconnect_delays=noted):
        await ws.send("hello")
        assert await ws.recv() == "hello"
        break
    assert len(delays) == 2


async def test_iteration_raises_what_will_not(pair: Pair):
    server = await pair.serve(echo, process_request=lambda ws, r: ws.respond(404, ""))
    with pytest.raises(InvalidStatus):
        async for _ in connect(uri(server)):
            pytest.fail("there is no connection")

    def fatal(exc):
        return ZeroDivisionError("fatal")

    with pytest.raises(ZeroDivisionError) as caught:
        async for _ in connect(uri(server), process_exception=fatal):
            pytest.fail("there is no connection")
    assert isinstance(caught.value.__cause__, InvalidStatus)


def test_process_exception():
    def eof():
        exc = InvalidMessage("x")
        exc.__cause__ = EOFError()
        return exc

    for exc in (
        OSError(),
        HandshakeTimeout(),
        eof(),
        *(InvalidStatus(Response(n, "", {})) for n in (500, 502, 503, 504)),
    ):
        assert process_exception(exc) is None
    for exc in (InvalidMessage("x"), InvalidStatus(Response(501, "", {})), KeyError()):
        assert process_exception(exc) is exc


def test_backoff_is_random_below_a_growing_bound():
    bound = 0.5
    delays = backoff()
    for _ in range(20):
        assert 0 <= next(delays) <= bound
        bound = min(bound * 2, 60.0)
    assert len({round(next(backoff()), 6) for _ in range(20)}) > 1
