"""The server's side of the opening handshake, without I/O (RFC 6455 §4.2)."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidUpgrade,
    NegotiationError,
)
from .deflate import Deflate, DeflateOptions
from .extension_frames import Agreed, extensions_of
from .extension_negotiation import accept_offers, sort_extensions
from .extensions import answer_offers
from .headers import (
    check_field,
    is_token,
    parse_connection,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from .heads import parse_request
from .http import SERVER, Request, Response, build_response
from .refusals import FAILED

__all__ = ["GUID", "ServerHandshake", "accept_key"]

#: What is appended to the key (RFC 6455 §1.3).
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ACCEPTED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: "
)
_KEY_FIELD: Final = b"\r\nsec-websocket-key:"
_SERVER_LINE: Final = f"\r\nServer: {SERVER}".encode("latin-1")
#: What browsers and other clients send as their Connection header.
_UPGRADE: Final = (
    b"Upgrade",
    b"keep-alive, Upgrade",
    b"upgrade",
    b"keep-alive, upgrade",
)
_BROWSER_HINT: Final = (
    "\n"
    "You cannot access a WebSocket server directly with a browser. "
    "You need a WebSocket client.\n"
)

Fields = dict[bytes, "bytes | list[bytes]"]
Origins = Sequence["str | re.Pattern[str] | None"]


def accept_key(key: bytes) -> bytes:
    """
    Return the answer to a key (RFC 6455 §4.2.2).

    Args:
        key: Value of Sec-WebSocket-Key, as it was sent.

    Returns:
        Value of Sec-WebSocket-Accept.

    """
    return binascii.b2a_base64(hashlib.sha1(key + GUID).digest(), newline=False)


class ServerHandshake:
    """
    Answers the requests of clients, one after another.

    Args:
        origins: Origins allowed, as text or compiled pattern; None among them allows a
            request without an Origin header. None instead of a list allows any.
        subprotocols: Subprotocols supported, best first. With none, none is selected,
            whatever the client offers.
        select_subprotocol: Selects one of those the client offers, or None, instead;
            `NegotiationError` from it refuses the client.
        deflate: Options of permessage-deflate; None refuses compression.
        extensions: Factories of extensions, best first; permessage-deflate may be
            among them, and is used instead of ``deflate`` then.
        server_header: Value of the Server header, None for no such header.

    Raises:
        ValueError: A subprotocol or the Server header cannot be sent safely.
        TypeError: ``subprotocols`` or ``extensions`` are not what they should be.

    Attributes:
        origin: Origin of the last client, or None.
        subprotocol: Subprotocol selected for it, or None.
        deflate: Compression agreed upon with it, or None; where other extensions were,
            the `Chain` of all of them.
        exception: Why it was refused, or None.

    """

    __slots__ = (
        "_factories",
        "_origins",
        "_select",
        "_server_header",
        "_subprotocols",
        "deflate",
        "exception",
        "offer",
        "origin",
        "subprotocol",
    )

    def __init__(
        self,
        *,
        origins: Origins | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: Callable[[Sequence[str]], str | None] | None = None,
        deflate: DeflateOptions | None = None,
        extensions: Sequence[Any] | None = None,
        server_header: str | None = SERVER,
    ) -> None:
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        if server_header != SERVER and server_header is not None:
            check_field("Server", server_header)
        self._origins = origins
        self._subprotocols = subprotocols
        self._select = select_subprotocol
        self._server_header = server_header
        self.offer, self._factories = sort_extensions(extensions, deflate, client=False)
        self.origin: str | None = None
        self.subprotocol: str | None = None
        self.deflate: Agreed = None
        self.exception: Exception | None = None

    @property
    def has_factories(self) -> bool:
        """Whether there are extensions other than permessage-deflate."""
        return self._factories is not None

    @property
    def extensions(self) -> list[Any]:
        """Extensions agreed upon."""
        return extensions_of(self.deflate)

    def forget(self) -> None:
        """Make ready for the next client: forget what the last one got."""
        self.origin = self.subprotocol = self.deflate = self.exception = None

    def accept(self, request: Request) -> Response:
        """
        Answer a request.

        Args:
            request: The request; what was parsed of it for the handshake is released.

        Returns:
            A response with status 101, or one that refuses: 400, 403, 405, 426; 500
            if ``select_subprotocol`` failed. Then ``exception`` tells why.

        """
        self.origin = self.subprotocol = self.deflate = self.exception = None
        try:
            return self._accept(request)
        except InvalidHandshake as error:
            self.exception = error
            self.subprotocol = self.deflate = None
            return self.refuse(error)
        except Exception as error:  # from the application's select_subprotocol
            self.exception = error
            self.subprotocol = self.deflate = None
            return self.reject(500, FAILED)
        finally:
            request._fields = None

    def reject(self, status: int, text: str) -> Response:
        """
        Return a response that refuses the connection.

        Args:
            status: HTTP status.
            text: Its body.

        """
        return build_response(status, text, self._server_header)

    def refuse(self, error: InvalidHandshake) -> Response:
        """Return the response that tells a client of this failure."""
        text = f"Failed to open a WebSocket connection: {error}.\n"
        status = error.code if 400 <= error.code < 600 else 400
        if isinstance(error, InvalidUpgrade):
            text += _BROWSER_HINT
        response = self.reject(status, text)
        if status == 405:
            response.headers["Allow"] = "GET"
        elif status == 426:
            response.headers["Upgrade"] = "websocket"
            response.headers["Sec-WebSocket-Version"] = "13"
            response.headers.replace("Connection", "Upgrade, close")
        return response

    def _accept(self, request: Request) -> Response:
        if request.method != "GET":
            raise InvalidMethod(request.method)
        if request.protocol != "HTTP/1.1":
            raise InvalidProtocol(request.protocol)
        fields = request._fields
        octets = request._head
        if fields is None:
            # Made or changed by a caller: read it as it would be on the wire.
            octets = request.serialize()
            fields = parse_request(octets)._fields
            assert fields is not None
        get = fields.get

        host = get(b"host")
        if type(host) is not bytes:
            raise InvalidHeader("Host", None if host is None else "multiple values")
        self._check_target(request, host)

        value = get(b"connection")
        if value not in _UPGRADE and not _has_upgrade(value):
            raise InvalidUpgrade("Connection", _joined(value))
        value = get(b"upgrade")
        if value != b"websocket" and not _has_websocket(value):
            raise InvalidUpgrade("Upgrade", _joined(value))

        key = get(b"sec-websocket-key")
        if type(key) is not bytes:
            error = None if key is None else "multiple values"
            raise InvalidHeader("Sec-WebSocket-Key", error)
        # 16 octets are 22 characters of base64 and two of padding.
        if len(key) != 24 or key[22:] != b"==" or key[:22].translate(None, _BASE64):
            raise InvalidHeaderValue("Sec-WebSocket-Key", key.decode("latin-1"))
        value = get(b"sec-websocket-version")
        if value != b"13":
            raise _wrong_version(value)

        value = get(b"origin")
        if value is not None or self._origins is not None:
            self._check_origin(value)

        response = _Accepted(octets)
        offer = self.offer
        if offer is not None:
            value = get(b"sec-websocket-extensions")
            if value is not None:
                agreed = answer_offers(value, offer)
                if agreed is not None:
                    line, parameters = agreed
                    self.deflate = Deflate(parameters, offer)
                    response._extension = line
        elif self._factories is not None:
            value = get(b"sec-websocket-extensions")
            if value is not None:
                line, self.deflate = accept_offers(value, self._factories)
                response._extension = line
        value = get(b"sec-websocket-protocol")
        if value is not None or self._subprotocols or self._select is not None:
            subprotocol = self._subprotocol(value)
            if subprotocol is not None:
                self.subprotocol = response._subprotocol = subprotocol
        response._server = self._server_header
        return response

    def _check_target(self, request: Request, host: bytes) -> None:
        path = request.path
        if path[0] == "/" and "#" not in path:
            return
        # RFC 9112 §3.2.2: a server reads the absolute form too. It must then mean the
        # same host as the Host header says.
        scheme, mark, rest = path.partition("://")
        authority, slash, target = rest.partition("/")
        if (
            mark
            and scheme.lower() in ("http", "https", "ws", "wss")
            and authority.lower() == host.decode("latin-1").lower()
            and "#" not in path
            and "?" not in authority
        ):
            request.path = slash + target or "/"
            return
        raise InvalidMessage("invalid request target", "malformed_target")

    def _check_origin(self, value: bytes | list[bytes] | None) -> None:
        if isinstance(value, list):
            raise InvalidHeader("Origin", "multiple values")
        origin = None if value is None else value.decode("latin-1")
        if self._origins is not None:
            for allowed in self._origins:
                if allowed == origin:
                    break
                if (
                    origin is not None
                    and isinstance(allowed, re.Pattern)
                    and allowed.fullmatch(origin) is not None
                ):
                    break
            else:
                raise InvalidOrigin(origin)
        self.origin = origin

    def _subprotocol(self, value: bytes | list[bytes] | None) -> str | None:
        text = _joined(value)
        if self._select is None and not self._subprotocols:
            return None
        offered = [] if text is None else parse_subprotocol(text)
        if self._select is not None:
            selected = self._select(offered)
            if selected is not None and not is_token(selected):
                raise ValueError(f"invalid subprotocol: {selected!r}")
            if selected is not None and selected not in offered:
                raise ValueError(f"subprotocol that was not offered: {selected}")
            return selected
        assert self._subprotocols is not None
        if not offered:
            raise NegotiationError("missing subprotocol")
        wanted = frozenset(offered)
        for subprotocol in self._subprotocols:
            if subprotocol in wanted:
                return subprotocol
        supported = ", ".join(self._subprotocols)
        raise NegotiationError(f"invalid subprotocol; expected one of {supported}")


class _Accepted(Response):
    """
    The response that accepts a request.

    A connection keeps it, so it holds nothing but what it shares with others: the head
    of the request, which has the key, and what was agreed upon.
    """

    __slots__ = ("_extension", "_server", "_subprotocol")

    def __init__(self, request_head: bytes) -> None:
        self.status_code = 101
        self.reason_phrase = "Switching Protocols"
        self.body = b""
        self.protocol = "HTTP/1.1"
        self._headers = None
        self._head = request_head
        self._extension = b""
        self._subprotocol: str | None = None
        self._server: str | None = None

    def _octets(self) -> bytes:
        head = self._head
        start = head.lower().index(_KEY_FIELD) + len(_KEY_FIELD)
        key = head[start : head.index(b"\r\n", start)].strip()
        octets = _ACCEPTED + accept_key(key) + self._extension
        if self._subprotocol is not None:
            octets += f"\r\nSec-WebSocket-Protocol: {self._subprotocol}".encode()
        if self._server == SERVER:
            octets += _SERVER_LINE
        elif self._server:
            octets += f"\r\nServer: {self._server}".encode("latin-1")
        return octets + b"\r\n\r\n"


def _joined(value: bytes | list[bytes] | None) -> str | None:
    """Return the fields of one name as if they had been one (RFC 9110 §5.3)."""
    if isinstance(value, list):
        value = b", ".join(value)
    return None if value is None else value.decode("latin-1")


def _has_upgrade(value: bytes | list[bytes] | None) -> bool:
    text = _joined(value)
    if not text:
        return False
    try:
        return "upgrade" in [option.lower() for option in parse_connection(text)]
    except InvalidHeaderFormat:
        return False


def _has_websocket(value: bytes | list[bytes] | None) -> bool:
    text = _joined(value)
    if not text:
        return False
    try:
        return "websocket" in [protocol.lower() for protocol in parse_upgrade(text)]
    except InvalidHeaderFormat:
        return False


def _wrong_version(value: bytes | list[bytes] | None) -> InvalidHeader:
    if value is None:
        return InvalidHeader("Sec-WebSocket-Version")
    if isinstance(value, list):
        return InvalidHeader("Sec-WebSocket-Version", "multiple values")
    error = InvalidHeaderValue("Sec-WebSocket-Version", value.decode("latin-1"))
    error.code = 426
    error.reason_code = "unsupported_version"
    return error
