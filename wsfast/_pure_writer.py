"""
The output queue in pure Python: frames are laid down, octets are taken (RFC 6455 §5.2).

The twin of `wsfast._writer`: the same names, results and exceptions, checked by the
same tests. What it promises is written down here for both.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from wsfast._pure import (
    contiguous_octets,
    first_octet,
    header_octets,
    masking_key,
    xor,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FrameWriter"]

_REFERENCE_MIN = 16384  # payloads from here on are queued as they are
_CHUNK = 65536  # octets after which a new piece of output is begun


class FrameWriter:
    """
    The output of a connection: frames are appended, octets are taken.

    Args:
        client: Whether this end is the client: then each frame is masked with a
            fresh key from `wsfast.engine.masking_key`.

    """

    def __init__(self, *, client: bool) -> None:
        self._client: Final = bool(client)
        # Small writes are gathered in bytearrays, large payloads stand alone.
        self._chunks: deque[bytes | bytearray] = deque()
        self._start = 0  # octets of the first chunk that were consumed
        self._size = 0

    def __len__(self) -> int:
        """Return the octets not consumed yet, as does `queued`."""
        return self._size

    @property
    def queued(self) -> int:
        """Octets not consumed yet."""
        return self._size

    def message(self, opcode: int, payload: Buffer | str) -> None:
        """
        Append a whole message in one frame.

        Args:
            opcode: 1 text or 2 binary; not checked.
            payload: As in `frame`.

        """
        self.frame(opcode, payload)

    def frame(
        self,
        opcode: int,
        payload: Buffer | str,
        fin: bool = True,
        rsv1: bool = False,
    ) -> None:
        """
        Append a frame.

        Args:
            opcode: 0 to 2, or 8 to 10.
            payload: Any contiguous buffer, or text, which is sent as UTF-8; at most
                125 octets for a control frame. A server keeps large ``bytes`` by
                reference instead of copying them.
            fin: Whether this frame ends its message.
            rsv1: The RSV1 bit.

        Raises:
            ValueError: An argument would make a frame that no peer may accept.
            BufferError: ``payload`` is not contiguous.
            TypeError: ``payload`` is neither text nor a buffer.
            UnicodeEncodeError: Text holds a surrogate code point.

        """
        if isinstance(payload, str):
            octets = payload.encode()
        else:
            octets = contiguous_octets(payload)
        first = first_octet(opcode, len(octets), fin, rsv1)
        if self._client:
            key = masking_key()
            self._append(header_octets(first, len(octets), key))
            self._append(xor(octets, key))
        else:
            self._append(header_octets(first, len(octets), None))
            self._append(octets)

    def raw(self, data: Buffer) -> None:
        """
        Append octets as they are.

        Args:
            data: Any contiguous buffer.

        Raises:
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        self._append(contiguous_octets(data))

    def _append(self, octets: bytes) -> None:
        self._size += len(octets)
        if len(octets) >= _REFERENCE_MIN:
            self._chunks.append(octets)
            return
        last = self._chunks[-1] if self._chunks else None
        if isinstance(last, bytearray) and len(last) < _CHUNK:
            last += octets
        elif octets:
            self._chunks.append(bytearray(octets))

    def peek(self, n: int = 65536) -> bytes:
        """
        Return the next octets of output, and keep them.

        Args:
            n: How many, ``>= 0``.

        Returns:
            ``n`` octets, or all if there are fewer.

        Raises:
            OverflowError: ``n`` is negative.

        """
        if n < 0:
            raise OverflowError(f"n must be >= 0, got {n}")
        pieces: list[bytes | bytearray] = []
        start = self._start
        for chunk in self._chunks:
            if n <= 0:
                break
            piece = chunk[start : start + n]
            pieces.append(piece)
            n -= len(piece)
            start = 0
        return b"".join(pieces)

    def consume(self, n: int) -> None:
        """
        Drop octets of output: they were written.

        Args:
            n: How many, from 0 to all there are.

        Raises:
            ValueError: So many are not there.
            OverflowError: ``n`` is negative.

        """
        if n < 0:
            raise OverflowError(f"n must be >= 0, got {n}")
        if n > self._size:
            raise ValueError(f"{n} octets to consume, but {self._size} are queued")
        self._size -= n
        n += self._start
        while self._chunks and n >= len(self._chunks[0]):
            n -= len(self._chunks.popleft())
        self._start = n

    def take(self) -> bytes:
        """Return all output there is, and drop it."""
        octets = self.peek(self._size)
        self._chunks.clear()
        self._start = self._size = 0
        return octets
