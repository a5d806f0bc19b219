"""What SockJS sends: SockJS protocol 0.3.3, Protocol and framing, JSON encoding."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

texts = st.one_of(
    st.text(max_size=30),
    st.text(
        st.sampled_from(
            'a"\\/\n\t\x01\x7fé\u200b\u200c\u2028\u206f\uffef\uffff🚀\ud83d\ude80'
        ),
        max_size=20,
    ),
)

#: Ranges of code units that are escaped although JSON wants no escape.
ESCAPED = [(0x200C, 0x200F), (0x2028, 0x202F), (0x2060, 0x206F), (0xD800, 0xDFFF)]
ESCAPED += [(0xFFF0, 0xFFFF)]
SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quoted(unit):
    """Return one code unit of UTF-16 as sockjs-node writes it into a frame."""
    if unit in SHORT:
        return SHORT[unit]
    if unit < 0x20 or any(first <= unit <= last for first, last in ESCAPED):
        return f"\\u{unit:04x}"
    return chr(unit)


def test_every_code_unit(engine):
    """The whole of the basic plane: what is escaped, and what is not."""
    for unit in range(0x10000):
        wanted = f'"{quoted(unit)}"'.encode()
        assert engine.quote_sockjs(chr(unit)) == wanted, hex(unit)


def test_above_the_basic_plane_code_units_are_escaped(engine):
    assert engine.quote_sockjs("🚀\U00010000\U0010ffff") == (
        rb'"\ud83d\ude80\ud800\udc00\udbff\udfff"'
    )


@pytest.mark.parametrize(
    ("messages", "frame"),
    [
        ([], b"a[]"),
        (["message"], b'a["message"]'),
        (["", ""], b'a["",""]'),
        (["a\x00b", 'c"', "é"], 'a["a\\u0000b","c\\"","é"]'.encode()),
        (("\ud800x", "\u2028"), b'a["\\ud800x","\\u2028"]'),
        (["x" * 5000], b'a["%b"]' % (b"x" * 5000)),
    ],
)
def test_frame(engine, messages, frame):
    assert engine.encode_sockjs(messages) == frame
    assert engine.encode_sockjs(iter(messages), b"") == frame[1:]
    assert engine.decode_sockjs(frame[1:]) == list(messages)


@pytest.mark.parametrize("wrong", [[b"octets"], [1], [None], ["right", 2], "text", 5])
def test_only_text_can_be_sent(engine, wrong):
    with pytest.raises(TypeError):
        engine.encode_sockjs(wrong)


@pytest.mark.parametrize("wrong", [b"octets", 1, None])
def test_only_text_can_be_quoted(engine, wrong):
    with pytest.raises(TypeError):
        engine.quote_sockjs(wrong)


EXPECTED = [
    "",
    " \r\n",
    "1",
    '{"a": 1}',
    "null",
    '"a"',
    "true",
    "[1]",
    '["a",{}]',
    "[[[",
]
BROKEN = ["x", "[", "[x", '["', '["x', '["x"', '["x",]', '["x"]]', "[]]", '["\\x"]']
BROKEN += ['["\\u12"]', '["\n"]', '["\x1f"]', "[,]", '["a" "b"]', "['a']", "\ufeff[]"]
BROKEN += [
    '["\\u12 4"]',
    '["\\u+123"]',
    '["\\U0041"]',
    '["a"]\x00',
    "\x0b[]",
    '["\ud800"]',
]


@pytest.mark.parametrize("text", EXPECTED)
def test_payload_expected(engine, text):
    for data in (text, text.encode()):
        with pytest.raises(ValueError, match=r"^Payload expected\.$"):
            engine.decode_sockjs(data)


@pytest.mark.parametrize("text", BROKEN)
def test_broken_json(engine, text):
    for data in (text, text.encode(errors="surrogatepass")):
        with pytest.raises(ValueError, match=r"^Broken JSON encoding\.$"):
            engine.decode_sockjs(data)


@pytest.mark.parametrize("octets", [b'["\xff"]', b'["\xc3"]', b'["\\n\xc3"]'])
def test_not_utf8(engine, octets):
    with pytest.raises(ValueError, match=r"^Broken JSON encoding\.$"):
        engine.decode_sockjs(octets)


def test_nesting_costs_nothing(engine):
    with pytest.raises(ValueError, match="Payload expected"):
        engine.decode_sockjs("[" * 1_000_000)


def test_escapes_are_undone(engine):
    text = r'[" \"\\\/\b\f\n\r\t\u00e9\ud83d\uDE80 ", "\ud83d", "\ude80\ud83d"]'
    assert engine.decode_sockjs(text) == json.loads(text)
    assert engine.decode_sockjs(memoryview(text.encode())) == json.loads(text)


def test_single_message(engine):
    assert engine.decode_sockjs(' "a" ', single=True) == ["a"]
    assert engine.decode_sockjs(b'["a"]', single=True) == ["a"]
    for broken in ('"a', '"a"x', '"a","b"'):
        with pytest.raises(ValueError, match="Broken JSON"):
            engine.decode_sockjs(broken, single=True)
    with pytest.raises(ValueError, match="Payload expected"):
        engine.decode_sockjs("7", single=True)


@given(st.lists(texts, max_size=5))
def test_both_engines_write_the_same_and_read_it_back(engines, messages):
    frames = {engine.encode_sockjs(messages) for engine in engines}
    assert len(frames) == 1
    frame = frames.pop()
    # A pair of surrogates in a str of Python is one code point for everybody else.
    wanted = [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        for text in messages
    ]
    for engine in engines:
        assert engine.decode_sockjs(frame[1:]) == wanted == json.loads(frame[1:])


PARTS = ["[", "]", ",", '"', '"', "\\", "u", "d83d", "de80", "\n", " ", "é", "x", "0"]
PARTS += ['","', '["', '"]', "🚀", "{", "\x00"]


@given(st.lists(st.sampled_from(PARTS), max_size=20), st.booleans())
def test_both_engines_read_the_same(engines, parts, single):
    data = "".join(parts)
    seen = [outcome(engine, data, single) for engine in engines]
    seen += [outcome(engine, data.encode(), single) for engine in engines]
    assert all(one == seen[0] for one in seen)
    if isinstance(seen[0], list) and not single:
        assert seen[0] == json.loads(data)
    elif not single and seen[0] == "Broken JSON encoding.":
        with pytest.raises(ValueError):
            json.loads(data)


@given(st.binary(max_size=20), st.booleans())
def test_both_engines_read_the_same_octets(engines, octets, single):
    first, second = (outcome(engine, octets, single) for engine in engines)
    assert first == second


def outcome(engine, data, single):
    """Return the messages in some data, or what is wrong with it."""
    try:
        return engine.decode_sockjs(data, single=single)
    except ValueError as error:
        return str(error)
