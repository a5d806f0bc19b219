"""Packets and payloads: what is written is read again, and nothing else is taken."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.engineio import BadPacket, Prepared
from wsfast.engineio._packets import SEPARATOR, decode_payload, encode_payload

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))
PACKETS = st.one_of(
    st.binary(), st.builds(str.__add__, st.sampled_from("0123456"), TEXT)
)


@given(st.lists(PACKETS, min_size=1, max_size=16))
def test_round_trip(packets):
    assert decode_payload(encode_payload(packets), 16) == packets


@given(st.one_of(st.binary(), TEXT.map(str.encode)), st.integers(1, 4))
def test_l2_garbage_is_refused_or_packets(payload, most):
    try:
        packets = decode_payload(payload, most)
    except BadPacket:
        return
    assert 1 <= len(packets) <= most
    assert all(isinstance(p, bytes) or p[0] in "0123456" for p in packets)
    assert decode_payload(encode_payload(packets), None) == packets


@pytest.mark.parametrize(
    ("payload", "packets"),
    [  # the examples of the specification
        (b"4hello\x1e2\x1e4world", ["4hello", "2", "4world"]),
        (b"4hello\x1ebAQIDBA==", ["4hello", b"\1\2\3\4"]),
        (b"2probe", ["2probe"]),
    ],
)
def test_examples(payload, packets):
    assert decode_payload(payload, 16) == packets
    assert encode_payload(packets) == payload


@pytest.mark.parametrize(
    "payload", [b"", b"7", b"x", b"4\x1e", b"bA", b"b*AQI", b"bAQ==\n", b"\xff", b"B"]
)
def test_l2_what_is_no_packet(payload):
    with pytest.raises(BadPacket):
        decode_payload(payload, 16)


def test_l2_packets_of_a_payload():
    for count, limit, good in ((16, 16, True), (17, 16, False), (17, None, True)):
        payload = SEPARATOR.join(["4x"] * count).encode()
        if good:
            assert len(decode_payload(payload, limit)) == count
        else:
            with pytest.raises(BadPacket, match="more than 16 packets"):
                decode_payload(payload, limit)


def test_l2_time_grows_with_the_length():
    """A payload of nothing but packets, without a limit: no more than linear."""

    def taken(count):
        payload = SEPARATOR.join(["4"] * count).encode()
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            decode_payload(payload, None)
            best = min(best, time.process_time() - start)
        return best

    assert taken(320_000) < 100 * max(taken(20_000), 0.001)  # 16 times the length


@given(st.one_of(TEXT, st.binary()))
def test_prepared(data):
    prepared = Prepared(data)
    expected = "4" + data if isinstance(data, str) else data
    assert prepared.packet == expected
    assert prepared.framed(False) is prepared.framed(False)
    assert prepared.framed(None) is not prepared.framed(False)
