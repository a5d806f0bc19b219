"""Requests and responses to make tests of."""

from __future__ import annotations

from wsfast.protocol import HeadReader, Request, Response, parse_request, parse_response

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # of the example in RFC 6455 §1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

FIELDS: dict[bytes, bytes | None] = {
    b"Host": b"server.example.com",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}

#: What Firefox sends.
BROWSER = b"""GET /chat?x=1 HTTP/1.1
Host: localhost:8765
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: */*
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Sec-WebSocket-Version: 13
Origin: http://localhost:8000
Sec-WebSocket-Extensions: permessage-deflate
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Connection: keep-alive, Upgrade
Cookie: session=0123456789abcdef; theme=dark
Pragma: no-cache
Cache-Control: no-cache
Upgrade: websocket

""".replace(b"\n", b"\r\n")


def head(
    changes: dict[bytes, bytes | None] | None = None,
    *extra: bytes,
    line: bytes = b"GET /chat HTTP/1.1",
) -> bytes:
    """Return a good request, with fields changed, left out (None) or added."""
    fields = {**FIELDS, **(changes or {})}
    lines = [line]
    lines += [b"%s: %s" % item for item in fields.items() if item[1] is not None]
    return b"\r\n".join([*lines, *extra, b"", b""])


def request(
    changes: dict[bytes, bytes | None] | None = None,
    *extra: bytes,
    line: bytes = b"GET /chat HTTP/1.1",
) -> Request:
    """Return the same, parsed."""
    return read_request(head(changes, *extra, line=line))


def read_request(octets: bytes) -> Request:
    """Return the request that the octets are."""
    reader = HeadReader()
    assert reader.feed(octets)
    return parse_request(reader.head)


def read_response(octets: bytes) -> Response:
    """Return the response that the octets are."""
    reader = HeadReader(kind="response")
    assert reader.feed(octets)
    return parse_response(reader.head)
