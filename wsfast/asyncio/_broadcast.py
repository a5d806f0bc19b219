"""One message to many connections: framed once, compressed once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .outbound import Outbound
from .prepared import Prepared

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["broadcast"]

#: More octets than any connection has to send.
_ANY = sys.maxsize


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
    most = -1 if max_buffered is None else max_buffered
    failures: list[Exception] = []
    for connection, exc in _offer_all(connections, prepared, most):
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


def _offer_all(
    connections: Iterable[Connection], prepared: Prepared, most: int
) -> list[tuple[Connection, Exception]]:
    """Offer a message to each that is open; return those that failed, and why."""
    everybody = list(connections)
    failed: list[tuple[Connection, Exception]] = []
    checked = None
    done, count = 0, len(everybody)
    while done < count:
        try:  # once for all of them, as long as none fails
            while done < count:
                connection: Any = everybody[done]
                done += 1
                if most >= 0 and connection.buffered_amount > most:
                    continue
                if not isinstance(connection, Outbound):
                    connection.offer(prepared, _ANY)
                    continue
                known = connection
                driver = known.link.driver
                if driver is not checked:
                    driver.check_thread()
                    checked = driver
                known._offer(prepared, _ANY)
        except Exception as exc:
            failed.append((everybody[done - 1], exc))
    return failed
