"""The server's side of the opening handshake (RFC 6455 §4.2, THREATS 2.1)."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.handshakes import (
    ACCEPT,
    BROWSER,
    KEY,
    head,
    read_request,
    read_response,
    request,
)
from wsfast.exceptions import InvalidHeader, InvalidOrigin, NegotiationError
from wsfast.protocol import (
    DeflateOptions,
    Headers,
    Request,
    Response,
    ServerHandshake,
    ServerPerMessageDeflateFactory,
)
from wsfast.protocol.server import accept_key


def answer(changes=None, *extra, line=b"GET /chat HTTP/1.1", **options) -> Response:
    return ServerHandshake(**options).accept(request(changes, *extra, line=line))


def test_rfc6455_1_3_accept_key():
    assert accept_key(KEY) == ACCEPT


def test_good_request_is_accepted(library):
    handshake = ServerHandshake()
    response = handshake.accept(request())
    assert response.serialize().startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert handshake.exception is None
    assert handshake.subprotocol is None
    assert handshake.extensions == []
    again = read_response(response.serialize())
    assert again.status_code == 101
    assert again.headers["Upgrade"] == "websocket"
    assert again.headers["Connection"] == "Upgrade"
    assert again.headers["Sec-WebSocket-Accept"] == ACCEPT.decode()
    assert "Sec-WebSocket-Extensions" not in again.headers
    assert "Sec-WebSocket-Protocol" not in again.headers


def test_browser_is_accepted(library):
    handshake = ServerHandshake(deflate=DeflateOptions())
    assert handshake.accept(read_request(BROWSER)).status_code == 101
    assert handshake.origin == "http://localhost:8000"
    assert handshake.deflate is not None


def test_a_request_made_by_hand_is_read_as_on_the_wire():
    made = Request("/", Headers(list(request().headers.items())))
    assert ServerHandshake().accept(made).status_code == 101
    made.headers["Host"] = "again"
    assert ServerHandshake().accept(made).status_code == 400


def test_a_request_can_be_accepted_twice():
    one = request()
    assert ServerHandshake().accept(one).status_code == 101
    assert ServerHandshake().accept(one).status_code == 101


# H-1, H-2, H-3

REFUSED = [
    ({b"Host": None}, 400, "missing Host header"),
    ({b"Sec-WebSocket-Key": None}, 400, "missing Sec-WebSocket-Key header"),
    ({b"Sec-WebSocket-Key": b""}, 400, "empty Sec-WebSocket-Key header"),
    ({b"Sec-WebSocket-Key": KEY[:-1]}, 400, "invalid Sec-WebSocket-Key header"),
    ({b"Sec-WebSocket-Key": b"A" * 24}, 400, "invalid Sec-WebSocket-Key header"),
    ({b"Sec-WebSocket-Key": b"A" * 20 + b"=="}, 400, "invalid Sec-WebSocket-Key"),
    ({b"Sec-WebSocket-Key": b"*" * 22 + b"=="}, 400, "invalid Sec-WebSocket-Key"),
    ({b"Sec-WebSocket-Key": b"\xff" * 22 + b"=="}, 400, "invalid Sec-WebSocket-Key"),
    ({b"Sec-WebSocket-Version": None}, 400, "missing Sec-WebSocket-Version header"),
    ({b"Sec-WebSocket-Version": b"8"}, 426, "invalid Sec-WebSocket-Version header: 8"),
    ({b"Sec-WebSocket-Version": b"013"}, 426, "invalid Sec-WebSocket-Version"),
    ({b"Sec-WebSocket-Version": b"13, 8"}, 426, "invalid Sec-WebSocket-Version"),
    ({b"Upgrade": None}, 426, "missing Upgrade header"),
    ({b"Upgrade": b""}, 426, "empty Upgrade header"),
    ({b"Upgrade": b"h2c"}, 426, "invalid Upgrade header: h2c"),
    ({b"Upgrade": b"websocket/13"}, 426, "invalid Upgrade header"),
    ({b"Upgrade": b"websockets"}, 426, "invalid Upgrade header"),
    ({b"Upgrade": b"\xff\xfe"}, 426, "invalid Upgrade header"),
    ({b"Connection": None}, 426, "missing Connection header"),
    ({b"Connection": b"keep-alive"}, 426, "invalid Connection header: keep-alive"),
    ({b"Connection": b"notupgrade"}, 426, "invalid Connection header"),
    ({b"Connection": b"upgrade upgrade"}, 426, "invalid Connection header"),
    ({b"Connection": b"Upgrade; x"}, 426, "invalid Connection header"),
]


@pytest.mark.parametrize(("changes", "status", "text"), REFUSED)
def test_wrong_header_is_refused(changes, status, text):
    handshake = ServerHandshake()
    response = handshake.accept(request(changes))
    assert response.status_code == status
    assert text in response.body.decode()
    assert isinstance(handshake.exception, InvalidHeader)
    assert handshake.exception.status == status
    assert "close" in response.headers["Connection"]
    assert int(response.headers["Content-Length"]) == len(response.body)
    if status == 426:  # RFC 6455 §4.4, RFC 9110 §15.5.22
        assert response.headers["Sec-WebSocket-Version"] == "13"
        assert response.headers["Upgrade"] == "websocket"
        assert "Upgrade" in response.headers["Connection"]


@pytest.mark.parametrize(
    "extra",
    [
        b"Sec-WebSocket-Key: " + KEY,
        b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"Sec-WebSocket-Version: 13",
    ],
)
def test_repeated_header_is_refused(extra):
    handshake = ServerHandshake()
    assert handshake.accept(request({}, extra)).status_code == 400
    assert "multiple values" in str(handshake.exception)


@pytest.mark.parametrize(
    "changes",
    [
        {b"Upgrade": b"WebSocket"},
        {b"Upgrade": b"h2c, WEBSOCKET"},
        {b"Upgrade": b"h2c/1, ,websocket,"},
        {b"Connection": b"upgrade"},
        {b"Connection": b"keep-alive, Upgrade"},
        {b"Connection": b"keep-alive,UPGRADE"},
        {b"Connection": b", ,Upgrade\t,"},
    ],
)
def test_lists_and_case_are_read(changes):
    assert answer(changes).status_code == 101


def test_lists_may_be_spread_over_several_headers():
    assert answer({b"Connection": b"close"}, b"Connection: upgrade").status_code == 101
    assert answer({b"Upgrade": b"h2c"}, b"upgrade: websocket").status_code == 101


@pytest.mark.parametrize("method", [b"POST", b"HEAD", b"OPTIONS", b"get", b"CONNECT"])
def test_other_method(library, method):
    response = answer(line=method + b" / HTTP/1.1")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"
    assert b"unsupported HTTP method: " + method in response.body


def test_http_1_0():
    response = answer(line=b"GET / HTTP/1.0")
    assert response.status_code == 426
    assert b"unsupported HTTP version: HTTP/1.0" in response.body


# H-15


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"/chat?a=b", b"h", "/chat?a=b"),
        (b"//other/chat", b"h", "//other/chat"),
        (b"http://h/chat?a", b"h", "/chat?a"),
        (b"WS://H:80/", b"h:80", "/"),
        (b"https://h", b"h", "/"),
    ],
)
def test_target(target, host, path):
    one = request({b"Host": host}, line=b"GET %s HTTP/1.1" % target)
    assert ServerHandshake().accept(one).status_code == 101
    assert one.path == path


@pytest.mark.parametrize(
    "target",
    [
        b"http://other/",
        b"http://h@other/",
        b"http://h:81/",
        b"http://h?/",
        b"http:///",
        b"ftp://h/",
        b"*",
        b"h:80",
        b"chat",
        b"/a#b",
        b"http://h/#b",
    ],
)
def test_target_of_another_host_is_refused(target):
    response = answer({b"Host": b"h"}, line=b"GET %s HTTP/1.1" % target)
    assert response.status_code == 400


# H-13


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (None, None, 101),
        (None, b"http://evil", 101),
        (["http://good"], b"http://good", 101),
        (["http://good"], b"http://evil", 403),
        (["http://good"], b"http://good.evil", 403),
        (["http://good"], b"null", 403),
        (["http://good"], None, 403),
        (["http://good", None], None, 101),
        ([None], b"http://good", 403),
        ([], None, 403),
        ([], b"http://good", 403),
        ([re.compile(r"https?://.*\.good")], b"http://a.good", 101),
        ([re.compile(r"https?://.*\.good")], b"http://a.good.evil", 403),
        ([re.compile(r".*")], None, 403),
        (["http://\xe4"], b"http://\xe4", 101),
    ],
)
def test_origin(origins, origin, status):
    handshake = ServerHandshake(origins=origins)
    assert handshake.accept(request({b"Origin": origin})).status_code == status
    if status == 403:
        assert isinstance(handshake.exception, InvalidOrigin)
    else:
        assert handshake.origin == (origin and origin.decode("latin-1"))


def test_two_origins_are_refused():
    response = answer({b"Origin": b"http://a"}, b"Origin: http://b")
    assert response.status_code == 400


# H-12


@pytest.mark.parametrize(
    ("supported", "offered", "selected"),
    [
        (None, None, None),
        (None, b"a", None),
        ([], b"a", None),
        (["a"], b"a", "a"),
        (["b", "a"], b"a, b", "b"),
        (["a", "b"], b"c, b", "b"),
        (["a"], b" , a,,", "a"),
    ],
)
def test_subprotocol(supported, offered, selected):
    handshake = ServerHandshake(subprotocols=supported)
    response = handshake.accept(request({b"Sec-WebSocket-Protocol": offered}))
    assert response.status_code == 101
    assert handshake.subprotocol == selected
    assert response.headers.get("Sec-WebSocket-Protocol") == selected


def test_subprotocols_of_several_headers():
    offer = b"Sec-WebSocket-Protocol: %s"
    handshake = ServerHandshake(subprotocols=["b"])
    handshake.accept(request({}, offer % b"a", offer % b"b"))
    assert handshake.subprotocol == "b"


@pytest.mark.parametrize(
    ("offered", "text"),
    [
        (None, "missing subprotocol"),
        (b"c", "invalid subprotocol; expected one of a, b"),
        (b"A", "invalid subprotocol; expected one of a, b"),
        (b"a b", "expected comma at 2 in a b"),
        (b"\xff", "expected token at 0"),
        (b"a, (", "expected token at 3 in a, ("),
        (b"", "expected token at 0"),
    ],
)
def test_no_common_subprotocol(offered, text):
    response = answer({b"Sec-WebSocket-Protocol": offered}, subprotocols=["a", "b"])
    assert response.status_code == 400
    assert text in response.body.decode("utf-8")


def test_select_subprotocol():
    seen = []

    def select(offered):
        seen.append(offered)
        return offered[-1] if offered else None

    handshake = ServerHandshake(subprotocols=["a"], select_subprotocol=select)
    handshake.accept(request({b"Sec-WebSocket-Protocol": b"a, z"}))
    assert handshake.subprotocol == "z"
    handshake = ServerHandshake(select_subprotocol=select)
    assert handshake.accept(request()).status_code == 101
    assert seen == [["a", "z"], []]


@pytest.mark.parametrize("selected", ["unoffered", "a\r\nX: y", ""])
def test_select_subprotocol_cannot_break_the_response(selected):
    handshake = ServerHandshake(select_subprotocol=lambda offered: selected)
    response = handshake.accept(request({b"Sec-WebSocket-Protocol": b"a"}))
    assert response.status_code == 500
    assert isinstance(handshake.exception, ValueError)


def test_select_subprotocol_may_refuse_or_fail():
    def refuse(offered):
        raise NegotiationError("not today")

    response = answer(select_subprotocol=refuse)
    assert response.status_code == 400
    assert b"not today" in response.body
    response = answer(select_subprotocol=lambda offered: 1 // 0)
    assert response.status_code == 500
    assert b"division" not in response.body


@pytest.mark.parametrize("subprotocols", ["a", 5, {"a"}])
def test_subprotocols_that_are_not_a_list(subprotocols):
    with pytest.raises(TypeError):
        ServerHandshake(subprotocols=subprotocols)


@pytest.mark.parametrize("subprotocol", ["a b", "", "a,b", "\xe4", "a\r\n"])
def test_subprotocols_that_are_not_tokens(subprotocol):
    with pytest.raises(ValueError, match="invalid subprotocol"):
        ServerHandshake(subprotocols=[subprotocol])


# H-16


def test_server_header():
    assert "Server" not in answer(server_header=None).headers
    assert answer(server_header="mine/1").headers["Server"] == "mine/1"
    assert answer().headers["Server"].startswith("Python/")
    assert answer({b"Host": None}, server_header="mine").headers["Server"] == "mine"


def test_outgoing_headers_cannot_be_split():
    with pytest.raises(ValueError, match="Server"):
        ServerHandshake(server_header="a\r\nX: y")
    response = answer()
    for value in ("a\rb", "a\nb", "a\x00b", "\u20ac"):
        with pytest.raises(ValueError, match="X-Name"):
            response.headers["X-Name"] = value
    response.headers.set_insecure("X-Name", "a\r\nb")
    with pytest.raises(ValueError, match="X-Name"):
        response.serialize()
    with pytest.raises(ValueError, match="reason phrase"):
        Response(200, "OK\r\nX: y", Headers()).serialize()


def test_headers_may_be_added_to_the_response():
    response = answer()
    before = response.serialize()
    response.headers["Set-Cookie"] = "a=b"
    response.headers["Set-Cookie"] = "c=d"
    after = response.serialize()
    assert after == before[:-2] + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"


def test_reject():
    response = ServerHandshake(server_header=None).reject(503, "caf\xe9\n")
    assert response.status_code == 503
    assert response.reason_phrase == "Service Unavailable"
    octets = response.serialize()
    assert octets.endswith(b"\r\n\r\ncaf\xc3\xa9\n")
    assert b"Content-Length: 6\r\n" in octets
    assert b"Connection: close\r\n" in octets


# H-9, H-10, H-11: odd and long values, in linear time

HEADERS = [
    b"Sec-WebSocket-Extensions",
    b"Sec-WebSocket-Protocol",
    b"Connection",
    b"Upgrade",
    b"Origin",
    b"Cookie",
]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(
    "unit",
    [
        b",",
        b" ",
        b"a",
        b"a,",
        b"a;",
        b"a=",
        b'"',
        b'a="\\',
        b"a \t",
        b";",
        b'=""',
        b"/",
        b"a/b,",
        b'a;b="c",',
        b"permessage-deflate;x,",
    ],
)
def test_long_values_take_linear_time(name, unit):
    value = (b"permessage-deflate; a" + unit * 8000)[:8000]
    options = DeflateOptions()
    handshake = ServerHandshake(deflate=options, subprotocols=["x"])
    taken = []
    for _ in range(3):
        one = request({name: value})
        start = time.process_time()
        handshake.accept(one)
        one.headers.get_all("Cookie")
        taken.append(time.process_time() - start)
    # 5 ms is the budget on an ordinary machine; what is quadratic takes seconds.
    assert min(taken) < 0.1


@given(
    name=st.sampled_from([*HEADERS, b"Host", b"Sec-WebSocket-Key", b"X"]),
    value=st.binary(max_size=40),
)
@example(name=b"Upgrade", value=b"constructor")
@example(name=b"Sec-WebSocket-Extensions", value=b"constructor; __proto__")
def test_odd_values_are_answered(name, value):
    value = value.translate(None, bytes(set(range(32)) - {9}) + b"\x7f")
    handshake = ServerHandshake(
        deflate=DeflateOptions(), subprotocols=["a"], origins=["http://a"]
    )
    changes = {b"Origin": b"http://a", b"Sec-WebSocket-Protocol": b"a", name: value}
    response = handshake.accept(request(changes))
    assert response.status_code in (101, 400, 403, 426)
    octets = response.serialize()
    assert octets.count(b"\r\n\r\n") == 1
    read_response(octets)


def test_extensions_in_the_manner_of_websockets():
    factory = ServerPerMessageDeflateFactory(server_max_window_bits=10)
    offer = {b"Sec-WebSocket-Extensions": b"permessage-deflate"}
    response = answer(offer, extensions=[factory])
    assert response.headers["Sec-WebSocket-Extensions"] == (
        "permessage-deflate; server_max_window_bits=10"
    )
    with pytest.raises(TypeError):
        ServerHandshake(extensions=[object()])
    with pytest.raises(TypeError):
        ServerHandshake(extensions=[factory, factory])


# Memory


def test_what_was_parsed_for_the_handshake_is_released():
    octets = head()
    one = read_request(octets)
    ServerHandshake().accept(one)
    assert one._head is octets
    assert (one._fields, one._headers, one._path) == (None, None, None)
    assert one.path == "/chat"
    assert one.headers["Host"] == "server.example.com"
