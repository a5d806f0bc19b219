"""
Requests and responses of the opening handshake (RFC 6455 §4, RFC 9112).

One that was received keeps the octets of its head and reads them when somebody asks:
a connection that waits for messages holds nothing else of its handshake.
"""

from __future__ import annotations

import email.utils
import http
import sys
from typing import Final

from ..exceptions import InvalidHeaderValue
from ..version import version
from .headers import VALUE_OCTETS, Headers, HeadersLike

__all__ = ["SERVER", "USER_AGENT", "Request", "Response", "build_response"]

_PYTHON: Final = "Python/{}.{}".format(*sys.version_info)

#: What a server says of itself, unless told otherwise.
SERVER: Final = f"{_PYTHON} wsfast/{version}"

#: What a client says of itself, unless told otherwise.
USER_AGENT: Final = SERVER

_TARGET_OCTETS: Final = bytes(range(33, 127))


class _Message:
    """What a request and a response have in common."""

    __slots__ = ("_head", "_headers")

    _head: bytes
    _headers: Headers | None

    @property
    def headers(self) -> Headers:
        """Header fields; they are parsed when they are first asked for."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers.from_raw(_fields(self._octets()))
        return headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._headers = headers

    def _octets(self) -> bytes:
        """Return the head, as long as `headers` was not asked for."""
        return self._head


def _fields(head: bytes) -> list[tuple[str, str]]:
    """Split a head that was checked before into its fields."""
    fields = []
    for line in head[:-4].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields.append((name, value.strip(" \t")))
    return fields


class Request(_Message):
    """
    Request of an opening handshake (RFC 6455 §4.1).

    Args:
        path: Request target, with its query; ASCII.
        headers: Header fields.
        method: Method; a handshake has GET.
        protocol: HTTP version; a handshake has ``"HTTP/1.1"``.

    """

    __slots__ = ("_fields", "_path", "method", "protocol")

    #: Fields by name in lower case, as long as the handshake goes on; see heads.py.
    _fields: dict[bytes, bytes | list[bytes]] | None

    def __init__(
        self,
        path: str,
        headers: HeadersLike,
        method: str = "GET",
        protocol: str = "HTTP/1.1",
    ) -> None:
        self._path: str | None = path
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.method = method
        self.protocol = protocol
        self._head = b""
        self._fields = None

    @classmethod
    def from_head(
        cls,
        head: bytes,
        fields: dict[bytes, bytes | list[bytes]] | None = None,
        method: str = "GET",
        protocol: str = "HTTP/1.1",
    ) -> Request:
        """
        Return the request that a head is, without reading its fields yet.

        Args:
            head: Octets of the head, checked by `wsfast.protocol.heads`, up to and
                with its empty line.
            fields: Its fields by name in lower case, if they are known.
            method: Its method.
            protocol: Its HTTP version.

        """
        self = cls.__new__(cls)
        self._path = None
        self._headers = None
        self.method = method
        self.protocol = protocol
        self._head = head
        self._fields = fields
        return self

    @property
    def path(self) -> str:
        """Request target, with its query."""
        if self._path is not None:
            return self._path
        head = self._head
        start = head.index(b" ") + 1
        return head[start : head.index(b" ", start)].decode("ascii")

    @path.setter
    def path(self, path: str) -> None:
        self._path = path

    def head_as_received(self) -> bytes | None:
        """
        Return the octets of the head, if nothing else is known of this request.

        `from_head` makes the same request of them again. None for a request that was
        not received, was changed, or was read already.
        """
        if (
            self._headers is None
            and self._path is None
            and self.method == "GET"
            and self.protocol == "HTTP/1.1"
        ):
            return self._head
        return None

    def original_head(self) -> bytes:
        """Return the octets of the head, as it was received."""
        return self._head

    def serialize(self) -> bytes:
        """
        Return the octets of this request.

        Raises:
            InvalidHeaderValue: A part of it would break out of its line.

        """
        if self._headers is None and self._path is None:
            return self._head
        line = f"{self.method} {self.path} {self.protocol}"
        path = self.path.encode("ascii", "replace")
        if not self.path.isascii() or path.translate(None, _TARGET_OCTETS):
            raise InvalidHeaderValue("request target", self.path)
        return line.encode("ascii") + b"\r\n" + self.headers.serialize()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return (self.method, self.path, self.protocol, self.headers) == (
            other.method,
            other.path,
            other.protocol,
            other.headers,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Request(path={self.path!r}, headers={self.headers!r}, "
            f"method={self.method!r}, protocol={self.protocol!r})"
        )


class Response(_Message):
    """
    Response of an opening handshake (RFC 6455 §4.2.2).

    Args:
        status_code: Status; 101 accepts the handshake.
        reason_phrase: Reason phrase.
        headers: Header fields.
        body: Body; of a response that was received, as much as was read.
        protocol: HTTP version.

    """

    __slots__ = ("body", "protocol", "reason_phrase", "status_code")

    def __init__(
        self,
        status_code: int,
        reason_phrase: str,
        headers: HeadersLike,
        body: bytes | bytearray = b"",
        protocol: str = "HTTP/1.1",
    ) -> None:
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.protocol = protocol
        self._head = b""

    @classmethod
    def from_head(
        cls,
        head: bytes,
        status_code: int,
        reason_phrase: str,
        protocol: str = "HTTP/1.1",
    ) -> Response:
        """
        Return the response that a head is, without reading its fields yet.

        Args:
            head: Octets of the head, known to be well formed, up to and with its
                empty line.
            status_code: Its status.
            reason_phrase: Its reason phrase.
            protocol: Its HTTP version.

        """
        self = cls.__new__(cls)
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self._headers = None
        self.body = b""
        self.protocol = protocol
        self._head = head
        return self

    def serialize(self) -> bytes:
        """
        Return the octets of this response.

        Raises:
            InvalidHeaderValue: A part of it would break out of its line.

        """
        if self._headers is None:
            head = self._octets()
            return head + self.body if self.body else head
        try:
            phrase = self.reason_phrase.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidHeaderValue("reason phrase", self.reason_phrase) from None
        if phrase.translate(None, VALUE_OCTETS):
            raise InvalidHeaderValue("reason phrase", self.reason_phrase)
        line = b"HTTP/1.1 %d %s\r\n" % (self.status_code, phrase)
        return line + self._headers.serialize() + self.body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return (self.status_code, self.reason_phrase, self.headers, self.body) == (
            other.status_code,
            other.reason_phrase,
            other.headers,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"Response(status_code={self.status_code!r}, "
            f"reason_phrase={self.reason_phrase!r}, headers={self.headers!r}, "
            f"body={self.body!r})"
        )


def build_response(
    status: int, text: str, server_header: str | None = SERVER
) -> Response:
    """
    Return a response with a line of text, after which the connection ends.

    Args:
        status: HTTP status.
        text: Body, sent as UTF-8.
        server_header: Value of the Server header, None for no such header.

    Raises:
        ValueError: The status is not a registered one.

    """
    status = http.HTTPStatus(status)
    body = text.encode()
    headers = Headers.from_raw(
        [
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        ]
    )
    if server_header:
        headers["Server"] = server_header
    return Response(status.value, status.phrase, headers, body)
