"""Heads: limits, strictness, and two libraries that must agree (THREATS H-4 to H-8)."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.protocol.handshakes import BROWSER, head, read_request, read_response
from wsfast.exceptions import (
    HandshakeError,
    HeaderLineTooLong,
    HeadTooLong,
    RequestLineTooLong,
    StatusLineTooLong,
    TooManyHeaders,
)
from wsfast.protocol import BodyReader, HeadReader, Limits, heads, parse_request

OFF = Limits(line=None, head=None, headers=None, body=None)


def outcome(octets: bytes, limits: Limits = OFF) -> object:
    """Return what becomes of a request: its parts, or the reason of its refusal."""
    reader = HeadReader(limits)
    try:
        if not reader.feed(octets):
            return "incomplete"
        request = parse_request(reader.head)
    except HandshakeError as error:
        return error.code, error.reason_code
    return request.method, request.path, request.protocol, list(request.headers.items())


# A head in pieces


def test_browser_request(library):
    request = read_request(BROWSER)
    assert (request.method, request.path, request.protocol) == (
        "GET",
        "/chat?x=1",
        "HTTP/1.1",
    )
    assert request.headers["connection"] == "keep-alive, Upgrade"
    assert len(request.headers) == 14


def test_rest_is_what_follows_the_head():
    reader = HeadReader()
    assert reader.feed(BROWSER + b"\x81\x80")
    assert reader.head == BROWSER
    assert reader.rest == b"\x81\x80"


@given(cuts=st.lists(st.integers(0, len(BROWSER) + 5), max_size=8))
@example(cuts=list(range(len(BROWSER) + 5)))
def test_cut_anywhere_gives_the_same_head(cuts):
    octets = BROWSER + b"after"
    reader = HeadReader()
    edges = [0, *sorted(cuts), len(octets)]
    complete = False
    rest = b""
    for start, end in pairwise(edges):
        if complete:
            rest += octets[start:end]
        else:
            complete = reader.feed(octets[start:end])
    assert complete
    assert reader.head == BROWSER
    assert reader.rest + rest == b"after"


# H-4, H-5: limits, at the limit, one beyond, and off


def padded(name: bytes, size: int) -> bytes:
    """Return a header line of so many octets."""
    return name + b": " + b"x" * (size - len(name) - 2)


def feed(octets: bytes, limits: Limits, step: int, kind: str = "request") -> bool:
    reader = HeadReader(limits, kind)
    complete = False
    for start in range(0, len(octets), step or len(octets)):
        complete = reader.feed(octets[start : start + (step or len(octets))])
    return complete


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [("request", RequestLineTooLong, 414), ("response", StatusLineTooLong, 431)],
)
def test_first_line_limit(kind, error, status, step):
    limits = Limits(line=300)
    line = b"GET /" + b"p" * (300 - 14) + b" HTTP/1.1"
    assert len(line) == 300
    assert feed(head(line=line), limits, step, kind)
    longer = head(line=line.replace(b"/p", b"/pp"))
    with pytest.raises(error) as caught:
        feed(longer, limits, step, kind)
    assert caught.value.status == status
    assert feed(longer, Limits(line=None), step, kind)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_header_line_limit(step):
    limits = Limits(line=300)
    assert feed(head({}, padded(b"Cookie", 300)), limits, step)
    longer = head({}, padded(b"Cookie", 301))
    with pytest.raises(HeaderLineTooLong) as caught:
        feed(longer, limits, step)
    assert (caught.value.status, caught.value.reason_code) == (
        431,
        "header_line_too_long",
    )
    assert feed(longer, Limits(line=None), step)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_head_limit(step):
    size = len(head())
    assert feed(head(), Limits(head=size), step)
    with pytest.raises(HeadTooLong) as caught:
        feed(head(), Limits(head=size - 1), step)
    assert caught.value.status == 431
    assert feed(head(), Limits(head=None), step)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_header_count_limit(step):
    extra = [b"X-%d: y" % n for n in range(123)]  # and five of the handshake
    assert feed(head({}, *extra), Limits(), step)
    with pytest.raises(TooManyHeaders) as caught:
        feed(head({}, *extra, b"One: more"), Limits(), step)
    assert caught.value.status == 431
    assert feed(head({}, *extra, b"One: more"), Limits(headers=None), step)


def test_default_limits():
    assert Limits() == Limits(line=8192, head=32768, headers=128, body=1 << 20)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET /" + b"a" * 65536, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * (1 << 20), 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000, 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"a" * 8000 + b"\r\n") * 5, 431),
    ],
    ids=["path", "value", "count", "whole"],
)
@pytest.mark.parametrize("step", [0, 1000])
def test_endless_head_is_cut_at_the_limit(octets, status, step):
    reader = HeadReader()
    fed = 0
    with pytest.raises(HandshakeError) as caught:
        for start in range(0, len(octets), step or len(octets)):
            fed = start + (step or len(octets))
            reader.feed(octets[start:fed])
    assert caught.value.status == status
    if step:
        assert fed <= 32768 + step


def test_octet_by_octet_is_linear():
    octets = b"GET / HTTP/1.1\r\nX: " + b"a" * 8000 + b"\r\nY: " + b"b" * 8000
    reader = HeadReader()
    start = time.process_time()
    for octet in octets:
        assert not reader.feed(bytes((octet,)))
    assert time.process_time() - start < 5


def test_what_is_not_http_is_refused_at_once():
    hello = bytes.fromhex("160301020001")  # the start of a TLS client hello
    with pytest.raises(HandshakeError) as caught:
        HeadReader().feed(hello)
    assert caught.value.reason_code == "malformed_start_line"


def test_bare_line_feed_is_refused_before_the_head_ends():
    with pytest.raises(HandshakeError) as caught:
        HeadReader().feed(b"GET / HTTP/1.1\nHost: x\n\n")
    assert caught.value.reason_code == "bare_lf"


# H-7, H-8, H-10: what breaks RFC 9112, by each library alike

MALFORMED = [
    (head({}, b" folded"), "obs_fold"),
    (head({}, b"\tfolded"), "obs_fold"),
    (b"GET / HTTP/1.1\r\n first: folded\r\n\r\n", "obs_fold"),
    (head({}, b"Name : value"), "invalid_header_name"),
    (head({}, b"Na me: value"), "invalid_header_name"),
    (head({}, b"N\xe4me: value"), "invalid_header_name"),
    (head({}, b"(name): value"), "invalid_header_name"),
    (head({}, b": value"), "invalid_header_name"),
    (head({}, b"no colon"), "no_colon"),
    (head({}, b"A: b\rc"), "bare_cr_or_lf"),
    (head({}, b"A: b\r"), "bare_cr_or_lf"),
    (head({}, b"A: b\nC: d"), "bare_cr_or_lf"),
    (head({}, b"A: b\r\rC: d\n"), "bare_cr_or_lf"),
    (head({}, b"A: b\x00c"), "control_character"),
    (head({}, b"A: b\x7fc"), "control_character"),
    (head({}, b"A: \x0b"), "control_character"),
    (head({}, b"A\x00: b"), "control_character"),
    (head(line=b"GET /\x00 HTTP/1.1"), "malformed_target"),
    (head(line=b"GET /\xc3\xa4 HTTP/1.1"), "malformed_target"),
    (head(line=b"GET  HTTP/1.1"), "malformed_target"),
    (head(line=b"GET /a b HTTP/1.1"), "malformed_start_line"),
    (head(line=b"GET /"), "malformed_start_line"),
    (head(line=b"GET /\tHTTP/1.1"), "malformed_start_line"),
    (head(line=b"G(T / HTTP/1.1"), "malformed_start_line"),
    (head(line=b"GET / HTTP/1.1 "), "malformed_start_line"),
    (head(line=b"GET / http/1.1"), "malformed_start_line"),
    (head(line=b"GET / HTTP/1"), "malformed_start_line"),
    (head(line=b"GET / HTTP/1.10"), "malformed_start_line"),
    (head(line=b"GET / HTTP/\xb9.1"), "malformed_start_line"),
    (head({}, b"Content-Length: 5"), "request_with_body"),
    (head({}, b"Content-Length: +0"), "request_with_body"),
    (head({}, b"Content-Length: 00"), "request_with_body"),
    (head({}, b"Content-Length:"), "request_with_body"),
    (head({}, b"Content-Length: 0, 0"), "request_with_body"),
    (head({}, b"Content-Length: 0", b"Content-Length: 0"), "request_with_body"),
    (head({}, b"Content-Length: 0", b"content-length: 9"), "request_with_body"),
    (head({}, b"Transfer-Encoding: chunked"), "request_with_body"),
    (head({}, b"Transfer-Encoding: gzip"), "request_with_body"),
    (head({}, b"Transfer-Encoding: identity"), "request_with_body"),
    (
        head({}, b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        "request_with_body",
    ),
]


@pytest.mark.parametrize(("octets", "reason"), MALFORMED)
def test_malformed_head(library, octets, reason):
    reader = HeadReader()
    with pytest.raises(HandshakeError) as caught:
        reader.feed(octets)
        parse_request(reader.head)
    assert caught.value.status == 400
    # The reader itself sees a bare line feed when it looks at a head line by line.
    assert caught.value.reason_code == reason


def test_other_http_version(library):
    with pytest.raises(HandshakeError) as caught:
        read_request(head(line=b"GET / HTTP/2.0"))
    assert (caught.value.status, caught.value.reason_code) == (
        505,
        "invalid_http_version",
    )


def test_what_is_unusual_but_right(library):
    octets = head(
        {}, b"A:\t b \t", b"B:", b"C: \xff\x80", b"Content-Length: 0", b"a: 2"
    )
    headers = read_request(octets).headers
    assert headers.get_all("a") == ["b", "2"]
    assert headers["B"] == ""
    assert headers["C"] == "\xff\x80"


def test_request_with_a_body(library):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nA: b\r\n\r\n"
    for length in (b"0", b"17", b"1, 1", b"", b"+1"):
        request = parse_request(head % length, body=True)
        assert request._fields[b"content-length"] == length  # for the caller to judge
        assert request._fields[b"a"] == b"b"
    request = parse_request(head.replace(b"Content-Length: %b", b"x: y"), body=True)
    assert b"content-length" not in request._fields
    chunked = head.replace(b"Content-Length: %b", b"Transfer-Encoding: chunked")
    assert parse_request(chunked, body=True)._fields[b"transfer-encoding"] == b"chunked"
    for broken in (
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Content-Length: 1\r\n 2",
        b"Content-Length : 1",
        b" Content-Length: 1",
    ):
        with pytest.raises(HandshakeError):
            parse_request(head.replace(b"Content-Length: %b", broken), body=True)


def test_request_without_headers(library):
    request = read_request(b"OPTIONS * HTTP/1.0\r\n\r\n")
    assert (request.method, request.path, request.protocol) == (
        "OPTIONS",
        "*",
        "HTTP/1.0",
    )
    assert len(request.headers) == 0


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Host: a",
                b"host: b",
                b"Content-Length: 0",
                b"Content-Length: 1",
                b"Transfer-Encoding: chunked",
                b"Connection: close, Upgrade",
                b"Upgrade: websocket",
                b"Expect: 100-continue",
                b" folded",
                b"A : b",
                b": c",
                b"",
            ]
        ),
        st.binary(max_size=12),
        st.tuples(
            st.text("aB-_~0 (\t", min_size=1, max_size=4).map(str.encode),
            st.binary(max_size=6),
        ).map(b": ".join),
    ),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    lines=LINES,
    method=st.sampled_from([b"GET", b"POST", b"PRI", b"CONNECT", b"M-SEARCH", b"x"]),
    target=st.sampled_from([b"/", b"*", b"http://a/b", b"a:1", b"", b"/\xff", b"//"]),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b""]),
    end=st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
def test_libraries_agree(lines, method, target, version, end):
    octets = b" ".join((method, target, version)) + b"\r\n" + b"\r\n".join(lines) + end
    octets += b"\r\n\r\n"
    found = {}
    split = heads._split
    try:
        for name, function in heads.LIBRARIES.items():
            heads._split = function
            found[name] = outcome(octets)
    finally:
        heads._split = split
    assert len(heads.LIBRARIES) == 2
    assert found["httptools"] == found["h11"]


@given(octets=st.binary(max_size=60))
def test_any_octets_give_a_request_or_a_handshake_error(octets):
    outcome(octets)
    outcome(b"GET / HTTP/1.1\r\n" + octets + b"\r\n\r\n")


# Responses


def test_response(library):
    response = read_response(
        b"HTTP/1.1 404 Not F\xf6und\r\nContent-Length: 3\r\nA: b\r\n\r\nabc"
    )
    assert (response.status_code, response.reason_phrase) == (404, "Not F\xf6und")
    assert list(response.headers.items()) == [("Content-Length", "3"), ("A", "b")]


def test_response_without_phrase_or_headers(library):
    assert read_response(b"HTTP/1.1 101\r\n\r\n").status_code == 101
    assert read_response(b"HTTP/1.0 200 \r\n\r\n").protocol == "HTTP/1.0"


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 600 x\r\n\r\n",
        b"HTTP/1.1 +10 x\r\n\r\n",
        b"HTTP/1.1 20 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/1.1  200 x\r\n\r\n",
        b"HTTP/1.1 200 x\x00\r\n\r\n",
        b"HTTP/1.1 200 x\r\nA\r\n\r\n",
        b"HTTP/1.1 200 x\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 x\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: \x01\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
    ],
)
def test_malformed_response(library, octets):
    with pytest.raises(HandshakeError) as caught:
        read_response(octets)
    assert caught.value.status == 400


# K-4: the body of a refusal

REFUSAL = b"HTTP/1.1 403 Forbidden\r\n"


def body(octets: bytes, limits: Limits = OFF, step: int = 0) -> tuple[bytes, bool]:
    end = octets.index(b"\r\n\r\n") + 4
    reader = BodyReader(octets[:end], limits)
    rest = octets[end:]
    for start in range(0, len(rest), step or max(len(rest), 1)):
        reader.feed(rest[start : start + (step or len(rest))])
    return bytes(reader.body), reader.complete


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize(
    ("octets", "expected", "complete"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello", True),
        (b"Content-Length: 5\r\n\r\nhel", b"hel", False),
        (b"Content-Length: 0\r\n\r\n", b"", True),
        (b"\r\nhello", b"hello", False),
        (
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            b"hello",
            True,
        ),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nx\r\n", b"hel", True),
    ],
)
def test_body(library, octets, expected, complete, step):
    assert body(REFUSAL + octets, step=step) == (expected, complete)


def test_body_is_whole_where_http_says_so(library):
    chunked = REFUSAL + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
    for first, rest, whole in [
        (REFUSAL + b"Content-Length: 5\r\n\r\n", b"hello", True),
        (REFUSAL + b"\r\n", b"hello", False),
        (chunked, b"0\r\n\r\n", True),
        (chunked, b"x\r\n", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    ]:
        reader = BodyReader(first)
        reader.feed(rest)
        assert reader.whole is whole


def test_body_ends_with_the_connection(library):
    reader = BodyReader(REFUSAL + b"\r\n")
    assert not reader.feed(b"")
    assert not reader.feed(b"hello")
    assert not reader.feed(b"")
    assert reader.body == b"hello"


@pytest.mark.parametrize("step", [0, 7])
def test_body_limit(library, step):
    limits = Limits(body=100)
    head = REFUSAL + b"Content-Length: %d\r\n\r\n"
    assert body(head % 100 + b"x" * 100, limits, step) == (b"x" * 100, True)
    assert body(head % 101 + b"x" * 101, limits, step) == (b"x" * 100, True)
    assert body(head % 101 + b"x" * 101, OFF, step) == (b"x" * 101, True)


def test_no_body_where_there_cannot_be_one(library):
    assert body(b"HTTP/1.1 204 No Content\r\n\r\n") == (b"", True)
