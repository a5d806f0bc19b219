"""URIs and redirects (RFC 6455 §3, THREATS K-5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.exceptions import InvalidStatus, InvalidURI, SecurityError
from wsfast.protocol import Headers, Response, WebSocketURI, parse_uri
from wsfast.protocol.uri import redirect_target, same_origin, without_credentials


@pytest.mark.parametrize(
    ("uri", "expected", "resource"),
    [
        ("ws://localhost/", (False, "localhost", 80, "/", ""), "/"),
        ("wss://localhost", (True, "localhost", 443, "", ""), "/"),
        ("ws://H/a?b", (False, "h", 80, "/a", "b"), "/a?b"),
        ("ws://h?b", (False, "h", 80, "", "b"), "/?b"),
        ("WS://h:8080/a", (False, "h", 8080, "/a", ""), "/a"),
        ("http://h/a", (False, "h", 80, "/a", ""), "/a"),
        ("https://h/a", (True, "h", 443, "/a", ""), "/a"),
        ("ws://[::1]:81/", (False, "::1", 81, "/", ""), "/"),
        ("ws://u:p@h", (False, "h", 80, "", "", "u", "p"), "/"),
        ("ws://%C3%A9:%40%3A@h", (False, "h", 80, "", "", "\xe9", "@:"), "/"),
        (
            "ws://\xe4/\xf6?\xfc=1&%20",
            (False, "xn--4ca", 80, "/%C3%B6", "%C3%BC=1&%20"),
            None,
        ),
        ("ws://h/a%2Fb;c=d", (False, "h", 80, "/a%2Fb;c=d", ""), "/a%2Fb;c=d"),
    ],
)
def test_uri(uri, expected, resource):
    parsed = parse_uri(uri)
    assert parsed == WebSocketURI(*expected)
    if resource is not None:
        assert parsed.resource_name == resource
    assert parsed.user_info == (expected[5:] or None)
    assert parsed.resource_name.isascii()


def test_unix_uri():
    parsed = parse_uri("ws+unix:/run/a b.sock:/chat?x")
    assert parsed.unix_path == "/run/a b.sock"
    assert parsed.resource_name == "/chat?x"
    assert parsed.host == "localhost"
    assert parse_uri("ws+unix:rel.sock").resource_name == "/"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("localhost", "scheme isn't ws or wss"),
        ("ftp://h", "scheme isn't ws or wss"),
        ("ws:h", "hostname isn't provided"),
        ("ws://", "hostname isn't provided"),
        ("ws://:80/", "hostname isn't provided"),
        ("ws://h/#a", "fragment identifier is meaningless"),
        ("ws://h/#", "fragment identifier is meaningless"),
        ("ws://u@h", "username provided without password"),
        ("ws://a%3Ab:c@h", "username contains a colon"),
        ("ws://%ff:c@h", "isn't valid UTF-8"),
        ("ws://h:0", "port is 0"),
        ("ws://h:65536", "Port out of range"),
        ("ws://h:-1", ""),
        ("ws://h:x", ""),
        ("ws://[::1", ""),
        ("ws://h/a b", "white space or control characters"),
        ("ws://h/a\r\nHost: x", "white space or control characters"),
        ("ws://h\t/", "white space or control characters"),
        ("ws://" + "\xe4" * 70, "hostname isn't valid"),
        ("ws+unix:", "path of the socket isn't provided"),
        ("ws+unix::/a", "path of the socket isn't provided"),
        ("ws+unix:/a:b", "path doesn't start with a slash"),
        ("ws+unix:/a:/b c", "white space"),
    ],
)
def test_what_is_not_one(uri, text):
    with pytest.raises(InvalidURI) as caught:
        parse_uri(uri)
    assert text in caught.value.msg
    assert str(caught.value).endswith(f"isn't a valid URI: {caught.value.msg}")


@given(st.text(max_size=30))
def test_any_text_is_a_uri_or_refused(text):
    for uri in (text, f"ws://{text}", f"ws://h/{text}", f"ws+unix:{text}"):
        try:
            parsed = parse_uri(uri)
        except InvalidURI:
            continue
        target = parsed.resource_name
        assert target.isascii()
        assert not set(target) & set(" \r\n\t#")
        assert 0 < parsed.port < 65536


# Redirects


def redirect(location: str, status: int = 302) -> Response:
    return Response(status, "Moved", Headers({"Location": location}))


@pytest.mark.parametrize(
    ("uri", "location", "target"),
    [
        ("ws://a/x/y", "/z", "ws://a/z"),
        ("ws://a/x/y", "z?q", "ws://a/x/z?q"),
        ("ws://a/x", "//b/z", "ws://b/z"),
        ("ws://a/x", "wss://b/z", "wss://b/z"),
        ("ws://a/x", "https://a/z", "https://a/z"),
        ("wss://a/x", "/z", "wss://a/z"),
        ("wss://a/x", "https://b/", "https://b/"),
        ("ws+unix:/s:/x", "/z", "ws+unix:/s:/z"),
    ],
)
def test_redirect(uri, location, target):
    for status in (300, 301, 302, 303, 307, 308):
        assert redirect_target(uri, redirect(location, status)) == target


@pytest.mark.parametrize(
    ("uri", "location", "error"),
    [
        ("wss://a/", "ws://a/", SecurityError),
        ("wss://a/", "http://a/", SecurityError),
        ("ws://a/", "ws+unix:/run/x:/", SecurityError),
        ("ws+unix:/s:/", "ws://a/", SecurityError),
        ("ws+unix:/s:/", "//a/", SecurityError),
        ("ws://a/", "ftp://a/", InvalidURI),
        ("ws://a/", "javascript:x", InvalidURI),
        ("ws://a/", "/a b", InvalidURI),
        ("ws://a/", "/#a", InvalidURI),
    ],
)
def test_redirect_that_is_not_followed(uri, location, error):
    with pytest.raises(error):
        redirect_target(uri, redirect(location))


def test_what_is_not_a_redirect():
    assert redirect_target("ws://a", redirect("/z", 200)) is None
    assert redirect_target("ws://a", redirect("/z", 304)) is None
    assert redirect_target("ws://a", Response(302, "Found", Headers())) is None
    two = Response(302, "Found", Headers([("Location", "/a"), ("Location", "/b")]))
    with pytest.raises(InvalidStatus):
        redirect_target("ws://a", two)


def test_same_origin():
    def same(one: str, other: str) -> bool:
        return same_origin(parse_uri(one), parse_uri(other))

    assert same("ws://a/x", "ws://A:80/y?z")
    assert same("wss://a", "https://a:443")
    assert not same("ws://a", "wss://a")
    assert not same("ws://a", "ws://a:81")
    assert not same("ws://a", "ws://b")
    assert not same("ws+unix:/a", "ws+unix:/b")
    assert not same("ws+unix:/a", "ws://localhost")


def test_without_credentials():
    headers = {
        "authorization": "a",
        "Cookie": "b",
        "PROXY-Authorization": "c",
        "X": "d",
    }
    assert list(without_credentials(headers).items()) == [("X", "d")]
