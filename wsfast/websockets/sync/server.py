"""Servers for threads, where the websockets library has them."""

from __future__ import annotations

import inspect
import logging
import os
from typing import Any

from ...sync import server as ours
from ...sync.server import Server, ServerConnection, basic_auth, broadcast

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]


def serve(handler: Any, *args: Any, **kwargs: Any) -> Server:
    """
    Listen, and return a server; see :func:`wsfast.sync.serve`.

    By default it logs where the websockets library does: ``websockets.server``.
    """
    if kwargs.get("logger") is None:
        kwargs["logger"] = logging.getLogger("websockets.server")
    return ours.serve(handler, *args, **kwargs)


def _both(outer: inspect.Signature, inner: inspect.Signature) -> inspect.Signature:
    """Return a signature with what goes through another one's ``**kwargs``."""
    merged = dict(inner.parameters) | dict(outer.parameters)
    for name in ("self", "sock"):
        merged.pop(name, None)
    parameters = [p for p in merged.values() if p.kind is not p.VAR_KEYWORD]
    parameters.append(outer.parameters["sock"])
    return outer.replace(parameters=sorted(parameters, key=lambda p: p.kind))


_signature = _both(inspect.signature(ours.serve), inspect.signature(Server.__init__))
serve.__signature__ = _signature  # type: ignore[attr-defined]


def unix_serve(
    handler: Any, path: str | os.PathLike[str] | None = None, **kwargs: Any
) -> Server:
    """
    Return a server that listens on a UNIX socket; otherwise like :func:`serve`.

    Args:
        handler: Function to call for each connection.
        path: Path of the socket; None with ``sock=``.
        kwargs: See :func:`serve`.

    """
    return serve(handler, unix_path=path, **kwargs)
