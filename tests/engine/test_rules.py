"""Every rule that octets can break, with its close code and its reason (RFC 6455)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wsfast
from tests.engine.engines import KEY
from tests.engine.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

STATUS_TABLE = Path(wsfast.__file__).parent.parent / "csrc" / "wsf_status.h"


def header(*octets):
    """Return a header by its octets, with a masking-key."""
    return bytes(octets) + KEY


# name -> (octets for a server, close code, reason code)
BROKEN = {}


def broken(reason_code, close_code, **cases):
    for name, octets in cases.items():
        BROKEN[f"{reason_code}:{name}"] = (octets, close_code, reason_code)


broken(
    "rsv_not_negotiated",
    1002,
    rsv1=header(0xC1, 0x80),
    rsv2=header(0xA2, 0x80),
    rsv3=header(0x91, 0x80),
    rsv1_on_ping=header(0xC9, 0x80),
    rsv1_on_close=header(0xC8, 0x80),
    rsv2_on_pong=header(0xAA, 0x80),
    rsv1_on_continuation=header(0x01, 0x80) + header(0xC0, 0x80),
    before_the_order=header(0xC0, 0x80),
)
broken(
    "reserved_opcode",
    1002,
    **{f"opcode_{n}": header(0x80 | n, 0x80) for n in (3, 4, 5, 6, 7, *range(11, 16))},
    before_rsv=header(0xF3, 0x80),
    before_rsv_on_control=header(0xFB, 0x80),
    before_fragmented=header(0x0B, 0x80),
)
broken(
    "frame_not_masked",
    1002,
    text=b"\x81\x05Hello",
    empty=b"\x82\x00",
    ping=b"\x89\x00",
    close=b"\x88\x00",
    continuation=header(0x01, 0x80) + b"\x80\x00",
    long=b"\x82\x7e\x01\x00" + bytes(256),
)
broken(
    "control_too_long",
    1002,
    ping_126=header(0x89, 0xFE, 0, 126),
    close_126=header(0x88, 0xFE, 0, 126),
    pong_65536=header(0x8A, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0),
    before_the_mask=b"\x89\x7e\x00\x7e",
)
broken(
    "control_fragmented",
    1002,
    ping=header(0x09, 0x80),
    close=header(0x08, 0x80),
    pong=header(0x0A, 0x80),
    before_the_length=header(0x09, 0xFE, 0, 126),
)
broken(
    "unexpected_continuation",
    1002,
    at_the_start=header(0x80, 0x80),
    not_final=header(0x00, 0x80),
    after_a_message=header(0x81, 0x80) + header(0x80, 0x80),
    after_fragments=header(1, 0x80) + header(0x80, 0x80) + header(0x80, 0x80),
)
broken(
    "expected_continuation",
    1002,
    text_in_text=header(0x01, 0x80) + header(0x81, 0x80),
    binary_in_text=header(0x01, 0x80) + header(0x82, 0x80),
    after_a_continuation=header(0x02, 0x80) + header(0x00, 0x80) + header(0x02, 0x80),
    after_a_ping=header(0x01, 0x80) + header(0x89, 0x80) + header(0x81, 0x80),
)
broken(
    "length_over_63_bits",
    1002,
    lowest=header(0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0),
    highest=header(0x82, 0xFF, *[0xFF] * 8),
    before_all_else=header(0xF3, 0xFF, *[0xFF] * 8),
)
broken(
    "length_not_minimal",
    1002,
    zero_in_16_bits=header(0x82, 0xFE, 0, 0),
    short_in_16_bits=header(0x82, 0xFE, 0, 125),
    zero_in_64_bits=header(0x82, 0xFF, *[0] * 8),
    long_in_64_bits=header(0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF),
    in_a_ping=header(0x89, 0xFE, 0, 5),
)
broken(
    "message_too_big",
    1009,
    one_frame=header(0x82, 0xFE, 0x04, 0x01),
    highest=header(0x82, 0xFF, 0x7F, *[0xFF] * 7),
    in_fragments=frame(TEXT, b"a" * 1000, fin=False, key=KEY)
    + frame(CONT, b"a" * 25, fin=False, key=KEY),
    sum_over_64_bits=frame(BINARY, b"a" * 9, fin=False, key=KEY)
    + header(0x80, 0xFF, 0x7F, *[0xFF] * 7),
    before_the_mask=b"\x82\x7e\x04\x01",
)
broken(
    "too_many_fragments",
    1008,
    empty=header(0x01, 0x80) + header(0x00, 0x80) * 8,
    last_one_empty=header(0x01, 0x80) + header(0x00, 0x80) * 7 + header(0x80, 0x80),
    paid_for_at_first=frame(BINARY, b"abc", fin=False, key=KEY)
    + header(0x00, 0x80) * 11,
)
broken(
    "invalid_utf8",
    1007,
    text=frame(TEXT, b"\xff", key=KEY),
    cut_at_the_end=frame(TEXT, "é".encode()[:1], key=KEY),
    cut_at_the_end_of_fragments=frame(TEXT, b"a", fin=False, key=KEY)
    + frame(CONT, "漢".encode()[:2], key=KEY),
    across_fragments=frame(TEXT, b"\xe0", fin=False, key=KEY)
    + frame(CONT, b"\x80", fin=False, key=KEY),
    surrogate=frame(TEXT, b"\xed\xa0\x80", key=KEY),
    first_fragment=frame(TEXT, b"\xf5", fin=False, key=KEY),
    in_a_frame_that_goes_on=header(0x81, 0xFE, 0, 200)
    + frame(TEXT, b"abc\xff", key=KEY)[6:],
    surrogate_half_in_a_frame_that_goes_on=header(0x81, 0xFE, 0, 200)
    + frame(TEXT, b"\xed\xa0", key=KEY)[6:],
    close_reason=frame(CLOSE, b"\x03\xe8\xff", key=KEY),
    close_reason_cut=frame(CLOSE, b"\x03\xe8\xc3", key=KEY),
)
broken("close_payload_of_one_octet", 1002, close=frame(CLOSE, b"\x03", key=KEY))
broken(
    "invalid_close_code",
    1002,
    **{
        f"code_{code}": frame(CLOSE, code.to_bytes(2, "big"), key=KEY)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000)
    },
    code_65535=frame(CLOSE, b"\xff\xff", key=KEY),
    before_the_reason=frame(CLOSE, b"\x03\xed\xff", key=KEY),
)


def parser_of(engine, *, client=False):
    return engine.MessageParser(client=client, max_size=1024, max_fragments=8)


@pytest.mark.parametrize("case", BROKEN)
def test_broken(engine, case):
    octets, close_code, reason_code = BROKEN[case]
    before = frame(TEXT, b"before", key=KEY) + frame(PING, b"p", key=KEY)
    whole = before + octets
    for pieces in ([whole + b"dropped"], [whole[i : i + 1] for i in range(len(whole))]):
        parser = parser_of(engine)
        found = []
        with pytest.raises(engine.FrameError) as error:
            for piece in pieces:
                found += parser.receive(piece)
        assert found + error.value.frames == ["before", engine.Control(9, b"p", 0)] + (
            [""] * (case.endswith("after_a_message"))
            + [engine.Control(9, b"", 0)] * case.endswith("after_a_ping")
            + [""] * (case.endswith("after_fragments"))
        )
        assert (error.value.code, error.value.reason_code) == (close_code, reason_code)
        assert isinstance(error.value, ValueError)
        assert str(error.value) == parser.error_text
        assert (parser.error_code, parser.error_reason_code) == (
            close_code,
            reason_code,
        )
        assert parser.error != 0
        assert parser.pending == 0


@pytest.mark.parametrize("case", BROKEN)
def test_an_error_is_for_ever(engine, case):
    parser = parser_of(engine)
    with pytest.raises(engine.FrameError):
        parser.receive(BROKEN[case][0])
    good = frame(TEXT, b"good", key=KEY)
    for _ in range(2):
        with pytest.raises(engine.FrameError) as error:
            parser.receive(good)
        assert error.value.reason_code == BROKEN[case][2]
        assert error.value.frames == []
        assert parser.pending == 0
        parser.feed(good)
        assert parser.next() == engine.ERROR
        assert parser.next() == engine.ERROR


def test_a_server_masks_nothing(engine):
    for octets in (
        frame(TEXT, b"a", key=KEY),
        frame(PING, key=KEY),
        frame(CLOSE, key=KEY),
        frame(BINARY, bytes(70000), key=KEY),
        frame(TEXT, key=b"\0\0\0\0"),
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b", key=KEY),
    ):
        parser = engine.MessageParser(client=True)
        with pytest.raises(engine.FrameError) as error:
            parser.receive(octets[:20])  # the header is enough
        assert (error.value.code, error.value.reason_code) == (1002, "frame_masked")


def test_close_codes_that_are_right(engine):
    codes = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
    for code in codes:
        for reason in (b"", "zu spät".encode(), b"r" * 123):
            payload = code.to_bytes(2, "big") + reason
            octets = frame(CLOSE, payload, key=KEY)
            assert parser_of(engine).receive(octets) == [(8, payload, code)]
    assert parser_of(engine).receive(frame(CLOSE, key=KEY)) == [(8, b"", 1005)]


def test_messages_at_the_limit(engine):
    at = b"a" * 1024
    octets = frame(BINARY, at, key=KEY)
    octets += frame(TEXT, at[:1000], fin=False, key=KEY) + frame(CONT, at[:24], key=KEY)
    octets += frame(PING, bytes(125), key=KEY)  # control frames do not count
    parser = parser_of(engine)
    assert parser.receive(octets) == [at, at.decode(), (9, bytes(125), 0)]
    assert (parser.max_size, parser.max_fragments) == (1024, 8)
    parser.max_size = 3
    with pytest.raises(engine.FrameError, match="limit"):
        parser.receive(frame(TEXT, b"abcd", key=KEY))


def test_no_limit(engine):
    parser = engine.MessageParser(client=False, max_size=None, max_fragments=None)
    assert (parser.max_size, parser.max_fragments) == (None, None)
    parser.feed(header(0x82, 0xFF, 0x7F, *[0xFF] * 7) + b"x" * 50)
    assert parser.next() == engine.NEED_DATA
    parser = engine.MessageParser(client=False, max_size=None, max_fragments=None)
    many = header(0x01, 0x80) + header(0x00, 0x80) * 20000 + header(0x80, 0x80)
    assert parser.receive(many) == [""]


def test_a_limit_of_zero(engine):
    parser = engine.MessageParser(client=False, max_size=0, max_fragments=0)
    with pytest.raises(engine.FrameError) as error:
        parser.receive(frame(TEXT, b"a", key=KEY))
    assert error.value.code == 1009
    parser = engine.MessageParser(client=False, max_size=1, max_fragments=0)
    assert parser.receive(frame(TEXT, b"a", key=KEY)) == ["a"]
    with pytest.raises(engine.FrameError) as error:
        parser.receive(frame(TEXT, b"", key=KEY))
    assert error.value.code == 1008


@pytest.mark.parametrize("name", ["max_size", "max_fragments"])
def test_limits_out_of_range(engine, name):
    for value, error in ((-1, ValueError), (2**64, OverflowError), ("1", TypeError)):
        with pytest.raises(error):
            engine.MessageParser(client=True, **{name: value})
        with pytest.raises(error):
            setattr(engine.MessageParser(client=True), name, value)
        if name == "max_size":
            with pytest.raises(error):
                engine.FrameParser(client=True, max_size=value)
    parser = engine.MessageParser(client=True, **{name: 2**64 - 2})
    assert getattr(parser, name) == 2**64 - 2


def test_fragments_pay_with_octets(engine):
    """As many fragments as octets, and max_fragments more: and not one more."""
    one = frame(CONT, b"x", fin=False, key=KEY)
    empty = frame(CONT, fin=False, key=KEY)
    parser = parser_of(engine)
    start = frame(TEXT, b"x", fin=False, key=KEY)
    octets = start + one * 500 + empty * 8
    assert parser.receive(octets) == []
    assert parser.receive(frame(CONT, b"x", key=KEY)) == ["x" * 502]
    parser = parser_of(engine)
    assert parser.receive(octets) == []
    with pytest.raises(engine.FrameError) as error:
        parser.receive(empty)
    assert error.value.reason_code == "too_many_fragments"


def test_a_compressed_message_may_be_a_little_longer(engine):
    wire = 1024 + (1024 >> 8) + 1024
    parser = engine.MessageParser(client=True, max_size=1024, rsv1=True)
    assert parser.rsv1 is True
    at = frame(BINARY, bytes(wire), rsv1=True)
    assert parser.receive(at) == [bytes(wire)]
    fragments = frame(TEXT, bytes(wire), rsv1=True, fin=False)
    assert parser.receive(fragments) == []
    with pytest.raises(engine.FrameError) as error:
        parser.receive(frame(CONT, b"x"))
    assert error.value.reason_code == "message_too_big"
    parser = engine.MessageParser(client=True, max_size=1024, rsv1=True)
    with pytest.raises(engine.FrameError):
        parser.receive(frame(BINARY, bytes(wire + 1), rsv1=True))
    parser = engine.MessageParser(client=True, max_size=1024, rsv1=True)
    with pytest.raises(engine.FrameError):  # but one that is not compressed may not
        parser.receive(frame(BINARY, bytes(1025)))


def test_rsv1_where_it_is_negotiated(engine):
    for octets in (
        frame(PING, rsv1=True),
        frame(PONG, rsv1=True),
        frame(CLOSE, rsv1=True),
        frame(TEXT, fin=False, rsv1=True) + frame(CONT, rsv1=True),
        frame(TEXT, fin=False) + frame(CONT, rsv1=True),
        frame(TEXT, rsv=2),
        frame(TEXT, rsv1=True, rsv=1),
    ):
        parser = engine.MessageParser(client=True, rsv1=True)
        with pytest.raises(engine.FrameError) as error:
            parser.receive(octets)
        assert error.value.reason_code == "rsv_not_negotiated"


def test_error_numbers_are_those_of_the_core(engine):
    """The table of ``wsf_status.h`` tells number, close code, reason and text."""
    if not STATUS_TABLE.exists():
        pytest.skip("the sources of the C core are not here")
    source = STATUS_TABLE.read_text()
    rows = re.findall(r'X\(WSF_(\w+), (\d+), "(\w+)",\s*\\?\s*"([^"]+)"\)', source)
    assert len(rows) == 18
    if engine.name == "python":
        from wsfast._pure_parser import STATUSES

        assert [(name, str(code), *rest) for name, code, *rest in STATUSES] == rows
    table = {
        reason: (n, int(rows[n][1]), text) for n, (*_, reason, text) in enumerate(rows)
    }
    seen = set()
    for octets, _, reason_code in BROKEN.values():
        parser = parser_of(engine)
        parser.feed(octets)
        while parser.next() != engine.ERROR:
            pass
        found = (parser.error, parser.error_code, parser.error_text)
        assert found == table[reason_code]
        seen.add(reason_code)
    assert set(table) - seen == {
        "ok",
        "need_more",
        "frame_masked",  # a client's, seen above
        "control_frame_flood",  # of frames per second, which only a connection knows
    }
