"""A client of HTTP that shows every octet: what the protocol's tests read."""

from __future__ import annotations

import select
import socket
import uuid
from dataclasses import dataclass, field

DEADLINE_S = 30.0


class Wire:
    """
    One connection, on which requests follow one another.

    Args:
        port: Of the server, on 127.0.0.1.

    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self._input = self._socket.makefile("rb")

    def request(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        version: str = "1.1",
        **fields: str,
    ) -> Response:
        """Send a request, and return its response as far as the head."""
        self.begin(method, path, body, version, **fields)
        return self.response(method)

    def begin(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        version: str = "1.1",
        **fields: str,
    ) -> None:
        """Send a request."""
        octets = body.encode() if isinstance(body, str) else body or b""
        lines = [f"{method} {path} HTTP/{version}", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name.replace('_', '-')}: {text}" for name, text in fields.items()]
        if body is not None or method == "POST":
            lines.append(f"Content-Length: {len(octets)}")
        head = "\r\n".join([*lines, "", ""])
        self._socket.sendall(head.encode("latin-1") + octets)

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._socket.fileno()

    def response(self, method: str) -> Response:
        """Return the response to the request that was sent, as far as the head."""
        line = self._line()
        response = Response(self, line[5:8], int(line.split()[1]))
        while line := self._line():
            name, _, value = line.partition(":")
            response.all_fields.append((name.strip().lower(), value.strip()))
        length = response["content-length"]
        response.chunked = response["transfer-encoding"] == "chunked"
        if method == "HEAD" or response.status in (101, 204, 304):
            response.left = 0
        elif length:
            response.left = int(length)
        return response

    def _line(self) -> str:
        line = self._input.readline()
        assert line.endswith(b"\r\n"), line
        return line[:-2].decode("latin-1")

    def read(self, size: int) -> bytes:
        """Read as many octets, fewer at the end."""
        return self._input.read(size)

    def readline(self) -> bytes:
        """Read a line."""
        return self._input.readline()

    @property
    def is_over(self) -> bool:
        """Whether the server has ended the connection; waits for it."""
        return self._input.read(1) == b""

    def close(self) -> None:
        """Cut the connection."""
        self._input.close()
        self._socket.close()


def first_to_answer(wires: list[Wire]) -> Wire:
    """Wait until there is an answer on one of some connections; return that one."""
    readable, _, _ = select.select(wires, [], [], DEADLINE_S)
    assert readable, "no answer"
    wire: Wire = readable[0]
    return wire


@dataclass
class Response:
    """A response; the body comes by :meth:`read`, chunks put together."""

    wire: Wire
    version: str
    status: int
    all_fields: list[tuple[str, str]] = field(default_factory=list)
    chunked: bool = False
    left: int | None = None  # octets of the body that are to come; None: not known
    _chunk: int = 0
    _over: bool = False

    def __getitem__(self, name: str) -> str:
        """Return a header field, ``""`` if there is none."""
        return ", ".join(v for key, v in self.all_fields if key == name.lower())

    def read(self, size: int) -> str:
        """Read as many octets of the body, fewer at its end."""
        data = b""
        while len(data) < size and not self._over:
            piece = self._read(size - len(data))
            if not piece:
                self._over = True
            data += piece
        return data.decode()

    def _read(self, size: int) -> bytes:
        if self.left is not None:
            piece = self.wire.read(min(size, self.left))
            self.left -= len(piece)
            return piece
        if not self.chunked:
            return self.wire.read(size)
        if self._chunk == 0:
            self._chunk = int(self.wire.readline(), 16)
            if self._chunk == 0:
                assert self.wire.readline() == b"\r\n"
                return b""
        piece = self.wire.read(min(size, self._chunk))
        self._chunk -= len(piece)
        if self._chunk == 0:
            assert self.wire.readline() == b"\r\n"
        return piece

    def body(self) -> str:
        """Read the rest of the body."""
        return self.read(1 << 30)

    @property
    def ended(self) -> bool:
        """Whether the body ends here; waits for it."""
        return self.read(1) == ""


class Site:
    """
    A service of a server.

    Args:
        port: Of the server.
        prefix: Path of the service.

    """

    def __init__(self, port: int, prefix: str) -> None:
        self.port = port
        self.prefix = prefix
        self._wires: list[Wire] = []

    def wire(self) -> Wire:
        """Return a new connection; it is closed with the test."""
        wire = Wire(self.port)
        self._wires.append(wire)
        return wire

    def request(
        self, method: str, path: str = "", body: str | bytes | None = None, **rest: str
    ) -> Response:
        """Make a request on a connection of its own."""
        return self.wire().request(method, self.prefix + path, body, **rest)

    def get(self, path: str = "", **fields: str) -> Response:
        """GET."""
        return self.request("GET", path, **fields)

    def post(self, path: str, body: str | bytes = "", **fields: str) -> Response:
        """POST."""
        return self.request("POST", path, body, **fields)

    def session(self, server: str = "000") -> str:
        """Return the path of a new session."""
        return f"/{server}/{uuid.uuid4()}"

    @property
    def ws_url(self) -> str:
        """The service's URL, for WebSocket."""
        return f"ws://127.0.0.1:{self.port}{self.prefix}"

    def close(self) -> None:
        """Close what the test has left open."""
        for wire in self._wires:
            wire.close()
        self._wires.clear()
