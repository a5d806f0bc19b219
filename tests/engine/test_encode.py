"""Frame headers, frames and masking-keys (RFC 6455 §5.2, §5.7, §10.3)."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.engines import KEY

RFC_FRAMES = [  # RFC 6455 §5.7
    ("8105 48656c6c6f", 1, b"Hello", {}),
    ("8185 37fa213d 7f9f4d5158", 1, b"Hello", {"mask": KEY}),
    ("0103 48656c", 1, b"Hel", {"fin": False}),
    ("8002 6c6f", 0, b"lo", {}),
    ("8905 48656c6c6f", 9, b"Hello", {}),
    ("8a85 37fa213d 7f9f4d5158", 10, b"Hello", {"mask": KEY}),
    ("827e0100" + "ab" * 256, 2, b"\xab" * 256, {}),
    ("827f0000000000010000" + "cd" * 65536, 2, b"\xcd" * 65536, {}),
    ("c107 f248cdc9c90700", 1, bytes.fromhex("f248cdc9c90700"), {"rsv1": True}),
]


@pytest.mark.parametrize(("octets", "opcode", "payload", "options"), RFC_FRAMES)
def test_rfc6455_5_7_frames(engine, octets, opcode, payload, options):
    octets = bytes.fromhex(octets)
    assert engine.encode_frame(opcode, payload, **options) == octets
    bits = {name: options[name] for name in ("fin", "rsv1") if name in options}
    header = engine.encode_header(opcode, len(payload), key=options.get("mask"), **bits)
    assert header == octets[: len(octets) - len(payload)]


LENGTHS = {
    0: "00",
    1: "01",
    125: "7d",
    126: "7e007e",
    127: "7e007f",
    65535: "7effff",
    65536: "7f0000000000010000",
    2**32: "7f0000000100000000",
    2**63 - 1: "7f7fffffffffffffff",
}


@pytest.mark.parametrize("length", LENGTHS)
def test_shortest_form_of_each_length(engine, length):
    form = bytes.fromhex(LENGTHS[length])
    assert engine.encode_header(2, length) == b"\x82" + form
    masked = bytes([form[0] | 0x80]) + form[1:] + KEY
    assert engine.encode_header(0, length, fin=False, key=KEY) == b"\x00" + masked
    assert engine.encode_header(2, length, rsv1=True)[0] == 0xC2


@pytest.mark.parametrize("opcode", [-1, 3, 7, 11, 15, 16, 256])
def test_opcodes_that_are_none(engine, opcode):
    for call in (
        lambda: engine.encode_header(opcode, 0),
        lambda: engine.encode_frame(opcode, b""),
        lambda: engine.FrameWriter(client=False).frame(opcode, b""),
    ):
        with pytest.raises(ValueError, match="opcode must be"):
            call()


@pytest.mark.parametrize("opcode", [8, 9, 10])
@pytest.mark.parametrize(
    ("length", "options"),
    [(126, {}), (0, {"fin": False}), (0, {"rsv1": True}), (70000, {})],
)
def test_control_frames_that_no_peer_may_accept(engine, opcode, length, options):
    for call in (
        lambda: engine.encode_header(opcode, length, **options),
        lambda: engine.encode_frame(opcode, bytes(length), **options),
        lambda: engine.FrameWriter(client=False).frame(
            opcode, bytes(length), **options
        ),
    ):
        with pytest.raises(ValueError, match="control frame"):
            call()
    assert len(engine.encode_frame(opcode, bytes(125))) == 127


def test_lengths_out_of_range(engine):
    with pytest.raises(ValueError, match="must not be negative"):
        engine.encode_header(2, -1)
    with pytest.raises(OverflowError):
        engine.encode_header(2, 2**63)
    with pytest.raises(TypeError):
        engine.encode_header(2, "1")


def test_arguments_of_the_wrong_type(engine):
    for call in (
        lambda: engine.encode_header("1", 0),
        lambda: engine.encode_header(1, 0, key="1234"),
        lambda: engine.encode_header(1, 0, True),
        lambda: engine.encode_frame(1, None),
        lambda: engine.encode_frame(1, 5),
        lambda: engine.encode_frame(1, b"", mask="1234"),
        lambda: engine.encode_frame(1, b"", mask=None),
        lambda: engine.encode_frame(1, b"", mask=1),
    ):
        with pytest.raises(TypeError):
            call()
    for key in (b"", b"123", b"12345"):
        with pytest.raises(ValueError, match="masking-key must be 4 octets"):
            engine.encode_header(1, 0, key=key)
        with pytest.raises(ValueError, match="masking-key must be 4 octets"):
            engine.encode_frame(1, b"", mask=key)
    with pytest.raises(BufferError):
        engine.encode_frame(2, memoryview(b"abcd")[::2])


def test_payload_of_every_kind(engine):
    expected = engine.encode_frame(2, b"abc")
    for payload in (bytearray(b"abc"), memoryview(b"xabc")[1:], "abc"):
        assert engine.encode_frame(2, payload) == expected
    assert engine.encode_frame(1, "µ€🚀") == b"\x81\x09" + "µ€🚀".encode()
    with pytest.raises(UnicodeEncodeError):
        engine.encode_frame(1, "\ud800")


@given(
    opcode=st.sampled_from([0, 1, 2, 8, 9, 10]),
    payload=st.binary(max_size=125) | st.binary(min_size=126, max_size=300),
    fin=st.booleans(),
    rsv1=st.booleans(),
    mask=st.booleans() | st.binary(min_size=4, max_size=4),
)
def test_frames_can_be_taken_apart(engine, opcode, payload, fin, rsv1, mask):
    if opcode >= 8:
        payload, fin, rsv1 = payload[:125], True, False
    frame = engine.encode_frame(opcode, payload, fin=fin, rsv1=rsv1, mask=mask)
    assert frame[0] == opcode | fin << 7 | rsv1 << 6
    assert frame[1] >> 7 == (mask is not False)
    size = 2 if len(payload) < 126 else 4
    assert frame[:size] == bytes([frame[0], frame[1]]) + (
        b"" if size == 2 else len(payload).to_bytes(2, "big")
    )
    if mask is False:
        assert frame[size:] == payload
    else:
        key = frame[size : size + 4]
        assert mask is True or key == mask
        assert engine.mask(frame[size + 4 :], key) == payload


def test_masking_keys_do_not_repeat(engine):
    keys = [engine.masking_key() for _ in range(5000)]  # the pool is filled again
    assert {type(key) for key in keys} == {bytes}
    assert {len(key) for key in keys} == {4}
    assert len(set(keys)) > 4990  # by chance: 0.003 repetitions
    for place in range(4):  # every octet takes many values, 0 and those above 0x7F too
        assert len({key[place] for key in keys}) > 240


def test_masking_keys_come_from_the_system(engine, monkeypatch):
    monkeypatch.setattr(os, "urandom", lambda n: bytes(range(256)) * (n // 256))
    for _ in range(1025):  # until what the pool still had is used up
        key = engine.masking_key()
    following = engine.masking_key()
    assert following == bytes((octet + 4) % 256 for octet in key)
    monkeypatch.undo()
    for _ in range(1025):
        engine.masking_key()  # and no trace of it is left for other tests


def test_frames_take_a_fresh_key_each(engine):
    frames = {engine.encode_frame(1, b"", mask=True) for _ in range(100)}
    assert len(frames) == 100
    writer = engine.FrameWriter(client=True)
    for _ in range(100):
        writer.frame(1, b"")
    octets = writer.take()
    assert len({octets[i : i + 6] for i in range(0, 600, 6)}) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_keys_of_its_own(engine):
    engine.masking_key()  # the pool is filled before the fork
    out, into = os.pipe()
    child = os.fork()
    if child == 0:  # no test framework from here on
        try:
            os.write(into, b"".join(engine.masking_key() for _ in range(8)))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        theirs = pipe.read()
    ours = b"".join(engine.masking_key() for _ in range(8))
    assert len(theirs) == len(ours) == 32
    assert theirs != ours


def test_threads_never_share_a_key(engine):
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    taken = [[] for _ in range(4)]
    try:
        threads = [
            threading.Thread(
                target=lambda to=to: to.extend(
                    engine.masking_key() for _ in range(3000)
                )
            )
            for to in taken
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    keys = [key for some in taken for key in some]
    assert len(keys) == 12000
    assert len(set(keys)) > 11980  # by chance: 0.02 repetitions
