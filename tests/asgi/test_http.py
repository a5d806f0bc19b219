"""Responses instead of a WebSocket, header fields, and compression by environment."""

from __future__ import annotations

import asyncio

import pytest

from tests.asgi.apps import until
from tests.asgi.serving import Uvicorn
from wsfast import InvalidStatus, connect
from wsfast.asgi.http import Denial, encode_fields, request_fields
from wsfast.asgi.settings import VARIABLE, deflate_from_environment
from wsfast.asgi.uvicorn import WebSocketProtocol
from wsfast.protocol import DeflateOptions

DEFAULTS = [(b"date", b"today"), (b"server", b"s")]


def test_a_whole_response_has_its_length():
    denial = Denial(403, [(b"Content-Type", b"text/plain")], DEFAULTS)
    assert denial.body(b"no entry", False) == (
        b"HTTP/1.1 403 Forbidden\r\ndate: today\r\nserver: s\r\nconnection: close\r\n"
        b"content-type: text/plain\r\ncontent-length: 8\r\n\r\nno entry"
    )
    assert denial.complete


def test_a_response_in_pieces_is_chunked():
    denial = Denial(500, [(b"Server", b"mine")], DEFAULTS)
    head, _, body = denial.body(b"0123456789", True).partition(b"\r\n\r\n")
    assert head.count(b"erver: ") == 1
    assert head.endswith(b"\r\ntransfer-encoding: chunked")
    assert not denial.complete
    body += denial.body(b"", True) + denial.body(b"abc", False)
    assert body == b"a\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n"


def test_a_length_that_is_given_is_kept():
    denial = Denial(400, [(b"content-length", b"6")], ())
    octets = denial.body(b"abc", True) + denial.body(b"def", False)
    assert octets.endswith(b"\r\n\r\nabcdef")
    assert octets.count(b"content-length") == 1
    assert b"chunked" not in octets


def test_a_response_without_a_body_has_none():
    octets = Denial(304, (), ()).body(b"ignored", False)
    assert octets == b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("status", [99, 100, 101, 199, 600, 700])
def test_a_status_has_to_be_final(status):
    with pytest.raises(RuntimeError, match=f"'{status}'"):
        Denial(status, (), ())


@pytest.mark.parametrize(
    "field",
    [(b"", b"x"), (b"a b", b"x"), (b"a:", b"x"), (b"a", b"x\ry"), (b"a", b"\0")],
)
def test_fields_that_cannot_be_sent(field):
    with pytest.raises(ValueError, match="header"):
        encode_fields([field])


def test_fields_of_a_request():
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Two:\t a, b \r\nx-two:\r\n\r\n"
    assert request_fields(head) == [
        (b"host", b"x"),
        (b"x-two", b"a, b"),
        (b"x-two", b""),
    ]


@pytest.mark.parametrize("text", ["off", "0", "No", " false "])
def test_compression_is_off(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    assert deflate_from_environment() is None


@pytest.mark.parametrize("text", ["", "on", "1"])
def test_compression_as_usual(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    assert repr(deflate_from_environment()) == repr(DeflateOptions())


def test_compression_in_detail(monkeypatch):
    monkeypatch.setenv(
        VARIABLE,
        "level=1, mem_level=3 server_max_window_bits=9,threshold=1000,"
        "server_no_context_takeover client_no_context_takeover=off backend=zlib",
    )
    found = deflate_from_environment()
    assert (found.level, found.mem_level, found.threshold) == (1, 3, 1000)
    assert found.server_max_window_bits == 9
    assert found.server_no_context_takeover is True
    assert found.client_no_context_takeover is False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fast", "'fast': not one of level, "),
        ("level=best", "'level=best': not a number"),
        ("level=10", "level must be between 0 and 9"),
        ("server_no_context_takeover=maybe", "neither on nor off"),
        ("backend=gzip", "backend"),
    ],
)
def test_compression_that_makes_no_sense(monkeypatch, text, why):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ValueError, match=VARIABLE) as error:
        deflate_from_environment()
    assert why in str(error.value)


async def test_compression_of_a_server_by_environment(uv: Uvicorn, monkeypatch):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()

    monkeypatch.setenv(VARIABLE, "server_max_window_bits=9")
    ws = await uv.connect(await uv.serve(app))
    (deflate,) = ws.extensions
    assert deflate.parameters.remote_max_window_bits == 9
    monkeypatch.setenv(VARIABLE, "off")
    ws = await uv.connect(await uv.serve(app))
    assert ws.extensions == []


async def test_compression_of_a_server_by_subclass(uv: Uvicorn):
    class Small(WebSocketProtocol):
        __slots__ = ()

        @classmethod
        def compression(cls):
            return DeflateOptions(server_no_context_takeover=True)

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await receive()

    ws = await uv.connect(await uv.serve(app, Small))
    (deflate,) = ws.extensions
    assert deflate.parameters.remote_no_context_takeover is True


async def test_a_denial(uv: Uvicorn):
    events = []

    async def app(scope, receive, send):
        await receive()
        await send(
            {
                "type": "websocket.http.response.start",
                "status": 401,
                "headers": [(b"WWW-Authenticate", b"Basic")],
            }
        )
        body = {"type": "websocket.http.response.body"}
        for n in range(100):
            await send({**body, "body": b"x" * 10_000, "more_body": n < 99})
        events.append(await receive())
        with pytest.raises((RuntimeError, OSError)):
            await send(body)
        events.append("end")

    served = await uv.serve(app)
    reader, writer = await asyncio.open_connection(*served.address)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"\r\nwww-authenticate: Basic\r\n" in head
    assert b"\r\nserver: uvicorn\r\n" in head
    body = await asyncio.wait_for(reader.read(), 20)
    assert body.count(b"2710\r\n" + b"x" * 10_000 + b"\r\n") == 100
    assert body.endswith(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    await until(lambda: len(events) == 2)
    assert events[0] == {"type": "websocket.disconnect", "code": 1006}


async def test_a_denial_that_stays_without_a_body(uv: Uvicorn):
    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 404})

    with pytest.raises(InvalidStatus) as refused:
        await connect((await uv.serve(app)).uri())
    assert refused.value.response.status_code == 404
    assert refused.value.response.body == b""
