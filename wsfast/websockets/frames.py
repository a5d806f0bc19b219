"""Frames, where the websockets library has them."""

from __future__ import annotations

import dataclasses
from typing import Any

from .. import engine
from ..exceptions import ProtocolError
from ..protocol.closing import (
    CLOSE_CODE_EXPLANATIONS,
    EXTERNAL_CLOSE_CODES,
    OK_CLOSE_CODES,
    Close,
    CloseCode,
    Opcode,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "CLOSE_CODE_EXPLANATIONS",
    "CONT",
    "CTRL_OPCODES",
    "DATA_OPCODES",
    "EXTERNAL_CLOSE_CODES",
    "OK_CLOSE_CODES",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONT",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "PING",
    "PONG",
    "TEXT",
    "Close",
    "CloseCode",
    "Frame",
    "Opcode",
]

CONT = OP_CONT = Opcode.CONT
TEXT = OP_TEXT = Opcode.TEXT
BINARY = OP_BINARY = Opcode.BINARY
CLOSE = OP_CLOSE = Opcode.CLOSE
PING = OP_PING = Opcode.PING
PONG = OP_PONG = Opcode.PONG

DATA_OPCODES = CONT, TEXT, BINARY
CTRL_OPCODES = CLOSE, PING, PONG


@dataclasses.dataclass
class Frame:
    """
    A frame (RFC 6455 §5.2), to be looked at or to be made.

    Attributes:
        opcode: Opcode.
        data: Payload.
        fin: FIN bit.
        rsv1: RSV1 bit.
        rsv2: RSV2 bit.
        rsv3: RSV3 bit.

    """

    opcode: Opcode
    data: bytes | bytearray | memoryview
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    def serialize(self, *, mask: bool, extensions: Any = None) -> bytes:
        """
        Return the octets of the frame.

        Args:
            mask: Mask the payload, as a client does.
            extensions: None; frames are not for extensions here.

        Raises:
            ProtocolError: The frame breaks the protocol.

        """
        if extensions:
            raise ValueError("extensions are not supported here")
        self.check()
        return engine.encode_frame(
            self.opcode, self.data, fin=self.fin, rsv1=self.rsv1, mask=mask
        )

    def check(self) -> None:
        """
        Check the frame.

        Raises:
            ProtocolError: Reserved bits are set, or it is a control frame that is
                fragmented or too long.

        """
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise ProtocolError("reserved bits must be 0")
        if self.opcode in CTRL_OPCODES:
            if len(self.data) > 125:
                raise ProtocolError("control frame too long")
            if not self.fin:
                raise ProtocolError("fragmented control frame")
