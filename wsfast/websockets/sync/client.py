"""Clients for threads, where the websockets library has them."""

from __future__ import annotations

import inspect
import logging
import os
from typing import Any

from ...protocol.uri import default_uri
from ...sync import client as ours
from ...sync.client import ClientConnection, backoff, process_exception

__all__ = [
    "ClientConnection",
    "backoff",
    "connect",
    "process_exception",
    "reconnect",
    "unix_connect",
    "unix_reconnect",
]


class reconnect(ours.reconnect):  # noqa: N801 - it is used like a function
    """
    Open one connection after another; see :class:`wsfast.sync.reconnect`.

    By default it logs where the websockets library does: ``websockets.client``.
    """

    __signature__ = inspect.signature(ours.reconnect)

    def __init__(self, uri: str, **kwargs: Any) -> None:
        if kwargs.get("logger") is None:
            kwargs["logger"] = logging.getLogger("websockets.client")
        super().__init__(uri, **kwargs)


def connect(
    uri: str, *, legacy: bool | None = None, **kwargs: Any
) -> ClientConnection | reconnect:
    """
    Open a connection to a WebSocket server; see :func:`wsfast.sync.connect`.

    Args:
        uri: URI of the server.
        legacy: False for what :class:`reconnect` gives; else an open connection, about
            which there is no warning, ever.
        kwargs: See :func:`wsfast.sync.connect`.

    """
    opener = reconnect(uri, **kwargs)
    return opener if legacy is False else opener.connect()


_ours = inspect.signature(ours.connect)
connect.__signature__ = _ours.replace(  # type: ignore[attr-defined]
    parameters=[
        *_ours.parameters.values(),
        inspect.Parameter("legacy", inspect.Parameter.KEYWORD_ONLY, default=None),
    ]
)


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> ClientConnection | reconnect:
    """
    Connect to a server that listens on a UNIX socket; otherwise like :func:`connect`.

    Args:
        path: Path of the socket.
        uri: URI of the server; by default ``ws://localhost/``, or ``wss://localhost/``
            with ``ssl``.
        kwargs: See :func:`connect`.

    """
    uri = default_uri(uri, kwargs.get("ssl") is not None)
    return connect(uri, unix_path=path, **kwargs)


def unix_reconnect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> reconnect:
    """Return a :class:`reconnect` for a UNIX socket; see :func:`unix_connect`."""
    uri = default_uri(uri, kwargs.get("ssl") is not None)
    return reconnect(uri, unix_path=path, **kwargs)
