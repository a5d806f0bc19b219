"""The module that goes by the name of wsaccel does what wsaccel 0.6.7 does."""

from __future__ import annotations

import importlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsfast
from tests.accelerate.pieces import BUFFERS, CUTS, KEYS, TEXTS, cut


@pytest.fixture(scope="module")
def theirs():
    """Return wsaccel's own two modules."""
    pytest.importorskip("wsaccel")
    names = ("wsaccel.xormask", "wsaccel.utf8validator")
    return [importlib.import_module(name) for name in names]


@given(key=KEYS, data=st.binary(max_size=300), cuts=CUTS)
def test_masker_keeps_its_phase(theirs, primitives, key, data, cuts):
    ours, original = primitives.XorMaskerSimple(key), theirs[0].XorMaskerSimple(key)
    array = primitives.ByteArrayMasker(key)
    for number, piece in enumerate(cut(data, cuts)):
        given_as = BUFFERS[number % 3](piece)
        expected = original.process(piece)
        assert ours.process(given_as) == expected
        assert array.process(given_as) == expected
        assert given_as == piece
        assert ours.pointer() == original.pointer() == array.pointer()
    ours.reset()
    original.reset()
    assert ours.pointer() == 0
    assert ours.process(b"again") == original.process(b"again")


@given(data=TEXTS, cuts=CUTS)
def test_validator_at_every_cut(theirs, primitives, data, cuts):
    ours, original = primitives.Utf8Validator(), theirs[1].Utf8Validator()
    for number, piece in enumerate(cut(data, cuts)):
        verdict = ours.validate(BUFFERS[number % 3](piece))
        assert verdict == original.validate(piece)
        if not verdict[0]:
            break  # wsaccel takes what has no octets for valid even then
    ours.reset()
    original.reset()
    assert ours.validate(data) == original.validate(data)


@given(data=TEXTS)
def test_validator_octet_by_octet(theirs, primitives, data):
    ours, original = primitives.Utf8Validator(), theirs[1].Utf8Validator()
    for octet in data:
        state = ours.decode(octet)
        assert state == original.decode(octet)
        if state == ours.UTF8_REJECT:
            break


def test_octets_and_pieces_may_be_mixed(primitives):
    validator = primitives.Utf8Validator()
    assert validator.decode(0xC3) == 2
    assert validator.validate(b"\xa9") == (True, True, 1, 1)
    assert validator.validate(b"\xff") == (False, False, 0, 1)
    assert validator.decode(0x61) == validator.UTF8_REJECT
    for wrong, error in ((300, OverflowError), (-1, OverflowError), (b"a", TypeError)):
        with pytest.raises(error):
            validator.decode(wrong)


@pytest.mark.parametrize("wrong", ["text", [1, 2], None, 7])
def test_what_is_no_buffer_is_refused(primitives, wrong):
    for masker in (primitives.XorMaskerSimple, primitives.ByteArrayMasker):
        with pytest.raises(TypeError):
            masker(b"abcd").process(wrong)
        with pytest.raises(TypeError):
            masker(wrong)
    with pytest.raises(TypeError):
        primitives.Utf8Validator().validate(wrong)


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde", bytearray(5)])
def test_masking_key_has_four_octets(primitives, key):
    with pytest.raises(ValueError, match="4byte"):
        primitives.XorMaskerSimple(key)


def test_buffers_in_strides(primitives):
    strided = memoryview(bytes(range(12)))[::2]
    masker = primitives.XorMaskerSimple(b"\1\2\3\4")
    whole = primitives.XorMaskerSimple(b"\1\2\3\4")
    assert masker.process(strided) == whole.process(bytes(strided))
    assert primitives.Utf8Validator().validate(strided) == (True, True, 6, 6)


def test_modules_have_wsaccels_names(theirs):
    wsfast.accelerate("wsaccel")
    from wsaccel.utf8validator import Utf8Validator
    from wsaccel.xormask import XorMaskerNull, XorMaskerSimple, createXorMasker

    assert sys.modules["wsaccel"].__doc__.startswith("wsfast")
    assert Utf8Validator.__module__.startswith("wsfast.")
    null = XorMaskerNull(b"abcd")
    data = bytearray(b"abc")
    assert null.process(data) is data
    assert null.pointer() == 3
    null.reset()
    assert null.pointer() == 0
    assert isinstance(createXorMasker(b"abcd", 5), XorMaskerSimple)
    assert isinstance(createXorMasker(mask=b"abcd", len=None), XorMaskerSimple)
    with pytest.raises(ValueError, match="4byte"):
        createXorMasker(b"ab")

    class Derived(XorMaskerSimple):
        pass

    assert Derived(b"\1\1\1\1").process(b"\1") == b"\0"
    wsfast.accelerate.undo("wsaccel")
    assert sys.modules["wsaccel.xormask"] is theirs[0]
