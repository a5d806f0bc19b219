"""How messages look on lines, in both directions."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Literal

from ._errors import CommandError

__all__ = ["Binary", "Format"]

Binary = Literal["hex", "base64", "raw"]


class Format:
    """
    How messages are written on lines.

    Args:
        binary: The form of binary messages; lines to send are then binary as well.
            None to send text, and to print binary messages as hex.
        pretty: Lay out messages that are JSON.
        by_hand: Whether somebody reads it in a terminal.

    """

    def __init__(self, binary: Binary | None, pretty: bool, by_hand: bool) -> None:
        self.binary = binary
        self.pretty = pretty
        self.by_hand = by_hand

    def incoming(self, message: str | bytes) -> str:
        """Return a message as it is printed, without a line end behind it."""
        if isinstance(message, bytes):
            if self.binary == "base64":
                return base64.b64encode(message).decode()
            return message.hex(" ") if self.by_hand else message.hex()
        if self.pretty:
            try:
                return json.dumps(json.loads(message), indent=2, ensure_ascii=False)
            except (ValueError, RecursionError):
                return message
        return message

    def octets(self, message: str | bytes) -> bytes:
        """Return a message as it goes into a pipe."""
        if self.binary == "raw":
            return message.encode() if isinstance(message, str) else message
        return self.incoming(message).encode("utf-8", "surrogateescape") + b"\n"

    def outgoing(self, line: str | bytes, where: str) -> str | bytes:
        """
        Return the message that a line is, without its end.

        Args:
            line: The line.
            where: Where it stands, for the error.

        Raises:
            CommandError: It is not of the form that it should have.

        """
        if self.binary is None:
            if isinstance(line, str):
                try:
                    line.encode()
                except UnicodeEncodeError:
                    pass
                else:
                    return line
            else:
                try:
                    return line.decode()
                except UnicodeDecodeError:
                    pass
            raise CommandError(
                f"{where} is not UTF-8: --binary raw sends octets as they are"
            )
        data = (
            line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line
        )
        try:
            if self.binary == "hex":
                return bytes.fromhex(data.decode("ascii"))
            if self.binary == "base64":
                return base64.b64decode(data.strip(), validate=True)
        except (ValueError, binascii.Error):
            raise CommandError(f"{where} is not {self.binary}") from None
        return data
