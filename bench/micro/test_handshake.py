"""The server's opening handshake: octets of a request to octets of the response."""

from __future__ import annotations

import base64
import hashlib
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
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §4.2.2
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


def measure_client(benchmark: Any, shake: Callable[[], bytes]) -> None:
    """Measure a client: its request, and the judgement of the server's response."""
    assert shake().startswith(b"GET /chat HTTP/1.1\r\n")
    benchmark.group = "open a handshake"
    benchmark(shake)


def response_to(request: bytes) -> bytes:
    """Return a server's response to a request, built by hand."""
    key = request.lower().index(b"sec-websocket-key: ") + 19
    accept = base64.b64encode(hashlib.sha1(request[key : key + 24] + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def test_open_handshake(benchmark: Any) -> None:
    from wsfast.protocol.client import ClientHandshake
    from wsfast.protocol.heads import HeadReader, parse_response
    from wsfast.protocol.uri import parse_uri

    uri = parse_uri("ws://server.example.com/chat")

    def shake() -> bytes:
        handshake = ClientHandshake(uri)
        request = handshake.request.serialize()
        reader = HeadReader(kind="response")
        assert reader.feed(response_to(request))
        handshake.accept(parse_response(reader.head))
        return request

    measure_client(benchmark, shake)


def test_open_handshake_websockets(benchmark: Any) -> None:
    pytest.importorskip("websockets")
    from websockets.client import ClientProtocol
    from websockets.protocol import OPEN
    from websockets.uri import parse_uri

    uri = parse_uri("ws://server.example.com/chat")

    def shake() -> bytes:
        protocol = ClientProtocol(uri)
        protocol.send_request(protocol.connect())
        request = b"".join(protocol.data_to_send())
        protocol.receive_data(response_to(request))
        assert protocol.state is OPEN
        return request

    measure_client(benchmark, shake)


def test_open_handshake_wsproto(benchmark: Any) -> None:
    pytest.importorskip("wsproto")
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, Request

    def shake() -> bytes:
        connection = WSConnection(ConnectionType.CLIENT)
        request = connection.send(Request("server.example.com", "/chat"))
        connection.receive_data(response_to(request))
        assert isinstance(next(connection.events()), AcceptConnection)
        return request

    measure_client(benchmark, shake)
