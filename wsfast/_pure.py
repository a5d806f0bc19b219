"""
The engine's primitives in pure Python: masking, UTF-8, headers, masking-keys.

The twin of `wsfast._engine`: the same names, results and exceptions, checked by
the same tests. It serves where the C extension cannot be built or loaded.
"""

from __future__ import annotations

import codecs
import os
import struct
from operator import index
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

__all__ = [
    "KERNEL",
    "KERNELS",
    "Utf8Validator",
    "decode_utf8",
    "encode_frame",
    "encode_header",
    "is_valid_utf8",
    "mask",
    "mask_into",
    "masking_key",
    "unmask_inplace",
]

KERNEL: Final[str] = "python"
KERNELS: Final[tuple[str, ...]] = ("python",)

_BLOCK = 4096  # octets XORed as one integer: longer ones leave the cache
_LENGTH_END = 1 << 63  # RFC 6455 §5.2: the most significant bit must be 0
_OFFSET_END = 1 << 64
_DATA_OPCODES = (0, 1, 2)
_OPCODES = (0, 1, 2, 8, 9, 10)
_CONTROL_MAX = 125  # RFC 6455 §5.5


def mask(data: Buffer, key: Buffer, offset: int = 0) -> bytes:
    """
    Mask or unmask payload data (RFC 6455 §5.3).

    Args:
        data: Payload octets, any contiguous buffer. Not modified.
        key: Masking-key, 4 octets in wire order.
        offset: Octets of this payload masked before, ``>= 0``, for a payload
            that arrives in pieces: ``data[0]`` meets ``key[offset % 4]``.

    Returns:
        As many octets as ``data`` has.

    Raises:
        ValueError: ``key`` is not 4 octets long.
        OverflowError: ``offset`` is negative or has more than 64 bits.
        BufferError: ``data`` or ``key`` is not contiguous.
        TypeError: ``data`` or ``key`` is not a buffer.

    """
    octets = contiguous_octets(data)
    return xor(octets, turned_key(key, offset))


def mask_into(
    src: Buffer,
    key: Buffer,
    dst: Buffer,
    dst_offset: int = 0,
    n: int | None = None,
    offset: int = 0,
) -> None:
    """
    Mask or unmask payload data into another buffer (RFC 6455 §5.3).

    Args:
        src: Payload octets, any contiguous buffer.
        key: Masking-key, 4 octets in wire order.
        dst: Writable contiguous buffer for the result. It may overlap ``src``:
            the result is as if ``src`` had been copied first.
        dst_offset: Where in ``dst`` the result begins.
        n: Octets to mask, from the start of ``src``; ``None`` means all.
        offset: Octets of this payload masked before.

    Raises:
        ValueError: ``key`` is not 4 octets long, ``n`` octets are not there in
            ``src``, or ``dst`` has no room for them.
        OverflowError: ``offset`` is negative or has more than 64 bits.
        BufferError: ``dst`` is read-only, or a buffer is not contiguous.
        TypeError: An argument is of the wrong type.

    """
    turned = turned_key(key, offset)
    octets = contiguous_octets(src)
    start = index(dst_offset)
    count = len(octets) if n is None else index(n)
    with _writable(dst) as target:
        if not 0 <= count <= len(octets):
            raise ValueError(f"n must be 0 to {len(octets)} octets, got {count}")
        if not 0 <= start <= len(target) - count:
            raise ValueError(
                f"{count} octets at {start} do not fit into {len(target)} octets"
            )
        if count:
            target[start : start + count] = xor(octets[:count], turned)


def unmask_inplace(buffer: Buffer, key: Buffer, offset: int = 0) -> None:
    """
    Mask or unmask a buffer where it lies (RFC 6455 §5.3).

    Args:
        buffer: Payload octets, a writable contiguous buffer; all are changed.
        key: Masking-key, 4 octets in wire order.
        offset: Octets of this payload masked before.

    Raises:
        ValueError: ``key`` is not 4 octets long.
        OverflowError: ``offset`` is negative or has more than 64 bits.
        BufferError: ``buffer`` is read-only or not contiguous.
        TypeError: ``buffer`` or ``key`` is not a buffer.

    """
    turned = turned_key(key, offset)
    with _writable(buffer) as target:
        for start in range(0, len(target), _BLOCK):
            end = start + _BLOCK
            target[start:end] = xor(bytes(target[start:end]), turned)


def is_valid_utf8(data: Buffer) -> bool:
    """
    Tell whether octets are whole, valid UTF-8 (RFC 3629).

    Args:
        data: Any contiguous buffer.

    Returns:
        False for overlong forms, surrogates, code points above U+10FFFF and a
        sequence that is cut off at the end; True for no octets at all.

    Raises:
        BufferError: ``data`` is not contiguous.
        TypeError: ``data`` is not a buffer.

    """
    octets = contiguous_octets(data)
    try:
        codecs.utf_8_decode(octets, "strict", True)
    except UnicodeDecodeError:
        return False
    return True


class Utf8Validator:
    """
    Incremental UTF-8 validation that stops at the first bad octet (RFC 3629).

    The interface is that of the validators of wsaccel and Autobahn.
    """

    __slots__ = ("_failed", "_tail", "_total")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a new text: forget all octets seen and any failure."""
        self._tail = b""
        self._total = 0
        self._failed = False

    def validate(self, data: Buffer) -> tuple[bool, bool, int, int]:
        """
        Validate the next piece of the text.

        Args:
            data: Any contiguous buffer; a code point may be cut anywhere.

        Returns:
            ``(valid, ends_on_codepoint, index, total_index)``. While the text is
            valid, ``index`` is the length of ``data`` and ``total_index`` the
            octets of the text so far. Otherwise both point at the first octet
            that made it invalid, in ``data`` and in the text; every later call
            gives ``(False, False, 0, total_index)`` until `reset`.

        Raises:
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        octets = contiguous_octets(data)
        if self._failed:
            return False, False, 0, self._total
        bad, self._tail = utf8_feed(self._tail, octets)
        if bad >= 0:
            self._failed = True
            self._total += bad
            return False, False, bad, self._total
        self._total += len(octets)
        return True, not self._tail, len(octets), self._total


def decode_utf8(data: Buffer) -> str:
    """
    Decode octets that must be whole, valid UTF-8 (RFC 3629).

    Args:
        data: Any contiguous buffer.

    Returns:
        The text.

    Raises:
        UnicodeDecodeError: ``data`` is not valid UTF-8.
        BufferError: ``data`` is not contiguous.
        TypeError: ``data`` is not a buffer.

    """
    octets = contiguous_octets(data)
    return octets.decode()


def encode_header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv1: bool = False,
    key: Buffer | None = None,
) -> bytes:
    """
    Encode the header of a frame (RFC 6455 §5.2).

    Args:
        opcode: 0 to 2, or 8 to 10.
        length: Octets of payload; at most 125 for a control frame.
        fin: Whether this frame ends its message; always so for a control frame.
        rsv1: The RSV1 bit; never set on a control frame.
        key: Masking-key, 4 octets, which every frame of a client has.

    Returns:
        2 to 14 octets, the payload length in its shortest form.

    Raises:
        ValueError: An argument would make a frame that no peer may accept.
        OverflowError: ``length`` has more than 63 bits.
        BufferError: ``key`` is not contiguous.
        TypeError: An argument is of the wrong type.

    """
    octets = None if key is None else key_octets(key)
    return header_octets(first_octet(opcode, length, fin, rsv1), length, octets)


def encode_frame(
    opcode: int,
    payload: Buffer | str,
    *,
    fin: bool = True,
    rsv1: bool = False,
    mask: bool | Buffer = False,
) -> bytes:
    """
    Encode a whole frame (RFC 6455 §5.2).

    Args:
        opcode: 0 to 2, or 8 to 10.
        payload: Any contiguous buffer, or text, which is sent as UTF-8; at most
            125 octets for a control frame.
        fin: Whether this frame ends its message; always so for a control frame.
        rsv1: The RSV1 bit; never set on a control frame.
        mask: Whether to mask with a key from `masking_key`, or the masking-key
            itself, 4 octets.

    Returns:
        Header and payload.

    Raises:
        ValueError: An argument would make a frame that no peer may accept.
        BufferError: ``payload`` or the masking-key is not contiguous.
        TypeError: An argument is of the wrong type.
        UnicodeEncodeError: Text holds a surrogate code point.

    """
    if isinstance(payload, str):
        octets = payload.encode()
    else:
        octets = contiguous_octets(payload)
    first = first_octet(opcode, len(octets), fin, rsv1)
    if mask is False:
        return header_octets(first, len(octets), None) + octets
    key = masking_key() if mask is True else key_octets(mask)
    return header_octets(first, len(octets), key) + xor(octets, key)


def masking_key() -> bytes:
    """
    Return a fresh masking-key that a peer cannot predict (RFC 6455 §10.3).

    Keys are cut from a pool filled by `os.urandom`; a forked child fills its own.

    Returns:
        4 octets.

    """
    global _keys
    while True:
        for (key,) in _keys:  # one step of an iterator: no two threads get the same
            return key
        _keys = _fresh_keys()


def _fresh_keys() -> Iterator[tuple[bytes]]:
    return struct.iter_unpack("4s", os.urandom(_BLOCK))


def _drop_keys() -> None:
    global _keys
    _keys = iter(())


_keys: Iterator[tuple[bytes]] = iter(())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_keys)


# --- shared with wsfast._pure_frames -------------------------------------------


def xor(octets: bytes, key: bytes) -> bytes:
    """Return ``octets`` XORed with the 4-octet ``key``, which meets octet 0."""
    size = len(octets)
    if size <= _BLOCK:
        repeated = int.from_bytes((key * ((size >> 2) + 1))[:size], "little")
        return (int.from_bytes(octets, "little") ^ repeated).to_bytes(size, "little")
    repeated = int.from_bytes(key * (_BLOCK >> 2), "little")
    pieces = []
    end = size - size % _BLOCK
    for start in range(0, end, _BLOCK):
        block = int.from_bytes(octets[start : start + _BLOCK], "little")
        pieces.append((block ^ repeated).to_bytes(_BLOCK, "little"))
    if end != size:
        pieces.append(xor(octets[end:], key))
    return b"".join(pieces)


def turned_key(key: Buffer, offset: int) -> bytes:
    """Return the masking-key as it meets the octet at ``offset`` of a payload."""
    octets = key_octets(key)
    if not 0 <= index(offset) < _OFFSET_END:
        raise OverflowError(f"offset must be 0 to 2**64 - 1, got {offset}")
    phase = offset % 4
    return octets[phase:] + octets[:phase] if phase else octets


def key_octets(key: Buffer) -> bytes:
    """Return a masking-key as bytes, or refuse it."""
    octets = contiguous_octets(key)
    if len(octets) != 4:
        raise ValueError(f"masking-key must be 4 octets, got {len(octets)}")
    return octets


def first_octet(opcode: int, length: int, fin: bool, rsv1: bool) -> int:
    """Return FIN, RSV and opcode as they lie in the header, or refuse them."""
    if index(opcode) not in _OPCODES:
        raise ValueError(f"opcode must be 0 to 2 or 8 to 10, got {opcode}")
    if index(length) < 0:
        raise ValueError(f"payload length must not be negative, got {length}")
    if opcode not in _DATA_OPCODES:
        if length > _CONTROL_MAX:
            raise ValueError(
                f"control frame payload must be at most 125 octets, got {length}"
            )
        if not fin or rsv1:
            raise ValueError("control frame must have FIN and no RSV1")
    return opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)


def header_octets(first: int, length: int, key: bytes | None) -> bytes:
    """Return the header of a frame with its masking-key, if any."""
    masked = 0 if key is None else 0x80
    if length <= _CONTROL_MAX:
        header = bytes((first, masked | length))
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, masked | 126, length)
    elif length < _LENGTH_END:
        header = struct.pack("!BBQ", first, masked | 127, length)
    else:
        raise OverflowError(f"payload length must have 63 bits, got {length}")
    return header if key is None else header + key


def utf8_feed(tail: bytes, octets: bytes) -> tuple[int, bytes]:
    """
    Validate the next piece of a text.

    Args:
        tail: Octets of a code point that the pieces before ended in, 0 to 3.
        octets: The piece.

    Returns:
        The index in ``octets`` of the first bad octet, or -1, and the new tail.

    """
    if not tail and octets.isascii():
        return -1, b""
    joined = tail + octets
    try:
        used = codecs.utf_8_decode(joined, "strict", False)[1]
    except UnicodeDecodeError as error:
        # A lead octet that is bad in itself is at ``start``; elsewhere ``end`` is
        # the octet that does not continue the sequence.
        bad = error.start if error.reason == "invalid start byte" else error.end
        return bad - len(tail), b""
    rest = joined[used:]
    if len(rest) == 2 and rest[0] == 0xED and rest[1] >= 0xA0:
        # CPython waits for the last octet of a surrogate before it complains.
        return len(octets) - 1, b""
    return -1, rest


def contiguous_octets(data: Buffer) -> bytes:
    """Return the octets of a contiguous buffer, copied unless they are bytes."""
    if type(data) is bytes:
        return data
    with _contiguous(data) as view:
        return view.tobytes()


def _contiguous(data: Buffer) -> memoryview:
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("buffer is not contiguous; make a copy with bytes() first")
    return view


def _writable(data: Buffer) -> memoryview:
    view = _contiguous(data)
    if view.readonly:
        raise BufferError("buffer is read-only")
    return view.cast("B") if view.nbytes else memoryview(bytearray())
