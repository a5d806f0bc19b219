"""HTTP basic authentication of clients (RFC 7617), as a ``process_request`` hook."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..protocol.auth import BasicAuth
from ..protocol.http import Request, Response
from ._accepted import ServerConnection

__all__ = ["basic_auth"]


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
    """
    Return a ``process_request`` that lets only clients in whose password is right.

    The user name is then in the connection's ``username``; others get status 401.

    Args:
        realm: What the credentials are for; ASCII.
        credentials: A pair of user name and password, or several such pairs.
        check_credentials: Instead, a function that takes user name and password and
            tells whether they are right.

    Raises:
        ValueError: Neither or both of ``credentials`` and ``check_credentials`` are
            given.
        TypeError: ``credentials`` are not pairs of ``str``.

    """
    auth = BasicAuth(realm, credentials, check_credentials)

    def process_request(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        found = auth.credentials(request)
        if isinstance(found, Response):
            return found
        if not auth.check(*found):
            return auth.refuse()
        connection.username = found[0]
        return None

    return process_request
