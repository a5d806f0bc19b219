"""Event streams: WHATWG HTML §9.2.5 (the format) and §9.2.6 (its interpretation)."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.engines import cuts, cuts_of


def events_of(engine, *pieces, **options):
    """Return all events of a stream that arrives in these pieces, as tuples."""
    parser = engine.EventParser(**options)
    return [tuple(event) for piece in pieces for event in parser.feed(piece)]


#: stream -> its events: the examples of the standard, then each rule by itself
STREAMS = {
    "9.2.6 three lines": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [("message", "YHOO\n+2\n10", "")],
    ),
    "9.2.6 id, comment, no space": (
        b": test stream\n\ndata: first event\nid: 1\n\n"
        b"data:second event\nid\n\ndata:  third event\n\n",
        [
            ("message", "first event", "1"),
            ("message", "second event", ""),
            ("message", " third event", ""),
        ],
    ),
    "9.2.6 empty data": (
        b"data\n\ndata\ndata\n\ndata:",
        [("message", "", ""), ("message", "\n", "")],
    ),
    "9.2.6 one space is dropped": (
        b"data:test\n\ndata: test\n\n",
        [("message", "test", ""), ("message", "test", "")],
    ),
    "type": (b"event: add\ndata: 1\n\ndata: 2\n\n", ["add 1", "message 2"]),
    "the last type counts": (b"event:a\nevent:b\ndata:1\n\n", ["b 1"]),
    "an empty type is none": (b"event:a\nevent:\ndata:1\n\n", ["message 1"]),
    "a type without data is forgotten": (b"event:a\n\ndata:1\n\n", ["message 1"]),
    "id without data counts": (b"id:5\n\ndata:1\n\n", [("message", "1", "5")]),
    "id with NUL is ignored": (
        b"id:5\nid:6\x007\ndata:1\n\n",
        [("message", "1", "5")],
    ),
    "unknown fields and cases": (
        b"Data:x\ndatas:x\n data:x\ndata\x00:x\nfoo\ndata:1\n\n",
        ["message 1"],
    ),
    "comments": (b":\n:data:x\ndata:1\n: x\n\n:\n\n", ["message 1"]),
    "no end": (b"data: 1\n\ndata: 2\n", ["message 1"]),
    "CR": (b"data:1\rdata:2\r\r", ["message 1\n2"]),
    "CRLF": (b"data:1\r\ndata:2\r\n\r\n", ["message 1\n2"]),
    "all ends": (b"data:1\r\ndata:2\rdata:3\n\r", ["message 1\n2\n3"]),
    "byte order mark": (b"\xef\xbb\xbfdata:1\n\n", ["message 1"]),
    "two marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata:1\n\ndata:2\n\n", ["message 2"]),
    "a mark inside": (b"data:1\xef\xbb\xbf\n\n", ["message 1\ufeff"]),
    "half a mark": (b"\xef\xbbdata:1\n\ndata:2\n\n", ["message 2"]),
    "not UTF-8": (b"data:\xff\xe6\xbc\nevent:\xc3\n\n", ["\ufffd \ufffd\ufffd"]),
    "wide": ("event: ü\ndata: 漢🚀\nid: é\n\n".encode(), [("ü", "漢🚀", "é")]),
    "long": (b"data:" + b"x" * 70000 + b"\n\ndata:1\n\n", None),
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream(engine, name):
    stream, wanted = STREAMS[name]
    if wanted is None:
        wanted = ["message " + "x" * 70000, "message 1"]
    wanted = [(*w.split(" ", 1), "") if isinstance(w, str) else w for w in wanted]
    assert events_of(engine, stream) == wanted
    if len(stream) < 1000:
        assert events_of(engine, *(bytes((o,)) for o in stream)) == wanted
        for cut in range(len(stream)):
            assert events_of(engine, stream[:cut], stream[cut:]) == wanted


PARTS = [
    *[b"data", b"event", b"id", b"retry", b":", b" ", b"\n", b"\r", b"\r\n", b"\0"],
    *[b"\xef", b"\xbb", b"\xbf", b"7", b"x", "é".encode()],
]


@given(parts=st.lists(st.sampled_from(PARTS), max_size=60), places=cuts(120))
def test_both_engines_agree_however_the_stream_is_cut(engines, parts, places):
    stream = b"".join(parts)
    seen = []
    for engine in engines:
        for pieces in ([stream], cuts_of(stream, places)):
            parser = engine.EventParser()
            events = [event for piece in pieces for event in parser.feed(piece)]
            seen.append((events, parser.last_event_id, parser.retry))
    assert all(one == seen[0] for one in seen)


def test_last_event_id_is_that_of_a_complete_event(engine):
    parser = engine.EventParser(last_event_id="0")
    assert parser.last_event_id == "0"
    assert parser.feed(b"data:1\n\nid:1\n") == [("message", "1", "0")]
    assert parser.last_event_id == "0"
    assert parser.feed(b"\n") == []
    assert parser.last_event_id == "1"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("0", 0),
        ("2500", 2500),
        ("0" * 50 + "1", 1),
        ("4294967295", 0xFFFFFFFF),
        ("9" * 5000, 0xFFFFFFFF),
        ("", None),
        ("1s", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_is_digits_only(engine, value, wanted):
    parser = engine.EventParser()
    parser.feed(f"retry: {value}\n".encode())
    assert parser.retry == wanted


def test_fields_of_an_event_have_names(engine):
    (event,) = engine.EventParser().feed(bytearray(b"event:e\nid:i\ndata:d\n\n"))
    assert (event.event, event.id, event.data) == ("e", "i", "d")
    assert isinstance(event, engine.Event)


# ---- limits ----


@pytest.mark.parametrize("size", [0, 1, 64, 1000])
def test_longest_line(engine, size):
    for pieces in ([b"x" * size + b"\n"], [b"x" * size, b"\n"], [b"x"] * size):
        parser = engine.EventParser(max_line=size)
        for piece in pieces:
            assert parser.feed(piece) == []
    for pieces in ([b"x" * (size + 1) + b"\n"], [b"x" * size, b"x"]):
        parser = engine.EventParser(max_line=size)
        with pytest.raises(engine.EventError, match=f"more than {size} octets") as info:
            for piece in pieces:
                parser.feed(piece)
        assert info.value.reason_code == "line_too_long"


def test_most_data_of_an_event(engine):
    stream = b"data:12\n" * 4
    parser = engine.EventParser(max_size=11)
    assert parser.feed(stream + b"\n") == [("message", "12\n12\n12\n12", "")]
    with pytest.raises(engine.EventError, match="more than 11 octets of data") as info:
        parser.feed(b"data:1\n\n" + stream + b"data:\n\ndata:2\n\n")
    assert info.value.reason_code == "event_too_big"
    assert info.value.events == [("message", "1", "")]
    with pytest.raises(engine.EventError) as info:  # it stays so
        parser.feed(b"data:1\n\n")
    assert info.value.events == []
    again = pickle.loads(pickle.dumps(info.value))
    assert (again.reason_code, str(again)) == ("event_too_big", str(info.value))


def test_no_limit(engine):
    parser = engine.EventParser(max_line=None, max_size=None)
    (event,) = parser.feed(b"data:" + b"x" * (3 << 20) + b"\n\n")
    assert len(event.data) == 3 << 20
    (event,) = engine.EventParser().feed(b"data:" + b"x" * 1048571 + b"\n\n")
    assert len(event.data) == 1048571
    with pytest.raises(engine.EventError):
        engine.EventParser().feed(b"data:" + b"x" * 1048572)


def test_wrong_arguments(engine):
    with pytest.raises(ValueError, match="max_line must be >= 0"):
        engine.EventParser(max_line=-1)
    with pytest.raises(ValueError, match="max_size must be >= 0"):
        engine.EventParser(max_size=-1)
    for wrong in (None, b"1", 1):
        with pytest.raises(TypeError):
            engine.EventParser(last_event_id=wrong)
    with pytest.raises(TypeError):
        engine.EventParser().feed("data")


@pytest.mark.parametrize("ends", [b"\r", b"\n", b"\r\n"])
def test_time_is_linear_in_lines_that_end_alike(engine, ends):
    # 400,000 lines in one piece: looked for once. Searching ahead for the other kind
    # of end, line by line, would read 10 ** 11 octets.
    stream = (b"data:" + ends + ends) * 200_000
    assert len(engine.EventParser().feed(stream)) == 200_000


# ---- the other direction ----


@pytest.mark.parametrize(
    ("arguments", "octets"),
    [
        (("hi",), b"data: hi\n\n"),
        (("",), b"data: \n\n"),
        ((b"\xc3\xa9",), "data: é\n\n".encode()),
        (("a\nb\r\nc\rd\n",), b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        (("x", "add", "7", 250), b"event: add\nid: 7\nretry: 250\ndata: x\n\n"),
        (("x", "", ""), b"id: \ndata: x\n\n"),
        ((None, None, "9"), b"id: 9\n\n"),
        ((None, None, None, 0), b"retry: 0\n\n"),
    ],
)
def test_encode(engine, arguments, octets):
    assert engine.encode_event(*arguments) == octets


LINE = st.text().filter(lambda text: not {"\r", "\n"} & set(text))


@given(data=st.text(), event=LINE, ident=LINE.filter(lambda text: "\0" not in text))
def test_l5_whatever_is_sent_arrives_as_one_event(engines, data, event, ident):
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    for engine in engines:
        octets = engine.encode_event(data, event=event, id=ident)
        wanted = [(event or "message", lines, ident)]
        assert events_of(engine, octets) == wanted
    assert engines[0].encode_event(data, event, ident) == octets


@pytest.mark.parametrize("bad", ["a\nb", "a\r", "\r\ndata: x", "\n"])
def test_l5_newlines_are_refused(engine, bad):
    with pytest.raises(ValueError, match="event must not contain line ends"):
        engine.encode_event("x", event=bad)
    with pytest.raises(ValueError, match="id must not contain line ends"):
        engine.encode_event("x", id=bad)


def test_encode_refuses_what_would_be_ignored(engine):
    with pytest.raises(ValueError, match="id must not contain NUL"):
        engine.encode_event("x", id="a\0b")
    with pytest.raises(ValueError, match="retry must be >= 0"):
        engine.encode_event("x", retry=-1)
    with pytest.raises(ValueError, match="not valid UTF-8"):
        engine.encode_event(b"\xff")
    with pytest.raises(UnicodeEncodeError):
        engine.encode_event("\ud800")
    for wrong in ({"event": b"e"}, {"id": 7}):
        with pytest.raises(TypeError):
            engine.encode_event("x", **wrong)
    with pytest.raises(TypeError):
        engine.encode_event(7)
