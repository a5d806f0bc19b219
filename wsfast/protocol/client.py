"""The client's side of the opening handshake, without I/O (RFC 6455 §4.1)."""

from __future__ import annotations

import binascii
import os
from collections.abc import Sequence
from typing import Any, Final

from ..exceptions import (
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidProtocol,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from .deflate import DeflateOptions
from .extension_frames import Agreed, extensions_of
from .extension_negotiation import accept_answers, offer_extensions, sort_extensions
from .extensions import build_offer, check_answer
from .headers import (
    Headers,
    HeadersLike,
    build_authorization_basic,
    build_host,
    build_subprotocol,
    parse_connection,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from .http import USER_AGENT, Request, Response
from .server import accept_key
from .uri import WebSocketURI, parse_uri

__all__ = ["ClientHandshake"]

#: Headers that make the handshake; nobody else may add them.
_OURS: Final = frozenset(
    ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version")
)
_FIXED: Final = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
}
#: Headers of which there is one: an application's replaces ours.
_SINGLE: Final = frozenset(("authorization", "host", "origin", "user-agent"))


class ClientHandshake:
    """
    Makes the request of a client and checks the response.

    Args:
        uri: URI of the server.
        origin: Value of the Origin header, None for no such header.
        subprotocols: Subprotocols supported, best first.
        deflate: Options of permessage-deflate; None offers no compression.
        extensions: Factories of extensions, best first; permessage-deflate may be
            among them, and is used instead of ``deflate`` then.
        additional_headers: Header fields to add to the request.
        user_agent_header: Value of the User-Agent header, None for no such header.

    Attributes:
        request: The request to send.
        subprotocol: Subprotocol that the server selected, or None.
        deflate: Compression agreed upon, or None; where other extensions were, the
            `Chain` of all of them.

    Raises:
        InvalidURI: ``uri`` is not one of a WebSocket.
        ValueError: A header cannot be sent safely, or is one that the handshake itself
            sets.

    """

    __slots__ = (
        "_factories",
        "_key",
        "_offer",
        "_subprotocols",
        "deflate",
        "request",
        "subprotocol",
    )

    def __init__(
        self,
        uri: WebSocketURI | str,
        *,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        deflate: DeflateOptions | None = None,
        extensions: Sequence[Any] | None = None,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        if isinstance(uri, str):
            uri = parse_uri(uri)
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        self._offer, self._factories = sort_extensions(extensions, deflate, client=True)
        self._key = binascii.b2a_base64(os.urandom(16), newline=False)
        self._subprotocols = subprotocols or None
        self.subprotocol: str | None = None
        self.deflate: Agreed = None
        self.request = self._request(uri, origin, additional_headers, user_agent_header)

    def _request(
        self,
        uri: WebSocketURI,
        origin: str | None,
        additional_headers: HeadersLike | None,
        user_agent_header: str | None,
    ) -> Request:
        headers = Headers()
        headers["Host"] = build_host(uri.host, uri.port, uri.secure)
        if uri.user_info is not None:
            headers["Authorization"] = build_authorization_basic(*uri.user_info)
        if origin is not None:
            headers["Origin"] = origin
        headers["Upgrade"] = _FIXED["Upgrade"]
        headers["Connection"] = _FIXED["Connection"]
        headers["Sec-WebSocket-Key"] = self._key.decode("ascii")
        headers["Sec-WebSocket-Version"] = _FIXED["Sec-WebSocket-Version"]
        if self._offer is not None:
            headers["Sec-WebSocket-Extensions"] = build_offer(self._offer)
        elif self._factories is not None:
            headers["Sec-WebSocket-Extensions"] = offer_extensions(self._factories)
        if self._subprotocols is not None:
            headers["Sec-WebSocket-Protocol"] = build_subprotocol(self._subprotocols)
        if additional_headers is not None:
            added = Headers(additional_headers)
            for name, value in added.items():
                lower = name.lower()
                if lower in _OURS:
                    raise ValueError(f"{name} is set by the opening handshake")
                if lower in _SINGLE:
                    headers.replace(name, added[name])
                else:
                    headers[name] = value
        if user_agent_header is not None:
            headers.setdefault("User-Agent", user_agent_header)
        return Request(uri.resource_name, headers)

    def replace(self, request: Request) -> None:
        """
        Send another request, or one that was changed.

        Args:
            request: The request.

        Raises:
            ValueError: It cannot be sent safely, or no longer opens this connection:
                what the handshake itself sets must stay as it was.

        """
        headers = request.headers
        for name in ("Upgrade", "Connection", "Sec-WebSocket-Version"):
            if headers.get_all(name) != [_FIXED[name]]:
                raise ValueError(f"{name} is set by the opening handshake")
        if headers.get_all("Sec-WebSocket-Key") != [self._key.decode("ascii")]:
            raise ValueError("Sec-WebSocket-Key is set by the opening handshake")
        request.serialize()
        self.request = request

    @property
    def extensions(self) -> list[Any]:
        """Extensions agreed upon."""
        return extensions_of(self.deflate)

    def accept(self, response: Response) -> None:
        """
        Check the response; what was agreed upon is in the attributes then.

        Args:
            response: Response of the server.

        Raises:
            InvalidStatus: The server refuses.
            InvalidHandshake: The response is not a right answer to our request.

        """
        if response.status_code != 101:
            raise InvalidStatus(response)
        if response.protocol != "HTTP/1.1":
            raise InvalidProtocol(response.protocol)
        headers = response.headers

        connection = ", ".join(headers.get_all("Connection"))
        if connection.lower() != "upgrade":
            _check_list("Connection", connection, headers)
        upgrade = ", ".join(headers.get_all("Upgrade"))
        if upgrade.lower() != "websocket":
            _check_list("Upgrade", upgrade, headers)

        accepts = headers.get_all("Sec-WebSocket-Accept")
        if len(accepts) != 1:
            error = "multiple values" if accepts else None
            raise InvalidHeader("Sec-WebSocket-Accept", error)
        if accepts[0].encode("latin-1") != accept_key(self._key):
            raise InvalidHeaderValue("Sec-WebSocket-Accept", accepts[0])

        answers = headers.get_all("Sec-WebSocket-Extensions")
        agreed: Agreed
        if self._factories is None:
            agreed = check_answer(answers, self._offer)
        else:
            agreed = accept_answers(answers, self._factories)
        self.subprotocol = self._check_subprotocol(headers)
        self.deflate = agreed

    def _check_subprotocol(self, headers: Headers) -> str | None:
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values:
            return None
        if self._subprotocols is None:
            raise NegotiationError("no subprotocols supported")
        selected = parse_subprotocol(", ".join(values))
        if len(selected) > 1:
            error = f"multiple values: {', '.join(selected)}"
            raise InvalidHeader("Sec-WebSocket-Protocol", error)
        if selected[0] not in self._subprotocols:
            raise NegotiationError(f"unsupported subprotocol: {selected[0]}")
        return selected[0]


def _check_list(name: str, value: str, headers: Headers) -> None:
    """Check a header that was not simply the word it should be."""
    if name not in headers:
        raise InvalidUpgrade(name)
    try:
        if name == "Connection":
            good = "upgrade" in [option.lower() for option in parse_connection(value)]
        else:
            good = [protocol.lower() for protocol in parse_upgrade(value)] == [
                "websocket"
            ]
    except InvalidHeaderFormat:
        good = False
    if not good:
        raise InvalidUpgrade(name, value)
