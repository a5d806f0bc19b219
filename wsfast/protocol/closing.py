"""
States of a connection, opcodes, close codes and the payload of a close frame.

Sections 5.5.1, 7.1 and 7.4 of RFC 6455.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from ..exceptions import InvalidPayload, ProtocolError

__all__ = [
    "CLOSE_CODE_EXPLANATIONS",
    "EXTERNAL_CLOSE_CODES",
    "OK_CLOSE_CODES",
    "Close",
    "CloseCode",
    "Opcode",
    "State",
    "close_code_valid",
]

#: A control frame's payload has at most 125 octets, 2 of which hold the code.
MAX_REASON: Final = 123


class State(enum.IntEnum):
    """State of a connection (RFC 6455 §4.1, §7.1)."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class Opcode(enum.IntEnum):
    """Opcode of a frame (RFC 6455 §5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Close code (RFC 6455 §7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: Final[dict[int, str]] = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received [internal]",
    1006: "abnormal closure [internal]",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure [internal]",
}

#: Registered codes that may be in a close frame; 3000 to 4999 may be as well.
EXTERNAL_CLOSE_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015)))

#: Codes of a connection that closed normally.
OK_CLOSE_CODES: Final = frozenset((1000, 1001, 1005))


def close_code_valid(code: int) -> bool:
    """Tell whether a close frame may have this code (RFC 6455 §7.4)."""
    return code in EXTERNAL_CLOSE_CODES or 3000 <= code < 5000


@dataclass
class Close:
    """
    Code and reason of a close frame (RFC 6455 §5.5.1).

    Attributes:
        code: Close code; 1005 stands for a close frame without one.
        reason: Reason; at most 123 octets of UTF-8 can be sent.

    """

    __slots__ = ("code", "reason")

    code: int
    reason: str

    def __str__(self) -> str:
        code = int(self.code)
        if 3000 <= code < 4000:
            explanation = "registered"
        elif 4000 <= code < 5000:
            explanation = "private use"
        else:
            explanation = CLOSE_CODE_EXPLANATIONS.get(code, "unknown")
        text = f"{code} ({explanation})"
        return f"{text} {self.reason}" if self.reason else text

    @classmethod
    def parse(cls, data: bytes) -> Close:
        """
        Read the payload of a close frame.

        Args:
            data: Payload octets; none at all gives code 1005.

        Raises:
            ProtocolError: The payload has one octet, or its code is not valid.
            InvalidPayload: The reason is not UTF-8.

        """
        if not data:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) == 1:
            raise ProtocolError("close frame too short", "close_payload_of_one_octet")
        code = int.from_bytes(data[:2], "big")
        if not close_code_valid(code):
            raise ProtocolError("invalid status code", "invalid_close_code")
        try:
            return cls(code, str(data[2:], "utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidPayload(
                "close reason is not valid UTF-8", "invalid_utf8"
            ) from error

    def serialize(self) -> bytes:
        """
        Return the payload of this close frame.

        Raises:
            ProtocolError: The code must not be sent, or the reason is too long.

        """
        self.check()
        reason = self.reason.encode()
        if len(reason) > MAX_REASON:
            raise ProtocolError("control frame too long", "control_too_long")
        return int(self.code).to_bytes(2, "big") + reason

    def check(self) -> None:
        """
        Check that the code may be in a close frame.

        Raises:
            ProtocolError: It may not.

        """
        if not close_code_valid(self.code):
            raise ProtocolError("invalid status code", "invalid_close_code")
