"""A TCP proxy that misbehaves on command: delays, splits, cuts, swallows."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time


class Proxy:
    """
    Passes octets between clients and one server, in a thread of its own.

    Args:
        port: Port of the server on the loopback.
        split: Octets a segment, each way; None to pass on what came.
        delay_s: Wait before each passing on.

    Attributes:
        black_hole: While true, octets are taken and passed to nobody, and the end of a
            connection is not told either.

    """

    def __init__(
        self, port: int, *, split: int | None = None, delay_s: float = 0
    ) -> None:
        self.target, self.split, self.delay_s = port, split, delay_s
        self.black_hole = False
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.sockets = [self.sock]
        self.other: dict[socket.socket, socket.socket] = {}
        self.side: dict[socket.socket, str] = {}
        self.passed = {"client": 0, "server": 0}
        self.cut_after: dict[str, tuple[int, str]] = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopping.set()
        self.thread.join(5)
        for sock in self.sockets:
            sock.close()

    @property
    def uri(self) -> str:
        """The address to connect to."""
        return f"ws://127.0.0.1:{self.port}/"

    def cut(self, side: str, after: int, how: str) -> None:
        """
        Cut the connection after so many octets from one side.

        Args:
            side: ``client`` or ``server``: whose octets are counted.
            after: Octets that are passed on first, counted over all connections.
            how: ``reset`` (RST to both), ``eof`` (FIN to both) or ``half`` (FIN only to
                the receiver of these octets).

        """
        self.cut_after[side] = (after, how)

    def run(self) -> None:
        """Pass octets until stopped."""
        while not self.stopping.is_set():
            ready, _, _ = select.select([self.sock, *self.other], [], [], 0.05)
            for sock in ready:
                if sock is self.sock:
                    self.accept()
                elif sock in self.other:
                    self.move(sock)

    def accept(self) -> None:
        """Take a client and connect it to the server."""
        client, _ = self.sock.accept()
        server = socket.create_connection(("127.0.0.1", self.target))
        self.sockets += [client, server]
        for one, two, side in ((client, server, "client"), (server, client, "server")):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.other[one] = two
            self.side[one] = side

    def move(self, sock: socket.socket) -> None:
        """Pass on what one side sent."""
        side, other = self.side[sock], self.other[sock]
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if self.black_hole:
            if not data:
                self.forget(sock)
            return
        if not data:
            self.forget(sock)
            with contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_WR)
            return
        limit, how = self.cut_after.get(side, (None, ""))
        if limit is not None:
            data = data[: max(0, limit - self.passed[side])]
        self.passed[side] += len(data)
        self.write(other, data)
        if limit is not None and self.passed[side] >= limit:
            self.end(sock, other, how)

    def write(self, sock: socket.socket, data: bytes) -> None:
        """Send octets the way this proxy does."""
        step = self.split or max(1, len(data))
        with contextlib.suppress(OSError):
            for start in range(0, len(data), step):
                if self.delay_s:
                    time.sleep(self.delay_s)
                sock.sendall(data[start : start + step])

    def end(self, sock: socket.socket, other: socket.socket, how: str) -> None:
        """Cut a connection."""
        if how == "half":
            self.forget(sock)
            with contextlib.suppress(OSError):
                other.shutdown(socket.SHUT_WR)
            return
        for one in (sock, other):
            self.forget(one)
            if how == "reset":
                linger = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            one.close()

    def forget(self, sock: socket.socket) -> None:
        """Stop listening to a side; its socket stays open for the other direction."""
        self.other.pop(sock, None)
