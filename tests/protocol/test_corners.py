"""Ways through the handshake that no test about something else goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.handshakes import head, read_request, request
from tests.protocol.sample_extensions import Marked, MarkedFactory
from wsfast.exceptions import (
    HandshakeError,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
    ProxyError,
)
from wsfast.protocol import (
    ClientHandshake,
    Frame,
    HeadReader,
    Options,
    Request,
    Response,
    ServerHandshake,
    heads,
    parse_request,
)
from wsfast.protocol.deflate import Deflate, DeflateOptions, DeflateParameters
from wsfast.protocol.extension_frames import Chain, PerMessageDeflate
from wsfast.protocol.extension_negotiation import accept_offers
from wsfast.protocol.extensions import ClientPerMessageDeflateFactory, answer_offers
from wsfast.protocol.headers import Headers
from wsfast.protocol.retrying import process_exception
from wsfast.protocol.uri import parse_uri


def client() -> ClientHandshake:
    return ClientHandshake(parse_uri("ws://a/"))


# ---- the request of a client that changes it


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "h2c"),
        ("Connection", "close"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ],
)
def test_what_the_handshake_sets_stays(name: str, value: str):
    handshake = client()
    request = Request("/other", Headers(handshake.request.headers))
    request.headers.replace(name, value)
    with pytest.raises(ValueError, match=f"{name} is set by the opening handshake"):
        handshake.replace(request)
    assert handshake.request.path == "/"


def test_a_request_that_is_changed_otherwise_is_sent():
    handshake = client()
    request = Request("/other", Headers(handshake.request.headers))
    request.headers["X-Trace"] = "1"
    handshake.replace(request)
    assert handshake.request is request
    request = Request("/a b", Headers(handshake.request.headers))
    with pytest.raises(ValueError, match="target"):
        handshake.replace(request)
    assert handshake.request.path == "/other"


# ---- extensions


def test_a_chain_without_compression():
    chain = Chain([Marked("mark", 2)])
    assert not chain.wants(1 << 20)
    chain.rest()
    assert chain.encode(b"x") is not None


def test_a_chain_with_compression_rests_with_it():
    deflate = Deflate(DeflateParameters(False, False, 15, 15), DeflateOptions())
    chain = Chain([PerMessageDeflate(deflate)])
    assert chain.wants(1 << 20)
    chain.encode_frame(Frame(1, b"x" * 500), True)
    held = deflate._encoder
    chain.rest()
    assert deflate._encoder is held  # it was used since the last time
    chain.rest()
    assert deflate._encoder is None


@pytest.mark.parametrize(("size", "fin"), [(5, True), (5000, True), (5, False)])
def test_compression_without_a_word_about_it_goes_by_size(size: int, fin: bool):
    options = DeflateOptions(threshold=1000)
    deflate = Deflate(DeflateParameters(False, False, 15, 15), options)
    frame = PerMessageDeflate(deflate).encode(Frame(2, b"x" * size, fin=fin))
    assert frame.rsv1 == (size > 1000 or not fin)


def test_offers_in_several_headers():
    line, agreed = accept_offers([b"other", b"mark; level=1"], [MarkedFactory()])
    assert line.endswith(b" mark; level=1")
    assert agreed is not None


@pytest.mark.parametrize("name", ["", "two words", "a,b"])
def test_a_factory_without_a_good_name(name: str):
    with pytest.raises(TypeError, match="without a good name"):
        ServerHandshake(extensions=[MarkedFactory(name)])


def test_an_extension_that_was_accepted_is_not_accepted_again():
    line, agreed = accept_offers(b"mark; level=1, mark; level=2", [MarkedFactory()])
    assert line.endswith(b" mark; level=1")
    assert len(list(agreed)) == 1
    assert accept_offers(b"other, mark; level=x", [MarkedFactory()]) == (b"", None)


def test_a_server_with_extensions_and_a_client_without():
    response = ServerHandshake(extensions=[MarkedFactory()]).accept(request())
    assert response.status_code == 101
    assert "Sec-WebSocket-Extensions" not in response.headers


def test_an_offer_that_only_begins_like_ours():
    agreed = answer_offers(b"permessage-deflate2, permessage-deflate", DeflateOptions())
    assert agreed is not None
    assert answer_offers(b"permessage-deflate2", DeflateOptions()) is None


def test_compression_is_agreed_upon_once():
    factory = ClientPerMessageDeflateFactory()
    deflate = factory.process_response_params([], [])
    with pytest.raises(NegotiationError, match="duplicate"):
        factory.process_response_params([], [deflate])


# ---- heads


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_head_that_begins_with_an_empty_line(step: int):
    reader, octets = HeadReader(), b"\r\n\r\n"
    with pytest.raises(InvalidMessage, match=r"malformed (first|request) line"):
        for start in range(0, 4, step):
            if reader.feed(octets[start : start + step]):
                parse_request(reader.head)


def test_two_hosts(library: str):
    with pytest.raises(HandshakeError) as caught:
        ServerHandshake().accept(read_request(head({}, b"HOST: other")))
    assert caught.value.status == 400


def test_a_library_that_is_stricter_than_we_know(monkeypatch: pytest.MonkeyPatch):
    def refuse(block: bytes, count: int) -> Any:
        raise heads._RefusedError

    monkeypatch.setattr(heads, "_split", refuse)
    with pytest.raises(InvalidMessage) as caught:
        read_request(head())
    assert caught.value.reason_code == "malformed_header"


def test_a_request_that_has_fields_about_its_body_alone(library: str):
    octets = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
    request = parse_request(octets, body=True)
    assert list(request.headers.items()) == [("Content-Length", "5")]
    with pytest.raises(InvalidMessage, match="several fields about a body"):
        parse_request(octets.replace(b"\r\n\r\n", b"\r\n") + octets[17:], body=True)


def test_the_octets_of_a_request_that_nobody_looked_at():
    head = b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"
    request = Request.from_head(head)
    assert request.head_as_received() == head
    assert request.path == "/a"
    assert request.headers["Host"] == "b"
    assert request.head_as_received() is None
    assert Request("/a", Headers()).head_as_received() is None
    changed = Request.from_head(head)
    changed.path = "/b"
    assert changed.head_as_received() is None


# ---- limits, and trying again


@pytest.mark.parametrize("limit", [-1, (4, 5), (4, -1)])
def test_marks_that_make_no_sense(limit: Any):
    with pytest.raises(ValueError, match="write_limit"):
        Options(write_limit=limit)


def test_no_limit_at_all():
    options = Options(max_send_buffer=None, write_limit=None)
    assert options.max_send_buffer == options.write_high > 1 << 40


def test_what_may_go_away():
    response = Response(503, "x", Headers())
    assert process_exception(InvalidStatus(response)) is None
    gone = InvalidStatus(Response(404, "x", Headers()))
    assert process_exception(gone) is gone
    for kind in (InvalidMessage, ProxyError):
        cut, wrong = kind("cut"), kind("wrong")
        cut.__cause__ = EOFError()
        assert process_exception(cut) is None
        assert process_exception(wrong) is wrong
    assert process_exception(TimeoutError()) is None
    wrong = ValueError()
    assert process_exception(wrong) is wrong
