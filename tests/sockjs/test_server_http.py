"""SockJS protocol 0.3.3: Protocol and framing, and the transports over HTTP."""

from __future__ import annotations

import json
import time

import pytest

from tests.sockjs.test_server_pages import (
    check_cors,
    check_not_cached,
    check_options,
    has_type,
)
from tests.sockjs.wire import first_to_answer

PRELUDE = "h" * 2048 + "\n"
ANOTHER = 'c[2010,"Another connection still open"]'
AWAY = 'c[3000,"Go away!"]'
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def opened(site, path):
    """Begin a response that streams, and read it up to the first frame."""
    response = site.post(path + "/xhr_streaming")
    assert response.status == 200
    assert response.read(len(PRELUDE)) == PRELUDE
    return response


def two_polls(site, path):
    """Poll twice; return the answer to the one refused, and the other's wire."""
    wires = [site.wire(), site.wire()]
    for wire in wires:
        wire.begin("POST", f"{site.prefix}{path}/xhr", "")
    refused = first_to_answer(wires)
    (other,) = (wire for wire in wires if wire is not refused)
    return refused.response("POST"), other


def send(site, path, payload):
    response = site.post(path + "/xhr_send", payload)
    assert (response.status, response.body()) == (204, "")


# ---- protocol and framing ----


def test_simple_session(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    send(echo, path, '["a"]')
    assert echo.post(path + "/xhr").body() == 'a["a"]\n'
    assert echo.post("/000/bad_session/xhr_send", '["a"]').status == 404
    answer, other = two_polls(echo, path)
    assert answer.body() == ANOTHER + "\n"
    send(echo, path, '["a"]')
    assert other.response("POST").body() == 'a["a"]\n'


def test_close_session(close):
    path = close.session()
    assert close.post(path + "/xhr").body() == "o\n"
    for _ in range(3):
        response = close.post(path + "/xhr")
        assert response.status == 200
        assert response.body() == AWAY + "\n"
    # Messages for it are taken, and go nowhere, as sockjs-node has it.
    assert close.post(path + "/xhr_send", '["a"]').status == 204


# ---- xhr-polling ----


@pytest.mark.parametrize("name", ["xhr", "xhr_send", "xhr_streaming"])
def test_options(echo, name):
    check_options(echo, f"/abc/abc/{name}", "OPTIONS, POST")


def test_xhr(echo):
    path = echo.session()
    response = echo.post(path + "/xhr", Origin="http://page.example")
    assert response.body() == "o\n"
    assert has_type(response, "application/javascript;charset=UTF-8")
    check_cors(response, "http://page.example")
    check_not_cached(response)
    response = echo.post(path + "/xhr_send", '["x"]')
    assert (response.status, response.body()) == (204, "")
    assert has_type(response, "text/plain;charset=UTF-8")
    check_cors(response)
    check_not_cached(response)
    assert echo.post(path + "/xhr").body() == 'a["x"]\n'


def test_xhr_messages_wait_for_the_client(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    for payload in ('["a","b"]', "[]", '[ "c" ]'):
        send(echo, path, payload)
    assert echo.post(path + "/xhr").body() == 'a["a","b","c"]\n'


def test_xhr_invalid_session(echo):
    assert echo.post(echo.session() + "/xhr_send", '["x"]').status == 404


def test_xhr_invalid_json(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    for payload, text in [
        ('["x', "Broken JSON encoding."),
        (b'["\xff"]', "Broken JSON encoding."),
        ("", "Payload expected."),
        ("5", "Payload expected."),
        ("[5]", "Payload expected."),
    ]:
        response = echo.post(path + "/xhr_send", payload)
        assert response.status == 500
        assert response.body() == text
    send(echo, path, '["a"]')
    assert echo.post(path + "/xhr").body() == 'a["a"]\n'


def test_xhr_content_types(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    types = ["text/plain", "T", "application/json", "application/xml", ""]
    types += ["application/json; charset=utf-8", "text/xml; charset=utf-8", "text/xml"]
    for content_type in types:
        response = echo.post(path + "/xhr_send", '["a"]', Content_Type=content_type)
        assert (response.status, response.body()) == (204, "")
    wanted = ",".join(['"a"'] * len(types))
    assert echo.post(path + "/xhr").body() == f"a[{wanted}]\n"


def test_xhr_request_headers(echo):
    for asked in ("a, b, c", ""):
        fields = {"Access_Control_Request_Headers": asked}
        response = echo.post(echo.session() + "/xhr", **fields)
        assert response.status == 200
        check_cors(response)
        assert response["access-control-allow-headers"] == asked
    response = echo.post(echo.session() + "/xhr")
    assert not response["access-control-allow-headers"]


# ---- xhr-streaming ----


def test_xhr_streaming(echo):
    path = echo.session()
    response = echo.post(path + "/xhr_streaming")
    assert has_type(response, "application/javascript;charset=UTF-8")
    check_cors(response)
    check_not_cached(response)
    assert response.read(2049) == PRELUDE
    assert response.read(2) == "o\n"
    send(echo, path, '["x"]')
    assert response.read(7) == 'a["x"]\n'


def test_xhr_streaming_response_limit(echo):
    path = echo.session()
    response = opened(echo, path)
    assert response.read(2) == "o\n"
    message = f'"{"x" * 128}"'
    for _ in range(31):  # 4096 octets and some
        send(echo, path, f"[{message}]")
        assert response.read(134) == f"a[{message}]\n"
    assert response.ended
    send(echo, path, '["next"]')
    assert opened(echo, path).read(10) == 'a["next"]\n'


# ---- eventsource ----


def test_eventsource(echo):
    path = echo.session()
    response = echo.get(path + "/eventsource")
    assert has_type(response, "text/event-stream;charset=UTF-8")
    check_not_cached(response)
    assert response.read(2) == "\r\n"
    assert response.read(11) == "data: o\r\n\r\n"
    send(echo, path, '["x"]')
    assert response.read(16) == 'data: a["x"]\r\n\r\n'
    send(echo, path, r'["  \u0000\n\r "]')
    wanted = 'data: a["  \\u0000\\n\\r "]\r\n\r\n'
    assert response.read(len(wanted)) == wanted
    send(echo, path, '["5%"]')  # the client reads it by decodeURI()
    assert response.read(19) == 'data: a["5%25"]\r\n\r\n'


def test_eventsource_response_limit(echo):
    path = echo.session()
    response = echo.get(path + "/eventsource")
    assert response.read(13) == "\r\ndata: o\r\n\r\n"
    message = "x" * 4096
    send(echo, path, f'["{message}"]')
    assert response.body() == f'data: a["{message}"]\r\n\r\n'


# ---- htmlfile ----

HTMLFILE = r"""
<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.%s;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>
""".strip()
HTMLFILE_O = '<script>\np("o");\n</script>\r\n'


def page_of(response):
    """Read what comes before the first frame."""
    page = ""
    while not page.endswith("\r\n\r\n"):
        page += response.read(1)
    return page


def test_htmlfile(echo):
    path = echo.session()
    response = echo.get(path + "/htmlfile?c=%63allback")
    assert has_type(response, "text/html;charset=UTF-8")
    check_not_cached(response)
    page = page_of(response)
    assert page.strip() == HTMLFILE % "callback"
    assert len(page) > 1024
    assert response.read(len(HTMLFILE_O)) == HTMLFILE_O
    send(echo, path, '["x"]')
    wanted = '<script>\np("a[\\"x\\"]");\n</script>\r\n'
    assert response.read(len(wanted)) == wanted


def test_htmlfile_messages_cannot_end_the_script(echo):
    path = echo.session()
    response = echo.get(path + "/htmlfile?c=callback")
    page_of(response)
    assert response.read(len(HTMLFILE_O)) == HTMLFILE_O
    send(echo, path, '["</script><!--"]')
    wanted = r'p("a[\"\u003c/script>\u003c!--\"]");'
    assert wanted in response.read(len(f"<script>\n{wanted}"))


@pytest.mark.parametrize("name", ["htmlfile", "jsonp"])
def test_callbacks(echo, name):
    response = echo.get(f"/a/a/{name}")
    assert response.status == 500
    assert '"callback" parameter required' in response.body()
    for wrong in (
        "",
        "a%20b",
        "a(b)",
        "a%0Ab",
        "a%3Cb",
        "%C3%A9",
        "a" * 65,
        "a%22",
        "a-b",
    ):
        response = echo.get(f"/a/a/{name}?c={wrong}")
        assert response.status == 500
        assert 'invalid "callback" parameter' in response.body()
    response = echo.get(echo.session() + f"/{name}?callback=_jp.{'a' * 60}")
    assert response.status == 200


def test_htmlfile_response_limit(echo):
    path = echo.session()
    response = echo.get(path + "/htmlfile?c=callback")
    page_of(response)
    assert response.read(len(HTMLFILE_O)) == HTMLFILE_O
    message = "x" * 4096
    send(echo, path, f'["{message}"]')
    assert response.body() == f'<script>\np("a[\\"{message}\\"]");\n</script>\r\n'


# ---- jsonp-polling ----


def test_jsonp(echo):
    path = echo.session()
    response = echo.get(path + "/jsonp?c=%63allback")
    assert has_type(response, "application/javascript;charset=UTF-8")
    check_not_cached(response)
    # The comment is sockjs-node's since; X-Content-Type-Options, too.
    assert response.body() == '/**/callback("o");\r\n'
    assert response["x-content-type-options"] == "nosniff"
    response = echo.post(path + "/jsonp_send", "d=%5B%22x%22%5D", **FORM)
    assert (response.status, response.body()) == (200, "ok")
    assert has_type(response, "text/plain;charset=UTF-8")
    check_not_cached(response)
    response = echo.get(path + "/jsonp?c=%63allback")
    assert response.body() == '/**/callback("a[\\"x\\"]");\r\n'


def test_jsonp_invalid_json(echo):
    path = echo.session()
    assert echo.get(path + "/jsonp?c=x").body() == '/**/x("o");\r\n'
    for body, text in [
        ("d=%5B%22x", "Broken JSON encoding."),
        ("", "Payload expected."),
        ("d=", "Payload expected."),
        ("p=p", "Payload expected."),
        (b"d=\xff", "Broken JSON encoding."),
        ("&".join(["a=b"] * 20), "Payload expected."),
    ]:
        response = echo.post(path + "/jsonp_send", body, **FORM)
        assert response.status == 500
        assert response.body() == text
    assert echo.post(path + "/jsonp_send", "d=%5B%22b%22%5D", **FORM).body() == "ok"
    assert echo.get(path + "/jsonp?c=x").body() == '/**/x("a[\\"b\\"]");\r\n'


def test_jsonp_content_types(echo):
    path = echo.session()
    assert echo.get(path + "/jsonp?c=x").body() == '/**/x("o");\r\n'
    assert echo.post(path + "/jsonp_send", "d=%5B%22abc%22%5D", **FORM).body() == "ok"
    plain = {"Content_Type": "text/plain"}
    assert echo.post(path + "/jsonp_send", '["%61bc"]', **plain).body() == "ok"
    wanted = '/**/x("a[\\"abc\\",\\"%61bc\\"]");\r\n'
    assert echo.get(path + "/jsonp?c=x").body() == wanted


def test_jsonp_close(close):
    path = close.session()
    assert close.get(path + "/jsonp?c=x").body() == '/**/x("o");\r\n'
    for _ in range(2):
        wanted = '/**/x("c[3000,\\"Go away!\\"]");\r\n'
        assert close.get(path + "/jsonp?c=x").body() == wanted


# ---- JSESSIONID ----


def first_cookie(response):
    pair, attribute = response["set-cookie"].split(";")
    return pair.strip(), attribute.lower().strip()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("POST", "xhr"),
        ("POST", "xhr_streaming"),
        ("GET", "eventsource"),
        ("GET", "htmlfile?c=%63allback"),
        ("GET", "jsonp?c=%63allback"),
        ("OPTIONS", "xhr"),
    ],
)
def test_cookie(site, method, name):
    service = site("/cookie_needed_echo")
    response = service.request(method, f"{service.session()}/{name}")
    assert first_cookie(response) == ("JSESSIONID=dummy", "path=/")
    response = service.request(
        method, f"{service.session()}/{name}", Cookie="a=b; JSESSIONID=abcdef"
    )
    assert first_cookie(response) == ("JSESSIONID=abcdef", "path=/")


def test_cookie_of_what_sends(site):
    service = site("/cookie_needed_echo")
    path = service.session()
    assert service.get(path + "/jsonp?c=x").status == 200
    response = service.post(path + "/jsonp_send", "d=%5B%22x%22%5D", **FORM)
    assert first_cookie(response) == ("JSESSIONID=dummy", "path=/")
    assert first_cookie(service.post(path + "/xhr_send", '["x"]'))[1] == "path=/"


def test_cookie_of_ones_own(site):
    service = site("/own_cookie")
    assert json.loads(service.get("/info").body())["cookie_needed"] is True
    response = service.post(service.session() + "/xhr")
    assert first_cookie(response) == ("node=POST", "path=/")


# ---- JSON encoding ----

ESCAPED_BY_SERVER = [
    *range(0x200C, 0x2010),
    *range(0x2028, 0x2030),
    *range(0x2060, 0x2070),
    *range(0xFFF0, 0x10000),
]


def test_server_encodes(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    send(echo, path, f'["{"".join(map(chr, ESCAPED_BY_SERVER))}"]')
    wanted = "".join(f"\\u{code:04x}" for code in ESCAPED_BY_SERVER)
    assert echo.post(path + "/xhr").body() == f'a["{wanted}"]\n'


def test_server_decodes(echo):
    path = echo.session()
    assert echo.post(path + "/xhr").body() == "o\n"
    # More than what any client escapes: the whole of the basic plane.
    escaped = "".join(f"\\u{code:04x}" for code in range(0x10000))
    send(echo, path, f'["{escaped}"]')
    assert json.loads(echo.post(path + "/xhr").body()[1:]) == json.loads(
        f'["{escaped}"]'
    )


# ---- handling close ----


def test_close_frame_streaming(close):
    path = close.session()
    assert opened(close, path).body() == f"o\n{AWAY}\n"
    assert opened(close, path).body() == f"{AWAY}\n"


def test_another_connection(echo):
    path = echo.session()
    first = opened(echo, path)
    assert first.read(2) == "o\n"
    assert opened(echo, path).body() == f"{ANOTHER}\n"
    send(echo, path, '["still here"]')
    assert first.read(16) == 'a["still here"]\n'


@pytest.mark.parametrize("name", ["xhr", "xhr_streaming"])
def test_abort(echo, name):
    """A request that was cut off ends the session: what it took may be lost."""
    path = echo.session()
    if name == "xhr":
        assert echo.post(path + "/xhr").body() == "o\n"
        answer, wire = two_polls(echo, path)
        assert answer.body() == f"{ANOTHER}\n"
        prelude = ""
    else:
        first = opened(echo, path)
        assert first.read(2) == "o\n"
        wire = first.wire
        prelude = PRELUDE
    answers = [f"{prelude}{ANOTHER}\n"]
    assert echo.post(f"{path}/{name}").body() in answers
    wire.close()
    wanted = (prelude + "o\n", prelude + 'c[1002,"Connection interrupted"]\n')
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # it takes the server a moment to hear of it
        answer = echo.post(f"{path}/{name}").read(len(wanted[0]))
        if answer in wanted:
            return
        assert answer in (each[: len(wanted[0])] for each in answers)
    raise AssertionError("the session goes on")
