"""URIs of WebSockets (RFC 6455 §3), and where a redirect may lead."""

from __future__ import annotations

import itertools
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ..exceptions import InvalidStatus, InvalidURI, SecurityError
from .headers import Headers, HeadersLike, MultipleValuesError
from .http import Response

__all__ = [
    "MAX_REDIRECTS",
    "WebSocketURI",
    "default_uri",
    "parse_uri",
    "redirect_target",
    "redirected",
    "requests",
    "same_origin",
    "without_credentials",
]

#: Redirects that a client follows, unless told otherwise.
MAX_REDIRECTS: Final = 5

_SECURE: Final = {"ws": False, "wss": True, "http": False, "https": True}
_UNIX: Final = "ws+unix:"
_DELIMITERS: Final = ":/?#[]@!$&'()*+,;=%"
_REDIRECTS: Final = frozenset((300, 301, 302, 303, 307, 308))
_CREDENTIALS: Final = frozenset(("authorization", "cookie", "proxy-authorization"))


@dataclass
class WebSocketURI:
    """
    A WebSocket URI in parts.

    Attributes:
        secure: Whether it is to run over TLS.
        host: Host name or address, in lower case.
        port: Port, the scheme's default where there is none.
        path: Path, may be empty.
        query: Query, may be empty.
        username: User name, None if there is none.
        password: Password, None if there is none.
        unix_path: Path of a UNIX socket to connect to, None for TCP.

    """

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = None
    password: str | None = None
    unix_path: str | None = None

    @property
    def resource_name(self) -> str:
        """Request target (RFC 6455 §3)."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


def parse_uri(uri: str) -> WebSocketURI:
    """
    Take a WebSocket URI apart.

    Args:
        uri: With scheme ws, wss, http or https; or ``ws+unix:/path/of/socket:/path``,
            for a UNIX socket. Characters outside of ASCII are encoded.

    Raises:
        InvalidURI: It is not one.

    """
    if uri[: len(_UNIX)].lower() == _UNIX:
        return _parse_unix_uri(uri)
    for char in uri:
        # urllib would take some of them out, silently.
        if char <= " " or char == "\x7f":
            raise InvalidURI(uri, "contains white space or control characters")
    try:
        parsed = urllib.parse.urlsplit(uri)
        port = parsed.port
    except ValueError as error:
        raise InvalidURI(uri, str(error)) from error
    if parsed.scheme not in _SECURE:
        raise InvalidURI(uri, "scheme isn't ws or wss")
    if not parsed.hostname:
        raise InvalidURI(uri, "hostname isn't provided")
    if "#" in uri:
        raise InvalidURI(uri, "fragment identifier is meaningless")
    if port == 0:
        raise InvalidURI(uri, "port is 0")
    secure = _SECURE[parsed.scheme]
    username, password = _user_info(uri, parsed)
    host, path, query = parsed.hostname, parsed.path, parsed.query
    if not uri.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidURI(uri, f"hostname isn't valid: {error}") from error
        path = urllib.parse.quote(path, safe=_DELIMITERS)
        query = urllib.parse.quote(query, safe=_DELIMITERS)
    return WebSocketURI(
        secure, host, port or (443 if secure else 80), path, query, username, password
    )


def _user_info(
    uri: str, parsed: urllib.parse.SplitResult
) -> tuple[str | None, str | None]:
    username, password = parsed.username, parsed.password
    if username is None:
        return None, None
    if password is None:
        raise InvalidURI(uri, "username provided without password")
    try:
        username = urllib.parse.unquote(username, errors="strict")
        password = urllib.parse.unquote(password, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidURI(uri, "user information isn't valid UTF-8") from error
    if ":" in username:
        raise InvalidURI(uri, "username contains a colon")
    return username, password


def _parse_unix_uri(uri: str) -> WebSocketURI:
    socket, colon, resource = uri[len(_UNIX) :].partition(":")
    if not socket or "\x00" in socket:
        raise InvalidURI(uri, "path of the socket isn't provided")
    if colon and not resource.startswith("/"):
        raise InvalidURI(uri, "path doesn't start with a slash")
    parsed = parse_uri(f"ws://localhost{resource}")
    parsed.unix_path = socket
    return parsed


def same_origin(one: WebSocketURI, other: WebSocketURI) -> bool:
    """Tell whether two URIs lead to the same place, so that it may see credentials."""
    return (one.secure, one.host, one.port, one.unix_path) == (
        other.secure,
        other.host,
        other.port,
        other.unix_path,
    )


def requests(max_redirects: int | None) -> Iterable[object]:
    """Return an item for each request that may be sent: any number with None."""
    return itertools.count() if max_redirects is None else range(max_redirects + 1)


def redirect_target(uri: str, response: Response) -> str | None:
    """
    Return where a response redirects a client to.

    Args:
        uri: URI of the request.
        response: Response to it.

    Returns:
        URI to connect to instead; None if the response is not a redirect.

    Raises:
        InvalidURI: The target is not a WebSocket URI.
        SecurityError: It would give up TLS, or lead to a UNIX socket.
        InvalidStatus: There are several targets.

    """
    if response.status_code not in _REDIRECTS:
        return None
    try:
        location = response.headers.get("Location")
    except MultipleValuesError:
        raise InvalidStatus(response) from None
    if location is None:
        return None
    old = parse_uri(uri)
    if old.unix_path is not None:
        # Only another path behind the same socket makes sense.
        if not location.startswith("/") or location.startswith("//"):
            raise SecurityError(f"cannot follow redirect to {location} by UNIX socket")
        target = f"{_UNIX}{old.unix_path}:{location}"
    else:
        # urljoin knows nothing of ws and wss in some cases; http joins alike.
        target = urllib.parse.urljoin(uri, location)
        if target[:4].lower() == "http":
            target = target.partition("#")[0]  # it is for who shows what is there
        if target[: len(_UNIX)].lower() == _UNIX:
            raise SecurityError(f"cannot follow redirect to {target}")
    new = parse_uri(target)
    if old.secure and not new.secure:
        raise SecurityError(f"cannot follow redirect to non-secure URI {target}")
    return target


def redirected(
    uri: WebSocketURI,
    target: str,
    headers: HeadersLike | None,
    given: Mapping[str, object],
) -> tuple[WebSocketURI, HeadersLike | None]:
    """
    Return where a redirect leads, and the headers that may go there.

    Args:
        uri: URI that redirects.
        target: What :func:`redirect_target` has returned.
        headers: Header fields of the application's.
        given: Arguments that say where to connect to, whatever the URI: by name, None
            if there is no such. ``sock`` may be among them.

    Raises:
        InvalidURI: ``target`` is not the URI of a WebSocket.
        ValueError: One of these is given, and would not be right any more.

    """
    if given.get("sock") is not None:
        raise ValueError(
            f"cannot follow redirect to {target} with a preexisting socket"
        )
    other = parse_uri(target)
    if same_origin(uri, other):
        return other, headers
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"cannot follow cross-origin redirect to {target} "
                f"with an explicit {name}"
            )
    return other, None if headers is None else without_credentials(headers)


def default_uri(uri: str | None, secure: bool) -> str:
    """Return the URI of a server behind a UNIX socket, where none is given."""
    if uri is not None:
        return uri
    return "wss://localhost/" if secure else "ws://localhost/"


def without_credentials(headers: HeadersLike) -> Headers:
    """Return headers without those that another origin must not see."""
    return Headers(
        [
            (name, value)
            for name, value in Headers(headers).items()
            if name.lower() not in _CREDENTIALS
        ]
    )
