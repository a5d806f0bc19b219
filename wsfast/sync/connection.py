"""
A WebSocket connection for threads.

The thread that waits for a message reads the socket itself; there is no thread per
connection. Any number of threads may use a connection at once: one may be in ``recv()``
while others send and another one closes. The keeper's thread serves a connection while
nobody waits for it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
import uuid
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import engine
from ..exceptions import ConcurrencyError, ConnectionClosed
from ..protocol.extension_frames import extensions_of
from ._inbound import Inbound
from ._outbound import Outbound
from ._receiving import Pong
from ._traffic import Traffic
from .streams import BUFFER, MessageReader, MessageWriter

if TYPE_CHECKING:
    from io import BufferedReader
    from socket import socket

    from typing_extensions import Self

    from ..protocol.http import Request, Response
    from ..protocol.options import Options
    from ._stream import Stream

__all__ = ["Connection"]

_OPEN = 1
_CLOSED = 3


class Connection(Inbound, Outbound):
    """
    A WebSocket connection, after its opening handshake.

    Made by ``connect()`` and ``serve()``.

    Args:
        stream: The octets; they belong to the connection from now on.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, or None.
        request: The handshake's request.
        response: The handshake's response.
        subprotocol: The negotiated subprotocol, or None.
        logger: Where to log; by default ``wsfast.client`` or ``wsfast.server``.

    Attributes:
        request: The handshake's request.
        response: The handshake's response.
        subprotocol: The negotiated subprotocol, or None (RFC 6455 §1.9).
        latency: Round-trip time in seconds of the last ping answered; 0.0 before.

    """

    def __init__(
        self,
        stream: Stream,
        options: Options,
        *,
        client: bool,
        deflate: Any = None,
        request: Request | None = None,
        response: Response | None = None,
        subprotocol: str | None = None,
        logger: Any = None,
    ) -> None:
        Traffic.__init__(self, stream, options, client=client, deflate=deflate)
        self.request = request
        self.response = response
        self.subprotocol = subprotocol
        if logger is None:
            logger = logging.getLogger("wsfast.client" if client else "wsfast.server")
        self.logger = logger
        self._may_receive()
        self._may_send()
        self._id: uuid.UUID | None = None

    # ---- pings ----

    def ping(
        self, data: str | bytes | None = None, *, ack_on_close: bool = False
    ) -> threading.Event:
        """
        Send a ping (RFC 6455 §5.5.2).

        Args:
            data: Payload, at most 125 octets; random by default.
            ack_on_close: Set the event when the connection ends, too.

        Returns:
            An event that is set when the pong has arrived. Its ``wait()`` returns False
            as soon as there can be no pong any more.

        Raises:
            ConnectionClosed: The connection is not open.
            ConcurrencyError: A ping with this payload waits for its pong.

        """
        pings = self._pings
        payload = None if data is None else _octets(data)
        pong = Pong(self.wait_pong, ack_on_close)
        try:
            with self._mutex:
                if payload in pings:
                    raise ConcurrencyError(
                        "already waiting for a pong with the same data"
                    )
                while payload is None or payload in pings:
                    payload = engine.masking_key()
                self.send_ping(payload)
                pings[payload] = pong
        except ConnectionClosed:
            raise self._until_closed() from None
        self._flush()
        return pong

    def wait_pong(self, pong: Pong, timeout: float | None) -> bool:
        """Wait for what ``ping()`` has returned; return whether it is set."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            self._wait(lambda: pong.is_set() or self._is_closed(), deadline)
        return pong.is_set()

    def pong(self, data: str | bytes = b"") -> None:
        """
        Send an unsolicited pong (RFC 6455 §5.5.3).

        Raises:
            ConnectionClosed: The connection is not open.

        """
        payload = _octets(data)
        try:
            with self._mutex:
                self.send_pong(payload)
        except ConnectionClosed:
            raise self._until_closed() from None
        self._flush()

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection (RFC 6455 §7.1.2), and wait until it is closed.

        That takes ``close_timeout`` seconds at most. May be called again, and from any
        thread; threads that are in ``recv()`` are told.

        Args:
            code: Close code.
            reason: Close reason, at most 123 octets of UTF-8.

        """
        self.start_closing(code, reason)
        self.wait_closed()

    def start_closing(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, as :meth:`close`, but do not wait for the peer's."""
        with self._mutex:
            self.now = time.monotonic()
            self.release_end()
            if self._sending_fragments and self.ready_state == _OPEN:
                self.fail(1011, "close during fragmented message")
            self.send_close(code, reason)
            # Read on, however much is queued: the peer's close frame is behind it.
            if self.ready_state != _CLOSED and not self._room.is_set():
                self.stop = self.reading_paused = False
                self.receive_more()
                self._room.set()
        self._tell()
        self._flush()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """
        Wait until the connection is closed.

        Args:
            timeout: Seconds to wait; None to wait for ever.

        Returns:
            Whether it is closed.

        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(TimeoutError):
            self._wait(self._is_closed, deadline)
        return self.ready_state == _CLOSED

    def abort(self) -> None:
        """End the connection at once, without a closing handshake (1006)."""
        with self._mutex:
            self.abandon()
        self.stream.cut()
        self._room.set()
        self.wait_closed()

    def as_stream(self, *, text: bool = False) -> tuple[BufferedReader, MessageWriter]:
        """
        Return the connection as two files: one to read octets from, one to write to.

        Args:
            text: Write text messages, of which each must be valid UTF-8, instead of
                binary ones. Either kind is read.

        Returns:
            What reads, buffered; and what writes, each time a message.

        """
        return io.BufferedReader(MessageReader(self), BUFFER), MessageWriter(self, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(1000 if exc_type is None else 1011)

    # ---- facts ----

    @property
    def id(self) -> uuid.UUID:
        """Unique identifier, for logs."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def extensions(self) -> list[Any]:
        """Negotiated extensions."""
        return extensions_of(self.deflate)

    @property
    def socket(self) -> socket:
        """The socket that carries the octets; not to be read or written."""
        return self.stream.socket

    @property
    def local_address(self) -> Any:
        """Address of our end, as ``socket.getsockname()`` gives it."""
        return self.stream.socket.getsockname()

    @property
    def remote_address(self) -> Any:
        """Address of the peer, as ``socket.getpeername()`` gives it."""
        return self.stream.socket.getpeername()


def _octets(data: Any) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError("data must be str or bytes-like")
