"""
What the C engine and the pure one share: opcodes, event numbers, value types.

Both `wsfast._frames` and `wsfast._pure_frames` import this module, so that a
`FrameError` or a `Frame` is the same class whichever engine raised or made it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

# Opcodes (RFC 6455 §5.2).
OP_CONT: Final = 0
OP_TEXT: Final = 1
OP_BINARY: Final = 2
OP_CLOSE: Final = 8
OP_PING: Final = 9
OP_PONG: Final = 10

# What MessageParser.next() returns.
ERROR: Final = -1
NEED_DATA: Final = 0
TEXT: Final = 1
BINARY: Final = 2
COMPRESSED: Final = 3
FRAGMENT: Final = 4
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10


class Frame(NamedTuple):
    """
    One frame as it was on the wire, unmasked (RFC 6455 §5.2).

    Attributes:
        opcode: 0 to 2 or 8 to 10; 0 continues a fragmented message.
        payload: Payload octets; text is not validated.
        fin: Whether this frame ends its message.
        rsv1: The RSV1 bit; with permessage-deflate: a compressed message begins.

    """

    opcode: int
    payload: bytes
    fin: bool
    rsv1: bool


class Control(NamedTuple):
    """
    A control frame among the messages of `MessageParser.receive`.

    Attributes:
        opcode: 8 close, 9 ping, 10 pong.
        payload: Payload octets, at most 125.
        code: Close code of a close frame, 1005 if it had none; 0 for the others.

    """

    opcode: int
    payload: bytes
    code: int


class FrameError(ValueError):
    """
    The octets received break RFC 6455, or a limit.

    Attributes:
        code: Close code to fail the connection with, for example 1002.
        reason_code: Stable name of the reason, for example ``"frame_masked"``.
        frames: What was complete before the error in the same call: frames of a
            `FrameParser`, messages and `Control` tuples of a `MessageParser`.

    """

    def __init__(
        self,
        text: str,
        code: int,
        reason_code: str,
        frames: list[Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.reason_code = reason_code
        self.frames: list[Any] = [] if frames is None else frames

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with every argument, which Exception alone would not do."""
        return type(self), (str(self), self.code, self.reason_code, self.frames)
