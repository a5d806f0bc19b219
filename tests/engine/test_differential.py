"""The C engine against the pure one: the same octets, the same outcome."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine import frames
from tests.engine.engines import KEY, cuts, cuts_of
from tests.engine.frames import frame

payloads = st.one_of(
    st.binary(max_size=130),
    st.text(max_size=40).map(str.encode),
    st.sampled_from([b"\xe0", b"\x80", b"\xed\xa0", b"\x03\xe8", b"\x03", bytes(300)]),
)


def any_frame(key):
    """Return a strategy of frames, right and wrong, most of them with this key."""
    return st.builds(
        frame,
        st.sampled_from([0, 0, 0, 1, 1, 2, 2, 8, 9, 10, 3, 11]),
        payloads,
        fin=st.booleans(),
        rsv1=st.sampled_from([False, False, False, True]),
        key=st.sampled_from([key] * 8 + [None, KEY, bytes(4)]),
        rsv=st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3]),
    )


@st.composite
def streams(draw, key):
    """Draw octets: right frames, wrong ones, and some octets changed."""
    wrong = draw(st.lists(any_frame(key), max_size=4))
    octets = bytearray(frames.joined(draw(frames.valid_streams()), key))
    octets += b"".join(wrong)
    for _ in range(draw(st.integers(0, 3))):
        if octets:
            octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return bytes(octets) + draw(st.binary(max_size=20))


def run(engine, pieces, streaming, options):
    """Return all that a MessageParser reports on these pieces, to the first error."""
    parser = engine.MessageParser(**options)
    found = []
    for n, piece in enumerate(pieces):
        parser.streaming = streaming[n % len(streaming)]
        parser.feed(piece)
        while (event := parser.next()) != engine.NEED_DATA:
            found.append((*frames.described(engine, parser, event), parser.pending))
            if event == engine.ERROR:
                return found
            if len(found) % 3 == 0:
                parser.stash()
    return found


@pytest.mark.parametrize("key", [None, KEY])
@given(
    data=st.data(),
    places=cuts(600),
    streaming=st.lists(st.booleans(), min_size=1, max_size=4),
    rsv1=st.booleans(),
    as_bytes=st.booleans(),
    max_size=st.sampled_from([None, 1 << 20, 200, 0]),
    max_fragments=st.sampled_from([None, 4096, 2, 0]),
)
@settings(max_examples=200, deadline=None)
def test_same_events(
    engines, key, data, places, streaming, rsv1, as_bytes, max_size, max_fragments
):
    octets = data.draw(streams(key))
    options = {
        "client": key is None,
        "rsv1": rsv1,
        "text_as_bytes": as_bytes,
        "max_size": max_size,
        "max_fragments": max_fragments,
    }
    for pieces in (cuts_of(octets, places), [octets]):
        first, second = (run(one, pieces, streaming, options) for one in engines)
        assert first == second


@pytest.mark.parametrize("key", [None, KEY])
@given(data=st.data(), places=cuts(600), rsv1=st.booleans())
@settings(max_examples=200, deadline=None)
def test_same_frames(engines, key, data, places, rsv1):
    octets = data.draw(streams(key))
    outcomes = []
    for engine in engines:
        parser = engine.FrameParser(client=key is None, max_size=250, rsv1=rsv1)
        found = []
        try:
            for piece in cuts_of(octets, places):
                found += parser.feed(piece)
        except engine.FrameError as error:
            found += [*error.frames, (str(error), error.code, error.reason_code)]
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("key", [None, KEY])
@given(data=st.data(), places=cuts(600))
@settings(max_examples=200, deadline=None)
def test_the_cut_does_not_matter(engines, key, data, places):
    """To the error and including it, whatever the input."""
    octets = data.draw(streams(key))
    for engine in engines:
        options = {"client": key is None, "max_size": 300, "max_fragments": 3}
        outcomes = [
            [event[:-1] for event in run(engine, pieces, [False], options)]
            for pieces in (
                [octets],
                cuts_of(octets, places),
                [octets[i : i + 1] for i in range(len(octets))],
            )
        ]
        assert outcomes[0] == outcomes[1] == outcomes[2]


@given(data=st.binary(max_size=300), places=cuts(300))
@settings(max_examples=150, deadline=None)
def test_same_verdict_on_utf8(engines, data, places):
    outcomes = []
    for engine in engines:
        validator = engine.Utf8Validator()
        quads = [validator.validate(piece) for piece in cuts_of(data, places)]
        outcomes.append((quads, engine.is_valid_utf8(data)))
    assert outcomes[0] == outcomes[1]
