"""When a client connects again: the rules of all clients that are iterated over."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any, Final

from ..exceptions import (
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)

__all__ = ["HEALTHY_S", "Retrying", "backoff", "process_exception"]

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


class Retrying:
    """
    When one iteration over a client tries again.

    Args:
        process_exception: Tells whether an error may go away: returns None, or what to
            raise.
        delays: Makes the delays, anew after each healthy connection.
        logger: Where to log.

    """

    def __init__(
        self,
        process_exception: Callable[[Exception], Exception | None],
        delays: Callable[[], Generator[float, None, None]],
        logger: Any,
    ) -> None:
        self._process_exception = process_exception
        self._delays = delays
        self._logger = logger
        self._running: Generator[float, None, None] | None = None

    def failed(self, exc: Exception) -> str:
        """Return why to try again after an error; raise it if that is of no use."""
        try:
            fatal = self._process_exception(exc)
        except Exception as raised:
            fatal = raised
        if fatal is exc:
            raise exc
        if fatal is not None:
            raise fatal from exc
        return f"{type(exc).__name__}: {exc}"

    def delay(self, why: str, lasted_s: float) -> float:
        """
        Return how long to wait, in seconds.

        Args:
            why: Why there has to be another connection.
            lasted_s: How long the last one was open, in seconds.

        """
        if lasted_s >= HEALTHY_S:
            self._running = None
            return 0.0
        if self._running is None:
            self._running = self._delays()
        delay = next(self._running)
        self._logger.info("reconnecting in %.1f seconds: %s", delay, why)
        return delay
