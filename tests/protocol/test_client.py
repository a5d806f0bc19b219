"""The client's side of the opening handshake (RFC 6455 §4.1, THREATS 2.5)."""

from __future__ import annotations

import binascii

import pytest

from tests.protocol.handshakes import read_request, read_response
from wsfast.exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidProtocol,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from wsfast.protocol import (
    ClientHandshake,
    ClientPerMessageDeflateFactory,
    DeflateOptions,
    Headers,
    Response,
    ServerHandshake,
)
from wsfast.protocol.server import accept_key


def respond(client: ClientHandshake, *changes: tuple[str, str | None]) -> Response:
    """Return a good response, with headers left out (None) or replaced, or added."""
    key = client.request.headers["Sec-WebSocket-Key"].encode()
    fields = {
        "Upgrade": ["websocket"],
        "Connection": ["Upgrade"],
        "Sec-WebSocket-Accept": [accept_key(key).decode()],
    }
    for name, value in changes:
        if value is None:
            del fields[name]
        elif name in fields and value.startswith("+"):
            fields[name].append(value[1:])
        else:
            fields[name] = [value.lstrip("+")]
    lines = [(name, value) for name, values in fields.items() for value in values]
    return Response(101, "Switching Protocols", Headers(lines))


def test_request():
    client = ClientHandshake(
        "wss://user:p%40ss@Example.com:8443/chat?a=b",
        origin="http://origin",
        subprotocols=["a", "b"],
        deflate=DeflateOptions(),
        additional_headers={"Cookie": "c=d"},
        user_agent_header="me/1",
    )
    headers = client.request.headers
    key = headers["Sec-WebSocket-Key"]
    assert len(binascii.a2b_base64(key)) == 16
    assert list(headers.items()) == [
        ("Host", "example.com:8443"),
        ("Authorization", "Basic dXNlcjpwQHNz"),
        ("Origin", "http://origin"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
        ("Sec-WebSocket-Protocol", "a, b"),
        ("Cookie", "c=d"),
        ("User-Agent", "me/1"),
    ]
    assert client.request.serialize().startswith(b"GET /chat?a=b HTTP/1.1\r\nHost: ")


def test_plain_request_has_no_more_than_it_must():
    client = ClientHandshake("ws://[::1]", user_agent_header=None)
    assert list(client.request.headers) == [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
    ]
    assert client.request.headers["Host"] == "[::1]"
    assert client.request.path == "/"


def test_keys_differ():  # K-8
    keys = {
        ClientHandshake("ws://h").request.headers["Sec-WebSocket-Key"]
        for _ in range(50)
    }
    assert len(keys) == 50


def test_additional_headers():
    client = ClientHandshake(
        "ws://u:p@h",
        additional_headers=[
            ("host", "other"),
            ("X", "1"),
            ("X", "2"),
            ("user-agent", "m"),
        ],
    )
    headers = client.request.headers
    assert headers.get_all("Host") == ["other"]
    assert headers.get_all("X") == ["1", "2"]
    assert headers.get_all("User-Agent") == ["m"]
    mine = {"Authorization": "Bearer t"}
    client = ClientHandshake("ws://u:p@h", additional_headers=mine)
    assert client.request.headers.get_all("Authorization") == ["Bearer t"]


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "upgrade", "CONNECTION"])
def test_additional_headers_cannot_break_the_handshake(name):
    with pytest.raises(ValueError, match="is set by the opening handshake"):
        ClientHandshake("ws://h", additional_headers={name: "x"})


@pytest.mark.parametrize("value", ["a\r\nb", "a\n", "\x00"])
def test_request_cannot_be_split(value):  # H-16
    with pytest.raises(ValueError, match="X"):
        ClientHandshake("ws://h", additional_headers={"X": value})
    with pytest.raises(ValueError, match="Origin"):
        ClientHandshake("ws://h", origin=value)
    with pytest.raises(ValueError, match="subprotocol"):
        ClientHandshake("ws://h", subprotocols=[value])


def test_good_response(library):
    client = ClientHandshake("ws://h", subprotocols=["a"], deflate=DeflateOptions())
    client.accept(respond(client))
    assert client.subprotocol is None
    assert client.deflate is None


@pytest.mark.parametrize("deflate", [None, DeflateOptions()])
def test_client_and_server_agree(library, deflate):
    client = ClientHandshake("ws://h/p", subprotocols=["a", "b"], deflate=deflate)
    server = ServerHandshake(subprotocols=["b"], deflate=DeflateOptions())
    response = server.accept(read_request(client.request.serialize()))
    client.accept(read_response(response.serialize()))
    assert client.subprotocol == server.subprotocol == "b"
    if deflate is None:
        assert client.deflate is server.deflate is None
    else:
        ours, theirs = client.deflate.parameters, server.deflate.parameters
        assert ours.local_max_window_bits == theirs.remote_max_window_bits == 12
        assert ours.remote_max_window_bits == theirs.local_max_window_bits == 12


# K-1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ([("Upgrade", None)], InvalidUpgrade),
        ([("Upgrade", "h2c")], InvalidUpgrade),
        ([("Upgrade", "websocket, h2c")], InvalidUpgrade),
        ([("Upgrade", "+h2c")], InvalidUpgrade),
        ([("Upgrade", "")], InvalidUpgrade),
        ([("Connection", None)], InvalidUpgrade),
        ([("Connection", "close")], InvalidUpgrade),
        ([("Connection", "Upgrade;")], InvalidUpgrade),
        ([("Sec-WebSocket-Accept", None)], InvalidHeader),
        ([("Sec-WebSocket-Accept", "")], InvalidHeaderValue),
        (
            [("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")],
            InvalidHeaderValue,
        ),
        ([("Sec-WebSocket-Accept", "\xff")], InvalidHeaderValue),
        ([("Sec-WebSocket-Accept", "+x")], InvalidHeader),
        # K-2
        ([("Sec-WebSocket-Protocol", "c")], NegotiationError),
        ([("Sec-WebSocket-Protocol", "A")], NegotiationError),
        ([("Sec-WebSocket-Protocol", "a, b")], InvalidHeader),
        ([("Sec-WebSocket-Protocol", "")], InvalidHeaderFormat),
        ([("Sec-WebSocket-Extensions", "x-other")], NegotiationError),
        ([("Sec-WebSocket-Extensions", "permessage-deflate, x")], NegotiationError),
        (
            [("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate")],
            NegotiationError,
        ),
        ([("Sec-WebSocket-Extensions", "permessage-deflate;")], InvalidHeaderFormat),
        ([("Sec-WebSocket-Extensions", "permessage-deflate; x")], NegotiationError),
        ([("Sec-WebSocket-Extensions", "")], InvalidHeaderFormat),
    ],
)
def test_wrong_response(changes, error):
    client = ClientHandshake(
        "ws://h", subprotocols=["a", "b"], deflate=DeflateOptions()
    )
    with pytest.raises(InvalidHandshake) as caught:
        client.accept(respond(client, *changes))
    assert isinstance(caught.value, error)
    assert client.deflate is None


def test_what_was_not_asked_for():  # K-2
    client = ClientHandshake("ws://h")
    with pytest.raises(NegotiationError, match="no subprotocols supported"):
        client.accept(respond(client, ("Sec-WebSocket-Protocol", "a")))
    with pytest.raises(NegotiationError, match="no extensions supported"):
        client.accept(
            respond(client, ("Sec-WebSocket-Extensions", "permessage-deflate"))
        )


@pytest.mark.parametrize(
    "changes",
    [
        [("Upgrade", "WebSocket")],
        [("Connection", "keep-alive, upgrade")],
        [("Connection", "close"), ("Connection", "+Upgrade")],
        [("Sec-WebSocket-Protocol", "b")],
    ],
)
def test_right_response(changes):
    client = ClientHandshake("ws://h", subprotocols=["a", "b"])
    client.accept(respond(client, *changes))


@pytest.mark.parametrize("status", [100, 200, 301, 401, 503])
def test_refusal(status):
    client = ClientHandshake("ws://h")
    response = Response(status, "x", Headers(), b"why")
    with pytest.raises(InvalidStatus) as caught:
        client.accept(response)
    assert caught.value.response.body == b"why"
    assert caught.value.code == status


def test_http_1_0_response():
    client = ClientHandshake("ws://h")
    octets = respond(client).serialize().replace(b"HTTP/1.1", b"HTTP/1.0")
    with pytest.raises(InvalidProtocol):
        client.accept(read_response(octets))


def test_extensions_in_the_manner_of_websockets():
    client = ClientHandshake("ws://h", extensions=[ClientPerMessageDeflateFactory()])
    assert client.request.headers["Sec-WebSocket-Extensions"] == (
        "permessage-deflate; client_max_window_bits"
    )
