"""Requests and responses as values (RFC 9112 §3, §4)."""

from __future__ import annotations

import pytest

from tests.protocol.handshakes import BROWSER, read_request, read_response
from wsfast.protocol import Headers, Request, Response
from wsfast.protocol.http import SERVER, build_response
from wsfast.version import version


def test_request_made_by_hand():
    request = Request("/a?b", {"Host": "h"})
    assert request.serialize() == b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"
    request.path = "/c"
    request.headers["X"] = "y"
    assert request.serialize() == b"GET /c HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
    assert read_request(request.serialize()) == request
    assert request != Request("/a", {"Host": "h"})
    assert request != 5
    assert repr(request) == (
        "Request(path='/c', headers=Headers([('Host', 'h'), ('X', 'y')]), "
        "method='GET', protocol='HTTP/1.1')"
    )


def test_request_that_was_read():
    request = read_request(BROWSER)
    assert request.serialize() == BROWSER
    request.headers["X"] = "y"
    assert request.serialize() == BROWSER[:-2] + b"X: y\r\n\r\n"


@pytest.mark.parametrize("path", ["/a b", "/\r\n", "/\xe4", "/\x00", "/a\tb"])
def test_target_that_cannot_be_sent(path):
    with pytest.raises(ValueError, match="request target"):
        Request(path, Headers()).serialize()


def test_response_made_by_hand():
    response = Response(200, "OK", {"A": "b"}, b"body")
    octets = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"
    assert response.serialize() == octets
    again = read_response(octets)
    assert again != response  # its body is not part of its head
    again.body = b"body"
    assert again == response
    assert again != 5
    assert repr(response) == (
        "Response(status_code=200, reason_phrase='OK', "
        "headers=Headers([('A', 'b')]), body=b'body')"
    )


def test_response_that_was_read_serializes():
    octets = b"HTTP/1.1 200 Fine\r\nA: b\r\n\r\n"
    response = read_response(octets)
    assert response.serialize() == octets
    response.body = b"x"
    assert response.serialize() == octets + b"x"
    response.headers = Headers({"C": "d"})
    assert response.serialize() == b"HTTP/1.1 200 Fine\r\nC: d\r\n\r\nx"


def test_build_response():
    response = build_response(404, "gone\n")
    assert list(response.headers) == [
        "Date",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Server",
    ]
    assert response.headers["Server"] == SERVER
    assert response.headers["Date"].endswith(" GMT")
    with pytest.raises(ValueError, match="999"):
        build_response(999, "")


def test_server_header_has_the_version():
    assert SERVER.endswith(f" wsfast/{version}")


def test_reason_phrase_outside_of_latin_1():
    with pytest.raises(ValueError, match="reason phrase"):
        Response(200, "\u20ac", Headers()).serialize()
