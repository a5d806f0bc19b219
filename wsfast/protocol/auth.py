"""Basic authentication of a handshake, without I/O (RFC 7617)."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from ..exceptions import InvalidHeader
from .headers import (
    MultipleValuesError,
    build_www_authenticate_basic,
    parse_authorization_basic,
)
from .http import Request, Response, build_response

__all__ = ["BasicAuth"]

Check = Callable[[str, str], "bool | Awaitable[bool]"]


class BasicAuth:
    """
    Decides on the credentials of a request.

    Args:
        realm: Name of what is protected.
        credentials: A pair of user name and password, or several.
        check_credentials: Function or coroutine of a user name and a password that
            tells whether they are right, instead of ``credentials``.

    Raises:
        ValueError: Not exactly one of the last two is given.
        TypeError: ``credentials`` are not pairs of text.

    """

    def __init__(
        self,
        realm: str = "",
        credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
        check_credentials: Check | None = None,
    ) -> None:
        if (credentials is None) == (check_credentials is None):
            raise ValueError("provide either credentials or check_credentials")
        self._challenge = build_www_authenticate_basic(realm)
        if check_credentials is None:
            known = _known(credentials)

            def check(username: str, password: str) -> bool:
                expected = known.get(username)
                # An unknown user must not be told by the time this takes.
                given = password.encode(errors="surrogateescape")
                same = hmac.compare_digest(expected or b"", given)
                return same and expected is not None

            check_credentials = check
        self._check = check_credentials

    def credentials(self, request: Request) -> tuple[str, str] | Response:
        """
        Read the credentials of a request.

        Returns:
            User name and password; or, if there are none, the response to refuse with.

        """
        try:
            value = request.headers["Authorization"]
        except KeyError:
            return self.refuse("Missing credentials\n")
        except MultipleValuesError:
            return self.refuse("Unsupported credentials\n")
        try:
            return parse_authorization_basic(value)
        except InvalidHeader:
            return self.refuse("Unsupported credentials\n")

    def check(self, username: str, password: str) -> bool | Awaitable[bool]:
        """Tell whether credentials are right, or return what to await for it."""
        return self._check(username, password)

    def refuse(self, text: str = "Invalid credentials\n") -> Response:
        """Return a response that asks for credentials (401)."""
        response = build_response(401, text)
        response.headers["WWW-Authenticate"] = self._challenge
        return response


def _known(credentials: Any) -> dict[str, bytes]:
    pairs = [credentials] if _is_pair(credentials) else credentials
    if not isinstance(pairs, Iterable):
        raise TypeError(f"invalid credentials argument: {credentials}")
    pairs = list(pairs)
    if not all(map(_is_pair, pairs)):
        raise TypeError(f"invalid credentials argument: {credentials}")
    return {
        username: password.encode(errors="surrogateescape")
        for username, password in cast("list[tuple[str, str]]", pairs)
    }


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(part, str) for part in value)
    )
