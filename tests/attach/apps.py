"""The applications of the tests: ASGI and WSGI."""

from __future__ import annotations

from typing import Any

from tests.attach.handlers import HEADERS, PROTOCOLS, SYNC_HANDLERS, handle
from wsfast.attach import SyncWebSocket, WebSocket, is_websocket

TERMS: dict[str, Any] = {"headers": HEADERS, "max_size": 100_000}


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Serve WebSockets, and answer all other requests with "plain"."""
    if is_websocket(scope):
        ws = WebSocket(scope, receive, send, protocols_of(scope["path"]), **TERMS)
        await handle(ws, scope["path"])
    elif scope["type"] == "http":
        fields = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"plain"})


def protocols_of(path: str) -> list[str] | None:
    """Return the subprotocols of a path: without any, none is demanded."""
    return PROTOCOLS if path == "/events" else None


def wsgi(environ: Any, start_response: Any) -> Any:
    """Serve WebSockets, and answer all other requests with "plain"."""
    if not is_websocket(environ):
        fields = [("Content-Type", "text/plain"), ("Content-Length", "5")]
        start_response("200 OK", fields)
        return [b"plain"]
    path = environ["PATH_INFO"]
    ws = SyncWebSocket.from_wsgi(environ, protocols_of(path), **TERMS)
    SYNC_HANDLERS[path](ws)
    return ws.response(environ, start_response)
