"""Streams of octets over sockets that a host has opened, and may have to close."""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import ssl
import threading
import time
from typing import Any

from ..sync._stream import RECV_SIZE, SocketStream, Stream

__all__ = ["stream_of"]


def stream_of(sock: socket.socket, owned: bool = False) -> Stream:
    """
    Return a stream over a connected socket.

    Args:
        sock: The socket; TLS may be on it already.
        owned: Whether the stream closes it; else whoever has it does.

    Raises:
        RuntimeError: It is one of gevent's, which has not patched the rest.

    """
    gevent = type(sock).__module__.startswith("gevent")
    if gevent and not type(threading.Lock()).__module__.startswith("gevent"):
        raise RuntimeError("call gevent.monkey.patch_all() before anything else")
    if isinstance(sock, ssl.SSLSocket):
        return HostTLSStream(sock, owned)
    if gevent:
        return _GreenStream(sock, owned)
    return HostStream(sock, owned)


class HostStream(SocketStream):
    """
    A socket that its host closes, when the application has returned.

    The number of its descriptor must not be given out again before that.

    Args:
        sock: The socket.
        owned: It is ours to close.

    """

    def __init__(self, sock: socket.socket, owned: bool = False) -> None:
        super().__init__(sock)
        self._owned = owned

    def close(self) -> None:
        """Leave the socket to its owner, of no use to anybody."""
        if self._owned:
            super().close()
        else:
            self.cut()


class _GreenStream(HostStream):
    """A socket of gevent, which would wait even where it is told not to."""

    def recv_now(self) -> bytes | None:
        if not select.select([self._sock], [], [], 0)[0]:
            return None
        return self._recv(RECV_SIZE)

    def send_now(self, data: bytes) -> int:
        if not select.select([], [self._sock], [], 0)[1]:
            return 0
        return self._sock.send(data)


class HostTLSStream(Stream):
    """
    A TLS socket that somebody else has opened.

    It does not block: OpenSSL's object is used under a lock, by one thread at a time,
    and threads wait for the socket below without it.

    Args:
        sock: The socket.
        owned: It is ours to close.

    """

    def __init__(self, sock: ssl.SSLSocket, owned: bool = False) -> None:
        self._sock = sock
        self._owned = owned
        self._lock = threading.Lock()
        self._timeout: float | None = None
        sock.settimeout(0.0)

    @property
    def socket(self) -> socket.socket:
        return self._sock

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def fileno(self) -> int:
        return self._sock.fileno()

    def _ready(self, timeout: float | None, write: bool = False) -> bool:
        """Wait for the socket below; False if time is up."""
        events = selectors.EVENT_WRITE if write else selectors.EVENT_READ
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, events)
            return bool(selector.select(timeout))

    def wait(self, timeout: float) -> bool:
        return self._sock.pending() > 0 or self._ready(max(timeout, 0.0))

    def recv(self) -> bytes | None:
        data = self.recv_now()
        if data is None:
            if not self._ready(self._timeout):
                raise TimeoutError("timed out")
            data = self.recv_now()
        return data

    def recv_now(self) -> bytes | None:
        # A record at a time, and never a part of one: so the descriptor tells whether
        # there is more.
        with self._lock:
            try:
                return self._sock.recv(RECV_SIZE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return None
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                return b""

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        until = None if self._timeout is None else time.monotonic() + self._timeout
        while view:
            sent = self.send_now(view)
            view = view[sent:]
            if not sent:
                left = None if until is None else max(until - time.monotonic(), 0.0)
                if not self._ready(left, write=True):
                    raise TimeoutError("timed out")

    def send_now(self, data: Any) -> int:
        if not data:
            return 0
        with self._lock:
            try:
                return self._sock.send(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0

    def end(self) -> None:
        with contextlib.suppress(OSError), self._lock:
            self._sock.unwrap()  # sends the alert; the peer's is for recv()
        # Not SSLSocket's, after which the peer's octets would not be decrypted.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._owned:
            self._sock.close()
        else:
            self.cut()
