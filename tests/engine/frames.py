"""Frames for the tests, built octet by octet: right ones, and any other."""

from __future__ import annotations

import struct
from itertools import chain, pairwise

from hypothesis import strategies as st

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, rsv1=False, key=None, rsv=0):
    """Build a frame that need not be a right one (RFC 6455 §5.2)."""
    first = opcode | fin << 7 | rsv1 << 6 | rsv << 4
    masked = 0 if key is None else 0x80
    size = len(payload)
    if size < 126:
        header = bytes([first, masked | size])
    elif size < 65536:
        header = struct.pack("!BBH", first, masked | 126, size)
    else:
        header = struct.pack("!BBQ", first, masked | 127, size)
    if key is None:
        return header + payload
    repeated = key * (size // 4 + 1)
    return header + key + bytes(a ^ b for a, b in zip(payload, repeated, strict=False))


def joined(stream, key):
    """Return the octets of a stream of (opcode, payload, fin, rsv1)."""
    return b"".join(
        frame(opcode, payload, fin=fin, rsv1=rsv1, key=key)
        for opcode, payload, fin, rsv1 in stream
    )


def described(engine, parser, event):
    """Return an event of a MessageParser with all attributes that it sets."""
    if event == engine.ERROR:
        return ("ERROR", parser.error, parser.error_code, parser.error_reason_code)
    payload = parser.take_payload()
    if event == engine.FRAGMENT:
        return ("FRAGMENT", parser.opcode, payload, parser.fin, parser.compressed)
    name = {1: "TEXT", 2: "BINARY", 3: "COMPRESSED", 8: "CLOSE", 9: "PING", 10: "PONG"}
    if event >= CLOSE:
        return (name[event], parser.opcode, payload, parser.code)
    return (name[event], parser.opcode, payload)


_controls = st.one_of(
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.tuples(
        st.just(CLOSE),
        st.just(b"")
        | st.builds(
            lambda code, reason: code.to_bytes(2, "big") + reason.encode(),
            st.sampled_from([1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999]),
            st.text(max_size=20),
        ),
    ),
).map(lambda found: (*found, True, False))


@st.composite
def messages(draw, *, compressed=True):
    """Draw the frames of one message, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    rsv1 = compressed and draw(st.booleans())
    if opcode == TEXT and not rsv1:
        payload = draw(st.text(max_size=80) | st.text("aé漢🚀", max_size=200)).encode()
    else:
        payload = draw(st.binary(max_size=200))
    places = draw(st.lists(st.integers(0, len(payload)), max_size=4))
    places = [0, *sorted(places), len(payload)]
    parts = [payload[a:b] for a, b in pairwise(places)]
    found = []
    for n, part in enumerate(parts):
        found.append(
            (CONT if n else opcode, part, n == len(parts) - 1, rsv1 and n == 0)
        )
        if draw(st.integers(0, 3)) == 0:
            found.append(draw(_controls))
    return found


def valid_streams(*, compressed=True):
    """Return a strategy of right frames: (opcode, payload, fin, rsv1)."""
    one = messages(compressed=compressed) | _controls.map(lambda found: [found])
    return st.lists(one, max_size=6).map(lambda parts: [*chain(*parts)])
