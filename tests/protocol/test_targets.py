"""Where clients of plain HTTP go, what they say there, and whom a redirect may tell."""

from __future__ import annotations

import inspect
import logging
import socket

import pytest

from wsfast.exceptions import InvalidURI, SecurityError
from wsfast.protocol.addresses import interleaved, none_answers
from wsfast.protocol.arguments import compression_of, takes
from wsfast.protocol.deflate import DeflateOptions
from wsfast.protocol.headers import Headers
from wsfast.protocol.http import Response
from wsfast.protocol.refusals import ask_about, refused, timed_out
from wsfast.protocol.targets import Target, too_many
from wsfast.protocol.uri import default_uri, parse_uri, redirected

V4, V6 = socket.AF_INET, socket.AF_INET6


def info(family: int, host: str) -> tuple[int, int, int, str, object]:
    return family, socket.SOCK_STREAM, 0, "", (host, 80)


def moved(location: str | None, status: int = 302) -> Response:
    return Response(status, "x", Headers({"Location": location} if location else {}))


# ---- targets


@pytest.mark.parametrize("url", ["ws://a/", "ftp://a/", "htt", ""])
def test_only_http_is_a_target(url: str):
    with pytest.raises(InvalidURI):
        Target(url, None, None)


@pytest.mark.parametrize("name", ["Connection", "content-length", "UPGRADE"])
def test_fields_that_the_application_cannot_have(name: str):
    with pytest.raises(ValueError, match=f"{name} is set by the client"):
        Target("http://a/", {name: "1"}, None)


def test_what_a_request_says():
    target = Target("https://me:secret@a:8443/x?y", {"ACCEPT": "b", "Z": "1"}, "us")
    request = target.make_request([("Accept", "a"), ("Cache-Control", "no-store")])
    assert request.path == "/x?y"
    assert request.method == "GET"
    assert list(request.headers.items()) == [
        ("Host", "a:8443"),
        ("Cache-Control", "no-store"),
        ("Authorization", "Basic bWU6c2VjcmV0"),
        ("User-Agent", "us"),
        ("ACCEPT", "b"),
        ("Z", "1"),
    ]


def test_what_a_request_does_not_say():
    request = Target("http://a/", None, None).make_request((), resource="/other")
    assert request.path == "/other"
    assert list(request.headers.items()) == [("Host", "a")]


@pytest.mark.parametrize("response", [moved("/b", 200), moved(None), moved("/b", 304)])
def test_no_redirect(response: Response):
    assert Target("http://a/", None, None).redirected(response, {}) is None


def test_redirect_within_the_origin_keeps_what_was_said():
    target = Target("http://a/", {"Authorization": "x"}, "us")
    other = target.redirected(moved("/b#c"), {"port": 81, "host": "here"})
    assert other is not None
    assert other.url == "http://a/b"
    assert other.headers["Authorization"] == "x"
    assert other.user_agent_header == "us"


def test_redirect_to_another_origin_tells_no_secrets():
    target = Target("http://a/", {"Authorization": "x", "Z": "1"}, None)
    other = target.redirected(moved("http://b/"), {"unix_path": None})
    assert other is not None
    assert list(other.headers.items()) == [("Z", "1")]


@pytest.mark.parametrize("name", ["unix_path", "host", "port"])
def test_redirect_to_another_origin_with_a_way_to_this_one(name: str):
    target = Target("http://a/", None, None)
    with pytest.raises(ValueError, match=f"with an explicit {name}"):
        target.redirected(moved("http://b/"), {name: "x"})


def test_redirect_that_gives_up_tls():
    with pytest.raises(SecurityError):
        Target("https://a/", None, None).redirected(moved("http://a/"), {})
    assert "more than 3 redirects" in str(too_many(3))


# ---- redirects of WebSockets


def test_redirect_of_a_websocket_within_the_origin():
    headers = {"Cookie": "x"}
    given = {"host": "here", "sock": None}
    uri, kept = redirected(parse_uri("ws://a/"), "ws://a/b", headers, given)
    assert uri.resource_name == "/b"
    assert kept is headers


def test_redirect_of_a_websocket_to_another_origin():
    uri, kept = redirected(
        parse_uri("ws://a/"), "ws://b/", {"Cookie": "x", "Z": "1"}, {"host": None}
    )
    assert uri.host == "b"
    assert kept is not None
    assert list(Headers(kept).items()) == [("Z", "1")]
    assert redirected(parse_uri("ws://a/"), "ws://b/", None, {})[1] is None


def test_redirect_of_a_websocket_with_a_way_to_this_server():
    with pytest.raises(ValueError, match="explicit port"):
        redirected(parse_uri("ws://a/"), "ws://b/", None, {"host": None, "port": 1})
    with pytest.raises(ValueError, match="preexisting socket"):
        redirected(parse_uri("ws://a/"), "ws://a/b", None, {"sock": object()})


def test_uri_of_a_server_behind_a_unix_socket():
    assert default_uri("ws://a/", True) == "ws://a/"
    assert default_uri(None, True) == "wss://localhost/"
    assert default_uri(None, False) == "ws://localhost/"


# ---- addresses


def test_rfc8305_4_families_take_turns():
    infos = [info(V6, "a"), info(V6, "b"), info(V6, "c"), info(V4, "d")]
    order = [address[4][0] for address in interleaved(infos)]  # type: ignore[index]
    assert order == ["a", "d", "b", "c"]
    order = [address[4][0] for address in interleaved(infos, 2)]  # type: ignore[index]
    assert order == ["a", "b", "d", "c"]


def test_one_error_for_all_addresses():
    one, same, other = OSError(111, "no"), OSError(111, "no"), OSError(113, "none")
    assert none_answers([one, same]) is one
    both = none_answers([one, other])
    assert both.errno is None
    assert str(both) == "[Errno 111] no; [Errno 113] none"
    alike = none_answers([one, OSError(111, "never")])
    assert alike.errno == 111


# ---- arguments, and refusals


def test_compression():
    options = DeflateOptions()
    assert compression_of(options) is options
    assert compression_of(None) is None
    assert isinstance(compression_of("deflate"), DeflateOptions)
    with pytest.raises(ValueError, match="unsupported compression: zstd"):
        compression_of("zstd")


def test_signature_of_what_is_called():
    def called(a: int, *, b: str) -> None:
        """Be called."""

    @takes(called)
    def passes(*args: object, **kwargs: object) -> None:
        called(*args, **kwargs)  # type: ignore[arg-type]

    assert inspect.signature(passes) == inspect.signature(called)


def fails(error: Exception, request: object) -> Response | None:
    raise RuntimeError("the hook")


@pytest.mark.parametrize(
    ("hook", "status"),
    [
        (None, 403),
        (lambda error, request: None, 403),
        (lambda error, request: moved("/login"), 302),
        (lambda error, request: Response(599, "x", Headers()), 599),
        (lambda error, request: Response(299, "x", Headers()), 403),
        (lambda error, request: Response(600, "x", Headers()), 403),
        (lambda error, request: "Forbidden", 403),
        (lambda error, request: Response(404, "x\r\nX: 1", Headers()), 403),
        (fails, 403),
    ],
)
def test_hook_may_refuse_otherwise_but_not_accept(hook, status, caplog):
    caplog.set_level(logging.ERROR)
    ours = Response(403, "Forbidden", Headers())
    error = refused(403, "no\n")
    answer = ask_about(hook, error, None, ours, logging.getLogger("wsfast.server"))
    assert answer.status_code == status
    assert (str(error), error.code, timed_out().code) == ("no", 403, 408)
    logged = [record.message for record in caplog.records]
    bad = hook is fails or (hook and hook(error, None) is not None and status == 403)
    assert len(logged) == bool(bad)
