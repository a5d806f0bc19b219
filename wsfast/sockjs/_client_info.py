"""
What a client of SockJS finds out first: ``/info``, how far away the server is, names.

Sections "Info" and "Base URL and transport URL" of the SockJS protocol 0.3.3; the time
limits are those of sockjs-client.
"""

from __future__ import annotations

import json
import random
import secrets
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from ..exceptions import InvalidMessage, SecurityError
from ..protocol.http import Request, Response
from ..protocol.targets import Target
from ..protocol.uri import without_credentials

__all__ = [
    "DEFAULT_TIMEOUT_S",
    "INFO_SIZE",
    "Cookies",
    "SockJSTarget",
    "add_path",
    "parse_info",
    "random_server",
    "session_ids",
    "transport_timeout",
]

#: Most octets of the body of ``/info``.
INFO_SIZE: Final = 64 * 1024

#: Most cookies that servers make us keep.
MAX_COOKIES: Final = 50

#: What opening a transport may take if nobody knows the round-trip time, in seconds.
DEFAULT_TIMEOUT_S: Final = 5.0

#: Round trips that opening a transport takes, at worst.
ROUND_TRIPS: Final = 2

#: 32 characters, so that each takes five bits; those of sockjs-client.
_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz012345"


class SockJSTarget(Target):
    """Where a SockJS server is, and what is said there; see its base."""

    ours = Target.ours | {"content-type"}
    whose = "the SockJS client"

    def to(self, path: str) -> str:
        """Return the request target of a path below this one."""
        return add_path(self.uri.resource_name, path)

    def base(self) -> SockJSTarget:
        """Return the base URL whose ``/info`` this is."""
        parts = urllib.parse.urlsplit(self.url)
        path = parts.path.removesuffix("/info")
        return self.at(urllib.parse.urlunsplit(parts._replace(path=path)))

    def elsewhere(self, url: str) -> SockJSTarget:
        """
        Return the base URL that a server gives instead of this one.

        Raises:
            SecurityError: It would give up TLS.
            InvalidURI: It is not a URL of HTTP.

        """
        other = self.at(urllib.parse.urljoin(self.url, url).rstrip("/"))
        if self.uri.secure and not other.uri.secure:
            raise SecurityError(f"cannot go on at non-secure URL {other.url}")
        if not self.same_origin(other):
            other.headers = without_credentials(self.headers)
        return other

    def at(self, url: str) -> SockJSTarget:
        """Return the same at another URL."""
        return SockJSTarget(url, self.headers, self.user_agent_header)


def add_path(url: str, path: str) -> str:
    """Put a path behind a URL, or a request target, before its query."""
    before, mark, query = url.partition("?")
    return f"{before.rstrip('/')}{path}{mark}{query}"


def parse_info(body: bytes) -> dict[str, Any]:
    """
    Read what ``/info`` says.

    Raises:
        InvalidMessage: It is no JSON object, or its fields have other types.

    """
    try:
        info = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InvalidMessage("/info is not JSON", "invalid_info") from exc
    if not isinstance(info, dict):
        raise InvalidMessage("/info is not a JSON object", "invalid_info")
    if not isinstance(info.get("base_url") or "", str):
        raise InvalidMessage("base_url in /info is not a string", "invalid_info")
    return info


def transport_timeout(rtt: float | None, least: float) -> float:
    """
    Return what opening a transport may take, in seconds, as sockjs-client does.

    Args:
        rtt: Round-trip time, as asking for ``/info`` has taken it, if it is known.
        least: At least so much.

    """
    if rtt is None:
        return max(least, DEFAULT_TIMEOUT_S)
    retransmission = 4 * rtt if rtt > 0.1 else 0.3 + rtt
    return max(least, ROUND_TRIPS * retransmission)


def random_server() -> str:
    """Return the server part of a URL, which load balancers go by: three digits."""
    return f"{random.randrange(1000):03}"


def session_ids(session_id: int | Callable[[], str]) -> Callable[[], str]:
    """
    Return what makes session IDs.

    Args:
        session_id: Their length in characters, or a function that returns one.

    Raises:
        ValueError: The length is none.
        TypeError: It is neither.

    """
    if callable(session_id):
        return session_id
    if not isinstance(session_id, int):
        raise TypeError(f"session_id must be int or callable, got {session_id!r}")
    length = session_id
    if length < 1:
        raise ValueError(f"session_id must be positive, got {length}")
    return lambda: "".join(secrets.choice(_CHARACTERS) for _ in range(length))


class _Answer:
    """A response as :mod:`http.cookiejar` wants it."""

    def __init__(self, response: Response) -> None:
        self._values = response.headers.get_all("Set-Cookie")

    def info(self) -> _Answer:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return list(self._values) if name.lower() == "set-cookie" else default


class Cookies:
    """What servers have us send back: load balancers find a session's server by it."""

    def __init__(self) -> None:
        self._jar: Any = None

    def store(self, url: str, response: Response) -> None:
        """
        Keep the cookies of a response.

        Raises:
            SecurityError: There are too many.

        """
        if "Set-Cookie" not in response.headers:
            return
        import http.cookiejar
        import urllib.request

        if self._jar is None:
            self._jar = http.cookiejar.CookieJar()
        answer: Any = _Answer(response)
        self._jar.extract_cookies(answer, urllib.request.Request(url))
        if len(self._jar) > MAX_COOKIES:
            raise SecurityError(f"more than {MAX_COOKIES} cookies")

    def value(self, url: str, own: str | None) -> str | None:
        """
        Return the value of the Cookie header for a URL, None if there is none.

        Args:
            url: The URL.
            own: Cookies of the application's.

        """
        if self._jar is None:
            return own
        import urllib.request

        request = urllib.request.Request(url)
        self._jar.add_cookie_header(request)
        kept = request.get_header("Cookie")
        return "; ".join(filter(None, (own, kept))) or None

    def add(self, url: str, request: Request) -> Request:
        """Have a request say what was kept."""
        if self._jar is not None:
            own = "; ".join(request.headers.get_all("Cookie")) or None
            value = self.value(url, own)
            request.headers.popall("Cookie", None)
            if value is not None:
                request.headers["Cookie"] = value
        return request
