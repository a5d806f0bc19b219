"""The protocol without I/O, both roles: handshakes, messages, closing, compression."""

from __future__ import annotations

from contextlib import suppress

from tests.leaks.measure import Operations
from wsfast import engine
from wsfast.exceptions import InvalidHandshake, InvalidURI, PayloadTooBig
from wsfast.protocol import (
    BasicAuth,
    ClientHandshake,
    ClientPerMessageDeflateFactory,
    Deflate,
    DeflateOptions,
    DeflateParameters,
    Headers,
    HeadReader,
    Options,
    Protocol,
    Request,
    ServerHandshake,
    ServerPerMessageDeflateFactory,
    parse_request,
    parse_response,
    parse_uri,
)

operations = Operations("protocol")

DEFLATE = DeflateOptions()
PARAMETERS = DeflateParameters(False, False, 12, 12)
TEXT = "A sentence of some length, which can be compressed. " * 8


def _request(octets: bytes) -> Request:
    reader = HeadReader()
    reader.feed(octets[:20])
    reader.feed(octets[20:])
    return parse_request(reader.head)


def _pair(
    deflate: DeflateOptions | None = None, **options: object
) -> tuple[Protocol, Protocol]:
    """Return an open client and an open server."""

    def agreed() -> Deflate | None:
        return None if deflate is None else Deflate(PARAMETERS, deflate)

    client = Protocol(client=True, deflate=agreed())
    server = Protocol(client=False, options=Options(**options), deflate=agreed())
    return client, server


@operations
def handshake() -> None:
    asking = ClientHandshake(
        "wss://Ada:secret@example.com:4443/chat?x=1",
        origin="https://example.com",
        subprotocols=["talk", "shout"],
        deflate=DEFLATE,
        additional_headers={"X-One": "1"},
    )
    answering = ServerHandshake(
        subprotocols=["shout"], deflate=DEFLATE, origins=["https://example.com"]
    )
    response = answering.accept(_request(asking.request.serialize()))
    reader = HeadReader(kind="response")
    reader.feed(response.serialize())
    asking.accept(parse_response(reader.head))
    assert asking.subprotocol == "shout"
    assert asking.deflate is not None


@operations
def handshake_refused() -> None:
    asking = ClientHandshake("ws://example.com", origin="http://elsewhere")
    answering = ServerHandshake(origins=["https://example.com"])
    response = answering.accept(_request(asking.request.serialize()))
    assert response.status_code == 403
    with suppress(InvalidHandshake):
        asking.accept(response)


@operations
def handshake_with_factories() -> None:
    asking = ClientHandshake(
        "ws://example.com", extensions=[ClientPerMessageDeflateFactory()]
    )
    answering = ServerHandshake(extensions=[ServerPerMessageDeflateFactory()])
    response = answering.accept(_request(asking.request.serialize()))
    asking.accept(response)
    assert asking.extensions


@operations
def bad_heads() -> None:
    for octets in (
        b"GET / HTTP/1.1\r\nHost: a\r\n bad: fold\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : value\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 9000,
    ):
        with suppress(InvalidHandshake):
            _request(octets)


@operations
def headers() -> None:
    fields = Headers({"A": "1"}, b="2")
    fields.add("A", "3")
    fields.get_all("a")
    fields.copy().serialize()
    with suppress(LookupError):
        fields["A"]
    with suppress(ValueError):
        fields["bad name"] = "x\r\n"


@operations
def uris() -> None:
    parse_uri("wss://Ada:secret@example.com:4443/chat?x=1")
    with suppress(InvalidURI):
        parse_uri("http://[::1")


@operations
def basic_auth() -> None:
    auth = BasicAuth("realm", credentials=("Ada", "secret"))
    asking = ClientHandshake("ws://Ada:secret@example.com")
    auth.credentials(asking.request)
    auth.check("Ada", "wrong")
    auth.refuse()


@operations
def messages() -> None:
    client, server = _pair()
    client.send_message(engine.OP_TEXT, TEXT)
    client.send_message(engine.OP_BINARY, bytes(70_000))
    client.send_message(engine.OP_TEXT, "one", fin=False)
    client.send_message(engine.OP_CONT, "two")
    client.send_ping(b"42")
    octets = client.data_to_send()
    server.receive_data(octets[:1000])
    server.receive_data(octets[1000:])
    assert len(server.events_received()) == 4
    client.receive_data(server.data_to_send())


@operations
def messages_compressed() -> None:
    client, server = _pair(DEFLATE)
    for _ in range(3):
        client.send_message(engine.OP_TEXT, TEXT)
        server.receive_data(client.data_to_send())
    assert len(server.events_received()) == 3


@operations
def closing() -> None:
    client, server = _pair()
    server.send_close(1000, "enough")
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    for end in (server, client):
        end.receive_eof()
        end.connection_ended()
        end.closed_error()


@operations
def keepalive() -> None:
    client, server = _pair(ping_interval=1, ping_timeout=1)
    for now in range(1, 60, 5):
        server.check_time(now)
    server.connection_ended()
    client.abandon()


@operations
def failures() -> None:
    for bad in (
        b"\x81\x00",
        b"\xf1\x80aaaa",
        b"\x88\x81aaaa\x00",
        b"\x81\x81\0\0\0\0\xff",
    ):
        server = _pair()[1]
        server.receive_data(bad)
        assert server.failure is not None
        server.data_to_send()
        server.connection_ended()
        server.closed_error()


@operations
def deflate() -> None:
    codec = Deflate(PARAMETERS, DEFLATE)
    octets = codec.encode(TEXT.encode())
    codec.decode(octets, 10_000)
    with suppress(PayloadTooBig):
        codec.decode(codec.encode(bytes(100_000)), 1000)
    codec.encode_alone(TEXT.encode())
