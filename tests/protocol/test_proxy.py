"""Addresses of proxies, what the environment says, and CONNECT (THREATS K-9)."""

from __future__ import annotations

import pytest

from wsfast.exceptions import InvalidProxy, InvalidProxyStatus
from wsfast.protocol import Response, parse_uri
from wsfast.protocol.proxy import (
    Proxy,
    check_connect_response,
    connect_request,
    environment_proxy,
    parse_proxy,
)

VARIABLES = [
    f"{scheme}_proxy"
    for scheme in ("http", "https", "ws", "wss", "socks", "all", "no", "ftp")
]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://p", ("http", "p", 80)),
        ("HTTP://P:8080/", ("http", "p", 8080)),
        ("https://p", ("https", "p", 443)),
        ("https://u:%40%3A@p", ("https", "p", 443, "u", "@:")),
        ("socks4://me@p", ("socks4", "p", 1080, "me", "")),
        ("socks4a://p:1", ("socks4a", "p", 1)),
        ("socks5://[::1]:9050", ("socks5", "::1", 9050)),
        ("socks5h://u:p@h", ("socks5h", "h", 1080, "u", "p")),
        ("http://\xe4:1", ("http", "xn--4ca", 1)),
    ],
)
def test_addresses(address, expected):
    assert parse_proxy(address) == Proxy(*expected)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ftp://p", "scheme"),
        ("p:8080", "scheme"),
        ("", "scheme"),
        ("http://", "hostname"),
        ("http://:8080", "hostname"),
        ("http://p:0", "port"),
        ("http://p:99999", "malformed"),
        ("http://p:x", "malformed"),
        ("http://[::1", "malformed"),
        ("http://p/path", "path"),
        ("http://p?q", "query"),
        ("http://p#f", "fragment"),
        ("http://u@p", "without password"),
        ("socks5://u@p", "without password"),
        ("http://a%3Ab:c@p", "colon"),
        ("http://%FF:c@p", "UTF-8"),
        ("http://p\r\nX: y", "white space"),
        ("http://" + "\xe4" * 70, "hostname"),
    ],
)
def test_what_is_no_address(address, why):
    with pytest.raises(InvalidProxy, match=why):
        parse_proxy(address)


@pytest.mark.parametrize(
    "address", ["http://u:secret@p/path", "http://u:secret@p:x", "x://u:sec@ret@p"]
)
def test_errors_show_no_password(address):
    with pytest.raises(InvalidProxy) as caught:
        parse_proxy(address)
    assert "sec" not in str(caught.value) + repr(caught.value)


def test_text_shows_no_password():
    proxy = parse_proxy("http://u:secret@[::1]:3128")
    assert str(proxy) == "http://[::1]:3128"
    assert "secret" not in repr(proxy)


@pytest.fixture
def variables(monkeypatch):
    """Return a setter of an environment that has no other proxies."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def set_all(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("values", "ws", "wss"),
    [
        ({}, None, None),
        ({"http_proxy": "http://a"}, "http://a", None),
        ({"https_proxy": "http://a"}, "http://a", "http://a"),
        ({"https_proxy": "http://a", "http_proxy": "http://b"}, "http://a", "http://a"),
        ({"ws_proxy": "http://a", "https_proxy": "http://b"}, "http://a", "http://b"),
        ({"wss_proxy": "http://a", "https_proxy": "http://b"}, "http://b", "http://a"),
        ({"socks_proxy": "http://a:1"}, "socks5h://a:1", "socks5h://a:1"),
        ({"socks_proxy": "a:1"}, "socks5h://a:1", "socks5h://a:1"),
        ({"socks_proxy": "socks4://a"}, "socks4://a", "socks4://a"),
        ({"socks_proxy": "socks5://a", "https_proxy": "http://b"},)
        + ("socks5://a",) * 2,
        ({"HTTPS_PROXY": "http://a"}, "http://a", "http://a"),
        ({"all_proxy": "socks5h://a"}, "socks5h://a", "socks5h://a"),
        ({"all_proxy": "http://a", "https_proxy": "http://b"},) + ("http://b",) * 2,
        ({"https_proxy": "a:3128"}, "http://a:3128", "http://a:3128"),
        ({"https_proxy": ""}, None, None),
        ({"ftp_proxy": "http://a"}, None, None),
    ],
)
def test_environment(variables, values, ws, wss):
    variables(**values)
    assert environment_proxy(parse_uri("ws://h.example/")) == ws
    assert environment_proxy(parse_uri("wss://h.example/")) == wss


@pytest.mark.parametrize(
    ("no_proxy", "uri", "direct"),
    [
        ("h.example", "ws://h.example/", True),
        ("example", "ws://h.example/", True),
        (".example", "ws://h.example/", True),
        ("h.example:81", "ws://h.example:81/", True),
        ("h.example:81", "ws://h.example/", False),
        ("g.example", "ws://h.example/", False),
        ("g.example, h.example", "ws://h.example/", True),
        ("192.0.2.1", "ws://192.0.2.1/", True),
        ("*", "ws://h.example/", True),
    ],
)
def test_no_proxy(variables, no_proxy, uri, direct):
    variables(https_proxy="http://a", no_proxy=no_proxy)
    assert (environment_proxy(parse_uri(uri)) is None) == direct


def test_no_proxy_leads_to_a_unix_socket(variables):
    variables(https_proxy="http://a")
    assert environment_proxy(parse_uri("ws+unix:/x:/")) is None


def test_request():
    proxy = parse_proxy("http://me:secret@p")
    octets = connect_request(proxy, "::1", 80, user_agent_header="me/1")
    assert octets == (
        b"CONNECT [::1]:80 HTTP/1.1\r\n"
        b"Host: [::1]:80\r\n"
        b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"
        b"User-Agent: me/1\r\n\r\n"
    )


def test_request_with_headers():
    proxy = parse_proxy("http://me:secret@p")
    octets = connect_request(
        proxy,
        "h",
        443,
        user_agent_header=None,
        additional_headers={"proxy-authorization": "Bearer x", "X-A": "b"},
    )
    assert octets.lower() == (
        b"connect h:443 http/1.1\r\nhost: h:443\r\n"
        b"proxy-authorization: bearer x\r\nx-a: b\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("h\r\nX: y", {}),
        ("h h", {}),
        ("h", {"X": "a\r\nY: b"}),
        ("h", {"Host": "other"}),
        ("h", {"Content-Length": "5"}),
    ],
)
def test_request_that_cannot_be(host, headers):
    with pytest.raises(ValueError):
        connect_request(Proxy("http", "p", 80), host, 1, additional_headers=headers)


@pytest.mark.parametrize("status", [200, 204, 299])
def test_tunnel(status):
    check_connect_response(Response(status, "OK", {}))


@pytest.mark.parametrize("status", [101, 199, 300, 302, 407, 502])
def test_no_tunnel(status):
    with pytest.raises(InvalidProxyStatus, match=str(status)):
        check_connect_response(Response(status, "No", {}))
