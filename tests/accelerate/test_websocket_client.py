"""websocket-client, accelerated, does what it does by itself."""

from __future__ import annotations

import codecs
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wsfast
from tests.accelerate.pieces import BUFFERS, KEYS, TEXTS, outcome
from wsfast import engine
from wsfast.accelerate import undo
from wsfast.accelerate.websocket_client import _mask, abnf_mask

websocket = pytest.importorskip("websocket")
from websocket import _abnf, _utils  # noqa: E402

THEIRS = {
    "_mask": _abnf._mask,
    "mask": _abnf.ABNF.mask,
    "validate_utf8": _utils.validate_utf8,
}


@given(key=KEYS, data=st.binary(max_size=300), kind=st.sampled_from(BUFFERS))
def test_mask(key, data, kind):
    expected = THEIRS["_mask"](array("B", key), array("B", data))
    assert _mask(array("B", key), array("B", data)) == expected
    assert abnf_mask(kind(key), kind(data)) == expected
    assert THEIRS["mask"](kind(key), kind(data)) == expected
    assert type(abnf_mask(key, kind(data))) is type(expected)


@pytest.mark.parametrize("data", [None, "", "text \xff", [1, 2, 3], (1, 2)])
@pytest.mark.parametrize("key", [b"abcd", "ab\xffd", [1, 2, 3, 4]])
def test_mask_takes_what_theirs_takes(key, data):
    assert abnf_mask(key, data) == THEIRS["mask"](key, data)


@pytest.mark.parametrize("data", [7, "\u20ac", [300], object()])
def test_mask_refuses_what_theirs_refuses(data):
    expected = outcome(THEIRS["mask"], b"abcd", data)
    assert issubclass(expected, Exception)
    assert outcome(abnf_mask, b"abcd", data) is expected


@given(data=TEXTS, kind=st.sampled_from([bytes, bytearray]))
def test_utf8(data, kind):
    verdict = engine.is_valid_utf8(kind(data))
    theirs = THEIRS["validate_utf8"](kind(data))
    if verdict is not theirs:  # they take a text that ends inside a character
        assert (verdict, theirs) == (False, True)
        codecs.getincrementaldecoder("utf-8")().decode(data)


def test_names_are_replaced_and_given_back():
    report = wsfast.accelerate("websocket-client")
    assert report["websocket-client"].installed == websocket.__version__
    assert _abnf._mask is _mask
    assert _abnf.ABNF.mask is abnf_mask
    assert _abnf.validate_utf8 is _utils.validate_utf8 is engine.is_valid_utf8
    undo("websocket-client")
    assert _abnf._mask is THEIRS["_mask"]
    assert _abnf.ABNF.mask is THEIRS["mask"]
    assert _abnf.validate_utf8 is _utils.validate_utf8 is THEIRS["validate_utf8"]


@given(data=st.binary(max_size=300), text=st.text(max_size=50))
def test_frames(data, text):
    frames = [(data, _abnf.ABNF.OPCODE_BINARY), (text, _abnf.ABNF.OPCODE_TEXT)]

    def made():
        result = []
        for payload, opcode in frames:
            frame = _abnf.ABNF.create_frame(payload, opcode)
            frame.get_mask_key = lambda size: b"\x01\x80\xfe\x00"
            result.append(frame.format())
        return result

    plain = made()
    wsfast.accelerate("websocket-client")
    try:
        assert made() == plain
    finally:
        undo("websocket-client")
