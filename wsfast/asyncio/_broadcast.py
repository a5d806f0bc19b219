"""One message to many connections: framed once, compressed once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .prepared import Prepared

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: str | bytes | bytearray | memoryview | Prepared,
    raise_exceptions: bool = False,
    *,
    text: bool | None = None,
    max_buffered: int | None = None,
) -> None:
    """
    Send a message to many connections, at once: no connection waits for another.

    Connections that are not open are skipped. One whose output passes its
    ``max_send_buffer`` fails with 1008, as with ``send()``; the others go on.

    Args:
        connections: For example ``server.connections``.
        message: ``str`` for a text message, octets for a binary one, or a
            :class:`Prepared` message.
        raise_exceptions: Raise what failed at the end, as an ``ExceptionGroup``, rather
            than logging it. From Python 3.11 on.
        text: True to send octets as text, False to send ``str`` as binary.
        max_buffered: Skip connections that have more than so many octets to send, which
            drops the message for slow consumers.

    Raises:
        TypeError: ``message`` is none of these.

    """
    if raise_exceptions and sys.version_info < (3, 11):
        raise ValueError("raise_exceptions requires at least Python 3.11")
    prepared = (
        message if isinstance(message, Prepared) else Prepared(message, text=text)
    )
    failures: list[Exception] = []
    for connection in connections:
        if max_buffered is not None and connection.buffered_amount > max_buffered:
            continue
        try:
            connection.offer(prepared, sys.maxsize)  # one that is not open skips it
        except Exception as exc:
            if raise_exceptions:
                failure = RuntimeError("failed to write message")
                failure.__cause__ = exc
                failures.append(failure)
            else:
                connection.logger.warning(
                    "skipped broadcast: failed to write message: %s", exc
                )
    if failures and sys.version_info >= (3, 11):
        raise ExceptionGroup(  # noqa: F821 - ruff knows no version checks
            "skipped broadcast", failures
        )
