"""Which requests are for event streams, whoever has read them."""

from __future__ import annotations

import pytest

from wsfast import EventSource, Headers, Request
from wsfast.eventsource._requests import asked_of, response_fields

SCOPE = {
    "type": "http",
    "method": "GET",
    "scheme": "https",
    "path": "/é",
    "raw_path": b"/%C3%A9",
    "query_string": b"a=b",
    "headers": [
        (b"host", b"example.com"),
        (b"accept", b"text/html, Text/Event-Stream;q=0.9"),
        (b"last-event-id", "é7".encode()),
    ],
}
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "wsgi.url_scheme": "https",
    "SERVER_NAME": "localhost",
    "HTTP_HOST": "example.com",
    "SCRIPT_NAME": "/app",
    "PATH_INFO": "/x",
    "QUERY_STRING": "a=b",
    "HTTP_ACCEPT": "text/event-stream",
    "HTTP_LAST_EVENT_ID": "é7".encode().decode("latin-1"),
}
FIELDS = {"Accept": "text/event-stream", "Last-Event-ID": "7", "Host": "example.com"}


def test_asgi():
    asked = asked_of(SCOPE)
    assert asked.is_event_source
    assert asked.url == "https://example.com/%C3%A9?a=b"
    assert asked.last_event_id == "é7"
    assert not EventSource.is_event_source({**SCOPE, "method": "POST"})
    assert not EventSource.is_event_source({**SCOPE, "type": "websocket"})
    assert not EventSource.is_event_source({"type": "lifespan"})


def test_asgi_as_it_may_be():
    bare = {"type": "http", "method": "GET", "path": "/", "headers": []}
    assert asked_of(bare) == ("GET", "http:///", "", "")
    assert asked_of({**bare, "server": ("::1", 80)}).url == "http://::1:80/"


def test_wsgi():
    asked = asked_of(ENVIRON)
    assert asked.is_event_source
    assert asked.url == "https://example.com/app/x?a=b"
    assert asked.last_event_id == "é7"
    assert not EventSource.is_event_source({**ENVIRON, "REQUEST_METHOD": "HEAD"})
    assert not EventSource.is_event_source({"REQUEST_METHOD": "GET"})


@pytest.mark.parametrize("headers", [FIELDS, list(FIELDS.items()), Headers(FIELDS)])
def test_headers(headers):
    assert EventSource.is_event_source(headers)
    assert asked_of(headers).last_event_id == "7"


def test_request():
    asked = asked_of(Request("/x?a", Headers(FIELDS)))
    assert (asked.url, asked.is_event_source) == ("http://example.com/x?a", True)
    assert not EventSource.is_event_source(Request("/", Headers()))


def test_request_of_others():
    requests = pytest.importorskip("starlette.requests")
    asked = asked_of(requests.Request(SCOPE))
    assert (asked.method, asked.last_event_id) == ("GET", "é7")
    assert asked.is_event_source


@pytest.mark.parametrize(
    "accept", ["*/*", "", "text/event-streams", "application/json"]
)
def test_other_kinds(accept):
    assert not EventSource.is_event_source({"accept": accept})


def test_fields_of_a_response():
    fields = response_fields({"cache-control": "no-cache", "X-A": "1"})
    assert ("Content-Type", "text/event-stream") in fields
    assert ("cache-control", "no-cache") in fields
    assert [name for name, _ in fields].count("Cache-Control") == 0
    with pytest.raises(ValueError, match="X-A"):
        response_fields({"X-A": "1\r\nX-B: 2"})
