"""
Reading the head of a request or response (RFC 9112 §2 - §5): bounded, strict.

This module alone knows the libraries that split a head into its fields: httptools
where it is installed, h11 elsewhere. Before either sees a head, the rules on which
they differ, or that they leave to options, were checked here, by methods of ``bytes``
that pass over the head once; so both give the same fields, or the same error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..exceptions import (
    HandshakeError,
    HeaderLineTooLong,
    HeadTooLong,
    InvalidMessage,
    RequestLineTooLong,
    StatusLineTooLong,
    TooManyHeaders,
)
from .headers import TCHAR_OCTETS, VALUE_OCTETS
from .http import Request, Response

try:
    import httptools
except ImportError:
    httptools = None  # type: ignore[assignment]

__all__ = [
    "ENDLESS",
    "LIBRARIES",
    "BodyReader",
    "HeadError",
    "HeadReader",
    "Limits",
    "parse_request",
    "parse_response",
    "whole_head",
]

#: What `HeadReader` raises: its ``status`` is the HTTP status to answer.
HeadError = HandshakeError

#: Header fields by name in lower case; a list of values where a name is repeated.
Fields = dict[bytes, "bytes | list[bytes]"]

_TARGET_OCTETS: Final = bytes(range(33, 127))
_BODY_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding"))
_OTHER_VERSIONS: Final = frozenset(f"HTTP/{n // 10}.{n % 10}" for n in range(100))
_DIGITS: Final = frozenset(b"0123456789")


@dataclass(frozen=True)
class Limits:
    """
    Limits of a head; None turns one off.

    Attributes:
        line: Octets of a line, without its CRLF.
        head: Octets of the whole head, with its empty line.
        headers: Header lines.
        body: Octets kept of the body of a response that refuses.

    """

    line: int | None = 8192
    head: int | None = 32768
    headers: int | None = 128
    body: int | None = 1 << 20
    #: A head no longer than this passes no limit but that of its lines.
    short: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = [size for size in (self.line, self.head) if size is not None]
        object.__setattr__(self, "short", min(sizes, default=sys.maxsize))


DEFAULT_LIMITS: Final = Limits()

#: The body of a stream has no limit; what is made of it has.
ENDLESS: Final = Limits(body=None)


def _malformed(text: str, reason_code: str) -> InvalidMessage:
    return InvalidMessage(text, reason_code)


def whole_head(data: bytes, limits: Limits) -> int:
    """
    Return how long the head is with which octets begin.

    Args:
        data: All octets that arrived so far.
        limits: Limits.

    Returns:
        0 unless the head is whole, and short enough to pass no limit; see `HeadReader`.

    """
    end = data.find(b"\r\n\r\n") + 4
    if 4 <= end <= limits.short:
        count = limits.headers
        if count is None or data.count(b"\n", 0, end) <= count + 2:
            return end
    return 0


class HeadReader:
    """
    Collects octets until a head is complete.

    Args:
        limits: Limits, checked on what has arrived, not only on what is complete.
        kind: ``"request"`` or ``"response"``.

    Attributes:
        head: The head with its empty line, once `feed` has returned True.
        rest: Octets that came behind it.

    """

    __slots__ = ("_buffer", "_kind", "_limits", "_line", "_lines", "head", "rest")

    def __init__(self, limits: Limits = DEFAULT_LIMITS, kind: str = "request") -> None:
        self.head = b""
        self.rest = b""
        self._limits = limits
        self._kind = kind
        self._buffer: bytearray | None = None
        self._line = 0  # where the first line starts that has no end yet
        self._lines = 0  # lines that have one

    def feed(self, data: bytes) -> bool:
        """
        Take the next octets.

        Args:
            data: Octets as they arrived, cut anywhere.

        Returns:
            Whether the head is complete.

        Raises:
            HeadError: A limit is passed, or this cannot become a head. The reader is
                of no use any more.

        """
        if self._buffer is None:
            end = whole_head(data, self._limits)
            if end != 0:
                self.head = data[:end]
                self.rest = data[end:]
                return True
            self._buffer = bytearray()
        return self._feed_slowly(data)

    def _feed_slowly(self, data: bytes) -> bool:
        buffer = self._buffer
        assert buffer is not None
        start = len(buffer)
        buffer += data
        line_limit, head_limit = self._limits.line, self._limits.head
        if start == 0 and buffer and buffer[0] not in TCHAR_OCTETS:
            # Not HTTP at all, perhaps TLS: there is nothing to wait for.
            raise _malformed("malformed first line", "malformed_start_line")
        while True:
            newline = buffer.find(b"\n", max(start, self._line))
            end = len(buffer) if newline < 0 else newline - 1
            if line_limit is not None and end - self._line > line_limit:
                # A carriage return whose line feed has yet to come is not of the line.
                if newline >= 0 or end - self._line > line_limit + 1:
                    raise self._line_too_long()
                if buffer[-1] != 13:
                    raise self._line_too_long()
            if newline < 0:
                break
            if newline == self._line or buffer[newline - 1] != 13:
                raise _malformed("line feed without carriage return", "bare_lf")
            if newline - 1 == self._line:  # the empty line
                self._check_size(newline + 1, head_limit)
                self.head = bytes(buffer[: newline + 1])
                self.rest = bytes(buffer[newline + 1 :])
                self._buffer = bytearray()
                return True
            self._lines += 1
            count = self._limits.headers
            if count is not None and self._lines > count + 1:
                raise TooManyHeaders(f"expected no more than {count} headers")
            self._line = newline + 1
        self._check_size(len(buffer), head_limit)
        return False

    def _line_too_long(self) -> HandshakeError:
        limit = self._limits.line
        if self._lines:
            return HeaderLineTooLong(f"header line exceeds {limit} bytes")
        if self._kind == "request":
            return RequestLineTooLong(f"request line exceeds {limit} bytes")
        return StatusLineTooLong(f"status line exceeds {limit} bytes")

    @staticmethod
    def _check_size(size: int, limit: int | None) -> None:
        if limit is not None and size > limit:
            raise HeadTooLong(f"head exceeds {limit} bytes")


# The two libraries. Each gets the fields of a well-formed request without a body, and
# nothing of what they would make of the first line.


class _RefusedError(Exception):
    """A library refuses header lines; `_why` finds out why."""


class _Fields:
    """Takes the fields that httptools finds."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: Fields = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found[name.lower()] = value.strip()


class _Pairs:
    """Takes them where some have the same name."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.found.append((name.lower(), value.strip()))


def _split_httptools(block: bytes, count: int) -> Fields:
    block = b"GET / HTTP/1.1\r\n" + block
    fields = _Fields()
    _feed_httptools(block, fields)
    if len(fields.found) == count:
        return fields.found
    pairs = _Pairs()
    _feed_httptools(block, pairs)
    return _grouped(pairs.found, count)


def _feed_httptools(block: bytes, callbacks: _Fields | _Pairs) -> None:
    try:
        httptools.HttpRequestParser(callbacks).feed_data(block)
    except httptools.HttpParserUpgrade:
        return
    except httptools.HttpParserError as error:
        raise _RefusedError from error


def _split_h11(block: bytes, count: int) -> Fields:
    import h11

    # h11 would merge "0, 0" into one length, and knows other rules for a body.
    if _has_body(block):
        raise _RefusedError
    # Of HTTP/1.0, because there h11 does not ask for a Host header.
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=len(block) + 64)
    connection.receive_data(b"GET / HTTP/1.0\r\n" + block)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise _RefusedError from error
    if not isinstance(event, h11.Request):  # uncounted: a whole head gives nothing else
        raise _RefusedError
    fields = [(bytes(name), bytes(value)) for name, value in event.headers]
    return _grouped(fields, count)


def _grouped(pairs: list[tuple[bytes, bytes]], count: int) -> Fields:
    """Put fields together by their names; a name that is repeated gets a list."""
    if len(pairs) != count:  # a folded line counts with the one before it
        raise _RefusedError
    found: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {k: v[0] if len(v) == 1 else v for k, v in found.items()}


#: What splits a head into fields, by name of the library; the first is used.
LIBRARIES: Final[dict[str, Callable[[bytes, int], Fields]]] = {}
if httptools is not None:  # uncounted: one who tests has it; others have h11
    LIBRARIES["httptools"] = _split_httptools
LIBRARIES["h11"] = _split_h11
_library = next(iter(LIBRARIES))
_split = LIBRARIES[_library]


def _check_octets(head: bytes) -> int:
    """
    Check what concerns the octets of a head alone.

    Returns:
        Its number of header lines.

    Raises:
        InvalidMessage: A control character, or a line end that is not CRLF
            (RFC 9112 §2.2).

    """
    ends = head.translate(None, VALUE_OCTETS)
    lines = head.count(b"\r\n")
    if len(ends) != 2 * lines or ends != b"\r\n" * lines:
        if ends.strip(b"\r\n"):
            raise _malformed("control character in head", "control_character")
        raise _malformed("line end that is not CRLF", "bare_cr_or_lf")
    return lines - 2


def _split_fields(block: bytes, count: int) -> Fields:
    """
    Split header lines into fields.

    Args:
        block: The lines, with an empty one at the end.
        count: How many there are, at least one.

    Raises:
        InvalidMessage: A line breaks RFC 9112 §5.

    """
    try:
        return _split(block, count)
    except _RefusedError:
        raise _why(block) from None


def _split_but_body(block: bytes) -> Fields:
    """
    Split header lines, those about a body by ourselves: the libraries differ on them.

    Raises:
        InvalidMessage: As `_split_fields`.

    """
    lines = block[:-4].split(b"\r\n") if len(block) > 4 else []
    apart = [x for x in lines if x.partition(b":")[0].lower() in _BODY_FIELDS]
    if not apart:
        return _split_fields(block, len(lines)) if lines else {}
    kept = [line for line in lines if line not in apart]
    fields: Fields = {}
    if kept:
        fields = _split_fields(b"\r\n".join(kept) + b"\r\n\r\n", len(kept))
    for line in apart:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in fields:
            raise _malformed("several fields about a body", "request_with_body")
        fields[name] = value.strip(b" \t")
    return fields


def _why(block: bytes) -> InvalidMessage:
    """Find out what a library did not like; each has its own words for a rule."""
    lines = block[:-4].split(b"\r\n")
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            return _malformed("folded header line", "obs_fold")
        name, colon, _ = line.partition(b":")
        if not colon:
            return _malformed("header line without a colon", "no_colon")
        if not name or name.translate(None, TCHAR_OCTETS):
            return _malformed("malformed header name", "invalid_header_name")
    if _has_body(block):
        return _malformed("unsupported request body", "request_with_body")
    if sum(line[:5].lower() == b"host:" for line in lines) > 1:
        return _malformed("several Host headers", "several_hosts")
    return _malformed("malformed header line", "malformed_header")


def _has_body(block: bytes) -> bool:
    """Tell whether header lines announce a body; a length of 0 does not."""
    lengths = 0
    for line in block.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() in _BODY_FIELDS:
            lengths += 1
            if name.lower() == b"transfer-encoding" or value.strip(b" \t") != b"0":
                return True
    return lengths > 1


def parse_request(head: bytes, *, body: bool = False) -> Request:
    """
    Read the head of a request.

    Args:
        head: A whole head, from `HeadReader`.
        body: It may announce a body; how long that is, is the caller's to find out.

    Returns:
        The request; of its fields only those that a handshake needs are read.

    Raises:
        HeadError: It breaks RFC 9112, or announces a body, which no request to open
            a WebSocket has.

    """
    end = head.find(b"\r\n")
    parts = head[:end].split(b" ")
    if len(parts) != 3:
        raise _malformed("malformed request line", "malformed_start_line")
    method, target, protocol = parts
    if not target or target.translate(None, _TARGET_OCTETS):
        raise _malformed("malformed request target", "malformed_target")
    request = Request.from_head(head)
    if method != b"GET":
        if not method or method.translate(None, TCHAR_OCTETS):
            raise _malformed("malformed method", "malformed_start_line")
        request.method = method.decode("ascii")
    if protocol != b"HTTP/1.1":
        request.protocol = _version(protocol)
    count = _check_octets(head)
    if body:
        fields = _split_but_body(head[end + 2 :])
    else:
        fields = _split_fields(head[end + 2 :], count) if count else {}
        if (
            b"transfer-encoding" in fields
            or fields.get(b"content-length", b"0") != b"0"
        ):
            raise _malformed("unsupported request body", "request_with_body")
    _check_host(fields)
    request._fields = fields
    return request


def _check_host(fields: Fields) -> None:
    if type(fields.get(b"host")) is list:
        raise _malformed("several Host headers", "several_hosts")


def _version(protocol: bytes) -> str:
    if protocol == b"HTTP/1.0":
        return "HTTP/1.0"
    text = protocol.decode("latin-1")
    if text in _OTHER_VERSIONS:
        raise InvalidMessage(
            f"unsupported HTTP version: {text}", "invalid_http_version", 505
        )
    raise _malformed("malformed HTTP version", "malformed_start_line")


def parse_response(head: bytes) -> Response:
    """
    Read the head of a response.

    Args:
        head: A whole head, from `HeadReader` with ``kind="response"``.

    Returns:
        The response, without its body; see `BodyReader`.

    Raises:
        HeadError: It breaks RFC 9112.

    """
    end = head.find(b"\r\n")
    protocol, _, line = head[:end].partition(b" ")
    status, _, phrase = line.partition(b" ")
    version = "HTTP/1.1" if protocol == b"HTTP/1.1" else _version(protocol)
    if len(status) != 3 or not _DIGITS.issuperset(status) or status[0] not in b"12345":
        raise _malformed("malformed status line", "malformed_start_line")
    _check_octets(head)
    lines = head[end + 2 : -4].split(b"\r\n") if end + 4 < len(head) else []
    # What concerns the body is BodyReader's.
    kept = [x for x in lines if x.partition(b":")[0].lower() not in _BODY_FIELDS]
    if kept:
        fields = _split_fields(b"\r\n".join(kept) + b"\r\n\r\n", len(kept))
        _check_host(fields)
    return Response.from_head(head, int(status), phrase.decode("latin-1"), version)


class BodyReader:
    """
    Collects the body of a response that refuses the handshake, for its reader's eyes.

    A body that breaks off, breaks HTTP or passes the limit is kept as far as it was
    good: it explains the refusal and must not hide it.

    Args:
        head: Head of the response, from `HeadReader`.
        limits: Its ``body`` is the limit.

    Attributes:
        body: What was read of the body.
        complete: Whether there is no more to read.
        whole: Whether that is because its end was there, as HTTP marks it.

    """

    __slots__ = ("_decode", "_limit", "body", "complete", "whole")

    def __init__(self, head: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
        self.body = bytearray()
        self.complete = False
        self.whole = False
        self._limit = limits.body
        self._decode: Callable[[bytes, BodyReader], None] = BODIES[_library]()
        self.feed(head)

    def feed(self, data: bytes) -> bool:
        """
        Take the next octets.

        Returns:
            Whether the body is complete. One without a length is when the connection
            ends, and then never says so.

        """
        if data and not self.complete:
            self._decode(data, self)
            if self._limit is not None and len(self.body) > self._limit:
                del self.body[self._limit :]
                self.complete = True
        return self.complete


class _HttptoolsBody:
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, data: bytes) -> None:
        self.reader.body += data

    def on_message_complete(self) -> None:
        self.reader.complete = self.reader.whole = True

    def __call__(self, data: bytes, reader: BodyReader) -> None:
        self.reader = reader
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            reader.complete = True
        finally:
            del self.reader


class _H11Body:
    def __init__(self) -> None:
        import h11

        self.h11 = h11
        self.connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 16)
        request = h11.Request(method="GET", target="/", headers=[("Host", "-")])
        self.connection.send(request)
        self.connection.send(h11.EndOfMessage())

    def __call__(self, data: bytes, reader: BodyReader) -> None:
        h11 = self.h11
        try:
            self.connection.receive_data(data)
            while (event := self.connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    reader.body += event.data
                elif not isinstance(event, h11.Response):
                    reader.complete = True
                    reader.whole = isinstance(event, h11.EndOfMessage)
                    return
        except h11.RemoteProtocolError:
            reader.complete = True


BODIES: Final[dict[str, Callable[[], Callable[[bytes, BodyReader], None]]]] = {
    "httptools": _HttptoolsBody,
    "h11": _H11Body,
}
