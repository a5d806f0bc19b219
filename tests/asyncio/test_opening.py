"""The opening handshake as a server does it: hooks, choices, limits."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import socket
import time
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.asyncio.raw import ACCEPT, RawPeer, request, settle
from tests.asyncio.wire import until
from wsfast import (
    Headers,
    InvalidStatus,
    Limits,
    Listener,
    Response,
    Server,
    State,
    basic_auth,
)
from wsfast.asyncio import ServerConnection, connect


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def status_of(pair: Pair, server: Server, path: str = "/", **kwargs) -> int:
    """Return the status with which a server refuses, or 101."""
    try:
        ws = await pair.connect(server, path, **kwargs)
    except InvalidStatus as exc:
        return exc.response.status_code
    return ws.response.status_code


# The opening handshake


async def test_rfc6455_1_3_answer_of_the_example(pair: Pair):
    server = await pair.serve(echo)
    async with await RawPeer.to(server) as peer:
        peer.send(request("/chat"))
        status, headers = await peer.head()
    assert status == 101
    assert headers["sec-websocket-accept"] == ACCEPT
    assert headers["upgrade"] == "websocket"
    assert headers["connection"] == "Upgrade"


async def test_request_in_pieces_with_frames_behind_it(pair: Pair):
    server = await pair.serve(echo)
    hello = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455 §5.7
    octets = request() + hello + hello
    async with await RawPeer.to(server) as peer:
        for start in range(0, len(octets), 7):
            peer.send(octets[start : start + 7])
            await asyncio.sleep(0)
        assert (await peer.head())[0] == 101
        assert await peer.reader.readexactly(14) == b"\x81\x05Hello" * 2


async def test_greeting_follows_the_response(pair: Pair):
    async def greet(ws):
        await ws.send("welcome")
        await echo(ws)

    class Greet(Listener):
        def on_open(self, ws):
            ws.send("welcome")

        def on_message(self, ws, message):
            ws.send(message)

    for handler in (greet, Greet):
        ws = await pair.connect(await pair.serve(handler))
        assert await ws.recv() == "welcome"
        await ws.send("thanks")
        assert await ws.recv() == "thanks"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_process_request(pair: Pair, asynchronous: bool):
    seen = []

    def process(ws, request):
        assert ws.state is State.CONNECTING
        seen.append((ws, request.path))
        ws.user = "somebody"
        if request.path == "/health":
            return Response(200, "OK", {"Content-Length": "3", "X-Y": "z"}, b"OK\n")
        return (
            ws.respond(HTTPStatus.FORBIDDEN, "no\n") if request.path == "/no" else None
        )

    async def process_later(ws, request):
        await asyncio.sleep(0.01)
        return process(ws, request)

    async def handler(ws):
        assert ws.state is State.OPEN
        assert ws is seen[-1][0]
        await ws.send(ws.user)

    hook = process_later if asynchronous else process
    server = await pair.serve(handler, process_request=hook)
    ws = await pair.connect(server, "/yes")
    assert await ws.recv() == "somebody"
    assert ws.extensions  # compression is agreed upon behind the hook
    with pytest.raises(InvalidStatus) as caught:
        await pair.connect(server, "/health")
    assert caught.value.response.status_code == 200
    assert caught.value.response.headers["X-Y"] == "z"
    assert caught.value.response.body == b"OK\n"
    assert await status_of(pair, server, "/no") == 403
    assert [path for _, path in seen] == ["/yes", "/health", "/no"]


async def test_plain_http_is_for_process_request_too(pair: Pair):
    def process(ws, request):
        return ws.respond(200, "fine\n")

    server = await pair.serve(echo, process_request=process)
    async with await RawPeer.to(server) as peer:
        peer.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, headers = await peer.head()
        assert status == 200
        assert headers["connection"] == "close"
        assert await peer.rest() == b"fine\n"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_process_response(pair: Pair, asynchronous: bool):
    def process(ws, request, response):
        if request.path == "/replace":
            return ws.respond(418, "a teapot\n")
        response.headers["X-Extra"] = str(response.status_code)
        return None

    async def process_later(ws, request, response):
        await asyncio.sleep(0.01)
        return process(ws, request, response)

    hook = process_later if asynchronous else process
    server = await pair.serve(echo, process_response=hook)
    ws = await pair.connect(server)
    assert ws.response.headers["X-Extra"] == "101"
    await ws.send("hello")
    assert await ws.recv() == "hello"
    assert await status_of(pair, server, "/replace") == 418


@pytest.mark.parametrize("name", ["process_request", "process_response"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_failing_hook_is_an_error_of_the_server(
    pair: Pair, caplog, name: str, asynchronous: bool
):
    def fail(*args):
        raise ZeroDivisionError("of the hook")

    async def fail_later(*args):
        await asyncio.sleep(0)
        fail()

    hook = fail_later if asynchronous else fail
    server = await pair.serve(echo, **{name: hook})
    assert await status_of(pair, server) == 500
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].exc_info[0] is ZeroDivisionError


async def test_client_that_leaves_while_a_hook_decides(pair: Pair):
    asked, decided = asyncio.Event(), asyncio.Event()

    async def process(ws, request):
        asked.set()
        await asyncio.sleep(0.05)
        decided.set()

    server = await pair.serve(echo, process_request=process)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        await asked.wait()
        peer.writer.transport.abort()
    await decided.wait()
    await asyncio.sleep(0.01)
    assert not server.connections


async def test_client_that_floods_while_a_hook_decides(pair: Pair):
    never = asyncio.Event()

    async def process(ws, request):
        await never.wait()

    server = await pair.serve(echo, process_request=process)
    async with await RawPeer.to(server) as peer:
        peer.send(request() + bytes(100_000))
        assert (await peer.head())[0] == 400
    never.set()


async def test_subprotocols(pair: Pair):
    server = await pair.serve(echo, subprotocols=["b", "a"])
    ws = await pair.connect(server, subprotocols=["a", "b", "c"])
    assert ws.subprotocol == "b"
    assert {c.subprotocol for c in server.connections} == {"b"}
    server = await pair.serve(echo)
    assert (await pair.connect(server, subprotocols=["a"])).subprotocol is None


async def test_select_subprotocol(pair: Pair, caplog):
    def select(ws, offered):
        assert isinstance(ws, ServerConnection)
        if offered == ["fail"]:
            raise ZeroDivisionError
        return offered[-1]

    server = await pair.serve(echo, select_subprotocol=select)
    ws = await pair.connect(server, subprotocols=["a", "b", "c"])
    assert ws.subprotocol == "c"
    assert await status_of(pair, server, subprotocols=["fail"]) == 500
    assert "select_subprotocol failed" in caplog.text


async def test_origins(pair: Pair):
    server = await pair.serve(
        echo, origins=["https://a.example", re.compile(r"https://\w+\.b\.example")]
    )
    for origin, status in [
        ("https://a.example", 101),
        ("https://x.b.example", 101),
        ("https://evil.example", 403),
        (None, 403),
    ]:
        assert await status_of(pair, server, origin=origin) == status
    server = await pair.serve(echo, origins=[None])
    assert await status_of(pair, server) == 101


@pytest.mark.parametrize("server_header", ["mine/1.0", None])
async def test_server_header(pair: Pair, server_header):
    server = await pair.serve(echo, server_header=server_header)
    ws = await pair.connect(server)
    assert ws.response.headers.get("Server") == server_header


async def test_basic_auth(pair: Pair):
    async def whoami(ws):
        await ws.send(ws.username)

    server = await pair.serve(
        whoami, process_request=basic_auth("realm", [("me", "secret"), ("you", "x")])
    )
    plain = uri(server)
    with pytest.raises(InvalidStatus) as caught:
        await connect(plain)
    assert caught.value.response.status_code == 401
    assert 'realm="realm"' in caught.value.response.headers["WWW-Authenticate"]
    for user_info, status in [("me:wrong", 401), ("no:secret", 401)]:
        with pytest.raises(InvalidStatus) as caught:
            await connect(plain.replace("//", f"//{user_info}@"))
        assert caught.value.response.status_code == status
    async with connect(plain.replace("//", "//me:secret@")) as ws:
        assert await ws.recv() == "me"


@pytest.mark.parametrize("user_info", ["me:secret", "me:wrong", "nobody:secret"])
async def test_basic_auth_takes_the_same_time_for_all(
    pair: Pair, user_info: str, monkeypatch
):
    """Row H-17: a password is compared by the one function that is made for it."""
    compared = []

    def compare(expected, given):
        compared.append((expected, given))
        return hmac.compare_digest(expected, given)

    spied = SimpleNamespace(compare_digest=compare)
    monkeypatch.setattr("wsfast.protocol.auth.hmac", spied)
    server = await pair.serve(
        echo, process_request=basic_auth("realm", ("me", "secret"))
    )
    address = uri(server).replace("//", f"//{user_info}@")
    user, _, password = user_info.partition(":")
    if user_info == "me:secret":
        await (await connect(address)).close()
    else:
        with pytest.raises(InvalidStatus):
            await connect(address)
    assert compared == [(b"secret" if user == "me" else b"", password.encode())]


async def test_basic_auth_asks_a_coroutine(pair: Pair):
    async def check(username, password):
        await asyncio.sleep(0)
        return (username, password) == ("me", "secret")

    server = await pair.serve(echo, process_request=basic_auth(check_credentials=check))
    async with connect(uri(server).replace("//", "//me:secret@")):
        pass
    with pytest.raises(InvalidStatus):
        await connect(uri(server).replace("//", "//me:other@"))


async def test_path(pair: Pair):
    server = await pair.serve(echo, path="/ws")
    assert await status_of(pair, server, "/ws") == 101
    assert await status_of(pair, server, "/ws?token=1") == 101
    assert await status_of(pair, server, "/other") == 404


async def test_should_handle_can_be_overridden(reactor: bool):
    class Picky(Server):
        def should_handle(self, request):
            return request.headers.get("X-Key") == "1"

    async with Picky(echo, "127.0.0.1", 0, reactor=reactor) as server:
        async with connect(uri(server), additional_headers={"X-Key": "1"}):
            pass
        with pytest.raises(InvalidStatus):
            await connect(uri(server))


async def test_handle_upgrade(pair: Pair):
    """Another server reads the request, and hands its client over."""
    server = await pair.serve(echo)

    class Front(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            from wsfast.protocol import parse_request

            head, _, rest = data.partition(b"\r\n\r\n")
            self.transport.pause_reading()
            server.handle_upgrade(
                parse_request(head + b"\r\n\r\n"), self.transport, rest
            )

    loop = asyncio.get_running_loop()
    front = await loop.create_server(Front, "127.0.0.1", 0)
    port = front.sockets[0].getsockname()[1]
    async with connect(f"ws://127.0.0.1:{port}/", reactor=pair.reactor) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"
    front.close()


async def test_response_that_cannot_be_sent_is_not(pair: Pair, caplog):
    """H-16: a value with a line feed would be another header."""

    def process(ws, request):
        response = ws.respond(200, "")
        response.headers.set_insecure("X-A", "1\r\nSet-Cookie: evil")
        return response

    server = await pair.serve(echo, process_request=process)
    async with await RawPeer.to(server) as peer:
        peer.send(request())
        status, headers = await peer.head()
    assert status == 500
    assert "set-cookie" not in headers


# Limits


async def test_open_timeout_counts_from_accept(pair: Pair):
    """H-6: it is not extended by octets that drip in."""
    server = await pair.serve(echo, open_timeout=0.3)
    started = time.monotonic()
    async with await RawPeer.to(server) as peer:
        for octet in b"GET / HTTP/1.1\r\n":
            peer.send(bytes([octet]))
            await asyncio.sleep(0.05)
            if peer.reader.at_eof() or peer.reader._buffer:
                break
        status, _ = await peer.head()
        await peer.rest()
    assert status == 408
    assert 0.3 <= time.monotonic() - started < 8


async def test_open_timeout_off(pair: Pair):
    server = await pair.serve(echo, open_timeout=None)
    async with await RawPeer.to(server) as peer:
        await asyncio.sleep(0.2)
        peer.send(request())
        assert (await peer.head())[0] == 101


async def test_open_timeout_includes_the_tls_handshake(pair: Pair, server_tls):
    server = await pair.serve(echo, open_timeout=0.3, ssl=server_tls)
    started = time.monotonic()
    async with await RawPeer.to(server) as peer:
        assert await peer.rest() == b""
    assert 0.2 < time.monotonic() - started < 8


async def test_open_timeout_ends_a_hook(pair: Pair):
    cancelled = asyncio.Event()

    async def process(ws, request):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    server = await pair.serve(echo, process_request=process, open_timeout=0.1)
    assert await status_of(pair, server) == 503
    await asyncio.wait_for(cancelled.wait(), 5)


async def test_max_connections(pair: Pair):
    """C-7: at the limit, above it, off, and below it again."""
    server = await pair.serve(echo, max_connections=3)
    clients = [await pair.connect(server) for _ in range(3)]
    assert await status_of(pair, server) == 503
    await clients.pop().close()
    await settle(lambda: len(server.connections) == 2)
    assert await status_of(pair, server) == 101
    server = await pair.serve(echo, max_connections=None)
    assert [await status_of(pair, server) for _ in range(5)] == [101] * 5


async def test_max_pending_handshakes_while_all_wait_for_a_hook(pair: Pair):
    """Requests that are here when the server accepts: one more of them is refused."""
    answer = asyncio.Event()

    async def process_request(ws, request):
        await answer.wait()

    server = await pair.serve(
        echo, process_request=process_request, max_pending_handshakes=1
    )
    loop = asyncio.get_running_loop()
    errors = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(2):  # without a turn of the event loop
            sock = socket.create_connection(server.sockets[0].getsockname())
            clients.append(stack.enter_context(sock))
            sock.sendall(request())
            sock.setblocking(False)
        refused, others = await asyncio.wait(
            [asyncio.ensure_future(loop.sock_recv(sock, 4096)) for sock in clients],
            timeout=10,
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert [b" 503 " in task.result() for task in refused] == [True]
        answer.set()
        (other,) = others
        assert b" 101 " in await asyncio.wait_for(other, 10)
    assert errors == []


async def test_a_refusal_that_nobody_reads_is_cut(pair: Pair):
    asked = []

    def process_request(ws, request):
        asked.append(request)
        return Response(403, "Forbidden", Headers(), bytes(30 << 20))

    server = await pair.serve(
        echo, process_request=process_request, close_timeout=0.2, drain_timeout=None
    )
    async with await RawPeer.to(server) as peer:
        peer.writer.transport.pause_reading()
        peer.send(request())
        await until(lambda: asked and not server._refused)  # it is gone


async def test_max_pending_handshakes_drops_the_oldest(pair: Pair):
    server = await pair.serve(echo, max_pending_handshakes=3)
    async with contextlib.AsyncExitStack() as stack:
        peers = []
        for _ in range(4):
            peers.append(await stack.enter_async_context(await RawPeer.to(server)))
            await asyncio.sleep(0.02)
        assert (await peers[0].head())[0] == 503
        for peer in peers[1:]:
            peer.send(request())
            assert (await peer.head())[0] == 101
    server = await pair.serve(echo, max_pending_handshakes=None)
    async with contextlib.AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(await RawPeer.to(server)) for _ in range(9)
        ]
        for peer in peers:
            peer.send(request())
            assert (await peer.head())[0] == 101


@pytest.mark.usefixtures("many_descriptors")
async def test_new_client_is_served_among_600_silent_ones(pair: Pair):
    """C-7."""
    server = await pair.serve(echo)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(600):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(server.sockets[0].getsockname())
        started = time.process_time()
        assert await status_of(pair, server) == 101
        assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("limits", "extra", "status"),
    [
        (Limits(line=100), "X: " + "a" * 97, 101),
        (Limits(line=100), "X: " + "a" * 98, 431),
        (Limits(head=None, line=None), "X: " + "a" * 100_000, 101),
    ],
)
async def test_limits_of_the_head(pair: Pair, limits, extra, status):
    server = await pair.serve(echo, limits=limits)
    async with await RawPeer.to(server) as peer:
        peer.send(request("/", extra))
        assert (await peer.head())[0] == status


async def test_one_log_line_for_a_bad_peer(pair: Pair, caplog):
    caplog.set_level(logging.INFO, "wsfast")
    server = await pair.serve(echo)
    caplog.clear()
    async with await RawPeer.to(server) as peer:
        peer.send(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert (await peer.head())[0] == 400
        await peer.rest()
    (record,) = caplog.records
    assert record.exc_info is None
    assert "refused with 400" in record.getMessage()
    assert "127.0.0.1" in record.getMessage()
