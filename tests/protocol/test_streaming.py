"""Messages that are taken by fragments or inflated in passes, and peers too slow."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tests.protocol.sample_extensions import Marked
from wsfast.exceptions import (
    ConnectionClosed,
    InvalidPayload,
    PayloadTooBig,
    SlowConsumer,
)
from wsfast.protocol import Options, Protocol
from wsfast.protocol.deflate import Deflate, DeflateOptions, DeflateParameters
from wsfast.protocol.extension_frames import Chain

PARAMETERS = DeflateParameters(False, False, 15, 15)
LONG = 3_000_000  # octets: more than one pass inflates


def pair(**options: Any) -> tuple[Protocol, Protocol]:
    """Return a client and a server that compress; the options are the server's."""
    return (
        Protocol(client=True, deflate=Deflate(PARAMETERS, DeflateOptions())),
        Protocol(
            client=False,
            options=Options(**options),
            deflate=Deflate(PARAMETERS, DeflateOptions()),
        ),
    )


def events(end: Protocol) -> list[tuple[str, Any, bool]]:
    return [(e.kind, e.data, e.fin) for e in end.events_received()]


def in_fragments(client: Protocol, opcode: int, *parts: bytes) -> bytes:
    """Send a compressed message in fragments; return the octets."""
    for number, part in enumerate(parts):
        client.send_message(
            0 if number else opcode, part, number == len(parts) - 1, True
        )
    return client.data_to_send()


# ---- by fragments


@pytest.mark.parametrize("opcode", [1, 2])
def test_compressed_fragments_one_by_one(opcode: int):
    client, server = pair()
    server.parser.streaming = True
    euro = "€".encode()
    for _ in range(2):
        data = in_fragments(client, opcode, b"a" + euro[:1], euro[1:], b"b")
        server.receive_data(data)
        found = events(server)
        assert [fin for _, _, fin in found] == [False, False, True]
        assert [kind for kind, _, _ in found] == ["fragment"] * 3
        pieces = [data for _, data, _ in found]
        joined = b"".join(
            piece.encode() if isinstance(piece, str) else piece for piece in pieces
        )
        assert joined == b"a" + euro + b"b"
        assert {type(piece) for piece in pieces} == {str if opcode == 1 else bytes}


def test_uncompressed_fragments_among_compressed_ones():
    client, server = pair()
    server.parser.streaming = True
    client.send_message(1, "a", False, False)
    client.send_message(0, "b", True)
    server.receive_data(client.data_to_send())
    assert events(server) == [("fragment", "a", False), ("fragment", "b", True)]


@pytest.mark.parametrize("checked", [True, False])
def test_text_of_fragments_as_octets(checked: bool):
    client, server = pair(text="bytes", validate_utf8=checked)
    server.parser.streaming = True
    server.receive_data(in_fragments(client, 1, b"a\xff", b"b"))
    if checked:
        assert isinstance(server.failure, InvalidPayload)
        assert server.failure.reason_code == "invalid_utf8"
    else:
        assert events(server) == [("fragment", b"a\xff", False), ("fragment", b"b", 1)]


def test_text_that_ends_in_the_middle_of_a_character():
    client, server = pair()
    server.parser.streaming = True
    server.receive_data(in_fragments(client, 1, b"a", b"\xe2\x82"))
    assert events(server) == [("fragment", "a", False)]
    assert isinstance(server.failure, InvalidPayload)


def test_size_is_limited_over_all_fragments():
    client, server = pair(max_size=5)
    server.parser.streaming = True
    server.receive_data(in_fragments(client, 2, b"abc", b"de"))
    assert len(events(server)) == 2
    server.receive_data(in_fragments(client, 2, b"abc", b"def"))
    assert [data for _, data, _ in events(server)] == [b"abc"]
    assert isinstance(server.failure, PayloadTooBig)


@pytest.mark.parametrize("streaming", [True, False])
def test_no_limit_of_size(streaming: bool):
    client, server = pair(max_size=None)
    server.parser.streaming = streaming
    server.receive_data(in_fragments(client, 2, bytes(LONG), b"end"))
    found = events(server)
    assert b"".join(data for _, data, _ in found) == bytes(LONG) + b"end"
    assert len(found) == 1 + streaming


# ---- in passes


class Stopping(Protocol):
    """An end that parses no further after each event, as one that is paused."""

    def __init__(self, **options: Any) -> None:
        deflate = Deflate(PARAMETERS, DeflateOptions())
        super().__init__(client=False, options=Options(**options), deflate=deflate)
        self.taken: list[Any] = []

    def message_received(self, message: Any) -> None:
        self.taken.append(message)
        self.stop = True


def test_an_end_that_stops_goes_on_where_it_was():
    client, server = pair()[0], Stopping()
    for text in ("one", "two", "three"):
        client.send_message(1, text, True, text == "two")
    server.receive_data(client.data_to_send())
    assert server.taken == ["one"]
    assert server.unfinished
    for count in (2, 3):
        server.stop = False
        server.receive_more()
        assert len(server.taken) == count
    assert not server.unfinished


def test_a_long_message_takes_passes_and_gives_what_it_is():
    client, server = pair(max_size=LONG)
    text = b"x" * LONG
    for _ in range(2):
        client.send_message(1, text, True, True)
    server.receive_data(client.data_to_send())
    assert events(server) == [("message", text.decode(), True)] * 2
    assert not server.unfinished


@pytest.mark.parametrize("broken", [False, True])
def test_a_long_message_that_fails_in_a_later_pass(broken: bool):
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(b"x" * LONG) + compressor.flush(zlib.Z_SYNC_FLUSH)
    if broken:
        data = data[:-4] + b"\xff\xff\xff"  # a block of a type that there is not
    header = b"\xc2\xfe" + len(data).to_bytes(2, "big") + bytes(4)
    server = pair(max_size=LONG - (not broken))[1]
    server.receive_data(header + data)
    assert events(server) == []
    assert isinstance(server.failure, InvalidPayload if broken else PayloadTooBig)
    assert server.closed_error().sent is not None
    assert not server.unfinished


class Raising:
    """A permessage-deflate whose inflater fails by a fault of its own."""

    chained = False

    def begin(self, payload: bytes, limit: int | None, fin: bool) -> Any:
        yield b"a"
        raise MemoryError("in a step")


def test_a_fault_of_the_inflater_is_ours():
    client = pair()[0]
    server = Protocol(client=False, deflate=Raising())
    client.send_message(2, b"x" * 1000, True, True)
    with pytest.raises(MemoryError, match="in a step"):
        server.receive_data(client.data_to_send())
    assert server.failure is None
    assert not server.unfinished


def test_broken_data():
    server = pair()[1]
    server.receive_data(bytes([0xC2, 0x82, 0, 0, 0, 0, 0xFF, 0xFF]))
    assert isinstance(server.failure, InvalidPayload)
    assert server.failure.__traceback__ is None


def test_text_of_compressed_messages_as_it_is_wanted():
    for options, expected in (
        ({}, None),
        ({"text": "bytes"}, None),
        ({"text": "bytes", "validate_utf8": False}, b"\xff"),
    ):
        client, server = pair(**options)
        client.send_message(1, b"\xff", True, True)
        server.receive_data(client.data_to_send())
        got = [data for _, data, _ in events(server)]
        assert got == ([] if expected is None else [expected])
        assert (server.failure is None) == (expected is not None)


def test_negotiated_later():
    client = pair()[0]
    server = Protocol(client=False)
    server.negotiated(None)
    assert server.deflate is None
    server.negotiated(Deflate(PARAMETERS, DeflateOptions()))
    client.send_message(1, "hello" * 100)
    server.receive_data(client.data_to_send())
    assert events(server) == [("message", "hello" * 100, True)]


def test_extensions_negotiated_later():
    client, server = (Protocol(client=c) for c in (True, False))
    for end in (client, server):
        end.negotiated(Chain([Marked("mark", 2)]))
    client.send_message(2, b"hello")
    data = client.data_to_send()
    assert data[0] & 0x20
    server.receive_data(data)
    assert events(server) == [("message", b"hello", True)]


# ---- what is sent


def test_order_of_fragments():
    client = Protocol(client=True)
    with pytest.raises(ValueError, match="no fragmented message to continue"):
        client.send_message(0, b"")
    client.send_message(2, b"a", False)
    with pytest.raises(ValueError, match="is not finished"):
        client.send_message(2, b"b")
    client.send_message(0, b"", False)
    client.send_message(0, b"c")
    client.send_message(2, b"d")
    client.fail(1011)
    with pytest.raises(ConnectionClosed):
        client.send_message(2, b"e")


@pytest.mark.parametrize("overflow", ["close", "drop", "wait"])
def test_a_peer_that_does_not_read(overflow: str):
    options = Options(max_send_buffer=10, overflow=overflow)
    server = Protocol(client=False, options=options)
    assert server.send_message(2, b"x" * 20)
    if overflow == "close":
        with pytest.raises(SlowConsumer):
            server.send_message(2, b"y")
        assert server.failure is not None
        return
    assert server.send_message(2, b"y") == (overflow == "wait")
    assert server.dropped == (overflow == "drop")
    server.data_to_send()
    assert server.send_message(2, b"z")


def test_a_message_that_has_begun_is_not_dropped():
    server = Protocol(
        client=False, options=Options(max_send_buffer=10, overflow="drop")
    )
    server.send_message(2, b"x" * 20, False)
    assert server.send_message(0, b"y")
    assert server.dropped == 0


def test_no_limit_of_output():
    server = Protocol(client=False, options=Options(max_send_buffer=None))
    assert server.send_message(2, bytes(5_000_000))
    assert server.send_message(2, b"y")
