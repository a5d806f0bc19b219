"""What goes wrong in Engine.IO: error replies, and what is raised."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ..exceptions import ConnectionClosedError, InvalidHandshake, WebSocketException

__all__ = [
    "MESSAGES",
    "BadPacket",
    "BadReply",
    "ErrorCode",
    "Refused",
    "SessionClosed",
]


class ErrorCode(IntEnum):
    """Why a request is refused, as the reference has it."""

    UNKNOWN_TRANSPORT = 0
    UNKNOWN_SID = 1
    BAD_HANDSHAKE_METHOD = 2
    BAD_REQUEST = 3
    FORBIDDEN = 4
    UNSUPPORTED_PROTOCOL_VERSION = 5


#: What the client is told, unless there is more to say.
MESSAGES: Final = {
    ErrorCode.UNKNOWN_TRANSPORT: "Transport unknown",
    ErrorCode.UNKNOWN_SID: "Session ID unknown",
    ErrorCode.BAD_HANDSHAKE_METHOD: "Bad handshake method",
    ErrorCode.BAD_REQUEST: "Bad request",
    ErrorCode.FORBIDDEN: "Forbidden",
    ErrorCode.UNSUPPORTED_PROTOCOL_VERSION: "Unsupported protocol version",
}


class BadPacket(WebSocketException, ValueError):  # noqa: N818
    """A packet, or a payload of packets, is none of Engine.IO 4."""

    reason_code = "bad_packet"


class Refused(WebSocketException):
    """
    A request is refused; raised and answered by the server.

    Attributes:
        error: Why.
        context: More about it, for :attr:`Server.on_connection_error`.

    """

    reason_code = "refused"

    def __init__(self, error: ErrorCode, message: str = "", **context: object) -> None:
        super().__init__(message or MESSAGES[error])
        self.error = error
        self.context = context

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return 403 if self.error == ErrorCode.FORBIDDEN else 400


class BadReply(InvalidHandshake):
    """
    A server answers a client with what is no Engine.IO 4, or refuses it.

    Attributes:
        error: The code of an error reply of Engine.IO, or None.

    """

    reason_code = "bad_reply"

    def __init__(self, message: str, error: int | None = None) -> None:
        super().__init__(message)
        self.error = error


class SessionClosed(ConnectionClosedError):  # noqa: N818
    """
    The session has ended: nothing can be sent any more.

    Attributes:
        why: What ended it, in a word or two; as ``on_close`` was told.

    """

    reason_code = "session_closed"

    def __init__(self, why: str) -> None:
        super().__init__(None, None)
        self.why = why

    def __str__(self) -> str:
        return f"the session has ended: {self.why}"
