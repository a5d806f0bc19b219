"""Requests and responses of applications that answer by themselves, over uvicorn."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from wsfast.asgi.exchange import (
    BodyTooBig,
    ClientGone,
    Exchange,
    cookies_of,
    cross_origin,
    origin_allowed,
    path_of,
    query_of,
)

from .serving import Uvicorn

WAIT_S = 20


def scope_with(method="GET", path="/", root_path="", query=b"", **fields):
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "query_string": query,
        "headers": [(n.encode(), v.encode()) for n, v in names.items()],
    }


class Peer:
    """A server of one request: gives what it was told to, keeps what it is sent."""

    def __init__(self, scope, *messages):
        self.messages = list(messages)
        self.sent = []
        self.exchange = Exchange(scope, self.receive, self.send)

    async def receive(self):
        if not self.messages:
            await asyncio.get_running_loop().create_future()
        return self.messages.pop(0)

    async def send(self, message):
        self.sent.append(message)


def piece(octets, more=False):
    return {"type": "http.request", "body": octets, "more_body": more}


async def test_over_uvicorn():
    left = asyncio.get_running_loop().create_future()

    async def app(scope, receive, send):
        exchange = Exchange(scope, receive, send)
        if exchange.path == "/echo":
            try:
                body = await exchange.body(10)
            except BodyTooBig:
                await exchange.respond(413, b"too big")
                return
            await exchange.respond(200, body, [("X-Name", exchange.query["name"])])
            return
        if exchange.path == "/nothing":
            await exchange.respond(204)
            return
        gone = exchange.gone
        await exchange.start(200, [("content-type", "text/plain")])
        await exchange.write(b"begun")
        await gone
        exchange.release()
        left.set_result(exchange.field("x-more"))

    async def ask(served, octets, until):
        host, port = served.address
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(octets)
        answer = await asyncio.wait_for(reader.readuntil(until), WAIT_S)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer

    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(app)
        head = b"POST /echo?name=a%20b&name=c HTTP/1.1\r\nHost: x\r\n"
        answer = await ask(served, head + b"Content-Length: 3\r\n\r\nabc", b"abc")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"x-name: a b\r\n" in answer
        assert b"content-length: 3\r\n" in answer
        answer = await ask(served, head + b"Content-Length: 11\r\n\r\n", b"too big")
        assert answer.startswith(b"HTTP/1.1 413 ")
        chunks = b"Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n"
        answer = await ask(served, head + chunks, b"too big")
        assert answer.startswith(b"HTTP/1.1 413 ")
        answer = await ask(
            served, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n"
        )
        assert b"content-length" not in answer
        fields = b"X-More: 1\r\nX-More: 2\r\n\r\n"
        await ask(served, b"GET /wait HTTP/1.1\r\nHost: x\r\n" + fields, b"begun")
        assert await asyncio.wait_for(left, WAIT_S) == "1, 2"


async def test_body_at_the_limit_and_over_it():
    peer = Peer(scope_with("POST"), piece(b"123", True), piece(b"45"))
    assert await peer.exchange.body(5) == b"12345"
    peer = Peer(scope_with("POST"), piece(b"123", True), piece(b"456", True))
    with pytest.raises(BodyTooBig, match="over 5"):
        await peer.exchange.body(5)
    peer = Peer(scope_with("POST", content_length="9" * 30))
    with pytest.raises(BodyTooBig):  # before any of it was read
        await peer.exchange.body(5)


async def test_body_cut_short():
    peer = Peer(scope_with(), piece(b"1", True), {"type": "http.disconnect"})
    with pytest.raises(ClientGone):
        await peer.exchange.body(5)


async def test_gone_before_the_body_was_read():
    peer = Peer(scope_with(), piece(b"1"), {"type": "http.disconnect"})
    await asyncio.wait_for(peer.exchange.gone, WAIT_S)


async def test_gone_is_not_looked_for_after_the_response():
    peer = Peer(scope_with())
    gone = peer.exchange.gone
    await asyncio.sleep(0)
    await peer.exchange.respond(200, b"x")
    await asyncio.sleep(0)
    assert not gone.done()
    assert len(asyncio.all_tasks()) == 1


async def test_head_has_no_body():
    peer = Peer(scope_with("HEAD"))
    await peer.exchange.respond(200, b"four")
    start, body = peer.sent
    assert (b"content-length", b"4") in start["headers"]
    assert body["body"] == b""


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/a/b", "", "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", "/"),
        ("/ab", "/a", "/ab"),
        ("/b", "/a/", "/b"),
    ],
)
def test_path_below_the_root(path, root, below):
    assert path_of(scope_with(path=path, root_path=root)) == below


def test_query_and_cookies():
    scope = scope_with(query=b"a=1&b=&a=2&c", cookie='x=1; y="two"; x=3; z')
    assert query_of(scope) == {"a": "1", "b": "", "c": ""}
    assert cookies_of(scope) == {"x": "1", "y": "two"}


HERE, THERE = "https://here.example", "https://there.example"


@pytest.mark.parametrize(
    ("origin", "allowed", "verdict"),
    [
        ("", None, True),
        (HERE, None, True),
        ("http://here.example:80", None, True),
        ("https://here.example:80", None, False),
        (THERE, None, False),
        ("null", None, False),
        ("here.example", None, False),
        (THERE, "*", True),
        (THERE, THERE, True),
        (THERE, [HERE, THERE], True),
        (THERE, [], False),
        (THERE, lambda origin: origin.startswith("https://th"), True),
        (THERE, lambda origin: False, False),
    ],
)
def test_origins(origin, allowed, verdict):
    fields = {"origin": origin} if origin else {}
    scope = scope_with(host="here.example", **fields)
    assert origin_allowed(scope, allowed) is verdict
    told = dict(cross_origin(Peer(scope).exchange, allowed))
    assert ("access-control-allow-origin" in told) is (verdict and bool(origin))


def test_preflight():
    scope = scope_with(
        "OPTIONS", origin=THERE, host="x", access_control_request_headers="x-a, x-b"
    )
    fields = dict(cross_origin(Peer(scope).exchange, [THERE]))
    assert fields == {
        "access-control-allow-origin": THERE,
        "vary": "Origin",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": "x-a, x-b",
        "access-control-max-age": "86400",
    }


def test_everybody_without_credentials():
    fields = cross_origin(
        Peer(scope_with(origin=THERE, host="x")).exchange, "*", credentials=False
    )
    assert fields == [("access-control-allow-origin", "*")]
