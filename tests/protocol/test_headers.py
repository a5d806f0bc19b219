"""Header fields and their grammar (RFC 9110 §5, RFC 6455 §9.1)."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.exceptions import InvalidHeaderFormat, InvalidHeaderValue
from wsfast.protocol import Headers, MultipleValuesError
from wsfast.protocol.headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
    split_elements,
)

# Headers


def test_headers_ignore_case_and_keep_order():
    headers = Headers([("Host", "a"), ("X-Name", "1")], other="2")
    assert headers["HOST"] == headers["host"] == "a"
    assert "x-name" in headers
    assert list(headers.raw_items()) == [("Host", "a"), ("X-Name", "1"), ("other", "2")]
    assert str(headers) == "Host: a\r\nX-Name: 1\r\nother: 2\r\n\r\n"
    assert headers.serialize() == str(headers).encode()
    assert repr(headers) == "Headers([('Host', 'a'), ('X-Name', '1'), ('other', '2')])"


def test_setting_adds():
    headers = Headers()
    headers["A"] = "1"
    headers["a"] = "2"
    headers.update({"B": "3"}, a="4")
    assert headers.get_all("A") == ["1", "2", "4"]
    assert headers.get_all("missing") == []
    assert headers.setdefault("B", "x") == "3"
    assert headers.setdefault("C", "5") == headers["C"] == "5"
    headers.replace("A", "6")
    assert headers.get_all("a") == ["6"]
    del headers["a"]
    assert headers.get("a") is None
    assert headers.get("a", "7") == "7"


def test_one_value_of_several():
    headers = Headers([("A", "1"), ("a", "2")])
    for read in (headers.__getitem__, headers.get):
        with pytest.raises(MultipleValuesError) as caught:
            read("A")
        assert str(caught.value) == "'A'"
    with pytest.raises(KeyError):
        headers["missing"]


def test_copies():
    headers = Headers([("A", "1"), ("a", "2")])
    for other in (
        headers.copy(),
        copy.copy(headers),
        copy.deepcopy(headers),
        pickle.loads(pickle.dumps(headers)),
        Headers(headers),
    ):
        assert type(other) is Headers
        assert other == headers
        other["B"] = "3"
        assert other != headers


def test_made_of_what_has_keys():
    class Mapping:
        def keys(self):
            return ["A"]

        def __getitem__(self, key):
            return key * 2

    assert list(Headers(Mapping()).items()) == [("A", "AA")]


@pytest.mark.parametrize("value", ["a\r\nB: c", "\n", "\r", "\x00", "\x7f", "\u0100"])
def test_value_that_cannot_be_sent(value):  # H-16
    headers = Headers()
    for change in (
        headers.add,
        headers.setdefault,
        headers.replace,
        headers.__setitem__,
    ):
        with pytest.raises(InvalidHeaderValue):
            change("A", value)
    for made in ({"A": value}, [("A", value)]):
        with pytest.raises(ValueError, match="A"):
            Headers(made)
        with pytest.raises(ValueError, match="A"):
            headers.update(made)
    assert len(headers) == 0


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\n", "\xe4"])
def test_name_that_cannot_be_sent(name):
    with pytest.raises(ValueError, match="header"):
        Headers()[name] = "x"


def test_latin_1_goes_there_and_back():
    headers = Headers({"A": "\xe4\x80\xff\t!"})
    assert headers.serialize() == b"A: \xe4\x80\xff\t!\r\n\r\n"


# Lists


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" ,, a\t, ,b ,", ["a", "b"]),
        ("keep-alive, Upgrade", ["keep-alive", "Upgrade"]),
    ],
)
def test_lists_of_tokens(value, expected):
    assert parse_connection(value) == expected
    assert parse_subprotocol(value) == expected
    assert parse_upgrade(value) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "expected token at 0 in "),
        (" ,\t,", "expected token at 4 in  ,\t,"),
        ("a b", "expected comma at 2 in a b"),
        ("a, (b)", "expected token at 3 in a, (b)"),
        ("\xe4", "expected token at 0 in \xe4"),
        ('"a"', 'expected token at 0 in "a"'),
    ],
)
def test_what_is_not_a_list_of_tokens(value, text):
    with pytest.raises(InvalidHeaderFormat) as caught:
        parse_subprotocol(value)
    assert str(caught.value) == f"invalid Sec-WebSocket-Protocol header: {text}"


def test_upgrade():
    assert parse_upgrade("h2c/2.0 ,websocket") == ["h2c/2.0", "websocket"]
    for wrong in ("a/", "/a", "a/b/c", "a/ b"):
        with pytest.raises(InvalidHeaderFormat):
            parse_upgrade(wrong)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("foo", [("foo", [])]),
        ("foo; bar", [("foo", [("bar", None)])]),
        ("foo ;bar =1;\tbaz", [("foo", [("bar", "1"), ("baz", None)])]),
        ('foo; bar="1"', [("foo", [("bar", "1")])]),
        ('foo; bar="a\\b"', [("foo", [("bar", "ab")])]),
        (",foo,, bar; a=b,", [("foo", []), ("bar", [("a", "b")])]),
    ],
)
def test_extensions(value, expected):
    assert parse_extension(value) == expected
    assert parse_extension(build_extension(expected)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        ";",
        "foo;",
        "foo; ;",
        "foo; =",
        "foo; bar=",
        'foo; bar=""',
        'foo; bar="a b"',
        'foo; bar="a',
        'foo; bar="a\\',
        'foo; bar="a"b',
        "foo bar",
        "foo; bar baz",
        "foo, (",
        "\x80",
    ],
)
def test_what_are_not_extensions(value):
    with pytest.raises(InvalidHeaderFormat):
        parse_extension(value)


tokens = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=5)


@given(
    st.lists(
        st.tuples(tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=3)),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_built_is_parsed(extensions):
    assert parse_extension(build_extension(extensions)) == extensions
    names = [name for name, _ in extensions]
    assert parse_subprotocol(build_subprotocol(names)) == names


@given(st.text('ab",;\\= ', max_size=30))
def test_elements_are_those_of_the_whole(value):
    elements = split_elements(value)
    assert ",".join(elements) == value
    try:
        whole = parse_extension(value)
    except InvalidHeaderFormat:
        return
    assert whole == [
        found for e in elements if e.strip() for found in parse_extension(e)
    ]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("h", 80, False), "h"),
        (("h", 443, True), "h"),
        (("h", 443, False), "h:443"),
        (("h", 80, True), "h:80"),
        (("::1", 80, False), "[::1]"),
        (("::1", 8080, False), "[::1]:8080"),
        (("127.0.0.1", 8080, False), "127.0.0.1:8080"),
    ],
)
def test_host(args, expected):
    assert build_host(*args) == expected


def test_host_with_port():
    assert build_host("h", 80, False, always_include_port=True) == "h:80"


# Basic authentication


@given(st.text().filter(lambda text: ":" not in text), st.text())
def test_credentials_go_there_and_back(username, password):
    value = build_authorization_basic(username, password)
    assert parse_authorization_basic(value) == (username, password)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", InvalidHeaderFormat),
        ("Basic", InvalidHeaderFormat),
        ("Basic ", InvalidHeaderFormat),
        ("Basic ====", InvalidHeaderFormat),
        ("Basic a b", InvalidHeaderFormat),
        ("Basic \xff", InvalidHeaderFormat),
        ("Basic\tYTpi", InvalidHeaderFormat),
        ("Digest YTpi", InvalidHeaderValue),
        ("Basic YTp", InvalidHeaderValue),
        ("Basic YWI=", InvalidHeaderValue),
    ],
)
def test_wrong_credentials(value, error):
    with pytest.raises(error):
        parse_authorization_basic(value)


def test_scheme_ignores_case_and_octets_are_kept():
    assert parse_authorization_basic("bASIC YTpi") == ("a", "b")
    assert parse_authorization_basic("Basic /zr+") == ("\udcff", "\udcfe")
    with pytest.raises(ValueError, match="must not contain"):
        build_authorization_basic("a:b", "c")


def test_challenge():
    assert build_www_authenticate_basic("here") == 'Basic realm="here", charset="UTF-8"'
    assert build_www_authenticate_basic('a"\\') == (
        'Basic realm="a\\"\\\\", charset="UTF-8"'
    )
    with pytest.raises(ValueError, match="WWW-Authenticate"):
        build_www_authenticate_basic("a\r\nb")
