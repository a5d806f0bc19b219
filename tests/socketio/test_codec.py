"""The packet codec, in C and in Python: headers, depth, placeholders."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import PURE
from wsfast.socketio import _pure_codec
from wsfast.socketio.packet import MAX_ID, MAX_NESTING, PacketError

CODECS = [_pure_codec]
if not PURE:
    from wsfast.socketio import _codec

    CODECS.append(_codec)

by_codec = pytest.mark.parametrize(
    "codec", CODECS, ids=lambda codec: codec.__name__.rpartition(".")[2]
)

HEADERS = [  # text, what is read, all of them written the same way
    ("0", (0, 0, "/", None, 1)),
    ('0{"sid":"x"}', (0, 0, "/", None, 1)),
    ("0/admin,", (0, 0, "/admin", None, 8)),
    ("1/admin,", (1, 0, "/admin", None, 8)),
    ('2["a"]', (2, 0, "/", None, 1)),
    ('212["a"]', (2, 0, "/", 12, 3)),
    ('2/admin,0["a"]', (2, 0, "/admin", 0, 9)),
    (f'2{MAX_ID}["a"]', (2, 0, "/", MAX_ID, 17)),
    ("3/a,1[]", (3, 0, "/a", 1, 5)),
    ('52-/a,1["a"]', (5, 2, "/a", 1, 7)),
    ('510-["a"]', (5, 10, "/", None, 4)),
    ('2/é☃😀,7["a"]', (2, 0, "/é☃😀", 7, 7)),
]


@by_codec
@pytest.mark.parametrize(("text", "header"), HEADERS)
def test_headers_there_and_back(codec, text, header):
    assert codec.decode_header(text, 10) == header
    kind, attachments, namespace, number, at = header
    assert codec.encode_header(kind, namespace, number, attachments, text[at:]) == text


@by_codec
def test_namespace_may_end_the_packet(codec):
    assert codec.decode_header("0/admin", 10) == (0, 0, "/admin", None, 7)


@by_codec
@pytest.mark.parametrize(
    ("text", "reason_code"),
    [
        ("", "type"),
        ("7[]", "type"),
        ("x", "type"),
        ("/", "type"),
        ("٢[]", "type"),
        ('5["a"]', "attachments"),
        ('5-["a"]', "attachments"),
        ("5", "attachments"),
        ("51", "attachments"),
        ("5" + "1" * 50, "attachments"),
        ('50-["a"]', "attachments"),
        ('51x-["a"]', "attachments"),
        ('5-1-["a"]', "attachments"),
        ('511-["a"]', "too_many_attachments"),
        ('599999999999999999999999-["a"]', "too_many_attachments"),
        (f'2{MAX_ID + 1}["a"]', "id"),
        ("2" + "9" * 10_000 + '["a"]', "id"),
        ("3" + "0" * 17 + "[]", "id"),
    ],
)
def test_l1_bad_headers_are_refused(codec, text, reason_code):
    with pytest.raises(PacketError) as caught:
        codec.decode_header(text, 10)
    assert caught.value.reason_code == reason_code


def outcome(function, *args):
    """Return what a function returns, or the reason that it raises."""
    try:
        return function(*args)
    except PacketError as exc:
        return exc.reason_code, str(exc)


PIECES = st.sampled_from([*"02561-/,aé[", "9" * 9])


@pytest.mark.skipif(PURE, reason="there is one codec")
@given(text=st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_both_codecs_read_the_same_header(text):
    found = [outcome(codec.decode_header, text, 10) for codec in CODECS]
    assert found[0] == found[1]


@pytest.mark.skipif(PURE, reason="there is one codec")
@given(text=st.text(alphabet='[]{}"\\,:1a\n', max_size=40), at=st.integers(0, 5))
def test_both_codecs_count_the_same_depth(text, at):
    assert len({codec.nesting(text, at) for codec in CODECS}) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
WITH_OCTETS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def depth_of(value):
    """Return the depth of a value, the plain way."""
    if not isinstance(value, (list, dict)):
        return 0
    items = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, items), default=0)


@by_codec
@given(value=VALUES)
def test_depth_of_valid_json(codec, value):
    assert codec.nesting(json.dumps(value), 0) == depth_of(value)


@by_codec
@given(value=WITH_OCTETS)
def test_octets_out_and_back(codec, value):
    found: list[bytes] = []
    before = repr(value)
    text = json.dumps(codec.deconstruct(value, found))
    assert repr(value) == before  # what the application gave is left alone
    assert codec.reconstruct(json.loads(text), found) == value


@by_codec
def test_octets_of_each_kind(codec):
    found: list[bytes] = []
    data = ("e", bytearray(b"1"), {"x": (memoryview(b"2"), b"3")})
    taken = codec.deconstruct(data, found)
    assert found == [b"1", b"2", b"3"]
    assert all(type(each) is bytes for each in found)
    assert taken[2]["x"][1] == {"_placeholder": True, "num": 2}


@by_codec
@pytest.mark.parametrize("number", [-1, 1, 2**80, 0.0, "0", None, True, [0]])
def test_l1_placeholder_out_of_range(codec, number):
    data = ["e", {"a": {"_placeholder": True, "num": number}}]
    with pytest.raises(PacketError, match="illegal attachments"):
        codec.reconstruct(data, [b"x"])


@by_codec
def test_what_only_looks_like_a_placeholder_is_left(codec):
    data = ["e", {"_placeholder": False, "num": 0}, {"_placeholder": "true"}]
    assert codec.reconstruct(json.loads(json.dumps(data)), [b"x"]) == data


@by_codec
def test_what_is_sent_is_not_endless(codec):
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(PacketError, match="cycle"):
        codec.deconstruct(cycle, [])
    deep: list = []
    for _ in range(MAX_NESTING - 1):
        deep = [deep]
    assert codec.deconstruct(deep, []) is deep
    with pytest.raises(PacketError, match="100"):
        codec.deconstruct([deep], [])
