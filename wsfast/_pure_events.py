"""
Event streams in pure Python: the twin of `wsfast._events`, checked by the same tests.

Server-sent events, WHATWG HTML §9.2.5 (the format) and §9.2.6 (its interpretation).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wsfast._event_types import Event, EventError
from wsfast._pure import contiguous_octets, is_valid_utf8

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["EventParser", "encode_event"]

_MARK: Final = b"\xef\xbb\xbf"
_ENDS: Final = (b"\n", b"\r")
_LINE_ENDS: Final = re.compile(rb"\r\n|\n|\r")
_RETRY_MAX: Final = 0xFFFFFFFF


class EventParser:
    """
    Octets of an event stream to events (WHATWG HTML §9.2.6).

    Octets that are not UTF-8 become U+FFFD. An event whose empty line has not come is
    not there: a stream that ends before it has lost it.

    Args:
        max_line: Octets of one line; ``None`` for no limit.
        max_size: Octets of the data of one event; ``None`` for no limit.
        last_event_id: The last event ID to begin with.

    Attributes:
        last_event_id: The last event ID, as of the last event that was complete.
        retry: What the stream last said in ``retry``, in milliseconds, at most
            2 ** 32 - 1; None if it said nothing.

    Raises:
        ValueError: A limit is negative.

    """

    def __init__(
        self,
        *,
        max_line: int | None = 1 << 20,
        max_size: int | None = 1 << 20,
        last_event_id: str = "",
    ) -> None:
        for name, limit in (("max_line", max_line), ("max_size", max_size)):
            if limit is not None and limit < 0:
                raise ValueError(f"{name} must be >= 0 or None, got {limit}")
        if type(last_event_id) is not str:
            raise TypeError("last_event_id must be a str")
        self.last_event_id: str = last_event_id
        self.retry: int | None = None
        self._max_line = max_line
        self._max_size = max_size
        self._id = last_event_id
        self._event = b""
        self._data = bytearray()
        self._line = bytearray()
        self._start: bytes | None = b""  # what may be a byte order mark; None: settled
        self._cr = False
        self._error: EventError | None = None

    def feed(self, data: Buffer) -> list[Event]:
        """
        Take the next octets of the stream.

        Args:
            data: Any contiguous buffer, cut anywhere.

        Returns:
            The events that these octets complete.

        Raises:
            EventError: A limit is passed; its ``events`` are those before that. So
                does every later call, with none.
            BufferError: ``data`` is not contiguous.
            TypeError: ``data`` is not a buffer.

        """
        octets = contiguous_octets(data)
        if self._error is not None:
            raise EventError(str(self._error), self._error.reason_code)
        events: list[Event] = []
        try:
            self._take(octets, events)
        except EventError as error:
            self._error = error
            self._line.clear()
            self._data.clear()
            raise
        return events

    def _take(self, octets: bytes, events: list[Event]) -> None:
        if self._start is not None:
            octets = self._start + octets
            if len(octets) < len(_MARK) and _MARK.startswith(octets):
                self._start = octets
                return
            self._start = None
            octets = octets.removeprefix(_MARK)
        if self._cr and octets:
            self._cr = False
            octets = octets.removeprefix(b"\n")
        # bytes.splitlines() knows LF, CR and CRLF, and nothing else.
        for piece in octets.splitlines(keepends=True):
            text = piece.rstrip(b"\r\n")
            size = len(self._line) + len(text)
            if self._max_line is not None and size > self._max_line:
                raise EventError(
                    f"line of more than {self._max_line} octets",
                    "line_too_long",
                    events,
                )
            if not piece.endswith(_ENDS):
                self._line += text
            elif self._line:
                self._line += text
                line = bytes(self._line)
                self._line.clear()
                self._field(line, events)
            else:
                self._field(text, events)
        if octets.endswith(b"\r"):
            self._cr = True

    def _field(self, line: bytes, events: list[Event]) -> None:
        """Take one line."""
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value
            self._data += b"\n"
            if self._max_size is not None and len(self._data) - 1 > self._max_size:
                raise EventError(
                    f"event with more than {self._max_size} octets of data",
                    "event_too_big",
                    events,
                )
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            # int() has a limit of its own, on the number of digits
            digits = value.lstrip(b"0") or b"0"
            self.retry = _RETRY_MAX
            if len(digits) <= 10:
                self.retry = min(int(digits), _RETRY_MAX)

    def _dispatch(self, events: list[Event]) -> None:
        """Make an event of what was collected."""
        self.last_event_id = self._id
        if self._data:
            kind = self._event.decode("utf-8", "replace") or "message"
            text = self._data[:-1].decode("utf-8", "replace")
            events.append(Event(kind, text, self._id))
            self._data.clear()
        self._event = b""


def encode_event(
    data: str | Buffer | None,
    event: str | None = None,
    id: str | None = None,  # noqa: A002 - the name of the field
    retry: int | None = None,
) -> bytes:
    """
    Encode an event as it is sent (WHATWG HTML §9.2.5).

    Args:
        data: Its data, text or its UTF-8, in lines that end with LF, CR or CRLF: they
            arrive as LF. None for no data: nothing then happens at the client, but that
            it takes note of ``id`` and ``retry``.
        event: Its type, without line ends; None or ``""`` for ``"message"``.
        id: Its ID, without line ends and NUL; ``""`` has the client forget the last.
        retry: How long the client shall wait before it connects again, in
            milliseconds.

    Raises:
        ValueError: A field would become two, or would be ignored; octets of ``data``
            are not UTF-8; or a text holds a lone surrogate.

    """
    lines = []
    if event:
        lines.append(b"event: %b\n" % _line("event", event))
    if id is not None:
        octets = _line("id", id)
        if b"\0" in octets:
            raise ValueError("id must not contain NUL")
        lines.append(b"id: %b\n" % octets)
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry must be >= 0, got {retry}")
        lines.append(b"retry: %d\n" % retry)
    if data is not None:
        if isinstance(data, str):
            octets = data.encode()
        else:
            octets = contiguous_octets(data)
            if not is_valid_utf8(octets):
                raise ValueError("data is not valid UTF-8")
        lines += [b"data: %b\n" % line for line in _LINE_ENDS.split(octets)]
    lines.append(b"\n")
    return b"".join(lines)


def _line(name: str, value: str) -> bytes:
    """Return a value that has to be one line."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    octets = value.encode()
    if b"\n" in octets or b"\r" in octets:
        raise ValueError(f"{name} must not contain line ends")
    return octets
