"""What servers of SockJS send, taken apart (SockJS protocol 0.3.3)."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Final

from ..exceptions import ProtocolError
from ..protocol.closing import Close

__all__ = ["Lines", "broken_frame", "decode_uri", "is_prelude", "parse_close"]

#: Escapes that ``decodeURI`` of browsers leaves alone: those of reserved characters.
_RESERVED: Final = re.compile(r"%(?=2[3466BCFbcf]|3[ABDFabdf]|40)")


def parse_close(frame: str | bytes) -> Close:
    """
    Read a close frame, ``c[code,"reason"]``.

    Raises:
        ValueError: It is not one.

    """
    try:
        content = json.loads(frame[1:])
    except RecursionError:
        raise ValueError("an array in an array") from None
    if (
        not isinstance(content, list)
        or len(content) != 2
        or type(content[0]) is not int
        or not isinstance(content[1], str)
    ):
        raise ValueError("a code and a reason are expected")
    code = content[0]
    if not 1000 <= code < 5000:
        raise ValueError(f"there is no close code {code}")
    return Close(code, content[1])


def is_prelude(frame: str | bytes) -> bool:
    """Tell whether this is what fills the buffers of browsers, ahead of a stream."""
    return not (frame.strip("h") if isinstance(frame, str) else frame.strip(b"h"))


def broken_frame(frame: str | bytes, exc: Exception | None) -> ProtocolError:
    """Return the error for a frame that is none, or that comes at the wrong time."""
    start = frame[:40]
    what = f"{type(exc).__name__}: {exc}" if exc is not None else "unexpected"
    failure = ProtocolError(f"broken frame {start!r}: {what}", "broken_frame")
    failure.__cause__ = exc
    return failure


def decode_uri(text: str) -> str:
    """
    Undo the escapes of a transport, as ``decodeURI`` does.

    Raises:
        ValueError: They are not those of UTF-8.

    """
    if "%" not in text:
        return text
    return urllib.parse.unquote(_RESERVED.sub("%25", text), errors="strict")


class Lines:
    """
    Cuts a stream into lines.

    Args:
        limit: Most octets of a line, or None.

    Attributes:
        over: The line that is not complete is too long already.

    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.over = False
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next octets; return the lines that are complete."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts.clear()
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            self.over = self._limit is not None and self._size > self._limit
        return lines

    def end(self) -> bool:
        """Tell whether the stream ended with a line; begin anew."""
        clean = self._size == 0
        self._parts.clear()
        self._size = 0
        return clean
