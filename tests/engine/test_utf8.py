"""UTF-8 (RFC 3629, RFC 6455 §8.1): verdicts, the first bad octet, and decoding."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.engines import cuts, cuts_of

VALID = [
    "",
    "Hello",
    "Hello-µ@ßöäüàá-UTF-8!!",  # Autobahn 6.2.1
    "κόσμε",  # 6.5.x
    "\x00",
    "\x7f",
    "\x80",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\ufffd",
    "\ufffe\uffff",
    "\U00010000",
    "\U0010ffff",
    "𠜎𠜱𠝹",
    "日本語テキスト",
    "á" * 500,
    "漢" * 500,
    "🚀" * 300,
]

# octets -> index of the first with which no valid text can go on; None if the octets
# could be the start of a valid text that is cut short.
INVALID = {
    "80": 0,
    "bf": 0,
    "c0": 0,
    "c080": 0,
    "c1bf": 0,
    "c328": 1,
    "c3c3": 1,
    "e080": 1,
    "e09fbf": 1,
    "e0a0": None,
    "e28228": 2,
    "e282": None,
    "e2": None,
    "eda080": 1,
    "edbfbf": 1,
    "ed9f": None,
    "f08080": 1,
    "f08fbfbf": 1,
    "f090": None,
    "f0908228": 3,
    "f09082": None,
    "f4908080": 1,
    "f48f": None,
    "f580": 0,
    "f8": 0,
    "fe": 0,
    "ff": 0,
    "cebae1bdb9cf83cebcceb5eda080656469746564": 12,  # Autobahn 6.3.1
    "cebae1bdb9cf83cebcceb5f4908080656469746564": 12,  # 6.4.x
}
INVALID = {bytes.fromhex(octets): bad for octets, bad in INVALID.items()}


@cache
def first_bad(data):
    """Return the index of the first octet that no valid text can go on with."""
    for end in range(1, len(data) + 1):
        head = data[:end]
        if not any(
            _decodes(head + rest)
            for rest in (
                b"",
                b"\x80",
                b"\x90\x80",
                b"\xa0\x80",
                b"\x80\x80",
                b"\x90\x80\x80",
                b"\x80\x80\x80",
            )
        ):
            return end - 1
    return None


def _decodes(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("text", VALID)
def test_valid(engine, text):
    data = text.encode("utf-8")
    assert engine.is_valid_utf8(data) is True
    assert engine.decode_utf8(data) == text
    assert engine.Utf8Validator().validate(data) == (True, True, len(data), len(data))


@pytest.mark.parametrize(("data", "bad"), INVALID.items(), ids=lambda x: repr(x))
def test_invalid(engine, data, bad):
    assert first_bad(data) == bad  # the table is right
    assert engine.is_valid_utf8(data) is False
    with pytest.raises(UnicodeDecodeError) as error:
        engine.decode_utf8(data)
    with pytest.raises(UnicodeDecodeError) as reference:
        data.decode()
    assert error.value.args == reference.value.args
    quad = engine.Utf8Validator().validate(data)
    if bad is None:
        assert quad == (True, False, len(data), len(data))
    else:
        assert quad == (False, False, bad, bad)


@pytest.mark.parametrize("data", [*INVALID, b"\xc3\xa9", b"\xf0\x9f\x9a\x80"], ids=repr)
def test_at_each_place_of_a_vector(engine, data):
    for filler in (b"a", "é".encode(), "漢".encode()):
        for before in range(140):
            text = (filler * 140)[: before // len(filler) * len(filler)]
            text += b"." * (before - len(text)) + data + filler * (before % 50)
            assert engine.is_valid_utf8(text) is _decodes(text)
            whole = engine.Utf8Validator().validate(text)
            if (bad := first_bad(text[before : before + 20])) is None:
                assert whole[0] is True
            else:
                assert whole == (False, False, before + bad, before + bad)


any_octets = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "ignore")),
    st.lists(
        st.sampled_from([*INVALID, b"abc", "é".encode(), "漢🚀".encode(), b"x" * 60]),
        max_size=12,
    ).map(b"".join),
)


@given(data=any_octets)
def test_same_verdict_as_cpython(engine, data):
    assert engine.is_valid_utf8(data) is _decodes(data)
    if _decodes(data):
        text = engine.decode_utf8(data)
        assert text == data.decode()
        assert type(text) is str
        assert text.isascii() == data.isascii()
        assert (text + "x").encode() == data + b"x"  # its storage is sound
        assert hash(text) == hash(data.decode())


@given(data=any_octets, places=cuts(300))
def test_cut_anywhere_the_same_verdict(engine, data, places):
    whole = engine.Utf8Validator().validate(data)
    for pieces in (cuts_of(data, places), [data[i : i + 1] for i in range(len(data))]):
        validator = engine.Utf8Validator()
        before = 0
        quad = (True, True, 0, 0)
        for piece in pieces:
            quad = validator.validate(piece)
            assert quad[3] == before + quad[2]
            if not quad[0]:
                break
            assert quad[2] == len(piece)
            before += len(piece)
        assert (quad[0], quad[1], quad[3]) == (whole[0], whole[1], whole[3])


def test_validator_after_an_error_until_reset(engine):
    validator = engine.Utf8Validator()
    assert validator.validate(b"ab") == (True, True, 2, 2)
    assert validator.validate(b"c\xff") == (False, False, 1, 3)
    assert validator.validate(b"good") == (False, False, 0, 3)
    assert validator.validate(b"") == (False, False, 0, 3)
    assert validator.reset() is None
    assert validator.validate("é".encode()[:1]) == (True, False, 1, 1)
    validator.reset()
    assert validator.validate(b"ok") == (True, True, 2, 2)


def test_buffers_and_bad_arguments(engine):
    for data in (bytearray(b"\xc3\xa9"), memoryview(b"x\xc3\xa9")[1:]):
        assert engine.is_valid_utf8(data) is True
        assert engine.decode_utf8(data) == "é"
        assert engine.Utf8Validator().validate(data) == (True, True, 2, 2)
    calls = engine.is_valid_utf8, engine.decode_utf8, engine.Utf8Validator().validate
    for call in calls:
        for bad in ("text", None, 5, [65]):
            with pytest.raises(TypeError):
                call(bad)
        with pytest.raises(BufferError):
            call(memoryview(b"abcd")[::2])
    buffer = bytearray(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        engine.decode_utf8(buffer)
    buffer.append(0)  # not held: BufferError if it were


def test_code_points_of_each_width(engine):
    widest = ["\x7f", "\x80", "\xff", "\u0100", "\uffff", "\U00010000", "\U0010ffff"]
    for char in widest:
        for length in (1, 2, 3, 15, 16, 17, 31, 63, 64, 65, 1000):
            for place in (0, length // 2, length - 1):
                text = "a" * place + char + "b" * (length - 1 - place)
                decoded = engine.decode_utf8(text.encode())
                assert decoded == text
                assert decoded.__sizeof__() <= text.__sizeof__()
            assert engine.decode_utf8((char * length).encode()) == char * length
