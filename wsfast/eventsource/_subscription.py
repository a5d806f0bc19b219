"""What a client asks for and what it makes of the answer, without I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import InvalidHeaderValue, InvalidURI, SecurityError
from ..protocol.headers import (
    Headers,
    HeadersLike,
    build_authorization_basic,
    build_host,
    check_field,
)
from ..protocol.heads import Limits
from ..protocol.http import Request, Response
from ..protocol.retrying import process_exception as may_go_away
from ..protocol.uri import parse_uri, redirect_target, same_origin, without_credentials
from ._requests import EVENT_STREAM
from .exceptions import InvalidContentType, UnexpectedStatus

if TYPE_CHECKING:
    from ..asyncio._options import Logger

__all__ = [
    "ENDLESS",
    "RETRY_FLOOR_S",
    "Delays",
    "Target",
    "check_response",
    "header_of_id",
    "known_id",
    "process_exception",
    "too_many",
]

#: A stream has no end, so its body has no limit; lines and events have.
ENDLESS: Final = Limits(body=None)

#: No server makes a client come back sooner, in seconds.
RETRY_FLOOR_S: Final = 0.1

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
#: Fields that are ours alone.
_OURS: Final = frozenset(
    ("connection", "content-length", "last-event-id", "transfer-encoding", "upgrade")
)
#: Ways to another place than the URL says, which no other origin can share.
_ELSEWHERE: Final = ("unix_path", "host", "port")


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


class Target:
    """
    Where an event stream is, and what is said there.

    Args:
        url: Its URL, http or https.
        headers: Header fields to add.
        user_agent_header: Value of the User-Agent header, or None.

    Raises:
        InvalidURI: ``url`` is not one of HTTP.
        ValueError: A header cannot be sent safely, or is one of ours.

    """

    def __init__(
        self, url: str, headers: HeadersLike | None, user_agent_header: str | None
    ) -> None:
        if url[:5].lower() not in ("http:", "https"):
            raise InvalidURI(url, "scheme isn't http or https")
        self.url = url
        self.uri = parse_uri(url)
        self._headers = Headers(headers or ())
        self._user_agent_header = user_agent_header
        for name in self._headers:
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the event source")

    def request(self, last_event_id: str) -> bytes:
        """Return the octets of the request (WHATWG HTML §9.2.2)."""
        uri = self.uri
        headers = Headers()
        headers["Host"] = build_host(uri.host, uri.port, uri.secure)
        headers["Accept"] = EVENT_STREAM
        headers["Cache-Control"] = "no-store"
        if uri.user_info is not None:
            headers["Authorization"] = build_authorization_basic(*uri.user_info)
        if self._user_agent_header is not None:
            headers["User-Agent"] = self._user_agent_header
        for name in dict.fromkeys(name.lower() for name in self._headers):
            headers.popall(name, None)
        headers.update(self._headers)
        if last_event_id:
            headers["Last-Event-ID"] = header_of_id(last_event_id)
        return Request(uri.resource_name, headers).serialize()

    def redirected(self, response: Response, way: Mapping[str, Any]) -> Target | None:
        """
        Return where a response redirects to, None if it does not.

        Args:
            response: The response.
            way: Arguments that say how to get to a server.

        Raises:
            SecurityError: It would give up TLS.
            InvalidURI: The target is none.
            ValueError: It is another server, and ``way`` leads to this one.

        """
        if response.status_code not in _REDIRECTS:
            return None
        url = redirect_target(self.url, response)
        if url is None:
            return None
        target = Target(url.partition("#")[0], self._headers, self._user_agent_header)
        if not same_origin(self.uri, target.uri):
            for name in _ELSEWHERE:
                if way.get(name) is not None:
                    raise ValueError(
                        f"cannot follow cross-origin redirect to {url} "
                        f"with an explicit {name}"
                    )
            target._headers = without_credentials(self._headers)
        return target


def too_many(redirects: int | None) -> SecurityError:
    """Return the error for more redirects than are followed."""
    return SecurityError(f"more than {redirects} redirects")


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
