"""Extensions that an application brings: RFC 6455 §9, without I/O."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.sample_extensions import Marked, MarkedFactory
from wsfast import engine
from wsfast.exceptions import NegotiationError
from wsfast.protocol import (
    Chain,
    ClientHandshake,
    ClientPerMessageDeflateFactory,
    Deflate,
    DeflateOptions,
    Extension,
    Frame,
    HeadReader,
    Options,
    PerMessageDeflate,
    Protocol,
    ServerHandshake,
    ServerPerMessageDeflateFactory,
    parse_request,
    parse_response,
)

TEXT, BINARY, PING, CLOSE = 1, 2, 9, 8


def parsed(octets: bytes, kind: str) -> Any:
    reader = HeadReader(kind=kind)
    assert reader.feed(octets)
    return (parse_request if kind == "request" else parse_response)(reader.head)


def agree(ours: Any, theirs: Any, **options: Any) -> tuple[Any, Any, str]:
    """Do the handshake of a client and a server; return what each has agreed to."""
    client = ClientHandshake("ws://h/", extensions=ours, **options)
    server = ServerHandshake(extensions=theirs, **options)
    request = parsed(client.request.serialize(), "request")
    response = parsed(server.accept(request).serialize(), "response")
    client.accept(response)
    return client, server, response.headers.get("Sec-WebSocket-Extensions", "")


def ends(client: Any, server: Any, **options: Any) -> tuple[Protocol, Protocol]:
    """Return both ends of a connection that has agreed upon these."""
    made = Options(**options)
    return (
        Protocol(client=True, options=made, deflate=client),
        Protocol(client=False, options=made, deflate=server),
    )


def exchange(one: Protocol, other: Protocol) -> list[Any]:
    """Deliver what one has sent; return the other's events."""
    other.receive_data(one.data_to_send())
    return [(event.kind, event.data) for event in other.events_received()]


def test_rfc6455_9_1_offer_and_answer():
    client, server, answer = agree([MarkedFactory(level=5)], [MarkedFactory(level=3)])
    assert client.request.headers["Sec-WebSocket-Extensions"] == "mark; level=5"
    assert answer == "mark; level=3"
    assert [e.name for e in client.extensions] == ["mark"]
    assert [e.name for e in server.extensions] == ["mark"]
    assert isinstance(client.deflate, Chain)


def test_the_answer_has_the_order_of_the_offer_and_deflate_is_among_them():
    factories = [MarkedFactory("a", 2), DeflateOptions(threshold=0), MarkedFactory("b")]
    factories[2].rsv = 3
    _, server, answer = agree(factories, list(reversed(factories)))
    names = [extension.name for extension in server.extensions]
    assert names == ["a", "permessage-deflate", "b"]
    assert [part.split(";")[0] for part in answer.split(", ")] == names
    assert isinstance(server.extensions[1], PerMessageDeflate)


def test_compression_comes_last_unless_it_is_listed():
    factory = MarkedFactory()
    client = ClientHandshake(
        "ws://h/", extensions=[factory], deflate=DeflateOptions(level=1)
    )
    offer = client.request.headers["Sec-WebSocket-Extensions"]
    assert [part.split(";")[0] for part in offer.split(", ")] == [
        "mark",
        "permessage-deflate",
    ]
    client = ClientHandshake(
        "ws://h/",
        extensions=[ClientPerMessageDeflateFactory(server_max_window_bits=9)],
        deflate=DeflateOptions(),
    )
    offer = client.request.headers["Sec-WebSocket-Extensions"]
    assert "server_max_window_bits=9" in offer  # what is listed counts


def test_deflate_alone_takes_the_shorter_way():
    client, server, _ = agree(
        [ClientPerMessageDeflateFactory()], [ServerPerMessageDeflateFactory()]
    )
    assert type(client.deflate) is type(server.deflate) is Deflate
    # so it does where the other end has nothing else
    client, server, _ = agree([MarkedFactory(), DeflateOptions()], [DeflateOptions()])
    assert type(client.deflate) is type(server.deflate) is Deflate
    one, other = ends(client.deflate, server.deflate)
    one.send_message(TEXT, "x" * 100)
    assert exchange(one, other) == [("message", "x" * 100)]


def test_two_extensions_cannot_claim_one_bit():
    both = [MarkedFactory("a", 2), MarkedFactory("b", 2)]
    _, server, answer = agree(both, both)
    assert answer == "a; level=3"  # the second offer is declined
    assert len(server.extensions) == 1
    with pytest.raises(NegotiationError, match="b claims RSV2"):
        Chain([Marked("a", 2), Marked("b", 2)])
    with pytest.raises(NegotiationError, match="claims RSV1"):
        Chain([Marked("a", 1), PerMessageDeflate(Deflate((0, 0, 12, 12), OPTIONS))])


OPTIONS = DeflateOptions()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ("other", "Unsupported extension: name = other"),
        ("mark; level=9", "level too high"),
        ("mark; level=3, mark; level=3", "received duplicate mark"),
        ("mark; level=3, bite; level=3", "bite claims RSV2"),
        ("permessage-deflate", "Unsupported extension"),
    ],
)
def test_answer_that_does_not_fit(answer: str, match: str):
    client = ClientHandshake(
        "ws://h/", extensions=[MarkedFactory(), MarkedFactory("bite", 2)]
    )
    server = ServerHandshake()
    octets = server.accept(parsed(client.request.serialize(), "request")).serialize()
    line = f"\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n".encode()
    with pytest.raises(NegotiationError, match=match):
        client.accept(parsed(octets[:-4] + line, "response"))
    assert client.deflate is None


@pytest.mark.parametrize(
    "offer",
    ["mark", "mark; level=x", "mark; level=", "mark; level=1; =", "unknown", ", ,"],
)
def test_bad_offer_is_passed_over_and_the_next_one_counts(offer: str):
    server = ServerHandshake(extensions=[MarkedFactory()])
    client = ClientHandshake("ws://h/")
    for more, expected in ("", None), (", mark; level=2", "mark; level=2"):
        line = f"\r\nSec-WebSocket-Extensions: {offer}{more}\r\n\r\n".encode()
        request = parsed(client.request.serialize()[:-4] + line, "request")
        response = server.accept(request)
        assert response.status_code == 101
        assert response.headers.get("Sec-WebSocket-Extensions") == expected


def test_parameters_that_cannot_be_sent():
    class Split(MarkedFactory):
        def get_request_params(self):
            return [("level", "1\r\nX: y")]

    with pytest.raises(ValueError, match="bad parameter"):
        ClientHandshake("ws://h/", extensions=[Split()])


@pytest.mark.parametrize("factory", ["permessage-deflate", object(), Extension()])
def test_what_is_no_factory(factory: Any):
    with pytest.raises(TypeError, match="not an extension factory for a server"):
        ServerHandshake(extensions=[factory])
    with pytest.raises(TypeError, match="not an extension factory for a client"):
        ClientHandshake("ws://h/", extensions=[factory])


def test_deflate_twice():
    with pytest.raises(TypeError, match="once only"):
        ServerHandshake(extensions=[DeflateOptions(), ServerPerMessageDeflateFactory()])


@pytest.mark.parametrize(
    ("deflate", "rsv"),
    [
        *((None, rsv) for rsv in (0, 1, 2, 3)),
        *((DeflateOptions(threshold=0), rsv) for rsv in (0, 2, 3)),
    ],
)
def test_messages_both_ways(deflate: Any, rsv: int):
    factory = MarkedFactory(rsv=rsv)
    client, server, _ = agree([factory], [factory], deflate=deflate)
    here, there = ends(client.deflate, server.deflate)
    for one, other in (here, there), (there, here):
        for size in (0, 1, 125, 126, 65535, 65536, 200_000):
            one.send_message(TEXT, "é" * (size // 2))
            one.send_message(BINARY, b"\xff" * size)
            assert exchange(one, other) == [
                ("message", "é" * (size // 2)),
                ("message", b"\xff" * size),
            ]
        one.send_message(TEXT, "frag", fin=False)
        one.send_ping(b"between")
        one.send_message(0, "ment", fin=False)
        one.send_message(0, "s", fin=True)
        assert exchange(one, other) == [("ping", b"between"), ("message", "fragments")]
        exchange(other, one)
    here.send_close(1000, "done")
    exchange(here, there)
    exchange(there, here)
    assert (there.close_rcvd.code, here.close_rcvd.code) == (1000, 1000)


def test_order_of_encoding_and_decoding():
    client = Chain([Marked("a", 2), Marked("b", 3)])
    server = Chain([Marked("a", 2), Marked("b", 3)])
    here, there = ends(client, server)
    here.send_message(TEXT, "x")
    octets = here.data_to_send()
    header, key = octets[:2], octets[2:6]
    assert header[0] == 0x80 | 0x30 | TEXT
    assert engine.mask(octets[6:], key) == b"b:a:x"  # the last one is the outermost
    there.receive_data(octets)
    assert [event.data for event in there.events_received()] == ["x"]
    assert [e.seen for e in server] == [[-1], [-1]]


def test_input_cut_anywhere_gives_the_same():
    sender, _ = ends(Chain([Marked("m", 2)]), None)
    sender.send_message(TEXT, "one")
    sender.send_message(BINARY, b"2" * 300)
    sender.send_ping(b"p")
    octets = sender.data_to_send()
    for cut in range(1, len(octets)):
        _, there = ends(None, Chain([Marked("m", 2)]))
        for start in range(0, len(octets), cut):
            there.receive_data(octets[start : start + cut])
        data = [event.data for event in there.events_received()]
        assert data == ["one", b"2" * 300, b"p"]


def frame(first: int, payload: bytes, key: bytes = b"\1\2\3\4") -> bytes:
    head = engine.encode_header(TEXT, len(payload), key=key)
    return bytes([first]) + head[1:] + engine.mask(payload, key)


@pytest.mark.parametrize(
    ("octets", "code", "reason_code"),
    [
        (frame(0xC1, b"m:x"), 1002, "rsv_not_negotiated"),  # RSV1: nobody's
        (frame(0x91, b"m:x"), 1002, "rsv_not_negotiated"),  # RSV3
        (frame(0xA9, b""), 1002, "rsv_not_negotiated"),  # RSV2 on a ping: not undone
        (frame(0x83, b"m:x"), 1002, "reserved_opcode"),
        (frame(0xA0, b"m:x"), 1002, "unexpected_continuation"),
        (frame(0x21, b"m:x") * 2, 1002, "expected_continuation"),
        (frame(0x09, b""), 1002, "control_fragmented"),
        (b"\xa9\xfe\x00\x7e", 1002, "control_too_long"),
        (b"\x81\x03m:x", 1002, "frame_not_masked"),
        (b"\xa1\xfe\x00\x01" + b"\0" * 4, 1002, "length_not_minimal"),
        (b"\xa1\xff" + b"\xff" * 8 + b"\0" * 4, 1002, "length_over_63_bits"),
        (b"\xa1\xff" + b"\x00" * 4 + b"\xff" * 4 + b"\0" * 4, 1009, "message_too_big"),
        (frame(0xA1, b"m:" + b"x" * 101), 1009, "message_too_big"),
        (frame(0xA1, b"m:\xff"), 1007, "invalid_utf8"),
        (frame(0xA1, b"x"), 1007, "no_mark"),
        (frame(0x88, b"\x03\xee"), 1002, "invalid_close_code"),
    ],
)
def test_bad_input(octets: bytes, code: int, reason_code: str):
    _, server = ends(None, Chain([Marked("m", 2)]), max_size=100)
    server.receive_data(frame(0xA1, b"m:good") + octets)
    assert [event.data for event in server.events_received()] == ["good"]
    assert server.failure is not None
    assert (server.failure.code, server.failure.reason_code) == (code, reason_code)
    assert server.close_sent.code == code
    assert server.ended


def test_masked_frame_from_a_server():
    client, _ = ends(Chain([Marked("m", 2)]), None)
    client.receive_data(frame(0xA1, b"m:x"))
    assert client.failure.reason_code == "frame_masked"


def test_size_is_limited_behind_the_last_extension():
    factories = [MarkedFactory(), DeflateOptions(threshold=0)]
    client, server, _ = agree(factories, factories)
    here, _ = ends(client.deflate, None)
    _, there = ends(None, server.deflate, max_size=1000)
    here.send_message(TEXT, "x" * 1000)
    assert exchange(here, there) == [("message", "x" * 1000)]
    here.send_message(TEXT, "x" * 100_000)  # 120 octets as it travels
    assert exchange(here, there) == []
    assert (there.failure.code, there.failure.reason_code) == (1009, "message_too_big")


def test_a_flood_of_empty_fragments_ends():
    _, server = ends(None, Chain([Marked("m", 2)]), max_fragments=50)
    server.receive_data(frame(0x21, b"m:") + frame(0x20, b"m:") * 60)
    assert server.failure.code == 1008


def test_decode_that_fails_is_ours():
    class Bad(Marked):
        def decode(self, frame, *, max_size=None):
            raise KeyError("oh")

    _, server = ends(None, Chain([Bad("m", 2)]))
    server.receive_data(frame(0xA1, b"m:x"))
    failure = server.failure
    assert (failure.code, failure.reason_code) == (1011, "extension_failed")
    assert "KeyError('oh')" in str(failure)


def test_encode_that_fails_tells_the_sender_and_lets_close_through():
    client, server = ends(Chain([Marked("m", 2)]), Chain([Marked("m", 2)]))
    client.send_message(TEXT, "good")
    for _ in range(2):  # from then on nobody knows what the peer's end has seen
        with pytest.raises(RuntimeError, match="the mark is lost"):
            client.send_message(TEXT, "spoil")
    with pytest.raises(RuntimeError, match="the mark is lost"):
        client.send_message(TEXT, "more")
    client.send_close(1011)
    assert exchange(client, server) == [("message", "good")]
    assert server.close_rcvd.code == 1011


def test_encode_must_not_set_what_it_does_not_claim():
    class Liar(Marked):
        rsv2 = False

        def __init__(self):
            super().__init__("m", 2)
            self.rsv2 = False

    client, _ = ends(Chain([Liar()]), None)
    with pytest.raises(ValueError, match="does not claim"):
        client.send_message(TEXT, "x")


@pytest.mark.parametrize("compress", [True, False, None])
def test_choice_of_compression_in_a_chain(compress: bool | None):
    factories = [MarkedFactory(), DeflateOptions(threshold=500)]
    client, server, _ = agree(factories, factories)
    here, there = ends(client.deflate, server.deflate)
    for size in (100, 1000):
        here.send_message(TEXT, "x" * size, compress=compress)
        octets = here.data_to_send()
        wanted = size >= 500 if compress is None else compress
        assert bool(octets[0] & 0x40) is wanted
        there.receive_data(octets)
        assert [event.data for event in there.events_received()] == ["x" * size]


def test_rsv1_on_a_continuation_or_control_frame_in_a_chain():
    factories = [MarkedFactory("m"), DeflateOptions()]
    for first in (0xE0, 0xC9):
        _, agreed, _ = agree(factories, factories)
        _, server = ends(None, agreed.deflate)
        server.receive_data(frame(0x21, b"m:a") + frame(first, b"m:b"))
        assert server.failure.reason_code == "rsv_not_negotiated"


def test_an_extension_without_attributes_claims_nothing():
    class Plain:
        name = "plain"

        def encode(self, frame: Frame) -> Frame:
            return frame

        def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
            return frame

    here, there = ends(Chain([Plain()]), Chain([Plain()]))
    here.send_message(TEXT, "as is")
    assert exchange(here, there) == [("message", "as is")]
