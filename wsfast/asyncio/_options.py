"""Reading the arguments that :func:`serve` and :func:`connect` have in common."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .. import engine
from ..protocol.arguments import Compression, MaxSize, compression_of
from .listener import Listener

if TYPE_CHECKING:
    import asyncio

    from .link import Driver

__all__ = [
    "Compression",
    "ListenerLike",
    "Logger",
    "MaxSize",
    "compression_of",
    "listener_factory",
    "reactor_for",
]

ListenerLike = Listener | type[Listener]
Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"


def listener_factory(listener: object) -> Callable[[], Listener] | None:
    """Return what makes the listener of a connection, None if that is no listener."""
    if isinstance(listener, type) and issubclass(listener, Listener):
        return listener
    if isinstance(listener, Listener):
        return lambda: listener
    return None


def reactor_for(
    loop: asyncio.AbstractEventLoop, busy_poll: float = 0.0
) -> Driver | None:
    """
    Return the reactor of ``loop``.

    Args:
        loop: The event loop.
        busy_poll: Seconds for which it shall poll without sleeping; it is shared, so
            the longest that was asked for counts.

    Returns:
        None where there can be none, or with ``WSFAST_REACTOR=0`` in the environment.

    """
    if os.environ.get("WSFAST_REACTOR") == "0" or engine.KERNEL == "python":
        return None
    try:
        from . import _reactor  # type: ignore[attr-defined,unused-ignore]
    except ImportError:
        return None
    reactor: Any = _reactor.reactor_for(loop)
    if reactor is not None:
        reactor.busy_poll = max(reactor.busy_poll, busy_poll)
    return cast("Driver | None", reactor)
