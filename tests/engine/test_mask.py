"""Masking (RFC 6455 §5.3): vectors, properties, buffers and bad arguments."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.engines import KEY

keys = st.binary(min_size=4, max_size=4)
LENGTHS = [*range(70), 127, 128, 129, 255, 256, 300, 4095, 4096, 4097, 9000, 70000]


def reference(data, key, offset=0):
    """Mask octet by octet, as RFC 6455 §5.3 writes it."""
    return bytes(octet ^ key[(i + offset) % 4] for i, octet in enumerate(data))


def test_rfc6455_5_7_masked_hello(engine):
    assert engine.mask(b"Hello", KEY) == bytes.fromhex("7f9f4d5158")


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 5, 2**32 + 1, 2**64 - 1])
def test_each_length_against_the_reference(engine, offset):
    for length in LENGTHS:
        data = bytes((7 * i + length) & 0xFF for i in range(length))
        assert engine.mask(data, KEY, offset) == reference(data, KEY, offset)


@given(data=st.binary(max_size=600), key=keys, offset=st.integers(0, 2**64 - 1))
def test_any_key_and_offset(engine, data, key, offset):
    masked = engine.mask(data, key, offset)
    assert masked == reference(data, key, offset)
    assert type(masked) is bytes
    assert engine.mask(masked, key, offset=offset) == data


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_two_pieces_make_one(engine, data, cut):
    head, tail = data[:cut], data[cut:]
    pieces = engine.mask(head, KEY) + engine.mask(tail, KEY, offset=len(head))
    assert pieces == engine.mask(data, KEY)


@given(data=st.binary(max_size=300), start=st.integers(0, 70), offset=st.integers(0, 9))
def test_in_place_at_any_alignment(engine, data, start, offset):
    whole = bytearray(b"\xa5" * start + data + b"\x5a" * 70)
    engine.unmask_inplace(memoryview(whole)[start : start + len(data)], KEY, offset)
    assert whole[:start] == b"\xa5" * start
    assert whole[start : start + len(data)] == reference(data, KEY, offset)
    assert whole[start + len(data) :] == b"\x5a" * 70


@given(
    src=st.binary(max_size=200),
    room=st.integers(0, 300),
    at=st.integers(0, 300),
    n=st.none() | st.integers(0, 200),
    offset=st.integers(0, 9),
)
def test_mask_into_writes_there_and_nowhere_else(engine, src, room, at, n, offset):
    dst = bytearray(b"\xee" * room)
    count = len(src) if n is None else n
    if count > len(src) or at + count > room:
        with pytest.raises(ValueError):
            engine.mask_into(src, KEY, dst, at, n, offset)
        assert dst == b"\xee" * room
        return
    assert engine.mask_into(src, KEY, dst, at, n, offset) is None
    expected = reference(src[:count], KEY, offset)
    assert dst == b"\xee" * at + expected + b"\xee" * (room - at - count)


@given(
    data=st.binary(max_size=300), a=st.integers(0, 300), b=st.integers(0, 300), n=...
)
def test_mask_into_where_source_and_target_overlap(engine, data, a, b, n: int):
    buffer = bytearray(data)
    a, b = min(a, len(data)), min(b, len(data))
    n = abs(n) % (len(data) - max(a, b) + 1)
    expected = bytearray(data)
    expected[b : b + n] = reference(data[a : a + n], KEY)
    view = memoryview(buffer)
    engine.mask_into(view[a : a + n], KEY, buffer, b)
    assert buffer == expected


def test_buffers_of_every_kind(engine):
    words = array.array("I", [0x11223344, 0x55667788])
    grid = memoryview(bytes(range(12))).cast("B", (3, 4))
    for data in (
        b"Hello, world",
        bytearray(b"Hello, world"),
        memoryview(b"Hello, world"),
        memoryview(bytearray(b"Hello, world"))[3:],
        words,
        grid,
        memoryview(b""),
        type("Sub", (bytes,), {})(b"subclass"),
    ):
        octets = memoryview(data).tobytes()
        for key in (KEY, bytearray(KEY), memoryview(KEY)):
            assert engine.mask(data, key) == reference(octets, KEY)
    engine.unmask_inplace(words, KEY)
    assert words.tobytes() == reference(
        array.array("I", [0x11223344, 0x55667788]).tobytes(), KEY
    )


def test_the_input_is_not_modified(engine):
    data = bytearray(b"abcdefgh")
    engine.mask(data, KEY)
    assert data == b"abcdefgh"
    data.append(1)  # and no longer held: BufferError if it were


def test_a_failed_call_holds_no_buffer(engine):
    for call in (
        lambda b: engine.mask(b, b"123"),
        lambda b: engine.mask(b"", b),
        lambda b: engine.unmask_inplace(b, b"123"),
        lambda b: engine.mask_into(b, KEY, bytearray(1)),
        lambda b: engine.mask_into(b, KEY, b, 1),
        lambda b: engine.mask_into(b"12345678", KEY, b),
    ):
        buffer = bytearray(5)
        try:
            call(buffer)
        except ValueError:
            buffer.extend(b"free to grow")
        else:
            pytest.fail("no ValueError")


@pytest.mark.parametrize("key", [b"", b"123", b"12345", bytearray(8)])
def test_a_key_that_is_not_four_octets(engine, key):
    for call in (
        lambda: engine.mask(b"x", key),
        lambda: engine.mask_into(b"x", key, bytearray(1)),
        lambda: engine.unmask_inplace(bytearray(1), key),
    ):
        with pytest.raises(ValueError, match="masking-key must be 4 octets"):
            call()


@pytest.mark.parametrize("bad", ["text", None, 5, [1, 2], object()])
def test_not_a_buffer(engine, bad):
    for call in (
        lambda: engine.mask(bad, KEY),
        lambda: engine.mask(b"x", bad),
        lambda: engine.mask_into(bad, KEY, bytearray(9)),
        lambda: engine.mask_into(b"x", KEY, bad),
        lambda: engine.unmask_inplace(bad, KEY),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("offset", [-1, 2**64])
def test_an_offset_out_of_range(engine, offset):
    for call in (
        lambda: engine.mask(b"x", KEY, offset),
        lambda: engine.mask_into(b"x", KEY, bytearray(1), offset=offset),
        lambda: engine.unmask_inplace(bytearray(1), KEY, offset),
    ):
        with pytest.raises(OverflowError):
            call()


def test_an_offset_that_is_no_integer(engine):
    with pytest.raises(TypeError):
        engine.mask(b"x", KEY, "1")


def test_strided_buffers_are_refused(engine):
    strided = memoryview(bytearray(16))[::2]
    for call in (
        lambda: engine.mask(strided, KEY),
        lambda: engine.mask(b"x", memoryview(bytes(8))[::2]),
        lambda: engine.mask_into(strided, KEY, bytearray(8)),
        lambda: engine.mask_into(b"x", KEY, strided),
        lambda: engine.unmask_inplace(strided, KEY),
    ):
        with pytest.raises(BufferError):
            call()


def test_read_only_targets_are_refused(engine):
    for target in (b"12345678", memoryview(b"12345678"), b"", memoryview(b"")):
        with pytest.raises(BufferError):
            engine.unmask_inplace(target, KEY)
        with pytest.raises(BufferError):
            engine.mask_into(b"", KEY, target)


@pytest.mark.parametrize(("at", "n"), [(-1, 0), (0, -1), (-5, 5), (2, 3)])
def test_mask_into_out_of_bounds(engine, at, n):
    dst = bytearray(4)
    with pytest.raises(ValueError):
        engine.mask_into(b"12345678", KEY, dst, at, n)
    assert dst == bytes(4)
