"""What somebody else's server knows of a request, read in one way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..protocol.heads import parse_request
from ..protocol.http import Request

__all__ = ["fields_of", "is_websocket", "request_of", "url_of_environ", "url_of_scope"]

#: Octets of a path that need no escape in a request line.
_SAFE = "/:@!$&'()*+,;=-._~%"


def is_websocket(request: Any) -> bool:
    """
    Tell whether a request asks for a WebSocket (RFC 6455 §4.1).

    It may be one that is refused all the same: that is for the handshake to find out.

    Args:
        request: An ASGI scope, a WSGI environ, a mapping or an iterable of header
            fields, or a request that has ``headers``, and perhaps ``method``, as those
            of aiohttp, Starlette, Django and wsfast have.

    Raises:
        TypeError: ``request`` is nothing of that kind.

    """
    if isinstance(request, Mapping):
        kind = request.get("type")
        if kind in ("websocket", "http", "lifespan"):
            return bool(kind == "websocket")
        method = request.get("REQUEST_METHOD", "GET")
    else:
        method = getattr(request, "method", "GET")
    if method != "GET":
        return False
    connection = upgrade = ""
    for name, value in fields_of(request):
        if name == "connection":
            connection += "," + value
        elif name == "upgrade":
            upgrade += "," + value
    return _has(connection, "upgrade") and _has(upgrade, "websocket")


def _has(value: str, token: str) -> bool:
    return token in (part.strip().lower() for part in value.split(","))


def fields_of(request: Any) -> Iterator[tuple[str, str]]:
    """
    Yield the header fields of a request: names in lower case, and values.

    Args:
        request: As for :func:`is_websocket`.

    Raises:
        TypeError: ``request`` is nothing of that kind.

    """
    if isinstance(request, Mapping) and "REQUEST_METHOD" in request:
        yield from _fields_of_environ(request)
        return
    fields: Any = request
    if isinstance(request, Mapping) and "type" in request and "headers" in request:
        fields = request["headers"]
    elif hasattr(request, "headers"):
        fields = request.headers
    if hasattr(fields, "raw_items"):
        fields = fields.raw_items()
    elif hasattr(fields, "items"):
        fields = fields.items()
    if not isinstance(fields, Iterable) or isinstance(fields, (str, bytes)):
        raise TypeError(
            f"neither a request nor header fields: {type(request).__name__}"
        )
    for name, value in fields:
        yield _text(name).lower(), _text(value)


def _text(octets: str | bytes) -> str:
    return octets if isinstance(octets, str) else octets.decode("latin-1")


def _fields_of_environ(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_") and isinstance(value, str):
            yield key[5:].replace("_", "-").lower(), value


def _target_of(environ: Mapping[str, Any]) -> str:
    """Return the request target, as it was received if the server tells."""
    for key in ("RAW_URI", "REQUEST_URI"):
        target = environ.get(key)
        if isinstance(target, str) and target.startswith("/"):
            return target
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    target = quote(path.encode("latin-1"), safe=_SAFE.replace("%", "")) or "/"
    query = environ.get("QUERY_STRING", "")
    return f"{target}?{query}" if query else target


def request_of(environ: Mapping[str, Any]) -> Request:
    """
    Return the request that a WSGI environ tells of (PEP 3333).

    Raises:
        HeadError: It is none that could have been received.

    """
    lines = [
        f"{environ['REQUEST_METHOD']} {_target_of(environ)} "
        f"{environ.get('SERVER_PROTOCOL', 'HTTP/1.1')}",
        *(f"{name}: {value}" for name, value in _fields_of_environ(environ)),
    ]
    if not any(line.startswith("host:") for line in lines):
        lines.append(f"host: {_host_of(environ)}")
    return parse_request("\r\n".join([*lines, "", ""]).encode("latin-1"))


def _host_of(environ: Mapping[str, Any]) -> str:
    host = environ.get("HTTP_HOST")
    if isinstance(host, str):
        return host
    return f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"


def url_of_environ(environ: Mapping[str, Any], scheme: str = "ws") -> str:
    """
    Return the URL that a client asked a WSGI server for.

    Args:
        environ: The WSGI environ.
        scheme: ``"ws"`` or ``"http"``; an "s" is added where it was TLS.

    """
    secure = "s" if environ.get("wsgi.url_scheme") == "https" else ""
    return f"{scheme}{secure}://{_host_of(environ)}{_target_of(environ)}"


def url_of_scope(scope: Mapping[str, Any]) -> str:
    """Return the URL that a client asked an ASGI server for."""
    host = next(
        (v.decode("latin-1") for n, v in scope.get("headers", ()) if n == b"host"), ""
    )
    if not host and scope.get("server"):
        name, port = scope["server"]
        host = name if port is None else f"{name}:{port}"
    raw_path = scope.get("raw_path")
    if raw_path is None:
        raw_path = quote(scope.get("path", "/"), safe=_SAFE.replace("%", "")).encode()
    query = scope.get("query_string", b"")
    target = raw_path.decode("latin-1") + ("?" + query.decode() if query else "")
    return f"{scope.get('scheme', 'ws')}://{host}{target}"
