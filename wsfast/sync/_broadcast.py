"""One message to many connections, without waiting for any of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..exceptions import ConcurrencyError

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: str | bytes | bytearray | memoryview,
    *,
    raise_exceptions: bool = False,
    text: bool | None = None,
    max_buffered: int = 1 << 20,
) -> None:
    """
    Send a message to many connections; no connection waits for another.

    Connections that are not open are skipped, and so are those whose peers are too slow
    or that are sending a fragmented message: that is logged.

    Args:
        connections: For example ``server.connections``.
        message: ``str`` for a text message, octets for a binary one.
        raise_exceptions: Raise what failed at the end, as an ``ExceptionGroup``, rather
            than logging it. From Python 3.11 on.
        text: True to send octets as text, False to send ``str`` as binary.
        max_buffered: Skip connections that have more than so many octets to send.

    Raises:
        TypeError: ``message`` is none of these.

    """
    if raise_exceptions and sys.version_info < (3, 11):
        raise ValueError("raise_exceptions requires at least Python 3.11")
    if isinstance(message, str):
        opcode = 2 if text is False else 1
    elif isinstance(message, (bytes, bytearray, memoryview)):
        opcode = 1 if text is True else 2
    else:
        raise TypeError("data must be str or bytes")
    failures: list[Exception] = []
    for connection in connections:
        try:
            connection.offer(opcode, message, max_buffered)
        except Exception as exc:  # noqa: PERF203 - each for itself
            if raise_exceptions:
                failure: Exception = exc
                if not isinstance(exc, ConcurrencyError):
                    failure = RuntimeError("failed to write message")
                    failure.__cause__ = exc
                failures.append(failure)
            else:
                connection.logger.warning("skipped broadcast: %s", exc)
    if failures and sys.version_info >= (3, 11):
        raise ExceptionGroup(  # noqa: F821 - ruff knows no version checks
            "skipped broadcast", failures
        )
