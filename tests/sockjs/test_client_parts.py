"""What the client takes apart and puts together, without a server."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.exceptions import (
    InvalidMessage,
    InvalidURI,
    SecurityError,
)
from wsfast.protocol.closing import Close
from wsfast.protocol.headers import Headers
from wsfast.protocol.http import Request, Response
from wsfast.sockjs import connect
from wsfast.sockjs._client_frames import Lines, decode_uri, is_prelude, parse_close
from wsfast.sockjs._client_info import (
    Cookies,
    SockJSTarget,
    add_path,
    parse_info,
    random_server,
    session_ids,
    transport_timeout,
)

# ---- frames ----


@pytest.mark.parametrize(
    ("frame", "close"),
    [
        ('c[3000,"Go away!"]', Close(3000, "Go away!")),
        (
            b'c[2010,"Another connection still open"]',
            Close(2010, "Another connection still open"),
        ),
        ('c [ 1000 , "\\u2028" ] ', Close(1000, "\u2028")),
    ],
)
def test_close_frame(frame: str | bytes, close: Close):
    assert parse_close(frame) == close


@pytest.mark.parametrize(
    "frame",
    [
        *("c", "c[]", 'c{"0":1000,"1":""}', "c[1000]", 'c[1000,"",1]', "c[1000,1]"),
        *('c["1000",""]', 'c[true,""]', 'c[999,""]', 'c[5000,""]', 'c[1e3,""]'),
        *('c[1000,"', "c" + "[" * 100_000, b"c[1000,\xff]"),
    ],
)
def test_broken_close_frame(frame: str | bytes):
    with pytest.raises(ValueError):
        parse_close(frame)


def test_prelude():
    assert is_prelude("h" * 2048)
    assert is_prelude(b"hh")
    assert not is_prelude("hhx")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("", ""),
        ('a["100%25 %0D%0A%00"]', 'a["100% \r\n\0"]'),
        ("%e6%bc%a2%F0%9F%9A%80 %C3%A9", "漢🚀 é"),
        ("%3b%2F%3f%3a%40%26%3d%2B%24%2c%23", "%3b%2F%3f%3a%40%26%3d%2B%24%2c%23"),
        ("%2525", "%25"),
        ("% %z %2", "% %z %2"),
    ],
)
def test_decode_uri(text: str, plain: str):
    assert decode_uri(text) == plain
    with pytest.raises(ValueError, match="utf-8"):
        decode_uri(text + "%ff")


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_lines_however_they_are_cut(data: bytes, cuts: list[int]):
    lines = Lines(None)
    found = []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        found += lines.feed(data[start:end])
    *wanted, rest = data.split(b"\n")
    assert found == wanted
    assert lines.end() is (rest == b"")
    assert lines.feed(b"x\n") == [b"x"]


def test_lines_have_a_limit():
    lines = Lines(5)
    assert lines.feed(b"12345\n123") == [b"12345"]
    assert lines.feed(b"45") == []
    assert not lines.over
    assert lines.feed(b"6") == []
    assert lines.over


# ---- /info, and how long to wait ----


def test_info():
    assert parse_info(b'{"websocket":false,"base_url":null}')["websocket"] is False


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"{", b"\xff", b'{"base_url":1}', b"[" * 50_000]
)
def test_broken_info(body: bytes):
    with pytest.raises(InvalidMessage) as info:
        parse_info(body)
    assert info.value.reason_code == "invalid_info"


@pytest.mark.parametrize(
    ("rtt", "least", "wanted"),
    [
        (0.0, 0.0, 0.6),  # 300 ms, twice
        (0.1, 0.0, 0.8),
        (0.101, 0.0, 0.808),  # 4 times, twice
        (1.0, 0.0, 8.0),
        (0.0, 2.0, 2.0),
        (None, 0.0, 5.0),
        (None, 9.0, 9.0),
    ],
)
def test_timeouts_are_those_of_sockjs_client(rtt, least, wanted):
    assert transport_timeout(rtt, least) == pytest.approx(wanted)


# ---- where it goes ----


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://h/echo", "http://h/echo/info"),
        ("http://h/echo//", "http://h/echo/info"),
        ("http://h", "http://h/info"),
        ("http://h/e?a=/b", "http://h/e/info?a=/b"),
    ],
)
def test_paths_come_before_the_query(url: str, wanted: str):
    assert add_path(url, "/info") == wanted
    base = SockJSTarget(wanted, None, None).base()
    assert add_path(base.url, "/info") == wanted


def test_names():
    assert re.fullmatch(r"[a-z0-5]{8}", session_ids(8)())
    assert len({session_ids(8)() for _ in range(100)}) == 100
    assert session_ids(lambda: "mine")() == "mine"
    assert all(re.fullmatch(r"\d{3}", random_server()) for _ in range(100))
    with pytest.raises(ValueError, match="must be positive"):
        session_ids(0)
    with pytest.raises(TypeError, match="int or callable"):
        session_ids("mine")  # type: ignore[arg-type]


def test_base_url_of_the_server():
    here = SockJSTarget("https://h/a/echo", {"Cookie": "a=1", "X": "y"}, None)
    assert here.elsewhere("/b/").url == "https://h/b"
    assert here.elsewhere("https://h/b").headers == {"Cookie": "a=1", "X": "y"}
    assert here.elsewhere("https://other/b").headers == {"X": "y"}
    with pytest.raises(SecurityError, match="non-secure"):
        here.elsewhere("http://h/b")
    with pytest.raises(InvalidURI):
        here.elsewhere("ftp://h/b")


# ---- cookies ----


def store(cookies: Cookies, url: str, *values: str) -> None:
    """Take a response with these cookies."""
    fields = Headers([("Set-Cookie", value) for value in values])
    cookies.store(url, Response(200, "OK", fields))


def test_cookies_go_where_they_may():
    cookies = Cookies()
    assert cookies.value("http://h.test/", None) is None
    assert cookies.value("http://h.test/", "own=1") == "own=1"
    store(cookies, "http://h.test/a/info", "A=1; Path=/", "B=2", "C=3; Secure; Path=/")
    assert cookies.value("http://h.test/a/x", None) == "B=2; A=1"
    assert cookies.value("http://h.test/", "own=1") == "own=1; A=1"
    assert cookies.value("https://h.test/", None) == "A=1; C=3"
    assert cookies.value("http://other.test/", None) is None
    store(cookies, "http://h.test/a/info", "A=; Path=/; Max-Age=0")
    request = cookies.add("http://h.test/a/x", Request("/", {"Cookie": "own=1"}))
    assert request.headers["Cookie"] == "own=1; B=2"


def test_cookies_are_not_too_many():
    cookies = Cookies()
    store(cookies, "http://h.test/", *(f"c{n}=1" for n in range(50)))
    with pytest.raises(SecurityError, match="more than 50 cookies"):
        store(cookies, "http://h.test/", "one=more")


# ---- options ----


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"transports": ["jsonp-polling"]}, "there is no transport 'jsonp-polling'"),
        ({"transports": ()}, "no transport to try"),
        ({"server": "a/b"}, "server cannot be part of a path"),
        ({"server": ""}, "server cannot be part of a path"),
        ({"sock": object()}, "sock is for one connection"),
        ({"ssl": True}, "ssl argument is incompatible"),
        ({"additional_headers": {"Content-Length": "1"}}, "set by the SockJS client"),
        ({"additional_headers": {"Content-Type": "a/b"}}, "set by the SockJS client"),
        ({"max_size": -1}, "max_size must not be negative"),
        ({"overflow": "forget"}, "overflow must be"),
    ],
)
def test_options_that_make_no_sense(options, text):
    with pytest.raises(ValueError, match=text):
        connect("http://h/echo", **options)


@pytest.mark.parametrize("url", ["ws://h/echo", "echo", "http:///echo", "http://h/#a"])
def test_urls_that_are_none(url: str):
    with pytest.raises(InvalidURI):
        connect(url)
