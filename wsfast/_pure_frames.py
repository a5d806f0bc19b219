"""
Parsing of frames and messages in pure Python (RFC 6455 §5).

The twin of `wsfast._frames`: the same names, results and exceptions, checked by the
same tests. What each class promises is written down here for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsfast._frame_types import (
    BINARY,
    COMPRESSED,
    ERROR,
    FRAGMENT,
    NEED_DATA,
    OP_CLOSE,
    OP_TEXT,
    TEXT,
    Control,
    Frame,
)
from wsfast._pure import contiguous_octets, utf8_feed
from wsfast._pure_parser import (
    E_UTF8,
    FIN,
    NEED_MORE,
    NO_LIMIT,
    OK,
    RSV1,
    STATUSES,
    Parser,
    close_check,
    frame_error,
    limit_of,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FrameParser", "MessageParser"]

_OPCODE = 0x0F


class FrameParser(Parser):
    """
    Octets to frames, strictly (RFC 6455 §5); for authors of libraries.

    Frames are delivered as they come: no message is put together and no text is
    validated. The rules on bits, opcodes, masking, lengths, control frames and the
    order of continuation frames hold.

    Args:
        client: Whether this end is the client: then frames must not be masked;
            otherwise they must.
        max_size: Limit on the payload of one frame in octets; ``None`` for none.
        rsv1: Whether the first frame of a message may have RSV1 set.

    Raises:
        ValueError: ``max_size`` is negative.

    """

    def __init__(
        self, *, client: bool, max_size: int | None = 1 << 20, rsv1: bool = False
    ) -> None:
        super().__init__(expect_masked=not client, allow_rsv1=bool(rsv1))
        self._max_size = self._max_wire_size = limit_of(max_size, "max_size")
        self._part = bytearray()

    def feed(self, data: Buffer) -> list[Frame]:
        """
        Parse the next octets received, cut anywhere.

        Args:
            data: Any contiguous buffer; no reference to it is kept.

        Returns:
            The frames that these octets complete.

        Raises:
            FrameError: A rule is broken. The frames before it are in the
                exception's ``frames``; every later call raises it again.
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        self._set_window(contiguous_octets(data))
        frames: list[Frame] = []
        while True:
            if not self._in_frame:
                self._message_size = self._fragments = 0  # the limit is on frames
            status = self._next_piece()
            if status:
                self._set_window(b"")
                if status == NEED_MORE:
                    return frames
                self._part.clear()
                raise frame_error(status, list(frames))
            if self._frame_begin and self._frame_end:
                payload = self._piece
            else:
                self._part += self._piece
                if not self._frame_end:
                    continue
                payload = bytes(self._part)
                self._part.clear()
            first = self._first
            frames.append(
                Frame(first & _OPCODE, payload, bool(first & FIN), bool(first & RSV1))
            )


class MessageParser(Parser):
    """
    Octets to messages and control frames, with every rule of RFC 6455 §5 to §8.

    Give it octets with `feed`, then call `next` until it says ``NEED_DATA``. Text is
    validated as it arrives: an octet that makes it invalid is an error at once, in
    the middle of a frame too. Memory follows the octets that have arrived, never
    the length a header declares.

    Args:
        client: Whether this end is the client: then frames must not be masked;
            otherwise they must.
        max_size: Limit on the octets of one message, over all its fragments;
            ``None`` for none. A compressed message may take 1/256 and 1 KiB more
            as it travels; its size when inflated is for the caller to limit.
        max_fragments: How far the fragments of a message may outnumber its octets;
            ``None`` for no limit.
        rsv1: Whether messages may be compressed: have RSV1 on their first frame.
        text_as_bytes: Deliver text as octets, validated all the same.
        validate_utf8: False not to validate it then: the application is to do that.

    Attributes:
        payload: Of the event that `next` returned last: ``str`` for text, unless
            ``text_as_bytes``; otherwise ``bytes``.
        opcode: Of that event: 1 or 2 for a message or a fragment of one, else that
            of the control frame.
        code: Of a ``CLOSE``: the close code, 1005 if there was none.
        fin: Of a ``FRAGMENT``: whether it is the message's last.
        compressed: Of a ``COMPRESSED`` or ``FRAGMENT``: whether the payload is
            deflated.
        streaming: While true, each fragment of a fragmented message is a
            ``FRAGMENT`` of its own, as soon as its frame is complete.

    Raises:
        ValueError: A limit is negative, or text is neither validated nor octets.

    """

    streaming: bool = False
    payload: Any = None
    opcode: int = 0
    code: int = 0
    fin: bool = False
    compressed: bool = False

    def __init__(
        self,
        *,
        client: bool,
        max_size: int | None = 1 << 20,
        max_fragments: int | None = 4096,
        rsv1: bool = False,
        text_as_bytes: bool = False,
        validate_utf8: bool = True,
    ) -> None:
        if not (validate_utf8 or text_as_bytes):
            raise ValueError(
                "text that is not validated can only be delivered as bytes"
            )
        super().__init__(expect_masked=not client, allow_rsv1=bool(rsv1))
        self.max_size = max_size
        self.max_fragments = max_fragments
        self._text_as_bytes = text_as_bytes
        self._validates = validate_utf8
        self._buffer = bytearray()  # the message in progress
        self._tail = b""  # its last octets, if a code point is not complete there
        self._streamed = False  # fragments of it were delivered before
        self._control = bytearray()  # a control frame that came in pieces

    @property
    def max_size(self) -> int | None:
        """The limit on the octets of one message; it may be changed at any time."""
        return None if self._max_size == NO_LIMIT else self._max_size

    @max_size.setter
    def max_size(self, value: int | None) -> None:
        limit = limit_of(value, "max_size")
        self._max_size = limit
        if limit < NO_LIMIT // 2:
            limit += (limit >> 8) + 1024  # deflate can make a message longer
        self._max_wire_size = limit

    @property
    def max_fragments(self) -> int | None:
        """How far fragments may outnumber octets; it may be changed at any time."""
        return None if self._max_fragments == NO_LIMIT else self._max_fragments

    @max_fragments.setter
    def max_fragments(self, value: int | None) -> None:
        self._max_fragments = limit_of(value, "max_fragments")

    @property
    def rsv1(self) -> bool:
        """Whether messages may be compressed."""
        return self._allow_rsv1

    @property
    def pending(self) -> int:
        """Octets of the input window that were not consumed yet."""
        return self._end - self._pos

    def held(self) -> int:
        """Return how many octets are kept: of a message in progress, of the window."""
        return self._end - self._pos + len(self._buffer)

    @property
    def error(self) -> int:
        """The number of the rule that was broken; 0 while none was."""
        return self._error

    @property
    def error_code(self) -> int:
        """The close code that goes with the error; 0 without one."""
        return STATUSES[self._error].close_code

    @property
    def error_reason_code(self) -> str:
        """The stable name of the error; ``"ok"`` without one."""
        return STATUSES[self._error].reason_code

    @property
    def error_text(self) -> str:
        """The error in words."""
        return STATUSES[self._error].text

    def feed(self, data: Buffer) -> None:
        """
        Make octets the input window.

        Args:
            data: Any contiguous buffer; it may be changed afterwards.

        Raises:
            RuntimeError: Octets of the window before are left.
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        if self._pos != self._end:
            raise RuntimeError("the input window has octets left: use next() first")
        self._set_window(contiguous_octets(data))

    def take_window(self, n: int) -> bytes:
        """
        Take octets off the window, unparsed: for a parser that is built on this one.

        Args:
            n: How many; fewer are taken if there are fewer.

        Returns:
            The octets.

        """
        taken = bytes(self._data[self._pos : min(self._pos + n, self._end)])
        self._pos += len(taken)
        if self._pos == self._end:
            self.discard()
        return taken

    def stash(self) -> None:
        """Keep a copy of what is left of the window, so that its buffer may go."""
        if self._pos == self._end:
            self._set_window(b"")  # else the window is a copy of our own already

    def discard(self) -> None:
        """Drop what is left of the window."""
        self._set_window(b"")

    def next(self) -> int:
        """
        Go on to the next event in the input window.

        Returns:
            ``NEED_DATA`` (0) when the window is used up; ``TEXT`` (1), ``BINARY``
            (2) or ``COMPRESSED`` (3) for a whole message; ``FRAGMENT`` (4) for a
            part of one while `streaming`; ``CLOSE`` (8), ``PING`` (9), ``PONG``
            (10); ``ERROR`` (-1), then and for ever after, when a rule is broken.

        """
        while True:
            status = self._next_piece()
            if status:
                if status == NEED_MORE:
                    self._set_window(b"")
                    return NEED_DATA
                return self._fail(status)
            if self._piece_opcode >= OP_CLOSE:
                event = self._add_control()
            elif (
                self._frame_begin
                and self._frame_end
                and self._fragments == 1
                and self._first & FIN
                and not self._message_compressed
            ):
                return self._whole()
            else:
                event = self._add_part()
            if event != NEED_DATA:
                return event

    def take_payload(self) -> Any:
        """Return `payload` and keep no reference to it: it becomes ``None``."""
        payload = self.payload
        self.payload = None
        return payload

    def receive(self, data: Buffer) -> list[str | bytes | Control]:
        """
        Parse octets to the end: `feed`, then `next` until nothing is left.

        Args:
            data: Any contiguous buffer.

        Returns:
            Each message as ``str`` or ``bytes``, each control frame as `Control`.

        Raises:
            FrameError: A rule is broken. What came before it is in the exception's
                ``frames``; every later call raises it again.
            RuntimeError: Octets of the window before are left.
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        self.feed(data)
        found: list[str | bytes | Control] = []
        while True:
            event = self.next()
            if event == NEED_DATA:
                return found
            if event == ERROR:
                raise frame_error(self._error, list(found))
            payload = self.take_payload()
            if event >= OP_CLOSE and isinstance(payload, bytes):
                found.append(Control(event, payload, self.code))
            elif payload is not None:
                found.append(payload)

    def _fail(self, status: int) -> int:
        self._error = status
        self._set_window(b"")
        self._buffer.clear()
        self._control.clear()
        return ERROR

    def _whole(self) -> int:
        """Deliver a message that is one frame and has arrived in one go."""
        octets = self._piece
        self.opcode = self._piece_opcode
        if self._piece_opcode != OP_TEXT:
            self.payload = octets
            return BINARY
        if not self._validates:
            self.payload = octets
            return TEXT
        try:
            text = octets.decode()
        except UnicodeDecodeError:
            return self._fail(E_UTF8)
        self.payload = octets if self._text_as_bytes else text
        return TEXT

    def _add_part(self) -> int:
        """Add a piece to the message in progress; deliver it if that completes it."""
        text = self._in_text() and self._validates
        if text and self._piece:
            bad, self._tail = utf8_feed(self._tail, self._piece)
            if bad >= 0:
                return self._fail(E_UTF8)
        self._buffer += self._piece
        if not self._frame_end:
            return NEED_DATA
        fin = bool(self._first & FIN)
        if fin and text and self._tail:
            return self._fail(E_UTF8)
        if not fin and not self.streaming:
            return NEED_DATA
        return self._deliver(text=text, fin=fin)

    def _deliver(self, *, text: bool, fin: bool) -> int:
        """Hand out the message, or the next fragment of it."""
        whole = fin and not self._streamed
        self.opcode = self._piece_opcode
        self.fin = fin
        self.compressed = self._message_compressed
        self._streamed = not fin
        if text and not self._text_as_bytes:
            del self._buffer[len(self._buffer) - len(self._tail) :]
            self.payload = self._buffer.decode()
            self._buffer = bytearray(self._tail)
        else:
            self.payload = bytes(self._buffer)
            self._buffer = bytearray()
        if not whole:
            return FRAGMENT
        if self.compressed:
            return COMPRESSED
        return TEXT if self.opcode == OP_TEXT else BINARY

    def _add_control(self) -> int:
        """Deliver a control frame once all of it is there (RFC 6455 §5.5)."""
        self._control += self._piece
        if not self._frame_end:
            return NEED_DATA
        payload = bytes(self._control)
        self._control.clear()
        self.opcode = self._piece_opcode
        self.code = 0
        if self._piece_opcode == OP_CLOSE:
            status, self.code = close_check(payload)
            if status != OK:
                return self._fail(status)
        self.payload = payload
        return self._piece_opcode
