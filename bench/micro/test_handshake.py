"""The server's opening handshake: octets of a request to octets of the response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

PLAIN = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
#: what a browser sends
BROWSER = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Connection: Upgrade\r\n"
    b"Pragma: no-cache\r\n"
    b"Cache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    b"(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n"
    b"Upgrade: websocket\r\n"
    b"Origin: https://server.example.com\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"\r\n"
)
REQUESTS = {"plain": PLAIN, "browser": BROWSER}
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def measure(benchmark: Any, answer: Callable[[bytes], bytes], kind: str) -> None:
    response = answer(REQUESTS[kind])
    assert response.startswith(b"HTTP/1.1 101 ")
    assert ACCEPT in response
    benchmark.group = f"accept a handshake, {kind}"
    benchmark(answer, REQUESTS[kind])


@pytest.mark.parametrize("kind", REQUESTS)
def test_handshake(benchmark: Any, kind: str) -> None:
    from wsfast.protocol.heads import HeadReader, parse_request
    from wsfast.protocol.server import ServerHandshake

    def answer(octets: bytes) -> bytes:
        reader = HeadReader()
        assert reader.feed(octets)
        return ServerHandshake().accept(parse_request(reader.head)).serialize()

    measure(benchmark, answer, kind)


@pytest.mark.parametrize("kind", REQUESTS)
def test_handshake_websockets(benchmark: Any, kind: str) -> None:
    pytest.importorskip("websockets")
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

    def answer(octets: bytes) -> bytes:
        protocol = ServerProtocol()
        protocol.receive_data(octets)
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        return b"".join(protocol.data_to_send())

    measure(benchmark, answer, kind)


@pytest.mark.parametrize("kind", REQUESTS)
def test_handshake_wsproto(benchmark: Any, kind: str) -> None:
    pytest.importorskip("wsproto")
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection

    def answer(octets: bytes) -> bytes:
        connection = WSConnection(ConnectionType.SERVER)
        connection.receive_data(octets)
        next(connection.events())
        return connection.send(AcceptConnection())

    measure(benchmark, answer, kind)
