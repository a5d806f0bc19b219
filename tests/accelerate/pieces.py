"""Octets for the contract tests: texts that are nearly UTF-8, cut anywhere."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = st.binary(min_size=4, max_size=4)
CUTS = st.lists(st.integers(0, 300), max_size=4)
TEXTS = st.one_of(
    st.text(max_size=40).map(str.encode),
    st.binary(max_size=40),
    st.tuples(st.text(max_size=20).map(str.encode), st.binary(max_size=4)).map(
        b"".join
    ),
)
BUFFERS = [bytes, bytearray, memoryview]


def cut(data, places):
    """Cut octets into pieces, at places taken modulo their number."""
    cuts = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True)]


def outcome(function, *arguments):
    """Return what a function returns, or the class of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error)
