"""When to connect again, and which redirects to follow: rules of every client."""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Final

from ..exceptions import (
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)

__all__ = ["HEALTHY_S", "backoff", "process_exception"]

#: A connection that lasted so long was a healthy one, in seconds: reconnect at once.
HEALTHY_S: Final = 10.0

#: HTTP status that may be another one soon.
TRANSIENT: Final = frozenset((500, 502, 503, 504))


def process_exception(exc: Exception) -> Exception | None:
    """
    Tell whether an error of connecting may go away.

    Args:
        exc: What connecting failed with.

    Returns:
        None to try again: after network errors, timeouts, and the HTTP status 500, 502,
        503 or 504, of the server or of a proxy. Otherwise the exception to raise.

    """
    if isinstance(exc, (OSError, TimeoutError)):
        return None
    if isinstance(exc, (InvalidMessage, ProxyError)) and isinstance(
        exc.__cause__, (EOFError, OSError)
    ):
        return None
    if (
        isinstance(exc, (InvalidStatus, InvalidProxyStatus))
        and exc.response.status_code in TRANSIENT
    ):
        return None
    return exc


def backoff(
    initial: float = 0.5, factor: float = 2.0, maximum: float = 60.0
) -> Generator[float, None, None]:
    """
    Yield delays in seconds: random, below a bound that grows (full jitter).

    Args:
        initial: First bound.
        factor: How it grows.
        maximum: Last bound.

    """
    bound = initial
    while True:
        yield random.uniform(0.0, bound)
        bound = min(bound * factor, maximum)
