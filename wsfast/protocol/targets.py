"""Where a client of plain HTTP sends its requests, and what all of them say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..exceptions import InvalidURI, SecurityError
from .headers import (
    Headers,
    HeadersLike,
    build_authorization_basic,
    build_host,
)
from .http import Request, Response
from .uri import parse_uri, redirect_target, same_origin, without_credentials

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Target", "too_many"]

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
#: Ways to another place than the URL says, which no other origin can share.
_ELSEWHERE: Final = ("unix_path", "host", "port")


class Target:
    """
    Where requests go, and what all of them say.

    Args:
        url: A URL, http or https.
        headers: Header fields of the application's.
        user_agent_header: Value of the User-Agent header, or None.

    Raises:
        InvalidURI: ``url`` is not one of HTTP.
        ValueError: A header cannot be sent safely, or is one of ours.

    """

    #: Fields, in lower case, that the application cannot have.
    ours: ClassVar[frozenset[str]] = frozenset(
        ("connection", "content-length", "transfer-encoding", "upgrade")
    )
    #: Who sets them instead.
    whose: ClassVar[str] = "the client"

    def __init__(
        self, url: str, headers: HeadersLike | None, user_agent_header: str | None
    ) -> None:
        if url[:5].lower() not in ("http:", "https"):
            raise InvalidURI(url, "scheme isn't http or https")
        self.url = url
        self.uri = parse_uri(url)
        self.headers = Headers(headers or ())
        self.user_agent_header = user_agent_header
        for name in self.headers:
            if name.lower() in self.ours:
                raise ValueError(f"{name} is set by {self.whose}")

    def make_request(
        self,
        fields: Iterable[tuple[str, str]],
        *,
        method: str = "GET",
        resource: str | None = None,
    ) -> Request:
        """
        Return a request.

        Args:
            fields: Its own header fields; the application's replace those of the same
                name.
            method: Its method.
            resource: Its target, if that is not the URL's.

        """
        uri = self.uri
        headers = Headers()
        headers["Host"] = build_host(uri.host, uri.port, uri.secure)
        for name, value in fields:
            headers[name] = value
        if uri.user_info is not None:
            headers["Authorization"] = build_authorization_basic(*uri.user_info)
        if self.user_agent_header is not None:
            headers["User-Agent"] = self.user_agent_header
        for name in dict.fromkeys(name.lower() for name in self.headers):
            headers.popall(name, None)
        headers.update(self.headers)
        return Request(resource or uri.resource_name, headers, method)

    def redirected(self, response: Response, way: Mapping[str, Any]) -> Self | None:
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
        kind = type(self)
        target = kind(url, self.headers, self.user_agent_header)
        if not self.same_origin(target):
            for name in _ELSEWHERE:
                if way.get(name) is not None:
                    raise ValueError(
                        f"cannot follow cross-origin redirect to {url} "
                        f"with an explicit {name}"
                    )
            target.headers = without_credentials(self.headers)
        return target

    def same_origin(self, other: Target) -> bool:
        """Tell whether another target may see credentials that are for this one."""
        return same_origin(self.uri, other.uri)


def too_many(redirects: int | None) -> SecurityError:
    """Return the error for more redirects than are followed."""
    return SecurityError(f"more than {redirects} redirects")
