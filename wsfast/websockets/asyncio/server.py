"""Servers under asyncio, where the websockets library has them."""

from __future__ import annotations

import inspect
import logging
import os
from typing import Any

from ...asyncio import server as ours
from ...asyncio.server import ServerConnection, basic_auth, broadcast

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Server = ours.Server


class serve(ours.Server):  # noqa: N801 - it is used like a function
    """
    Create a WebSocket server; see :class:`wsfast.asyncio.Server`.

    By default it logs where the websockets library does: ``websockets.server``.
    """

    __signature__ = inspect.signature(ours.Server)

    def __init__(self, handler: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("logger") is None:
            kwargs["logger"] = logging.getLogger("websockets.server")
        super().__init__(handler, *args, **kwargs)


def unix_serve(
    handler: Any, path: str | os.PathLike[str] | None = None, **kwargs: Any
) -> serve:
    """
    Return a server that listens on a UNIX socket; otherwise like :func:`serve`.

    Args:
        handler: Coroutine function for each connection.
        path: Path of the socket; None with ``sock=``.
        kwargs: See :func:`serve`.

    """
    return serve(handler, unix_path=path, **kwargs)
