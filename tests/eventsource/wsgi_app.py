"""A WSGI application for gunicorn: an event stream, and what became of others."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from wsfast import ConnectionClosed, EventSource

codes: list[int] = []


def handle(source: Any) -> None:
    """Greet, count, and wait for the end."""
    source.send("hello")
    for n in range(50):
        source.send(str(n))
    with contextlib.suppress(ConnectionClosed):
        source.recv()


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """Serve ``/events``, ``/end`` and ``/codes``."""
    if environ["PATH_INFO"] == "/codes":
        body = json.dumps(codes).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if environ["PATH_INFO"] == "/end":
        return EventSource.from_wsgi(
            environ, start_response, lambda source: source.send("end")
        )
    return EventSource.from_wsgi(
        environ,
        start_response,
        handle,
        ping=None,
        on_close=lambda source, code, reason: codes.append(code),
    )
