"""
Every exception of wsfast.

Names, bases, constructors and texts are those of the websockets library, so that
``except`` clauses move over unchanged. Two attributes come on top:

* ``code``: the close code of a broken connection, or the HTTP status of a failed
  opening handshake;
* ``reason_code``: a stable name of what went wrong, for logs and metrics.

::

    WebSocketException
        ConnectionClosed
            ConnectionClosedOK, ConnectionClosedError
                SlowConsumer
        InvalidURI, InvalidProxy
        InvalidHandshake (also called HandshakeError)
            HandshakeTimeout (also a TimeoutError)
            SecurityError
                RequestLineTooLong, StatusLineTooLong, HeaderLineTooLong,
                TooManyHeaders, HeadTooLong
            ProxyError
                InvalidProxyMessage, InvalidProxyStatus
            InvalidMessage, InvalidMethod, InvalidProtocol, InvalidStatus
            InvalidHeader
                InvalidHeaderFormat, InvalidHeaderValue (also a ValueError),
                InvalidOrigin, InvalidUpgrade
            NegotiationError
                DuplicateParameter, InvalidParameterName, InvalidParameterValue
        ProtocolError
            InvalidPayload, PolicyViolation
        PayloadTooBig (also called MessageTooBig), TooManyFragments
        InvalidState (also an AssertionError), ConcurrencyError (also a RuntimeError)
"""

# ruff: noqa: N818 -- the names are those of the websockets library

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .protocol.closing import Close
    from .protocol.http import Response

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HandshakeError",
    "HandshakeTimeout",
    "HeadTooLong",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidPayload",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "MessageTooBig",
    "NegotiationError",
    "PayloadTooBig",
    "PolicyViolation",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "SlowConsumer",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]


class WebSocketException(Exception):
    """Base class of every exception that wsfast defines."""

    #: Close code of a connection, HTTP status of a handshake, 0 where neither is.
    code: int = 0
    #: Stable name of what went wrong, in ``snake_case``.
    reason_code: str = "error"


class ConnectionClosed(WebSocketException):
    """
    The connection is closed: nothing can be sent or received any more.

    Attributes:
        rcvd: The close frame that was received, or None.
        sent: The close frame that was sent, or None.
        rcvd_then_sent: With both, whether the received one came first; else None.

    """

    reason_code = "connection_closed"

    def __init__(
        self,
        rcvd: Close | None,
        sent: Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        super().__init__(rcvd, sent, rcvd_then_sent)
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    def __str__(self) -> str:
        if self.rcvd is None and self.sent is None:
            return "no close frame received or sent"
        if self.rcvd is None:
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"

    @property
    def code(self) -> int:  # type: ignore[override]
        """Close code received, 1006 if there was no close frame."""
        return 1006 if self.rcvd is None else int(self.rcvd.code)

    @property
    def reason(self) -> str:
        """Reason received in the close frame, or the empty string."""
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """Closed normally: 1000, 1001 or no code was both received and sent."""

    reason_code = "closed_ok"


class ConnectionClosedError(ConnectionClosed):
    """Closed with an error code, or without a complete closing handshake."""

    reason_code = "closed_error"


class SlowConsumer(ConnectionClosedError):
    """The peer reads too slowly: output passed its hard limit (1008)."""

    reason_code = "slow_consumer"

    def __init__(
        self,
        rcvd: Close | None = None,
        sent: Close | None = None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        super().__init__(rcvd, sent, rcvd_then_sent)

    def __str__(self) -> str:
        return f"peer reads too slowly; {super().__str__()}"


class InvalidURI(WebSocketException):
    """The URI is not one of a WebSocket."""

    reason_code = "invalid_uri"

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException):
    """The URI is not one of a proxy."""

    reason_code = "invalid_proxy"

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class InvalidHandshake(WebSocketException):
    """
    Base class of the failures of an opening handshake.

    ``code``, also readable as ``status``, is the HTTP status that a server answers.
    """

    code = 400
    reason_code = "invalid_handshake"

    @property
    def status(self) -> int:
        """HTTP status of the failure."""
        return self.code


HandshakeError = InvalidHandshake


class HandshakeTimeout(InvalidHandshake, TimeoutError):
    """The opening handshake was not finished in time."""

    code = 408
    reason_code = "handshake_timeout"


class SecurityError(InvalidHandshake):
    """A request or response goes beyond a limit that protects us."""

    reason_code = "security_error"


class RequestLineTooLong(SecurityError):
    """The request line is longer than the limit."""

    code = 414
    reason_code = "request_line_too_long"


class StatusLineTooLong(SecurityError):
    """The status line is longer than the limit."""

    code = 431
    reason_code = "status_line_too_long"


class HeaderLineTooLong(SecurityError):
    """A header line is longer than the limit."""

    code = 431
    reason_code = "header_line_too_long"


class TooManyHeaders(SecurityError):
    """There are more header lines than the limit."""

    code = 431
    reason_code = "too_many_headers"


class HeadTooLong(SecurityError):
    """The head, all of its lines together, is longer than the limit."""

    code = 431
    reason_code = "head_too_long"


class ProxyError(InvalidHandshake):
    """Base class of the failures to connect through a proxy."""

    code = 502
    reason_code = "proxy_error"


class InvalidProxyMessage(ProxyError):
    """The proxy's response is malformed."""

    reason_code = "invalid_proxy_message"


class InvalidProxyStatus(ProxyError):
    """The proxy refused the connection."""

    reason_code = "invalid_proxy_status"

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"proxy rejected connection: HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """
    A request or response is malformed.

    Args:
        text: What is malformed.
        reason_code: Stable name of it.
        code: HTTP status to answer it with.

    """

    reason_code = "invalid_message"

    def __init__(
        self, text: str = "", reason_code: str | None = None, code: int = 400
    ) -> None:
        super().__init__(text)
        self.code = code
        if reason_code is not None:
            self.reason_code = reason_code


class InvalidMethod(InvalidHandshake):
    """The request's method is not GET."""

    code = 405
    reason_code = "invalid_method"

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def __str__(self) -> str:
        return f"unsupported HTTP method: {self.method}"


class InvalidProtocol(InvalidHandshake):
    """The request or response is not HTTP/1.1."""

    code = 426
    reason_code = "invalid_http_version"

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol

    def __str__(self) -> str:
        return f"unsupported HTTP version: {self.protocol}"


class InvalidStatus(InvalidHandshake):
    """
    The server answered with another status than 101.

    Attributes:
        response: The response, with as much of its body as was read.

    """

    reason_code = "invalid_status"

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response
        self.code = response.status_code

    def __str__(self) -> str:
        status = self.response.status_code
        return f"server rejected WebSocket connection: HTTP {status:d}"


class InvalidHeader(InvalidHandshake):
    """A header is missing, empty or wrong."""

    reason_code = "invalid_header"

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if self.value == "":
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {self.value}"


class InvalidHeaderFormat(InvalidHeader):
    """A header's value breaks the grammar of that header."""

    reason_code = "invalid_header_format"

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error} at {pos} in {header}")
        self.args = (name, error, header, pos)


class InvalidHeaderValue(InvalidHeader, ValueError):
    """A header's value is well formed but not acceptable."""

    reason_code = "invalid_header_value"


class InvalidOrigin(InvalidHeader):
    """The request's origin is not one of those allowed."""

    code = 403
    reason_code = "invalid_origin"

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)
        self.args = (origin,)


class InvalidUpgrade(InvalidHeader):
    """The Upgrade or the Connection header does not ask for WebSocket."""

    code = 426
    reason_code = "invalid_upgrade"


class NegotiationError(InvalidHandshake):
    """Extensions or the subprotocol cannot be agreed upon."""

    reason_code = "negotiation_error"


class DuplicateParameter(NegotiationError):
    """A parameter occurs twice in an extension."""

    reason_code = "duplicate_parameter"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name}"


class InvalidParameterName(NegotiationError):
    """An extension has a parameter that it does not define."""

    reason_code = "invalid_parameter_name"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name}"


class InvalidParameterValue(NegotiationError):
    """A parameter of an extension has a value out of its range."""

    reason_code = "invalid_parameter_value"

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if self.value == "":
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value}"


class ProtocolError(WebSocketException):
    """
    Something sent or received breaks the protocol.

    Args:
        text: What breaks it.
        reason_code: Stable name of it.
        code: Close code, 1002 unless given.

    """

    code = 1002
    reason_code = "protocol_error"

    def __init__(
        self, text: str = "", reason_code: str | None = None, code: int | None = None
    ) -> None:
        super().__init__(text)
        if reason_code is not None:
            self.reason_code = reason_code
        if code is not None:
            self.code = code


class InvalidPayload(ProtocolError):
    """A payload is not what its message says: UTF-8, or deflated octets (1007)."""

    code = 1007
    reason_code = "invalid_payload"


class PolicyViolation(ProtocolError):
    """The peer does what the protocol allows and we do not (1008)."""

    code = 1008
    reason_code = "policy_violation"


class PayloadTooBig(WebSocketException):
    """
    A message is larger than the limit (1009).

    Args:
        size_or_message: Octets of the frame or message, None if not known, or the
            whole text.
        max_size: Limit, in octets.
        current_size: Octets of this message that were read before; they count
            towards the limit.

    """

    code = 1009
    reason_code = "message_too_big"

    def __init__(
        self,
        size_or_message: int | str | None,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        super().__init__(size_or_message, max_size, current_size)
        self.message: str | None = None
        self.size: int | None = None
        self.max_size = 0 if max_size is None else max_size
        self.current_size: int | None = None
        if isinstance(size_or_message, str):
            self.message = size_or_message
        else:
            self.size = size_or_message
            self.set_current_size(current_size)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        text = "frame "
        if self.size is not None:
            text += f"with {self.size} bytes "
        if self.current_size is not None:
            text += f"after reading {self.current_size} bytes "
        return text + f"exceeds limit of {self.max_size} bytes"

    def set_current_size(self, current_size: int | None) -> None:
        """
        Count what was read of the message before towards the limit.

        Args:
            current_size: Octets read before, None if it is not known.

        """
        if current_size is not None:
            self.max_size += current_size
            self.current_size = current_size


MessageTooBig = PayloadTooBig


class TooManyFragments(WebSocketException):
    """
    A message has more fragments than its octets pay for (1008).

    Args:
        max_fragments: Limit.

    """

    code = 1008
    reason_code = "too_many_fragments"

    def __init__(self, max_fragments: int) -> None:
        super().__init__(f"fragmented message exceeds limit of {max_fragments} frames")
        self.args = (max_fragments,)
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"fragmented message exceeds limit of {self.max_fragments} frames"


class InvalidState(WebSocketException, AssertionError):
    """The connection's state does not allow to send this."""

    reason_code = "invalid_state"


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two tasks, or threads, do at once what only one may do."""

    reason_code = "concurrent_use"
