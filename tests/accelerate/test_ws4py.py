"""ws4py does with our parts what it does with its own."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.accelerate.peers import named, outcome, plugged
from wsfast import engine

framing = pytest.importorskip("ws4py.framing")
streaming = pytest.importorskip("ws4py.streaming")
utf8validator = pytest.importorskip("ws4py.utf8validator")

KEY = bytes.fromhex("37fa213d")
TEXTS = st.one_of(
    st.text(max_size=30).map(str.encode),
    st.binary(max_size=30),
    st.tuples(st.text(max_size=20).map(str.encode), st.binary(max_size=4)).map(
        b"".join
    ),
)


def pieces(data, cuts):
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def validated(parts, as_type):
    """Return the answers of a validator, and its state after each."""
    validator = streaming.Utf8Validator()
    seen = []
    for part in parts:
        seen.append(outcome(validator.validate, as_type(part)))
        seen.append((validator.state, validator.i))
    validator.reset()
    return [*seen, outcome(validator.validate, b"ok"), validator.i]


@given(
    data=TEXTS,
    cuts=st.lists(st.integers(0, 300), max_size=6),
    as_type=st.sampled_from([bytes, bytearray, memoryview, list, tuple]),
)
def test_validator_at_every_cut(data, cuts, as_type):
    parts = [b"", *pieces(data, cuts), b"", b"\xc3", b"\xa9", data]
    expected = validated(parts, as_type)
    with plugged("ws4py"):
        assert validated(parts, as_type) == expected


@given(data=TEXTS, more=TEXTS)
def test_octets_and_pieces_may_be_mixed(data, more):
    def mixed():
        validator = utf8validator.Utf8Validator()
        answers = [validator.validate(data)]
        answers += [validator.decode(octet) for octet in more[:3]]
        return [*answers, validator.validate(more), validator.state]

    expected = mixed()
    with plugged("ws4py"):
        assert mixed() == expected


DATA = [b"", b"abcdefg", bytearray(b"abcdefg"), memoryview(b"abcdefgh")[::2]]
DATA += [[1, 2, 3], "text", None, 7, 0]
KEYS = [KEY, bytearray(KEY), b"abcdef", b"abc", b"", None, [1, 2, 3, 4]]


@pytest.mark.parametrize("data", DATA, ids=named)
@pytest.mark.parametrize("key", KEYS, ids=named)
@pytest.mark.parametrize("method", ["mask", "unmask"])
def test_mask_of_any_type(data, key, method):
    frame = framing.Frame(masking_key=key)
    expected = outcome(getattr(frame, method), data)
    with plugged("ws4py"):
        assert outcome(getattr(frame, method), data) == expected


@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=6))
def test_mask_of_any_octets(data, key):
    frame = framing.Frame(masking_key=key)
    expected = frame.mask(data)
    with plugged("ws4py"):
        masked = frame.mask(data)
        assert type(masked) is bytearray
        assert masked == expected


def stream(octets):
    """Return what a stream makes of octets, fed as it asks for them."""
    got = streaming.Stream()
    wanted, at = 1, 0
    got.parser  # noqa: B018 -- makes it
    seen = []
    while at + wanted <= len(octets) and wanted:
        part, at = octets[at : at + wanted], at + wanted
        wanted = got.parser.send(part)
        if got.has_message:
            seen.append((type(got.message).__name__, bytes(got.message.data)))
            got.message = None
        seen += [(error.code, bytes(error.reason)) for error in got.errors]
        got.errors.clear()
        if got.closing is not None:
            seen.append((got.closing.code, bytes(got.closing.reason)))
            got.closing = None
    return [*seen, [bytes(ping.data) for ping in got.pings]]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 9, 8]), TEXTS, st.booleans()), max_size=4)
)
def test_stream(made):
    octets = b"".join(
        engine.encode_frame(opcode, data, fin=opcode >= 8 or fin, mask=KEY)
        for opcode, data, fin in made
    )
    expected = outcome(stream, octets)
    with plugged("ws4py"):
        assert outcome(stream, octets) == expected
