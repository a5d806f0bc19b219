"""autobahn's maskers and validator, accelerated, do what they do by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsfast
from tests.accelerate.pieces import CUTS, KEYS, TEXTS, cut
from wsfast.accelerate import undo
from wsfast.accelerate.autobahn import create_xor_masker
from wsfast.accelerate.primitives import XorMaskerNull

pytest.importorskip("autobahn")
from autobahn.websocket import protocol, utf8validator, xormasker

NAMES = [
    (protocol, "create_xor_masker"),
    (protocol, "XorMaskerNull"),
    (protocol, "Utf8Validator"),
    (xormasker, "create_xor_masker"),
    (xormasker, "XorMaskerNull"),
    (utf8validator, "Utf8Validator"),
]
THEIRS = {name: getattr(module, name) for module, name in NAMES}


@given(key=KEYS, data=st.binary(max_size=300), cuts=CUTS, told=st.booleans())
def test_masker(key, data, cuts, told):
    length = len(data) if told else None
    ours, theirs = (
        create_xor_masker(key, length),
        THEIRS["create_xor_masker"](key, length),
    )
    for piece in cut(data, cuts):
        result = ours.process(piece)
        assert result == theirs.process(piece)
        assert type(result) is bytes
        assert ours.pointer() == theirs.pointer()
    ours.reset()
    theirs.reset()
    assert ours.pointer() == theirs.pointer() == 0
    assert ours.process(b"again") == theirs.process(b"again")


@given(data=st.binary(max_size=50), cuts=CUTS)
def test_null_masker(data, cuts):
    ours, theirs = XorMaskerNull(b"abcd"), THEIRS["XorMaskerNull"](b"abcd")
    for piece in cut(data, cuts):
        assert ours.process(piece) is piece
        assert theirs.process(piece) is piece
        assert ours.pointer() == theirs.pointer()


@pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
def test_masking_key_has_four_octets(key):
    for function in (create_xor_masker, THEIRS["create_xor_masker"]):
        with pytest.raises(AssertionError):
            function(key)


@given(data=TEXTS, cuts=CUTS)
def test_validator(primitives, data, cuts):
    ours, theirs = primitives.Utf8Validator(), THEIRS["Utf8Validator"]()
    for _ in range(2):  # and once more after a reset
        ours.reset()
        theirs.reset()
        for piece in cut(data, cuts):
            verdict = ours.validate(piece)
            expected = theirs.validate(piece)
            assert verdict == expected
            if not verdict[0]:
                break  # autobahn fails the connection: nothing comes behind it


def test_names_are_replaced_and_given_back():
    wsfast.accelerate("autobahn")
    assert all(getattr(module, name) is not THEIRS[name] for module, name in NAMES)
    undo("autobahn")
    assert all(getattr(module, name) is THEIRS[name] for module, name in NAMES)
