"""
The rules of RFC 6455 §5 that a frame can break, in pure Python.

The twin of ``csrc/wsf_status.h``, ``wsf_parser.c`` and ``wsf_close.c``: the same rules
in the same order, so that octets which break several of them lead to the same error on
both engines.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from wsfast._frame_types import OP_BINARY, OP_CONT, OP_PONG, OP_TEXT, FrameError
from wsfast._pure import is_valid_utf8, xor


class Status(NamedTuple):
    """What a status of the core means: a row of the table in ``wsf_status.h``."""

    name: str
    close_code: int
    reason_code: str
    text: str


STATUSES: Final = (
    Status("OK", 0, "ok", "no error"),
    Status("NEED_MORE", 0, "need_more", "more octets are needed"),
    Status(
        "E_RSV",
        1002,
        "rsv_not_negotiated",
        "reserved bit set without an extension that gives it a meaning",
    ),
    Status("E_OPCODE", 1002, "reserved_opcode", "reserved opcode"),
    Status(
        "E_UNMASKED", 1002, "frame_not_masked", "frame from the client is not masked"
    ),
    Status("E_MASKED", 1002, "frame_masked", "frame from the server is masked"),
    Status(
        "E_CONTROL_LENGTH",
        1002,
        "control_too_long",
        "control frame with a payload over 125 octets",
    ),
    Status(
        "E_CONTROL_FRAGMENTED", 1002, "control_fragmented", "fragmented control frame"
    ),
    Status(
        "E_CONTINUATION",
        1002,
        "unexpected_continuation",
        "continuation frame without a message to continue",
    ),
    Status(
        "E_EXPECTED_CONTINUATION",
        1002,
        "expected_continuation",
        "new data frame before the end of a fragmented message",
    ),
    Status(
        "E_LENGTH_RANGE", 1002, "length_over_63_bits", "payload length over 63 bits"
    ),
    Status(
        "E_LENGTH_MINIMAL",
        1002,
        "length_not_minimal",
        "payload length not in its shortest form",
    ),
    Status("E_TOO_BIG", 1009, "message_too_big", "message over the size limit"),
    Status(
        "E_FRAGMENTS",
        1008,
        "too_many_fragments",
        "too many small fragments in one message",
    ),
    Status("E_UTF8", 1007, "invalid_utf8", "text is not valid UTF-8"),
    Status(
        "E_CLOSE_LENGTH",
        1002,
        "close_payload_of_one_octet",
        "close frame with a payload of one octet",
    ),
    Status(
        "E_CLOSE_CODE",
        1002,
        "invalid_close_code",
        "close frame with a close code that must not be sent",
    ),
    Status("E_CONTROL_RATE", 1008, "control_frame_flood", "too many control frames"),
)
(
    OK,
    NEED_MORE,
    E_RSV,
    E_OPCODE,
    E_UNMASKED,
    E_MASKED,
    E_CONTROL_LENGTH,
    E_CONTROL_FRAGMENTED,
    E_CONTINUATION,
    E_EXPECTED_CONTINUATION,
    E_LENGTH_RANGE,
    E_LENGTH_MINIMAL,
    E_TOO_BIG,
    E_FRAGMENTS,
    E_UTF8,
    E_CLOSE_LENGTH,
    E_CLOSE_CODE,
    E_CONTROL_RATE,
) = range(len(STATUSES))

NO_LIMIT: Final = (1 << 64) - 1
FIN: Final = 0x80
RSV1: Final = 0x40
_RSV = 0x70
_OPCODE = 0x0F
_CONTROL = 0x08
_CONTROL_MAX = 125
_HEADER_MAX = 14
_MASKED = 0x80
_NO_CODE = 1005  # what a close frame without a code means (RFC 6455 §7.1.5)
_ZERO_KEY = bytes(4)
_length_of_8 = struct.Struct("!Q").unpack_from


def close_check(payload: bytes) -> tuple[int, int]:
    """
    Judge the payload of a close frame (RFC 6455 §5.5.1, §7.4).

    Args:
        payload: All of it, unmasked.

    Returns:
        The status and the close code, 1005 for an empty payload.

    """
    if not payload:
        return OK, _NO_CODE
    if len(payload) == 1:
        return E_CLOSE_LENGTH, 0
    code = payload[0] << 8 | payload[1]
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        return E_CLOSE_CODE, code
    return (OK if is_valid_utf8(payload[2:]) else E_UTF8), code


def limit_of(value: int | None, name: str) -> int:
    """Turn a limit as users write it into octets, or refuse it."""
    if value is None:
        return NO_LIMIT
    if value < 0:
        raise ValueError(f"{name} must be >= 0 or None, got {value}")
    if value > NO_LIMIT:
        raise OverflowError(f"{name} must have 64 bits, got {value}")
    return value


def frame_error(status: int, frames: list[object]) -> FrameError:
    """Make the exception for a status."""
    row = STATUSES[status]
    return FrameError(row.text, row.close_code, row.reason_code, frames)


class Parser:
    """
    Turns an input window into pieces of frames and enforces the header rules.

    `_next_piece` describes the piece it found in the attributes from ``_piece`` on.
    """

    def __init__(self, *, expect_masked: bool, allow_rsv1: bool) -> None:
        self._expect_masked = expect_masked
        self._allow_rsv1 = allow_rsv1
        self._max_size = NO_LIMIT  # octets of one message
        self._max_wire_size = NO_LIMIT  # the same for a compressed one
        self._max_fragments = NO_LIMIT  # how far fragments may outnumber octets
        self._error = OK
        # The input window.
        self._data = b""
        self._pos = 0
        self._end = 0
        self._head = b""  # octets of a header that is not complete yet
        # The message in progress.
        self._message_opcode = OP_CONT  # 0 when there is none
        self._message_compressed = False
        self._message_size = 0
        self._fragments = 0
        # The frame in progress, and the piece of it found last.
        self._in_frame = False
        self._first = 0
        self._key = b""  # in phase with the next octet; empty: nothing to unmask
        self._remaining = 0
        self._piece = b""
        self._piece_opcode = 0  # of a control frame, or of the message
        self._frame_begin = False
        self._frame_end = False

    def _set_window(self, data: bytes) -> None:
        self._data = data
        self._pos = 0
        self._end = len(data)
        self._piece = b""  # may be as long as the window before

    def _next_piece(self) -> int:
        """
        Take the next piece from the window.

        Returns:
            OK with a piece; NEED_MORE once the window is used up; else the rule that
            the peer broke, now and on every later call.

        """
        if self._error:
            return self._error
        self._frame_begin = not self._in_frame
        if not self._in_frame:
            if self._pos == self._end:
                return NEED_MORE
            status = self._begin_frame()
            if status:
                if status != NEED_MORE:
                    self._error = status
                return status
        pos = self._pos
        take = min(self._end - pos, self._remaining)
        if not take and self._remaining:
            return NEED_MORE
        self._remaining -= take
        self._pos = pos + take
        piece = self._data[pos : pos + take]
        self._frame_end = not self._remaining
        if self._key:
            piece = xor(piece, self._key)
            if self._remaining:
                turn = take % 4
                self._key = self._key[turn:] + self._key[:turn]
        self._piece = piece
        first = self._first
        if first & _CONTROL:
            self._piece_opcode = first & _OPCODE
        else:
            self._piece_opcode = self._message_opcode
        if self._frame_end:
            self._in_frame = False
            if first & (FIN | _CONTROL) == FIN:
                self._message_opcode = OP_CONT  # the next data frame starts a message
        return OK

    def _begin_frame(self) -> int:
        """Read a header, of which some octets may have come with earlier input."""
        kept = len(self._head)
        if kept:
            data = self._head + self._data[self._pos : self._pos + _HEADER_MAX - kept]
            start, end = 0, len(data)
        else:
            data, start, end = self._data, self._pos, self._end
        at = start + 2
        if at > end:
            return self._keep_head()
        first = data[start]
        masked = data[start + 1] & _MASKED
        length = data[start + 1] & 0x7F
        if length == 126:
            at += 2
            if at > end:
                return self._keep_head()
            length = data[at - 2] << 8 | data[at - 1]
            if length < 126:
                return E_LENGTH_MINIMAL
        elif length == 127:
            at += 8
            if at > end:
                return self._keep_head()
            (length,) = _length_of_8(data, at - 8)
            if length >> 63:
                return E_LENGTH_RANGE
            if length < 1 << 16:
                return E_LENGTH_MINIMAL
        key = b""
        if masked:
            at += 4
            if at > end:
                return self._keep_head()
            key = data[at - 4 : at]
        self._pos += at - start - kept
        self._head = b""
        status = (
            self._check_control(first, length)
            if first & _CONTROL
            else self._check_data(first, length)
        )
        if status:
            return status
        if bool(masked) != self._expect_masked:
            return E_MASKED if masked else E_UNMASKED
        self._first = first
        self._key = b"" if key == _ZERO_KEY else key
        self._remaining = length
        self._in_frame = True
        return OK

    def _keep_head(self) -> int:
        """Keep what is left of the window: less than a header needs."""
        self._head += self._data[self._pos : self._end]
        self._pos = self._end
        return NEED_MORE

    @staticmethod
    def _check_control(first: int, length: int) -> int:
        """Check a control frame: short, whole, between any two frames (§5.5)."""
        if first & _OPCODE > OP_PONG:
            return E_OPCODE
        if first & _RSV:
            return E_RSV
        if not first & FIN:
            return E_CONTROL_FRAGMENTED
        if length > _CONTROL_MAX:
            return E_CONTROL_LENGTH
        return OK

    def _check_data(self, first: int, length: int) -> int:
        """Check a data frame: it starts or continues a message (§5.4, §5.6)."""
        opcode = first & _OPCODE
        if opcode > OP_BINARY:
            return E_OPCODE
        allowed = RSV1 if opcode != OP_CONT and self._allow_rsv1 else 0
        if first & _RSV & ~allowed:
            return E_RSV
        if opcode == OP_CONT:
            if self._message_opcode == OP_CONT:
                return E_CONTINUATION
        else:
            if self._message_opcode != OP_CONT:
                return E_EXPECTED_CONTINUATION
            self._message_opcode = opcode
            self._message_compressed = bool(first & RSV1)
            self._message_size = self._fragments = 0
        self._message_size += length
        limit = self._max_wire_size if self._message_compressed else self._max_size
        if self._message_size > limit:
            return E_TOO_BIG
        self._fragments += 1
        if self._fragments - self._message_size > self._max_fragments:
            return E_FRAGMENTS
        return OK

    def _in_text(self) -> bool:
        return self._piece_opcode == OP_TEXT and not self._message_compressed
