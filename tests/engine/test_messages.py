"""MessageParser: messages, fragments, control frames, windows (RFC 6455 §5, §8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import frames
from tests.engine.engines import KEY, cuts, cuts_of
from tests.engine.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame


def client_of(engine, **options):
    return engine.MessageParser(client=True, **options)


def server_of(engine, **options):
    return engine.MessageParser(client=False, **options)


def events_of(engine, parser, pieces):
    """Feed pieces; return all that `next` reports, with what goes with it."""
    found = []
    for piece in pieces:
        parser.feed(piece)
        while (event := parser.next()) != engine.NEED_DATA:
            found.append(frames.described(engine, parser, event))
            if event == engine.ERROR:
                return found
        assert parser.pending == 0
    return found


def test_rfc6455_5_7_examples(engine):
    hello = bytes.fromhex("8105 48656c6c6f")
    assert client_of(engine).receive(hello) == ["Hello"]
    masked = bytes.fromhex("8185 37fa213d 7f9f4d5158")
    assert server_of(engine).receive(masked) == ["Hello"]
    fragments = bytes.fromhex("0103 48656c 8002 6c6f")
    assert client_of(engine).receive(fragments) == ["Hello"]
    ping = bytes.fromhex("8905 48656c6c6f")
    assert client_of(engine).receive(ping) == [engine.Control(9, b"Hello", 0)]
    pong = bytes.fromhex("8a85 37fa213d 7f9f4d5158")
    assert server_of(engine).receive(pong) == [engine.Control(10, b"Hello", 0)]
    for size, header in ((256, "827e0100"), (65536, "827f0000000000010000")):
        octets = bytes.fromhex(header) + b"\xab" * size
        assert client_of(engine).receive(octets) == [b"\xab" * size]


def test_rfc7692_7_2_3_compressed_example(engine):
    deflated = bytes.fromhex("f248cdc9c90700")
    parser = client_of(engine, rsv1=True)
    parser.feed(b"\xc1\x07" + deflated)
    assert parser.next() == engine.COMPRESSED
    assert (parser.payload, parser.opcode) == (deflated, 1)
    parser.feed(b"\x41\x03" + deflated[:3] + b"\x80\x04" + deflated[3:])
    assert parser.next() == engine.COMPRESSED
    assert (parser.payload, parser.opcode, parser.compressed) == (deflated, 1, True)
    assert parser.next() == engine.NEED_DATA


def test_event_by_event(engine):
    parser = server_of(engine)
    octets = (
        frame(TEXT, "µ€".encode(), key=KEY)
        + frame(BINARY, b"\xff", key=KEY)
        + frame(PING, b"p", key=KEY)
        + frame(PONG, b"", key=KEY)
        + frame(CLOSE, b"\x03\xe8bye", key=KEY)
    )
    parser.feed(octets)
    assert parser.pending == len(octets)
    assert parser.next() == engine.TEXT
    assert (parser.opcode, parser.payload, type(parser.payload)) == (1, "µ€", str)
    assert parser.pending == len(octets) - 11
    assert parser.next() == engine.BINARY
    assert (parser.opcode, parser.payload, type(parser.payload)) == (2, b"\xff", bytes)
    assert parser.next() == engine.PING
    assert (parser.opcode, parser.payload, parser.code) == (9, b"p", 0)
    assert parser.next() == engine.PONG
    assert (parser.opcode, parser.payload, parser.code) == (10, b"", 0)
    assert parser.next() == engine.CLOSE
    assert (parser.opcode, parser.payload, parser.code) == (8, b"\x03\xe8bye", 1000)
    assert parser.take_payload() == b"\x03\xe8bye"
    assert parser.payload is None
    assert parser.next() == engine.NEED_DATA
    assert parser.pending == 0
    assert (parser.error, parser.error_code) == (0, 0)
    assert (parser.error_reason_code, parser.error_text) == ("ok", "no error")


def test_empty_messages(engine):
    assert client_of(engine).receive(b"\x81\x00\x82\x00") == ["", b""]
    assert client_of(engine).receive(b"\x01\x00\x00\x00\x80\x00") == [""]
    assert client_of(engine).receive(b"\x02\x00\x80\x00") == [b""]
    assert client_of(engine).receive(b"\x01\x00\x80\x01x") == ["x"]
    assert client_of(engine).receive(b"\x01\x01x\x80\x00") == ["x"]
    assert server_of(engine).receive(b"\x81\x80abcd") == [""]


def test_control_frames_inside_a_message(engine):
    octets = frame(TEXT, b"ab", fin=False) + frame(PING, b"1") + frame(CONT, b"c")
    found = client_of(engine).receive(octets + frame(PONG) + frame(TEXT, b"d"))
    assert found == [
        engine.Control(9, b"1", 0),
        "abc",
        engine.Control(10, b"", 0),
        "d",
    ]


def test_text_as_bytes_is_validated(engine):
    parser = client_of(engine, text_as_bytes=True)
    octets = frame(TEXT, "é".encode()) + frame(TEXT, b"\xc3", fin=False)
    assert parser.receive(octets + frame(CONT, b"\xa9")) == ["é".encode()] * 2
    with pytest.raises(engine.FrameError) as error:
        parser.receive(frame(TEXT, b"\xff"))
    assert error.value.reason_code == "invalid_utf8"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70001])
@pytest.mark.parametrize("key", [None, KEY, b"\0\0\0\0", b"\0\0\0\xff"])
def test_each_form_of_length(engine, size, key):
    payload = bytes(i * 7 & 0x7F for i in range(size))
    octets = frame(TEXT, payload, key=key) + frame(BINARY, payload, key=key)
    parser = engine.MessageParser(client=key is None)
    assert parser.receive(octets) == [payload.decode(), payload]
    parser = engine.MessageParser(client=key is None)
    found = []
    for at in range(0, len(octets), 1000):
        found += parser.receive(octets[at : at + 1000])
    assert found == [payload.decode(), payload]


@given(stream=frames.valid_streams(), places=cuts(600), mask=st.booleans())
def test_cut_anywhere_the_same_events(engine, stream, places, mask):
    octets = frames.joined(stream, KEY if mask else None)
    options = {"client": not mask, "rsv1": True}
    whole = events_of(engine, engine.MessageParser(**options), [octets])
    assert [event for event in whole if event[0] != engine.ERROR] == whole
    single = [octets[i : i + 1] for i in range(len(octets))]
    for pieces in (single, cuts_of(octets, places)):
        parser = engine.MessageParser(**options)
        assert events_of(engine, parser, pieces) == whole


@given(stream=frames.valid_streams(compressed=False))
def test_messages_are_what_was_sent(engine, stream):
    found = server_of(engine).receive(frames.joined(stream, KEY))
    expected = []
    message = b""
    for opcode, payload, fin, _ in stream:
        if opcode >= CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            code = code if opcode == CLOSE else 0
            expected.append(engine.Control(opcode, payload, code))
            continue
        if opcode != CONT:
            kind = opcode
            message = b""
        message += payload
        if fin:
            expected.append(message.decode() if kind == TEXT else message)
    assert found == expected


def test_stash_keeps_what_is_left(engine):
    for kind in (bytes, bytearray, memoryview):
        parser = client_of(engine)
        octets = frame(TEXT, b"one") + frame(TEXT, b"two") + b"\x81"
        window = bytearray(octets)
        parser.feed(window if kind is bytearray else kind(octets))
        assert parser.next() == engine.TEXT
        assert parser.stash() is None
        window[:] = b"\xff" * len(window)  # the buffer is used for something else
        window.append(0)
        assert parser.pending == 6
        assert parser.next() == engine.TEXT
        assert parser.payload == "two"
        assert parser.next() == engine.NEED_DATA
        parser.stash()
        assert parser.pending == 0
        assert parser.receive(b"\x05three") == ["three"]


def test_a_window_in_use_is_not_replaced(engine):
    parser = client_of(engine)
    parser.feed(frame(TEXT, b"one") + frame(TEXT, b"two"))
    assert parser.next() == engine.TEXT
    for call in (parser.feed, parser.receive):
        with pytest.raises(RuntimeError, match="octets left"):
            call(b"")
    assert parser.next() == engine.TEXT
    assert parser.payload == "two"
    parser.feed(frame(TEXT, b"three"))
    parser.discard()
    assert parser.pending == 0
    assert parser.next() == engine.NEED_DATA


def test_the_input_may_be_any_contiguous_buffer(engine):
    octets = frame(BINARY, b"abc")
    for parser in (client_of(engine), engine.FrameParser(client=True)):
        for data in (bytearray(octets), memoryview(b"xx" + octets)[2:]):
            assert parser.feed(data) == (
                [(2, b"abc", True, False)]
                if isinstance(parser, engine.FrameParser)
                else None
            )
            if isinstance(parser, engine.MessageParser):
                assert parser.next() == engine.BINARY
                assert parser.next() == engine.NEED_DATA
        for bad in (None, 5, "text", [1, 2]):
            with pytest.raises(TypeError):
                parser.feed(bad)
        with pytest.raises(BufferError):
            parser.feed(memoryview(b"abcd")[::2])
    with pytest.raises(TypeError):
        client_of(engine).receive(7)


def test_streaming_delivers_fragments(engine):
    parser = client_of(engine)
    parser.streaming = True
    octets = (
        frame(TEXT, "aé".encode()[:2], fin=False)
        + frame(PING, b"!")
        + frame(CONT, "é漢".encode()[1:3], fin=False)
        + frame(CONT, b"", fin=False)
        + frame(CONT, "漢".encode()[1:] + b"z")
        + frame(BINARY, b"\xff", fin=False)
        + frame(CONT, b"\xfe")
        + frame(TEXT, b"whole")
    )
    expected = [
        ("FRAGMENT", 1, "a", False, False),
        ("PING", 9, b"!", 0),
        ("FRAGMENT", 1, "é", False, False),
        ("FRAGMENT", 1, "", False, False),
        ("FRAGMENT", 1, "漢z", True, False),
        ("FRAGMENT", 2, b"\xff", False, False),
        ("FRAGMENT", 2, b"\xfe", True, False),
        ("TEXT", 1, "whole"),
    ]
    assert events_of(engine, parser, [octets]) == expected
    single = [octets[i : i + 1] for i in range(len(octets))]
    assert events_of(engine, parser, single) == expected


def test_text_is_stored_as_narrowly_as_it_can_be(engine):
    """A str must not claim to be wider than it is: CPython compares by width."""
    for text in ("abc", "abcé", "abc漢", "abc🚀"):
        parser = client_of(engine)
        parser.streaming = True
        cut = (text + "🚀").encode()[:-1]  # what is left of the last one is kept back
        (found,) = parser.receive(frame(TEXT, cut, fin=False))
        assert found == text
        assert found.isascii() == text.isascii()
        assert found.__sizeof__() <= text.__sizeof__()
        assert {found: 1} == {text: 1}
        assert (found + "d")[:-1].encode() == text.encode()
        for octets in (frame(TEXT, text.encode()), frame(TEXT, text.encode() * 99)):
            (found,) = client_of(engine).receive(octets)
            assert found.isascii() == text.isascii()
            assert found.__sizeof__() <= (text * (len(found) // 3)).__sizeof__()


def test_streaming_of_a_compressed_message(engine):
    parser = client_of(engine, rsv1=True)
    parser.streaming = True
    octets = (
        frame(TEXT, b"\xff\xfe", fin=False, rsv1=True)
        + frame(CONT, b"\xfd")
        + frame(BINARY, b"\xfc", rsv1=True)
    )
    assert events_of(engine, parser, [octets]) == [
        ("FRAGMENT", 1, b"\xff\xfe", False, True),
        ("FRAGMENT", 1, b"\xfd", True, True),
        ("COMPRESSED", 2, b"\xfc"),
    ]


def test_streaming_switched_in_the_middle_of_a_message(engine):
    parser = client_of(engine)
    assert parser.streaming is False
    assert parser.receive(frame(TEXT, b"a", fin=False)) == []
    parser.streaming = True
    assert parser.receive(frame(CONT, b"b", fin=False)) == ["ab"]
    parser.streaming = False
    assert parser.receive(frame(CONT, b"c", fin=False)) == []
    octets = frame(CONT, b"d") + frame(TEXT, b"x", fin=False) + frame(CONT, b"y")
    assert events_of(engine, parser, [octets]) == [
        ("FRAGMENT", 1, "cd", True, False),
        ("TEXT", 1, "xy"),
    ]


def test_streaming_text_as_bytes_is_validated_across_fragments(engine):
    for second, third in ((b"A", b"\xa9"), (b"\xa9\xc3", b""), (b"\xff", b"")):
        parser = client_of(engine, text_as_bytes=True)
        parser.streaming = True
        assert parser.receive(frame(TEXT, b"\xc3", fin=False)) == [b"\xc3"]
        with pytest.raises(engine.FrameError, match="UTF-8"):
            parser.receive(frame(CONT, second, fin=False) + frame(CONT, third))


@given(stream=frames.valid_streams(), places=cuts(600), as_bytes=st.booleans())
def test_fragments_make_the_message(engine, stream, places, as_bytes):
    octets = frames.joined(stream, None)
    options = {"client": True, "rsv1": True, "text_as_bytes": as_bytes}
    whole = events_of(engine, engine.MessageParser(**options), [octets])
    parser = engine.MessageParser(**options)
    parser.streaming = True
    put_together = []
    parts = {}
    for event in events_of(engine, parser, cuts_of(octets, places)):
        if event[0] != "FRAGMENT":
            put_together.append(event)
            continue
        _, opcode, payload, fin, compressed = event
        parts = {"payload": parts.get("payload", payload[:0]) + payload}
        if fin:
            kind = "COMPRESSED" if compressed else {1: "TEXT", 2: "BINARY"}[opcode]
            put_together.append((kind, opcode, parts.pop("payload")))
    assert put_together == whole


def test_text_that_is_not_validated_is_octets(engine):
    with pytest.raises(ValueError, match="only be delivered as bytes"):
        client_of(engine, validate_utf8=False)
    parser = client_of(engine, text_as_bytes=True, validate_utf8=False)
    bad = b"\xff" * 200
    parser.feed(
        engine.encode_frame(1, bad)
        + engine.encode_frame(1, bad[:100], fin=False)
        + engine.encode_frame(0, bad[100:])
    )
    for _ in range(2):
        assert parser.next() == engine.TEXT
        assert parser.take_payload() == bad


def test_take_window(engine):
    parser = client_of(engine)
    parser.feed(b"abcdef")
    assert parser.take_window(2) == b"ab"
    assert parser.pending == 4
    assert parser.take_window(100) == b"cdef"
    assert parser.take_window(1) == b""
    parser.feed(b"x")  # the window is free for more
    assert parser.pending == 1
