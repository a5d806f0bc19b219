"""
Streams of octets for threads: a socket, and TLS over any such stream.

One thread may receive while another one sends; a third may cut the stream. Sockets are
in blocking mode, so that a message costs one system call each way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["RECV_SIZE", "SocketStream", "Stream", "TLSStream"]

#: Octets to receive in one go.
RECV_SIZE = 64 * 1024

#: Octets that TLS may owe a peer that does not read: its answers to new keys, say.
OWED_MOST = 256 * 1024

#: Tells one call that it may not wait; Windows has no such flag.
_NOW = getattr(socket, "MSG_DONTWAIT", 0)


class Stream:
    """A stream of octets (abstract)."""

    #: Octets that the stream itself has to send, apart from what it was given.
    owes = False

    def settimeout(self, timeout: float | None) -> None:
        """Have calls raise TimeoutError after so many seconds; only while opening."""
        raise NotImplementedError

    def wait(self, timeout: float) -> bool:
        """Wait until there may be something to receive; False if time is up."""
        raise NotImplementedError

    def recv(self) -> bytes | None:
        """Receive octets: none at the end, None if there is nothing of use yet."""
        raise NotImplementedError

    def recv_now(self) -> bytes | None:
        """Receive what has arrived, as :meth:`recv`, without waiting."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Send octets, all of them."""
        raise NotImplementedError

    def send_now(self, data: bytes) -> int:
        """Send without waiting; return how many octets need not be given again."""
        raise NotImplementedError

    def end(self) -> None:
        """Tell the peer that no more will be sent."""
        raise NotImplementedError

    def stop_reading(self) -> None:
        """Receive no more; wakes a thread that does, as the end of the stream."""
        raise NotImplementedError

    def cut(self) -> None:
        """End the stream at once, both ways; wakes threads that wait in it."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the stream; nobody may be waiting in it."""
        raise NotImplementedError

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        raise NotImplementedError

    @property
    def socket(self) -> socket.socket:
        """The socket below."""
        raise NotImplementedError


class SocketStream(Stream):
    """
    A connected socket.

    Args:
        sock: The socket; it belongs to the stream from now on.

    Raises:
        TypeError: It is a TLS socket, which cannot be used by two threads at a time.

    """

    def __init__(self, sock: socket.socket) -> None:
        if isinstance(sock, ssl.SSLSocket):
            raise TypeError("expected a plain socket; pass ssl=context for TLS")
        self._sock = sock
        self._recv = sock.recv
        self._poll: Any = None
        sock.settimeout(None)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def socket(self) -> socket.socket:
        return self._sock

    def settimeout(self, timeout: float | None) -> None:
        self._sock.settimeout(timeout)

    def fileno(self) -> int:
        return self._sock.fileno()

    def wait(self, timeout: float) -> bool:
        if not hasattr(select, "poll"):
            return bool(select.select([self._sock], [], [], max(timeout, 0.0))[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)
        return bool(self._poll.poll(max(timeout, 0.0) * 1000))

    def recv(self) -> bytes | None:
        return self._recv(RECV_SIZE)

    def recv_now(self) -> bytes | None:
        if not _NOW and not select.select([self._sock], [], [], 0)[0]:
            return None
        try:
            return self._recv(RECV_SIZE, _NOW)
        except BlockingIOError:
            return None

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def send_now(self, data: bytes) -> int:
        if not _NOW and not select.select([], [self._sock], [], 0)[1]:
            return 0
        try:
            return self._sock.send(data, _NOW)
        except BlockingIOError:
            return 0

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def stop_reading(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()


class TLSStream(Stream):
    """
    TLS over another stream.

    The TLS object works on buffers in memory, under a lock: OpenSSL allows nothing
    else when one thread receives while another one sends.

    Args:
        below: The stream to encrypt.
        context: Settings of TLS.
        server_side: We are the server.
        server_hostname: Name to ask for and to check.

    """

    def __init__(
        self,
        below: Stream,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        self._lock = threading.Lock()
        self._unsent = b""
        self._more = False

    @property
    def socket(self) -> socket.socket:
        return self._below.socket

    @property
    def tls(self) -> ssl.SSLObject:
        """What knows certificate, cipher and version."""
        return self._tls

    @property
    def owes(self) -> bool:  # type: ignore[override]
        return bool(self._unsent or self._outgoing.pending or self._below.owes)

    def settimeout(self, timeout: float | None) -> None:
        self._below.settimeout(timeout)

    def fileno(self) -> int:
        return self._below.fileno()

    def do_handshake(self, left: Callable[[], float | None]) -> None:
        """
        Do the TLS handshake.

        Args:
            left: Returns how many seconds are left, None for no limit.

        Raises:
            ssl.SSLError: It fails.
            TimeoutError: It takes longer than that.

        """
        while True:
            self.settimeout(left())
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._below.send(self._outgoing.read())
                data = self._below.recv()
                if data is not None:
                    self._take(data)
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._below.send(self._outgoing.read())  # the alert
                raise
            else:
                break
        self._below.send(self._outgoing.read())
        # What came behind the handshake is here already.
        self._more = self._incoming.pending > 0

    def _take(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _decrypted(self) -> bytes | None:
        """Return what can be decrypted; None if more has to arrive first."""
        pieces: list[bytes] = []
        size = 0
        ended = False
        with self._lock:
            while size < RECV_SIZE:
                try:
                    piece = self._tls.read(RECV_SIZE)
                except ssl.SSLWantReadError:
                    break
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    piece = b""
                if not piece:
                    ended = True
                    break
                pieces.append(piece)
                size += len(piece)
            # The end is for the next call, and may be all that the peer has to say
            # until it hears of ours.
            self._more = ended or size >= RECV_SIZE or self._incoming.eof
            if len(self._unsent) + self._outgoing.pending > OWED_MOST:
                raise ssl.SSLError(f"over {OWED_MOST} octets of TLS wait to be sent")
        if pieces:
            return b"".join(pieces)
        return b"" if ended else None

    def wait(self, timeout: float) -> bool:
        return self._more or self._below.wait(timeout)

    def recv(self) -> bytes | None:
        if not self._more:
            data = self._below.recv()
            if data is None:
                return None
            with self._lock:
                self._take(data)
        return self._decrypted()

    def recv_now(self) -> bytes | None:
        if not self._more:
            data = self._below.recv_now()
            if data is None:
                return None
            with self._lock:
                self._take(data)
        return self._decrypted()

    def _encrypt(self, data: bytes) -> bytes:
        with self._lock:
            if data:
                self._tls.write(data)
            encrypted = self._unsent + self._outgoing.read()
            self._unsent = b""
        return encrypted

    def send(self, data: bytes) -> None:
        self._below.send(self._encrypt(data))

    def send_now(self, data: bytes) -> int:
        if self._unsent:  # it goes first, and nothing is encrypted that has to wait
            data = b""
        encrypted = self._encrypt(data)
        self._unsent = encrypted[self._below.send_now(encrypted) :]
        return len(data)

    def end(self) -> None:
        with contextlib.suppress(ssl.SSLError), self._lock:
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self._below.send_now(self._encrypt(b""))
        self._below.end()

    def stop_reading(self) -> None:
        self._below.stop_reading()

    def cut(self) -> None:
        self._below.cut()

    def close(self) -> None:
        self._below.close()
