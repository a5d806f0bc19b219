"""
Maskers and a UTF-8 validator with the interface of wsaccel, in pure Python.

The twin of `wsfast.accelerate._primitives`, for an engine without C. The C engine's
validator does not show its state, hence the one of `wsfast._pure`.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Final

from wsfast import _pure

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "ByteArrayMasker",
    "Utf8Validator",
    "XorMaskerSimple",
    "frame_array",
    "unmask_part",
    "unmask_text",
]


class XorMaskerSimple:
    """
    Masks a payload that comes in pieces (RFC 6455 §5.3).

    Args:
        mask: Masking-key, 4 octets, any buffer.

    Raises:
        ValueError: ``mask`` is not 4 octets long.
        TypeError: ``mask`` is not a buffer.

    """

    __slots__ = ("_done", "_key")

    def __init__(self, mask: Buffer) -> None:
        self._key = bytes(memoryview(mask))
        if len(self._key) != 4:
            raise ValueError(f"mask should be 4byte, got {len(self._key)}")
        self._done = 0

    def pointer(self) -> int:
        """Return how many octets went through since the start."""
        return self._done

    def reset(self) -> None:
        """Begin a new payload with the same masking-key."""
        self._done = 0

    def process(self, data: Buffer) -> bytes | bytearray:
        """
        Mask the next octets of the payload.

        Args:
            data: Any buffer, which is not changed.

        Returns:
            As many octets, ``bytes`` from this class, ``bytearray`` from
            `ByteArrayMasker`.

        Raises:
            TypeError: ``data`` is not a buffer.

        """
        octets = bytes(memoryview(data))
        done = self._done
        self._done += len(octets)
        return _pure.mask(octets, self._key, done)


class ByteArrayMasker(XorMaskerSimple):
    """The same, whose results are bytearrays."""

    __slots__ = ()

    def process(self, data: Buffer) -> bytearray:
        """Mask the next octets of the payload."""
        return bytearray(super().process(data))


class Utf8Validator(_pure.Utf8Validator):
    """Validates a text that comes in pieces (RFC 3629)."""

    __slots__ = ()

    UTF8_ACCEPT: Final = 0
    UTF8_REJECT: Final = 1

    def validate(self, data: Buffer) -> tuple[bool, bool, int, int]:
        """
        Validate the next octets of the text.

        Args:
            data: Any buffer.

        Returns:
            What `wsfast.engine.Utf8Validator.validate` returns.

        Raises:
            TypeError: ``data`` is not a buffer.

        """
        return super().validate(bytes(memoryview(data)))

    def decode(self, octet: int) -> int:
        """
        Validate one octet.

        Args:
            octet: 0 to 255. It does not count among the octets of `validate`.

        Returns:
            The state of wsaccel's automaton behind it: `UTF8_ACCEPT` at the end of a
            character, `UTF8_REJECT` from the first bad octet on, else a number that
            says which octets may follow.

        Raises:
            OverflowError: ``octet`` is not in 0 to 255.
            TypeError: ``octet`` is not an integer.

        """
        total = self._total
        self.validate(index(octet).to_bytes(1, "big"))
        self._total = total
        if self._failed:
            return self.UTF8_REJECT
        tail = self._tail
        if not tail:
            return self.UTF8_ACCEPT
        size = 2 if tail[0] < 0xE0 else 3 if tail[0] < 0xF0 else 4
        if len(tail) > 1 or size == 2:
            return 1 + size - len(tail)
        special = {0xE0: 4, 0xED: 5, 0xF0: 6, 0xF4: 8}
        return special.get(tail[0], 3 if size == 3 else 7)


def unmask_part(data: bytes, start: int, size: int, key: bytes, offset: int) -> bytes:
    """
    Unmask octets out of the middle of what was received (RFC 6455 §5.3).

    Args:
        data: What was received.
        start: Where the octets begin.
        size: How many there are.
        key: Masking-key, 4 octets; zeros for a payload that is not masked.
        offset: Octets of the same payload that came before.

    Raises:
        ValueError: ``data`` has no such part, or ``key`` is not 4 octets long.

    """
    if start < 0 or not 0 <= size <= len(data) - start:
        raise ValueError(f"no {size} octets at {start}")
    return _pure.mask(data[start : start + size], key, offset)


def unmask_text(data: bytes, start: int, size: int, key: bytes) -> str | None:
    """
    Unmask and decode octets out of the middle of what was received.

    Returns:
        The text; None if it is not valid UTF-8.

    Raises:
        ValueError: As `unmask_part`.

    """
    try:
        return unmask_part(data, start, size, key, 0).decode()
    except UnicodeDecodeError:
        return None


def frame_array(first: int, payload: Buffer, masked: bool) -> bytearray:
    """
    Make a frame (RFC 6455 §5.2).

    Args:
        first: FIN, RSV1-3 and opcode, as on the wire; not judged.
        payload: Any buffer, of any length.
        masked: Whether to mask it, with a fresh masking-key.

    """
    octets = bytes(memoryview(payload))
    key = _pure.masking_key() if masked else None
    header = _pure.header_octets(first, len(octets), key)
    return bytearray(header + (octets if key is None else _pure.mask(octets, key)))
