"""
SockJS protocol 0.3.3, Static URLs: greeting, iframe page, info; and HTTP itself.

Where sockjs-node 0.3.24 has moved on with the browsers, so do we: answers that are not
to be kept say ``no-transform``, a page without an origin is told its own ``null``, and
the frame's page starts the client by itself.
"""

from __future__ import annotations

import json
import re

import pytest

IFRAME = re.compile(
    r"""^<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="(?P<sockjs_url>[^"]*)"></script>
  <script>
    document\.domain = document\.domain;
    SockJS\.bootstrap_iframe\(\);
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe\. It's used for cross domain magic\.</p>
</body>
</html>$"""
)
YEAR = re.compile(r"max-age=[1-9][0-9]{6}")


def has_type(response, content_type):
    return response["content-type"].replace(" ", "") == content_type


def check_not_cached(response):
    assert response["cache-control"] == (
        "no-store, no-cache, no-transform, must-revalidate, max-age=0"
    )
    assert not response["expires"]
    assert not response["last-modified"]


def check_cached(response):
    assert "public" in response["cache-control"]
    assert YEAR.search(response["cache-control"])
    assert response["expires"]
    assert not response["last-modified"]


def check_cors(response, origin=""):
    assert response["access-control-allow-origin"] == (origin or "*")
    assert response["access-control-allow-credentials"] == ("true" if origin else "")


def check_options(site, path, methods):
    for origin in ("", "test", "null"):
        fields = {"Origin": origin} if origin else {}
        response = site.request("OPTIONS", path, **fields)
        assert response.status == 204
        check_cached(response)
        assert int(response["access-control-max-age"]) > 1_000_000
        assert response["access-control-allow-methods"] == methods
        assert response.body() == ""
        check_cors(response, origin)


# ---- greeting ----


@pytest.mark.parametrize("path", ["", "/"])
def test_greeting(echo, path):
    response = echo.get(path)
    if response.status in (307, 308):  # Starlette's way to a mount without a slash
        assert path == ""
        return
    assert response.status == 200
    assert has_type(response, "text/plain;charset=UTF-8")
    assert response.body() == "Welcome to SockJS!\n"
    assert not response["set-cookie"]


@pytest.mark.parametrize(
    "path", ["/a", "/a.html", "//", "///", "/a/a", "/a/a/", "/a/", "/infoo", "/info/a"]
)
def test_not_found(echo, path):
    assert echo.get(path).status == 404


# ---- iframe ----


@pytest.mark.parametrize(
    "path",
    [
        "/iframe.html",
        "/iframe-a.html",
        "/iframe-.html",
        "/iframe-0.1.2.html",
        "/iframe-0.1.2abc-dirty.2144.html",
        "/iframe-a.html?t=1234",
        "/iframe-0.1.2.html?t=123414",
        "/iframe-0.1.2abc-dirty.2144.html?t=qweqweq123",
    ],
)
def test_iframe(echo, path):
    response = echo.get(path)
    assert response.status == 200
    assert has_type(response, "text/html;charset=UTF-8")
    check_cached(response)
    assert response["etag"]
    match = IFRAME.match(response.body())
    assert match
    assert match["sockjs_url"].startswith("http")
    assert not response["set-cookie"]


@pytest.mark.parametrize(
    "path",
    [
        "/iframe.htm",
        "/iframe",
        "/IFRAME.HTML",
        "/IFRAME",
        "/iframe.HTML",
        "/iframe.xml",
        "/iframe-/.html",
        "/iframeXhtml",
    ],
)
def test_iframe_invalid(echo, path):
    assert echo.get(path).status == 404


def test_iframe_is_cached(echo):
    etag = echo.get("/iframe.html")["etag"]
    assert etag == echo.get("/iframe-2.html")["etag"] != ""
    for value in (etag, f'"other", {etag}', f"W/{etag}"):
        response = echo.get("/iframe.html", If_None_Match=value)
        assert response.status == 304
        assert not response["content-type"]
        assert response.body() == ""
    assert echo.get("/iframe.html", If_None_Match='"other"').status == 200


# ---- info ----


def test_info(echo):
    response = echo.get("/info", Origin="http://page.example")
    assert response.status == 200
    assert has_type(response, "application/json;charset=UTF-8")
    assert not response["set-cookie"]
    check_not_cached(response)
    check_cors(response, "http://page.example")
    data = json.loads(response.body())
    assert data["websocket"] is True
    assert data["cookie_needed"] is False
    assert data["origins"] == ["*:*"]
    assert 0 <= data["entropy"] < 1 << 32


def test_info_entropy(echo):
    seen = {json.loads(echo.get("/info").body())["entropy"] for _ in range(3)}
    assert len(seen) > 1


def test_info_options(echo):
    check_options(echo, "/info", "OPTIONS, GET")


def test_info_without_websocket(site):
    data = json.loads(site("/disabled_websocket_echo").get("/info").body())
    assert data["websocket"] is False


def test_info_with_cookie(site):
    response = site("/cookie_needed_echo").get("/info")
    assert not response["set-cookie"]
    assert json.loads(response.body())["cookie_needed"] is True


def test_only_methods_that_there_are(echo):
    for method, path, allowed in [
        ("POST", "/info", "OPTIONS, GET"),
        ("POST", "/iframe.html", "GET"),
        ("GET", "/0/0/xhr", "OPTIONS, POST"),
        ("DELETE", "/0/0/xhr_send", "OPTIONS, POST"),
        ("POST", "/0/0/htmlfile", "GET"),
        ("POST", "/0/0/eventsource", "OPTIONS, GET"),
    ]:
        response = echo.request(method, path)
        assert response.status == 405
        assert response["allow"] == allowed
        assert not response["content-type"]
        assert response.body() == ""


# ---- session URLs ----


@pytest.mark.parametrize("parts", ["/a/a", "/_/_", "/1/1", "/ab_i-j%20/ab_i-j%20"])
def test_any_value(echo, parts):
    response = echo.post(f"{parts}{echo.session()[5:]}/xhr")
    assert response.status == 200
    assert response.body() == "o\n"


@pytest.mark.parametrize(
    "parts",
    [
        *["//", "/a./a", "/a/a.", "/./.", "/", "///", "/a/", "/a//a", "/a/a/a"],
        *["/%00/a", "/a/%0d%0a", "/a/%7f", "/a/%c3%a9", "/a/%2e", "/a/" + "x" * 129],
    ],
)
def test_invalid_paths(echo, parts):
    assert echo.get(f"{parts}/xhr").status == 404
    assert echo.post(f"{parts}/xhr").status == 404


def test_server_is_ignored(echo):
    session = echo.session()
    assert echo.post(f"{session}/xhr").body() == "o\n"
    sent = echo.post(f"{session}/xhr_send", '["a"]')
    assert (sent.status, sent.body()) == (204, "")
    elsewhere = session.replace("/000/", "/999/")
    assert echo.post(f"{elsewhere}/xhr").body() == 'a["a"]\n'


# ---- HTTP 1.0 and 1.1 ----


def test_http10(echo):
    wire = echo.wire()
    response = wire.request("GET", "/echo/", version="1.0", Connection="Keep-Alive")
    assert response.status == 200
    assert response.version in ("1.0", "1.1")
    assert not response["transfer-encoding"]
    assert response["content-length"] == "19"
    assert response.body() == "Welcome to SockJS!\n"
    if response["connection"].lower() == "keep-alive":
        response = wire.request("GET", "/echo/", version="1.0")
        assert response.status == 200
    else:
        assert wire.is_over


def test_http10_polling(echo):
    session = echo.session()
    for path, body, answer in [
        ("/xhr", "", "o\n"),
        ("/xhr_send", '["a"]', ""),
        ("/xhr", "", 'a["a"]\n'),
    ]:
        response = echo.post(session + path, body, version="1.0")
        assert not response["transfer-encoding"]
        assert response.body() == answer


def test_http10_streaming(host, close):
    if host.name == "uvicorn":
        # httptools: uvicorn chunks every response without a length; see docs/sockjs.md
        return
    response = close.post(close.session() + "/xhr_streaming", version="1.0")
    assert response.status == 200
    assert not response["transfer-encoding"]
    assert not response["content-length"]
    assert response.body() == "h" * 2048 + '\no\nc[3000,"Go away!"]\n'
    assert response.wire.is_over


def test_http11(echo):
    wire = echo.wire()
    for _ in range(2):
        response = wire.request("GET", "/echo/")
        assert response.status == 200
        assert response["connection"].lower() in ("keep-alive", "")
        assert response.body() == "Welcome to SockJS!\n"


def test_http11_streaming(close):
    wire = close.wire()
    path = close.prefix + close.session()
    response = wire.request("POST", path + "/xhr_streaming")
    assert response["transfer-encoding"] == "chunked"
    assert not response["content-length"]
    assert response.body() == "h" * 2048 + '\no\nc[3000,"Go away!"]\n'
    assert wire.request("POST", path + "/xhr").status == 404  # another transport's
