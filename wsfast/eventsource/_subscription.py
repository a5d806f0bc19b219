"""What a client asks for and what it makes of the answer, without I/O."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from ..exceptions import InvalidHeaderValue
from ..protocol.headers import check_field
from ..protocol.http import Response
from ..protocol.retrying import process_exception as may_go_away
from ..protocol.targets import Target as HTTPTarget
from ._requests import EVENT_STREAM
from .exceptions import InvalidContentType, UnexpectedStatus

if TYPE_CHECKING:
    from ..asyncio._options import Logger

__all__ = [
    "RETRY_FLOOR_S",
    "Delays",
    "Target",
    "check_response",
    "header_of_id",
    "known_id",
    "process_exception",
]

#: No server makes a client come back sooner, in seconds.
RETRY_FLOOR_S: Final = 0.1


def process_exception(exc: Exception) -> Exception | None:
    """
    Tell whether what ended a connection, or an attempt, may go away.

    Args:
        exc: What it was.

    Returns:
        None to connect again: after network errors and timeouts. Otherwise the
        exception to fail with: any status but 200, for one (WHATWG HTML §9.2.3).

    """
    if isinstance(exc, EOFError):
        return None
    return exc if isinstance(exc, UnexpectedStatus) else may_go_away(exc)


class Target(HTTPTarget):
    """Where an event stream is, and what is said there; see its base."""

    ours = HTTPTarget.ours | {"last-event-id"}
    whose = "the event source"

    def request(self, last_event_id: str) -> bytes:
        """Return the octets of the request (WHATWG HTML §9.2.2)."""
        fields = [("Accept", EVENT_STREAM), ("Cache-Control", "no-store")]
        request = self.make_request(fields)
        if last_event_id:
            request.headers["Last-Event-ID"] = header_of_id(last_event_id)
        return request.serialize()


def header_of_id(last_event_id: str) -> str:
    """
    Return an ID as the value of a header: its UTF-8.

    Raises:
        InvalidHeaderValue: It has control characters, which no header may have.

    """
    value = last_event_id.encode().decode("latin-1")
    check_field("Last-Event-ID", value)
    return value


def known_id(last_event_id: str, logger: Logger) -> str:
    """Return an ID to tell the server, unless no header can hold it."""
    try:
        header_of_id(last_event_id)
    except InvalidHeaderValue:
        logger.warning("cannot send Last-Event-ID %r", last_event_id)
        return ""
    return last_event_id


def check_response(response: Response) -> bool:
    """
    Tell whether a response is an event stream; False if there will be none (204).

    Raises:
        UnexpectedStatus: Its status is another than 200.
        InvalidContentType: It is something else.

    """
    if response.status_code == 204:
        return False
    if response.status_code != 200:
        raise UnexpectedStatus(response)
    kinds = response.headers.get_all("Content-Type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != EVENT_STREAM:
        raise InvalidContentType(", ".join(kinds) or None)
    return True


class Delays:
    """
    How long to wait before connecting again.

    Args:
        retry: Seconds, until the server says another number.
        backoff: How the delay grows with each failure in a row.
        jitter: What is added at random, as a share of the delay.
        maximum: Longest delay, in seconds; the server may ask for a longer one.

    Raises:
        ValueError: An argument makes no sense.

    """

    def __init__(
        self, retry: float, backoff: float, jitter: float, maximum: float
    ) -> None:
        if retry < 0 or maximum < 0 or jitter < 0:
            raise ValueError("a delay is negative")
        if backoff < 1:
            raise ValueError(f"backoff is below 1: {backoff}")
        self.retry = retry
        self._backoff, self._jitter, self._maximum = backoff, jitter, maximum
        self.failures = 0

    def next(self) -> float:
        """Return the delay after one more failure."""
        first = max(self.retry, RETRY_FLOOR_S)
        try:
            delay = first * self._backoff**self.failures
        except OverflowError:
            delay = self._maximum
        self.failures += 1
        delay = max(min(delay, self._maximum), first)
        return delay * (1.0 + self._jitter * random.random())
