"""FrameParser: frames as they are on the wire, strictly (RFC 6455 §5)."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import frames
from tests.engine.engines import KEY, cuts, cuts_of
from tests.engine.frames import BINARY, CLOSE, CONT, PING, TEXT, frame
from tests.engine.test_rules import BROKEN

MESSAGE_RULES = {
    "close_payload_of_one_octet",
    "invalid_close_code",
    "invalid_utf8",
    "too_many_fragments",
}


def test_rfc6455_5_7_examples(engine):
    parser = engine.FrameParser(client=True)
    octets = bytes.fromhex("0103 48656c 8002 6c6f 8905 48656c6c6f")
    found = parser.feed(octets)
    assert found == [
        (TEXT, b"Hel", False, False),
        (CONT, b"lo", True, False),
        (PING, b"Hello", True, False),
    ]
    assert {type(one) for one in found} == {engine.Frame}
    assert [type(value) for value in found[0]] == [int, bytes, bool, bool]
    server = engine.FrameParser(client=False)
    (one,) = server.feed(bytes.fromhex("8185 37fa213d 7f9f4d5158"))
    assert (one.opcode, one.payload, one.fin, one.rsv1) == (1, b"Hello", True, False)


@given(stream=frames.valid_streams(), places=cuts(600), mask=st.booleans())
def test_cut_anywhere_the_same_frames(engine, stream, places, mask):
    octets = frames.joined(stream, KEY if mask else None)
    for pieces in (
        [octets],
        [octets[i : i + 1] for i in range(len(octets))],
        cuts_of(octets, places),
    ):
        parser = engine.FrameParser(client=not mask, rsv1=True)
        found = []
        for piece in pieces:
            found += parser.feed(piece)
        assert found == stream


def test_messages_are_not_judged(engine):
    octets = frame(TEXT, b"\xff") + frame(CLOSE, b"\x00") + frame(CLOSE, b"\x03\xed")
    parser = engine.FrameParser(client=True)
    assert [one.payload for one in parser.feed(octets)] == [b"\xff", b"\0", b"\x03\xed"]


@pytest.mark.parametrize("case", BROKEN)
def test_broken(engine, case):
    octets, close_code, reason_code = BROKEN[case]
    parser = engine.FrameParser(client=False, max_size=1024)
    before = frame(TEXT, b"\xff before", key=KEY)
    if reason_code in MESSAGE_RULES or case == "message_too_big:in_fragments":
        parser.feed(before + octets)
        return
    with pytest.raises(engine.FrameError) as error:
        parser.feed(before + octets)
    assert (error.value.code, error.value.reason_code) == (close_code, reason_code)
    assert error.value.frames[0] == (TEXT, b"\xff before", True, False)
    for data in (b"", before):
        with pytest.raises(engine.FrameError) as error:
            parser.feed(data)
        assert error.value.reason_code == reason_code
        assert error.value.frames == []


def test_the_limit_is_on_each_frame(engine):
    parser = engine.FrameParser(client=True, max_size=10)
    parts = frame(BINARY, bytes(10), fin=False) + frame(CONT, bytes(10), fin=False)
    assert len(parser.feed(parts * 1 + frame(PING, bytes(125)))) == 3
    with pytest.raises(engine.FrameError) as error:
        parser.feed(frame(CONT, bytes(11))[:2])  # the header is enough
    assert (error.value.code, error.value.reason_code) == (1009, "message_too_big")
    compressed = engine.FrameParser(client=True, max_size=10, rsv1=True)
    with pytest.raises(engine.FrameError):
        compressed.feed(frame(BINARY, bytes(11), rsv1=True))
    unlimited = engine.FrameParser(client=True, max_size=None)
    assert len(unlimited.feed(frame(BINARY, bytes(2 << 20)))[0].payload) == 2 << 20
    with pytest.raises(engine.FrameError):
        engine.FrameParser(client=True).feed(frame(BINARY, bytes((1 << 20) + 1)))


def test_fragments_without_end(engine):
    parser = engine.FrameParser(client=True, max_size=10)
    octets = frame(TEXT, fin=False) + frame(CONT, fin=False) * 20000
    assert len(parser.feed(octets)) == 20001


def test_rsv1(engine):
    octets = frame(TEXT, b"x", rsv1=True, fin=False) + frame(CONT, b"y")
    parser = engine.FrameParser(client=True, rsv1=True)
    assert [one.rsv1 for one in parser.feed(octets)] == [True, False]
    with pytest.raises(engine.FrameError):
        parser.feed(frame(TEXT, fin=False) + frame(CONT, rsv1=True))


def test_the_exception_can_be_pickled(engine):
    with pytest.raises(engine.FrameError) as error:
        engine.FrameParser(client=True).feed(frame(PING, b"1") + frame(3))
    copy = pickle.loads(pickle.dumps(error.value))
    assert type(copy) is engine.FrameError
    assert str(copy) == str(error.value)
    assert (copy.code, copy.reason_code) == (1002, "reserved_opcode")
    assert copy.frames == [(PING, b"1", True, False)]


def test_the_role_has_to_be_named(engine):
    for kind in (engine.FrameParser, engine.MessageParser, engine.FrameWriter):
        for wrong in ((), (True,)):
            with pytest.raises(TypeError):
                kind(*wrong)
