"""What a request for an event stream says, whoever has read it; what it is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..protocol.headers import Headers, HeadersLike
from ..protocol.http import Request

__all__ = ["EVENT_STREAM", "Asked", "asked_of", "head_octets", "response_fields"]

EVENT_STREAM: Final = "text/event-stream"

#: Header fields of a response, unless the application has its own.
_DEFAULTS: Final = (
    ("Content-Type", EVENT_STREAM),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx would wait for more
)


class Asked(NamedTuple):
    """
    What counts of a request.

    Attributes:
        method: Its method; ``"GET"`` where nothing but header fields is known.
        url: Its URL, as far as it is known.
        accept: The values of its Accept header.
        last_event_id: The ID of the last event that the client saw, or ``""``.

    """

    method: str
    url: str
    accept: str
    last_event_id: str

    @property
    def is_event_source(self) -> bool:
        """Whether an event stream is asked for."""
        kinds = [kind.partition(";")[0].strip() for kind in self.accept.split(",")]
        return self.method == "GET" and EVENT_STREAM in map(str.lower, kinds)


def asked_of(source: Any) -> Asked:
    """
    Read a request.

    Args:
        source: An ASGI scope, a WSGI environ, a request of aiohttp, Starlette, werkzeug
            or wsfast, or header fields: a mapping, or pairs.

    """
    if isinstance(source, Request):
        headers = source.headers
        url = f"http://{headers.get_all('Host')[0]}" if "Host" in headers else ""
        return _of_fields(source.method, url + source.path, headers.raw_items())
    if hasattr(source, "headers"):  # those of some libraries are mappings, too
        url = str(getattr(source, "url", ""))
        return _of_fields(getattr(source, "method", "GET"), url, source.headers.items())
    if isinstance(source, Mapping):
        if "REQUEST_METHOD" in source:
            return _of_environ(source)
        if "type" in source and not isinstance(source["type"], str):
            return _of_fields("GET", "", source.items())
        if "headers" in source and "type" in source:
            return _of_scope(source)
        return _of_fields("GET", "", source.items())
    return _of_fields("GET", "", source)


def _text(value: str | bytes) -> str:
    """Return a value as text: it is UTF-8, whatever HTTP calls it."""
    if isinstance(value, bytes):
        octets = value
    else:
        try:
            octets = value.encode("latin-1")
        except UnicodeEncodeError:  # it was read as UTF-8, where it is that
            octets = value.encode("utf-8", "surrogateescape")
    return octets.decode("utf-8", "replace")


def _of_fields(
    method: str, url: str, fields: Iterable[tuple[str | bytes, str | bytes]]
) -> Asked:
    accept = []
    last_event_id = ""
    for name, value in fields:
        name = name.decode("latin-1") if isinstance(name, bytes) else name
        if name.lower() == "accept":
            accept.append(_text(value))
        elif name.lower() == "last-event-id":
            last_event_id = _text(value)
    return Asked(method, url, ",".join(accept), last_event_id)


def _of_scope(scope: Mapping[str, Any]) -> Asked:
    fields = scope["headers"]
    method = scope.get("method", "") if scope["type"] == "http" else ""
    host = next((value for name, value in fields if name == b"host"), b"").decode()
    if not host and scope.get("server"):
        host = ":".join(str(part) for part in scope["server"] if part is not None)
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else scope.get("path", "")
    query = scope.get("query_string", b"").decode("latin-1")
    url = f"{scope.get('scheme', 'http')}://{host}{path}"
    return _of_fields(method, f"{url}?{query}" if query else url, fields)


def _of_environ(environ: Mapping[str, Any]) -> Asked:
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    url = f"{environ.get('wsgi.url_scheme', 'http')}://{host}"
    url += environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if environ.get("QUERY_STRING"):
        url += f"?{environ['QUERY_STRING']}"
    fields = [
        ("accept", environ.get("HTTP_ACCEPT", "")),
        ("last-event-id", environ.get("HTTP_LAST_EVENT_ID", "")),
    ]
    return _of_fields(environ["REQUEST_METHOD"], url, fields)


def response_fields(headers: HeadersLike) -> list[tuple[str, str]]:
    """
    Return the header fields of a response with an event stream.

    Args:
        headers: Those of the application; they replace ours of the same name.

    Raises:
        ValueError: A field cannot be sent safely.

    """
    own = Headers(headers)
    ours = [(name, value) for name, value in _DEFAULTS if name not in own]
    # WSGI wants nothing but str itself.
    return [*ours, *((str(name), value) for name, value in own.raw_items())]


def head_octets(fields: list[tuple[str, str]]) -> bytes:
    """Return the head of a response that ends with its connection."""
    lines = [f"{name}: {value}\r\n" for name, value in fields]
    head = "HTTP/1.1 200 OK\r\n" + "".join(lines) + "Connection: close\r\n\r\n"
    return head.encode("latin-1")
