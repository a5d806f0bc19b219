"""The body of a request in chunks (RFC 9112 §7.1), strictly: Node's clients send it."""

from __future__ import annotations

import re

from ..asgi.exchange import BodyTooBig

__all__ = ["Chunks"]

#: A chunk's size, and extensions, which mean nothing to us.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t -~\x80-\xff]*)?\Z")

#: Octets of the line with that.
_MAX_LINE = 256


class Chunks:
    """
    Puts a body together.

    Args:
        limit: Octets that it may have.

    Attributes:
        body: The body, as far as it has come.
        rest: Octets that came behind it.

    """

    __slots__ = ("_buffer", "_limit", "_size", "body", "rest")

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self.rest = b""
        self._buffer = bytearray()
        self._limit = limit
        self._size = -1  # of the chunk that comes; -1 before its first line

    def feed(self, data: bytes) -> bool:
        """
        Take the next octets.

        Returns:
            Whether the body is complete.

        Raises:
            ValueError: It breaks RFC 9112, or has trailer fields, which nobody wants.
            BodyTooBig: It has more octets than it may.

        """
        buffer = self._buffer
        buffer += data
        while True:
            if self._size < 0 and not self._read_size():
                return False
            size = self._size
            if len(buffer) < size + 2:
                return False
            if buffer[size : size + 2] != b"\r\n":
                raise ValueError("a chunk that does not end where it should")
            self.body += buffer[:size]
            del buffer[: size + 2]
            self._size = -1
            if size == 0:
                self.rest = bytes(buffer)
                return True

    def _read_size(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n", 0, _MAX_LINE)
        if end < 0:
            if len(buffer) >= _MAX_LINE:
                raise ValueError("a chunk's first line is too long")
            return False
        found = _SIZE.match(bytes(buffer[:end]))
        if found is None:
            raise ValueError("a chunk without a size")
        self._size = int(found[1], 16)
        if len(self.body) + self._size > self._limit:
            raise BodyTooBig(f"a body over {self._limit} octets")
        del buffer[: end + 2]
        return True
