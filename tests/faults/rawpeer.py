"""
A peer that says exactly what it is told to, octet by octet, and judges nothing.

Blocking sockets, and code that shares nothing with what is under test.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = bytes.fromhex("37fa213d")  # masking-key of the examples in RFC 6455 5.7
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10


def xor(payload: bytes, key: bytes) -> bytes:
    """Mask a payload as one long integer."""
    if not payload:
        return b""
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    value = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return value.to_bytes(len(payload), "big")


def header(
    opcode: int,
    length: int,
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    form: int | None = None,
) -> bytes:
    """
    Build a frame header, legal or not.

    Args:
        opcode: Four bits.
        length: Payload length to declare; with ``form`` 8 all 64 bits of it.
        fin: The FIN bit.
        rsv: `RSV1`, `RSV2`, `RSV3` or a sum of them.
        key: Masking-key; None for an unmasked frame.
        form: Octets that the length takes behind the first two: 0, 2, 8; None for the
            shortest.

    """
    first = (0x80 if fin else 0) | rsv | opcode
    mask = 0 if key is None else 0x80
    if form is None:
        form = 0 if length < 126 else 2 if length < 65536 else 8
    if form == 0:
        head = struct.pack("!BB", first, mask | length)
    elif form == 2:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    return head + (key or b"")


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    form: int | None = None,
) -> bytes:
    """Build a frame; masked, as a client's, unless ``key`` is None."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = header(opcode, len(data), fin=fin, rsv=rsv, key=key, form=form)
    return head + (data if key is None else xor(data, key))


def close_frame(code: int | None = 1000, reason: str = "", **options: object) -> bytes:
    """Build a close frame."""
    payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
    return frame(CLOSE, payload, **options)  # type: ignore[arg-type]


class Frame(NamedTuple):
    """A frame as received, unmasked."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    key: bytes | None

    @property
    def code(self) -> int:
        """The code of a close frame; 1005 if it has none."""
        if len(self.payload) < 2:
            return 1005
        return int.from_bytes(self.payload[:2], "big")


class Head(NamedTuple):
    """A response or request head as received."""

    line: str
    headers: dict[str, str]
    raw: bytes

    @property
    def status(self) -> int:
        """The status code of a response."""
        return int(self.line.split(" ")[1])


class EndedError(Exception):
    """The peer ended the connection; ``how`` is ``eof`` or ``reset``."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Peer:
    """
    One end of a TCP connection.

    Args:
        sock: Connected socket.
        masks: Whether this end is the client, which masks what it sends.

    """

    def __init__(self, sock: socket.socket, masks: bool, timeout_s: float = 10) -> None:
        self.sock, self.masks = sock, masks
        self.buffer = bytearray()
        sock.settimeout(timeout_s)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send octets as they are; that the peer has gone is not an error here."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def send_slowly(self, data: bytes, step: int = 1, pause_s: float = 0.0) -> None:
        """Send a few octets at a time, each in a segment of its own."""
        for start in range(0, len(data), step):
            self.send(data[start : start + step])
            if pause_s:
                time.sleep(pause_s)

    def frame(self, opcode: int, payload: bytes | str = b"", **options: object) -> None:
        """Send a frame, masked as this end's should be unless ``key`` is given."""
        options.setdefault("key", KEY if self.masks else None)
        self.send(frame(opcode, payload, **options))  # type: ignore[arg-type]

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame."""
        self.send(close_frame(code, reason, key=KEY if self.masks else None))

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.sock.close()

    def half_close(self) -> None:
        """End this direction with FIN, unless the connection has ended."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def fill(self, size: int) -> None:
        """
        Receive until the buffer holds this many octets.

        Raises:
            EndedError: The peer ended the connection before.
            TimeoutError: Nothing came for the socket's timeout.

        """
        while len(self.buffer) < size:
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError:
                raise EndedError("reset") from None
            if not data:
                raise EndedError("eof")
            self.buffer += data

    def take(self, size: int) -> bytes:
        """Receive exactly this many octets."""
        self.fill(size)
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def head(self) -> Head:
        """Receive an HTTP head."""
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self.fill(len(self.buffer) + 1)
        raw = self.take(end + 4)
        line, *lines = raw.decode("latin-1").strip().split("\r\n")
        pairs = (header.split(":", 1) for header in lines)
        return Head(line, {name.lower(): value.strip() for name, value in pairs}, raw)

    def recv(self) -> Frame:
        """Receive a frame."""
        first, second = self.take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.take(8))
        key = self.take(4) if second & 0x80 else None
        payload = self.take(length)
        if key is not None:
            payload = xor(payload, key)
        return Frame(first & 0x0F, payload, bool(first & 0x80), first & 0x70, key)

    def frames(self) -> Iterator[Frame]:
        """Receive frames until the peer ends the connection."""
        with contextlib.suppress(EndedError):
            while True:
                yield self.recv()

    def ended(self, timeout_s: float = 10) -> str:
        """Wait for the end of the connection, whatever comes before it."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                self.fill(len(self.buffer) + 1)
                self.buffer.clear()
            except EndedError as exc:
                return exc.how

    def until_close(self) -> tuple[list[Frame], Frame | None, str]:
        """
        Receive everything up to the end of the connection.

        Returns:
            Frames before the close frame, the close frame if there was one, and how TCP
            ended. Anything behind the close frame fails the test.

        """
        before: list[Frame] = []
        closing: Frame | None = None
        try:
            while True:
                received = self.recv()
                assert closing is None, f"{received} after the close frame"
                if received.opcode == CLOSE:
                    closing = received
                else:
                    before.append(received)
        except EndedError as exc:
            return before, closing, exc.how


def request(
    path: str = "/",
    *,
    host: str = "127.0.0.1",
    drop: tuple[str, ...] = (),
    line: str | None = None,
    extra: tuple[str, ...] = (),
    **changes: str,
) -> bytes:
    """
    Build an opening handshake.

    Args:
        path: Request target.
        host: Value of ``Host``.
        drop: Names of headers to leave out.
        line: Request line in place of the usual one.
        extra: Header lines to add at the end.
        changes: Values of other headers, ``_`` in a name for ``-``.

    """
    headers = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [line or f"GET {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name not in drop]
    return "\r\n".join([*lines, *extra, "", ""]).encode("latin-1")


def tcp(port: int, *, receive_buffer: int | None = None, timeout_s: float = 10) -> Peer:
    """Connect to a server and say nothing."""
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout_s)
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return Peer(sock, masks=True, timeout_s=timeout_s)


def opened(
    port: int,
    path: str = "/",
    *,
    deflate: str | None = None,
    receive_buffer: int | None = None,
    timeout_s: float = 10,
    **changes: str,
) -> Peer:
    """
    Connect to a server and do the opening handshake.

    Args:
        port: Port on the loopback.
        path: Request target.
        deflate: An offer of permessage-deflate, which must be accepted.
        receive_buffer: Octets of the socket's receive buffer.
        timeout_s: Timeout of each later receive.
        changes: Headers, as for `request`.

    """
    if deflate is not None:
        changes["Sec-WebSocket-Extensions"] = deflate
    peer = tcp(port, receive_buffer=receive_buffer, timeout_s=timeout_s)
    peer.send(request(path, **changes))  # type: ignore[arg-type]
    head = peer.head()
    accepted = head.headers.get("sec-websocket-extensions", "")
    if head.status != 101 or (deflate is not None and not accepted):
        peer.sock.close()
        raise AssertionError(head.raw)
    return peer


class Listening:
    """A server that accepts one connection after another and answers as it is told."""

    def __init__(self, timeout_s: float = 10) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(timeout_s)
        self.port: int = self.sock.getsockname()[1]
        self.timeout_s = timeout_s

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    @property
    def uri(self) -> str:
        """The address to connect to."""
        return f"ws://127.0.0.1:{self.port}/"

    def tcp(self) -> Peer:
        """Accept a connection and say nothing."""
        sock, _ = self.sock.accept()
        return Peer(sock, masks=False, timeout_s=self.timeout_s)

    def opened(self, *extra: str, behind: bytes = b"", **changes: str) -> Peer:
        """Accept a connection and answer its opening handshake; see `response`."""
        peer = self.tcp()
        peer.send(response(peer.head(), *extra, **changes) + behind)  # type: ignore[arg-type]
        return peer


def accept_value(head: Head) -> str:
    """Return the ``Sec-WebSocket-Accept`` that a request asks for."""
    key = head.headers["sec-websocket-key"].encode()
    return base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()


def response(
    head: Head,
    *extra: str,
    line: str = "HTTP/1.1 101 Switching Protocols",
    drop: tuple[str, ...] = (),
    **changes: str,
) -> bytes:
    """
    Build the answer to an opening handshake.

    Args:
        head: The request.
        extra: Header lines to add at the end.
        line: Status line.
        drop: Names of headers to leave out.
        changes: Values of other headers, ``_`` in a name for ``-``.

    """
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_value(head),
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in drop]
    return "\r\n".join([line, *lines, *extra, "", ""]).encode("latin-1")


def offered(head: Head, name: str) -> bool:
    """Return whether a request offers an extension."""
    offers = head.headers.get("sec-websocket-extensions", "")
    return re.search(rf"(^|,)\s*{re.escape(name)}\s*($|[;,])", offers) is not None
