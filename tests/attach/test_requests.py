"""What asks for a WebSocket, whoever has read the request."""

from __future__ import annotations

import pytest

from wsfast import Headers, Request
from wsfast.attach import is_websocket
from wsfast.attach.requests import request_of, url_of_environ, url_of_scope
from wsfast.protocol.heads import HeadError

FIELDS = {"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"}
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SCRIPT_NAME": "/mount",
    "PATH_INFO": "/caf\xc3\xa9 1",
    "QUERY_STRING": "a=%20b",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "HTTP_HOST": "example.com",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "websocket",
    "wsgi.url_scheme": "http",
}


@pytest.mark.parametrize(
    "asks",
    [
        {"type": "websocket", "headers": []},
        ENVIRON,
        FIELDS,
        list(FIELDS.items()),
        [(b"connection", b"upgrade"), (b"upgrade", b"websocket")],
        [
            ("Connection", "keep-alive"),
            ("Connection", "upgrade"),
            ("Upgrade", "websocket"),
        ],
        Headers(FIELDS),
        Request("/", Headers(FIELDS)),
    ],
)
def test_it_does(asks):
    assert is_websocket(asks)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "http", "method": "GET", "headers": []},
        {"type": "lifespan"},
        {**ENVIRON, "REQUEST_METHOD": "POST"},
        {**ENVIRON, "HTTP_UPGRADE": "h2c"},
        {**ENVIRON, "HTTP_CONNECTION": "close"},
        {},
        [],
        {"Upgrade": "websocket"},
        {"Connection": "upgrade", "Upgrade": "not-websocket"},
        Request("/", Headers(FIELDS), method="POST"),
    ],
)
def test_it_does_not(other):
    assert not is_websocket(other)


@pytest.mark.parametrize("nothing", [None, 1, "GET / HTTP/1.1", b"GET"])
def test_what_is_no_request(nothing):
    with pytest.raises(TypeError, match="neither a request nor header fields"):
        is_websocket(nothing)


def test_a_request_made_of_an_environ():
    request = request_of(ENVIRON)
    assert request.path == "/mount/caf%C3%A9%201?a=%20b"
    assert request.headers["Host"] == "example.com"
    assert url_of_environ(ENVIRON) == f"ws://example.com{request.path}"
    raw = {**ENVIRON, "RAW_URI": "/as%2fit?was", "wsgi.url_scheme": "https"}
    assert request_of(raw).path == "/as%2fit?was"
    assert url_of_environ(raw) == "wss://example.com/as%2fit?was"


def test_an_environ_cannot_break_out_of_a_line():
    with pytest.raises(HeadError):
        request_of({**ENVIRON, "HTTP_X": "a\r\n\r\nGET / HTTP/1.1"})


def test_the_url_of_a_scope():
    scope = {
        "type": "websocket",
        "scheme": "wss",
        "path": "/caf\xe9",
        "query_string": b"a=1",
        "headers": [(b"host", b"example.com")],
    }
    assert url_of_scope(scope) == "wss://example.com/caf%C3%A9?a=1"
    scope = {"type": "websocket", "path": "/", "server": ("127.0.0.1", 80)}
    assert url_of_scope({**scope, "raw_path": b"/x%20y"}) == "ws://127.0.0.1:80/x%20y"
