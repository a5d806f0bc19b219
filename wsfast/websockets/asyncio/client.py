"""Clients under asyncio, where the websockets library has them."""

from __future__ import annotations

import inspect
import logging
import os
from typing import Any

from ...asyncio import client as ours
from ...asyncio.client import ClientConnection, backoff, process_exception
from ...protocol.uri import default_uri

__all__ = [
    "ClientConnection",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]


class connect(ours.connect):  # noqa: N801 - it is used like a function
    """
    Open a connection to a WebSocket server; see :class:`wsfast.asyncio.connect`.

    By default it logs where the websockets library does: ``websockets.client``.
    """

    __signature__ = inspect.signature(ours.connect)

    def __init__(self, uri: str, **kwargs: Any) -> None:
        if kwargs.get("logger") is None:
            kwargs["logger"] = logging.getLogger("websockets.client")
        super().__init__(uri, **kwargs)


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> connect:
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
