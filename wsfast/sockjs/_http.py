"""
HTTP/1.1 on a link of ours (RFC 9112): one client's requests, one after another.

What most hosts do by an ASGI event, a task and a dict each is a call here: a response
is octets for the link, and what streams goes out in the pass in which it was said.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from ..asgi.exchange import BodyTooBig, Exchange, Fields
from ..asgi.http import request_fields
from ..asyncio.link import Link
from ..protocol.headers import VALUE_OCTETS
from ..protocol.heads import HeadError, HeadReader, parse_request, whole_head
from ._chunks import Chunks

if TYPE_CHECKING:
    from ..protocol.http import Request
    from .serving import Server

__all__ = ["Client", "DirectExchange", "date_line", "encode_head", "joined"]

#: In the place of a request: the next one is there already, and about to be read.
_NEXT = object()

#: Octets that may come behind a request before it is answered.
MAX_EARLY = 64 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST = b"0\r\n\r\n"
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in HTTPStatus
}


class Streaming(Protocol):
    """A response that goes on by itself, and what it is told."""

    def pause(self) -> None:
        """Write no more: the system takes nothing for now."""

    def resume(self) -> None:
        """Go on."""

    def lost(self) -> None:
        """End: the client has gone."""


class _Date:
    """The Date field (RFC 9110 §6.6.1), made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def __call__(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = b"date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line


date_line = _Date()


def encode_head(status: int, fields: Fields) -> bytes:
    """
    Return the head of a response, but for the date and the empty line.

    Raises:
        ValueError: A field would break out of its line.

    """
    lines = [_LINES[status]]
    for name, value in fields:
        line = f"{name}: {value}".encode("latin-1")
        if line.translate(None, VALUE_OCTETS):
            raise ValueError(f"not a value of the header {name!r}: {value!r}")
        lines.append(line + b"\r\n")
    return b"".join(lines)


class DirectExchange(Exchange):
    """
    A request on a link of ours, and the response to it.

    Args:
        client: Whose request it is.
        scope: What it says, as ASGI has it.
        body: Its body.

    """

    def __init__(self, client: Client, scope: dict[str, Any], body: bytes) -> None:
        super().__init__(scope, _nobody, _nobody)
        self.client = client
        self._body = body

    async def body(self, limit: int) -> bytes:
        """Return the body; see `Exchange.body`."""
        if len(self._body) > limit:
            raise BodyTooBig(f"a body of {len(self._body)} octets, over {limit}")
        return self._body

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done when the client has left."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
            if self.client.exchange is not self:
                self._gone.set_result(None)
        return self._gone

    def left(self) -> None:
        """Take note that the client has left."""
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def start(self, status: int, fields: Fields = ()) -> None:
        """Send the head of a response; see `Exchange.start`."""
        self.begin(status, fields)

    def begin(self, status: int, fields: Fields, first: bytes = b"") -> None:
        """Send the head of a response, and the beginning of its body."""
        fields = [*fields]
        head = encode_head(status, fields)
        sized = status in (204, 304) or any(n == "content-length" for n, _ in fields)
        self.started = True
        self.client.begin(self, head, sized, first)

    async def write(self, octets: bytes) -> None:
        """Send a piece of the body; see `Exchange.write`."""
        client = self.client
        if client.exchange is not self:
            raise ConnectionResetError("the client has left")
        client.write(client.piece(octets))
        while client.full:
            await client.until_room()

    async def _end(self, octets: bytes) -> None:
        client = self.client
        if client.exchange is self:
            if octets:
                client.write(client.piece(octets))
            client.end()


async def _nobody(*_: Any) -> Any:
    raise RuntimeError("there are no ASGI events")


class Client:
    """
    One client, from its first request to its last, or to its WebSocket.

    Args:
        server: What it has connected to.
        link: The way to it.
        since: Time on the loop's clock from which its first request counts.

    Attributes:
        exchange: The request that is being answered; None between two.
        streaming: What its response goes on by, if it does by itself.
        full: The system takes no more octets for now.
        chunked: The response's pieces are chunks.

    """

    __slots__ = (
        "_body",
        "_chunks",
        "_ending",
        "_keep",
        "_left",
        "_peer",
        "_reader",
        "_request",
        "_rest",
        "_room",
        "_since",
        "chunked",
        "exchange",
        "full",
        "known",
        "link",
        "server",
        "streaming",
        "timer_index",
        "timer_slot",
    )

    def __init__(self, server: Server, link: Link, since: float) -> None:
        self.timer_slot = self.timer_index = 0
        self.server = server
        self.link = link
        self.exchange: Any = None
        self.streaming: Streaming | None = None
        self.full = self.chunked = False
        self.known: Any = None
        self._reader: HeadReader | None = None
        self._request: Request | None = None
        self._body = bytearray()
        self._chunks: Chunks | None = None
        self._left = 0
        self._rest = b""
        self._keep = True
        self._ending = False
        self._peer: Any = None
        self._room: list[asyncio.Future[None]] = []
        self._since = since
        timeout = server.open_timeout
        if timeout is None or timeout > server.keep_alive:
            timeout = server.keep_alive
        link.driver.schedule(self, since + timeout)

    # ---- what the link calls ----

    def data_received(self, data: bytes) -> None:
        """Take the next octets of the client."""
        if self._ending:
            return
        if self.exchange is not None:
            self._rest += data
            if len(self._rest) > MAX_EARLY:
                self.link.pause_reading()
        elif self._request is not None:
            self._read_body(data)
        elif self._reader is None and self.server.take(self, data):
            pass  # as the last one, but for its body
        else:
            self._read_head(data)

    def pause_writing(self) -> None:
        """Have nothing written: the system takes no more."""
        self.full = True
        if self.streaming is not None:
            self.streaming.pause()

    def resume_writing(self) -> None:
        """Have the writing go on."""
        self.full = False
        self._wake()
        if self.streaming is not None:
            self.streaming.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, who has gone."""
        self._ending = True
        self.link.driver.cancel(self)
        self.full = False
        exchange, self.exchange = self.exchange, None
        streaming, self.streaming = self.streaming, None
        if isinstance(exchange, DirectExchange):
            exchange.left()
        self._wake()
        if streaming is not None:
            streaming.lost()
        self.server.client_lost(self)

    def on_timer(self, now: float) -> float:
        """End a connection that is idle, or whose request does not come."""
        server = self.server
        if self._ending:
            self.link.abort()
            return 0.0
        if self.exchange is not None:
            return now + server.keep_alive
        begun = self._reader is not None or self._request is not None
        timeout: float | None = server.keep_alive
        if self._request is not None:
            timeout = server.request_timeout
        elif begun or self in server.fresh:
            timeout = server.open_timeout
        if timeout is None:
            return now + server.keep_alive
        if now < self._since + timeout:
            return self._since + timeout
        if begun:
            self.refuse(408, "Request timeout.\n")
        else:
            self.close()
        return 0.0

    # ---- requests ----

    def _read_head(self, data: bytes) -> None:
        reader = self._reader
        limits = self.server.limits
        if reader is None:
            data = data.lstrip(b"\r\n")
            if not data:
                return  # an empty line before a request is ignored (RFC 9112 §2.2)
            end = whole_head(data, limits)
            if end:
                self._head_received(data[:end], data[end:])
                return
            reader = self._reader = HeadReader(limits)
            if self not in self.server.fresh:
                self._since = self.link.driver.time()
        try:
            if not reader.feed(data):
                self._set_timer(self.server.open_timeout)
                return
        except HeadError as exc:
            self.refuse(exc.code, f"{exc}.\n")
            return
        self._reader = None
        self._head_received(reader.head, reader.rest)

    def _set_timer(self, timeout: float | None) -> None:
        """See that somebody looks whether the request comes."""
        if timeout is not None:
            self.link.driver.schedule(self, self._since + timeout)

    def _head_received(self, head: bytes, rest: bytes) -> None:
        """Take a head; a body follows, or is there, or there is none."""
        server = self.server
        try:
            request = parse_request(head, body=True)
        except HeadError as exc:
            self.refuse(exc.code, f"{exc}.\n")
            return
        if server.is_opening(request):
            self._leave(head + rest)
            return
        fields = request._fields or {}
        encoding = fields.get(b"transfer-encoding")
        length = fields.get(b"content-length", b"0")
        if encoding is not None:
            if joined(encoding) != b"chunked":
                self.refuse(501, "Unknown transfer coding.\n")
                return
            if request.protocol != "HTTP/1.1" or b"content-length" in fields:
                length = b"?"  # two lengths, of which a proxy may have believed one
            self._chunks = Chunks(server.max_body)
        if (
            type(length) is not bytes
            or not length.isdigit()
            or len(length) > 18
            or (request.protocol == "HTTP/1.1" and b"host" not in fields)
        ):
            self.refuse(400, "Malformed request.\n")
            return
        self._left = int(length)
        if self._left > server.max_body:
            self.refuse(413, "Payload too large.\n")
            return
        self._keep = request.protocol == "HTTP/1.1" and not server.closing
        if b"close" in joined(fields.get(b"connection")):
            self._keep = False
        self._request = request
        if self._left > len(rest) or encoding is not None:
            self._since = self.link.driver.time()
            self._set_timer(server.request_timeout)
            if b"100-continue" in joined(fields.get(b"expect")):
                self.link.write(_CONTINUE)
        self._read_body(rest)

    def _leave(self, data: bytes) -> None:
        """Have the client served from here on as that of a WebSocket."""
        self._ending = True
        self.link.driver.cancel(self)
        self.server.upgrade(self, data, self._since)

    def _read_chunks(self, chunks: Chunks, data: bytes) -> None:
        try:
            complete = chunks.feed(data)
        except ValueError:
            self.refuse(400, "Malformed request.\n")
            return
        except BodyTooBig:
            self.refuse(413, "Payload too large.\n")
            return
        if complete:
            self._chunks = None
            self._rest = chunks.rest
            self._body_received(bytes(chunks.body))

    def _read_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._read_chunks(self._chunks, data)
            return
        if len(data) < self._left:
            self._left -= len(data)
            self._body += data  # no list: of single octets it would be fifty times it
            return
        body = data[: self._left]
        self._rest = data[self._left :]
        if self._body:
            body = bytes(self._body) + body
            self._body = bytearray()
        self._left = 0
        self._body_received(body)

    def _body_received(self, body: bytes) -> None:
        request, self._request = self._request, None
        assert request is not None
        self.server.fresh.pop(self, None)
        self.server.requested(self, request, body)

    def scope_of(self, request: Request) -> dict[str, Any] | None:
        """Return what a request says, as ASGI has it; None if it has no path."""
        target = _path_of(request.path)
        if target is None:
            return None
        raw_path, _, query = target.partition("?")
        if self._peer is None:
            link = self.link
            self._peer = (
                link.get_extra_info("peername"),
                link.get_extra_info("sockname"),
            )
        client, server = self._peer
        return {
            "type": "http",
            "http_version": request.protocol[5:],
            "method": request.method,
            "scheme": self.server.scheme,
            "root_path": "",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": request_fields(request.original_head()),
            "client": client[:2] if isinstance(client, tuple) else None,
            "server": server[:2] if isinstance(server, tuple) else None,
        }

    # ---- responses ----

    def begin(
        self, exchange: Any, head: bytes, sized: bool, first: bytes = b""
    ) -> None:
        """
        Begin a response.

        Args:
            exchange: What it answers.
            head: Its head, from `encode_head`.
            sized: It says how long its body is, or has none.
            first: What its body begins with.

        Raises:
            OSError: The client has left.

        """
        if self.exchange is not exchange:
            raise ConnectionResetError("the client has left")
        self.chunked = not sized and exchange.http_version == "1.1"
        if not sized and not self.chunked:
            self._keep = False  # the end of the connection is that of the body
        head += date_line()
        if self.chunked:
            head += b"transfer-encoding: chunked\r\n"
        if not self._keep:
            head += b"connection: close\r\n"
        head += b"\r\n"
        self.write(head + self.piece(first) if first else head)

    def piece(self, octets: bytes) -> bytes:
        """Return a piece of the body as it is sent."""
        if self.chunked and octets:
            return b"%x\r\n%b\r\n" % (len(octets), octets)
        return octets

    def write(self, octets: bytes) -> None:
        """Send octets, in this pass of the driver."""
        self.link.write(octets)

    async def until_room(self) -> None:
        """Wait until the system takes octets again, or the client has gone."""
        room = asyncio.get_running_loop().create_future()
        self._room.append(room)
        await room

    def _wake(self) -> None:
        rooms, self._room = self._room, []
        for room in rooms:
            if not room.done():
                room.set_result(None)

    def end(self) -> None:
        """End a response; the next request may come, or has come already."""
        if self.chunked:
            self.link.write(_LAST)
        self.chunked = False
        self.exchange = self.streaming = None
        self.done()

    def done(self) -> None:
        """Go on with the next request, behind a response."""
        self._since = self.link.driver.time()
        if not self._keep or self.server.closing:
            self.close()
            return
        if self._rest:
            # Not from here: a client could have us as deep as it has requests.
            self.exchange = _NEXT
            self.link.driver.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.exchange is _NEXT:
            self.exchange = None
            rest, self._rest = self._rest, b""
            if len(rest) > MAX_EARLY:
                self.link.resume_reading()
            self.data_received(rest)

    def close(self) -> None:
        """End the connection, behind what is queued."""
        if not self._ending:
            self._ending = True
            self.link.close()
            driver = self.link.driver
            driver.schedule(self, driver.time() + self.server.linger)

    def refuse(self, status: int, text: str) -> None:
        """Answer a request that cannot be served, and end the connection."""
        if self._ending:
            return
        body = text.encode("latin-1", "replace")
        fields = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        head = encode_head(status, fields) + date_line() + b"\r\n"
        self.link.write(head + body)
        self.server.logger.info("request refused with %d: %s", status, text.strip())
        self.close()


def _path_of(target: str) -> str | None:
    """Return the path and query of a request target (RFC 9112 §3.2)."""
    if target[:1] == "/":
        return target
    scheme, mark, rest = target.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return None


def joined(value: bytes | list[bytes] | None) -> bytes:
    """Return the values of a field as one, in lower case."""
    if isinstance(value, list):
        value = b", ".join(value)
    return (value or b"").lower()
