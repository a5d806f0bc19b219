"""What is HTTP about an ASGI WebSocket: scopes, header fields, responses."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from ..protocol.headers import TCHAR_OCTETS, VALUE_OCTETS, parse_subprotocol
from ..protocol.heads import HeadError
from ..protocol.http import Request

__all__ = ["Denial", "encode_fields", "request_fields", "scope_of"]

Fields = Iterable[tuple[bytes, bytes]]

#: Longest line of a header field that connections share, in octets.
_SHARED_LINE = 200
#: What every client has for itself, or should have.
_OWN = (b"sec-websocket-key", b"cookie", b"authorization")
_NAMES = {name: name for name in _OWN}


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    name = name.lower()
    return _NAMES.get(name, name), value.strip(b" \t")


#: Clients say the same of themselves; so connections hold the same objects.
_shared_field = lru_cache(512)(_field)


def request_fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """
    Return the header fields of a request as ASGI has them.

    Args:
        head: The head as it was received, well formed.

    Returns:
        Names in lower case, and values, in the order of the head.

    """
    fields = []
    for line in head[:-4].split(b"\r\n")[1:]:
        short = len(line) <= _SHARED_LINE and not line.lower().startswith(_OWN)
        fields.append(_shared_field(line) if short else _field(line))
    return fields


def scope_of(request: Request, root_path: str) -> dict[str, Any]:
    """
    Return what a request says of an ASGI scope.

    Args:
        request: The request of an opening handshake.
        root_path: Where the application is mounted, as the server was told.

    """
    fields = request_fields(request.original_head())
    raw_path, _, query = request.path.partition("?")
    offers = [value for name, value in fields if name == b"sec-websocket-protocol"]
    return {
        "type": "websocket",
        "http_version": "1.1",
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": root_path.encode("ascii") + raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": fields,
        "subprotocols": _subprotocols(offers),
    }


def _subprotocols(offers: list[bytes]) -> list[str]:
    if not offers:
        return []
    try:
        return parse_subprotocol(b", ".join(offers).decode("latin-1"))
    except HeadError:  # the application offers what it likes, and takes none of these
        return []


def encode_fields(fields: Fields) -> bytes:
    """
    Return header fields as they are sent.

    Args:
        fields: Names and values, as octets.

    Raises:
        ValueError: A name is not a token, or a value would break out of its line.

    """
    lines = []
    for name, value in fields:
        if not name or name.translate(None, TCHAR_OCTETS):
            raise ValueError(f"not a header name: {name!r}")
        if value.translate(None, VALUE_OCTETS):
            raise ValueError(f"not a value of the header {name!r}: {value!r}")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)


class Denial:
    """
    A response instead of a WebSocket (ASGI extension ``websocket.http.response``).

    Its head waits for the first piece of the body, which often is all of it: then its
    length is known. With more to come it is sent piece by piece, as it is given.

    Args:
        status: HTTP status.
        fields: Header fields of the application.
        defaults: Header fields of the server, for those that the application has not.

    Raises:
        RuntimeError: The status is not that of a final response.
        ValueError: A header field cannot be sent.

    Attributes:
        started: The head has been sent.
        complete: There is no more to come.

    """

    def __init__(self, status: int, fields: Fields, defaults: Fields) -> None:
        if not 200 <= status < 600:
            raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
        fields = [(name.lower(), value) for name, value in fields]
        given = {name for name, _ in fields}
        before = [(n.lower(), v) for n, v in defaults if n.lower() not in given]
        if b"connection" not in given:
            before.append((b"connection", b"close"))
        self.started = False
        self.complete = False
        self._bare = status in (204, 304)  # has no body, and no length
        self._sized = self._bare or not given.isdisjoint(
            (b"content-length", b"transfer-encoding")
        )
        self._chunked = False
        try:
            phrase = HTTPStatus(status).phrase.encode()
        except ValueError:
            phrase = b""
        self._head = b"HTTP/1.1 %d %b\r\n" % (status, phrase)
        self._head += encode_fields((*before, *fields))

    def body(self, data: bytes, more: bool) -> bytes:
        """
        Return the octets to send for a piece of the body.

        Args:
            data: The piece.
            more: Whether there is more to come.

        """
        if self._bare:
            data = b""
        head = b""
        if not self.started:
            self.started = True
            self._chunked = more and not self._sized
            if self._chunked:
                self._head += b"transfer-encoding: chunked\r\n"
            elif not self._sized:
                self._head += b"content-length: %d\r\n" % len(data)
            head = self._head + b"\r\n"
        self.complete = not more
        if self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if not more:
                data += b"0\r\n\r\n"
        return head + data
