"""The request as handlers of python-socketio know it."""

from __future__ import annotations

from typing import Any

__all__ = ["environ_of"]


def environ_of(request: Any) -> dict[str, Any]:
    """
    Return the environment of a request, in the manner of WSGI.

    Args:
        request: Engine.IO's request.

    """
    scope = request.scope
    client = scope.get("client") or ("", 0)
    path: str = scope.get("path", "/")
    query: str = scope.get("query_string", b"").decode("latin-1")
    environ: dict[str, Any] = {
        "asgi.scope": scope,
        "wsgi.url_scheme": {"ws": "http", "wss": "https"}.get(
            scope.get("scheme", "http"), scope.get("scheme", "http")
        ),
        "REQUEST_METHOD": request.method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": f"{path}?{query}" if query else path,
        "SCRIPT_NAME": scope.get("root_path", ""),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
    }
    for raw_name, raw_value in scope.get("headers", ()):
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = f"HTTP_{name}"
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ
