"""
A connection as a stream of octets, read and written like those of asyncio.

What the peer sends is read as if its messages were one run of octets; what is written
goes as one message a call. Back-pressure works both ways: what is not read stays in the
connection's queue, which stops reading when it is full, and ``drain()`` waits for room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosedError, ConnectionClosedOK

if TYPE_CHECKING:
    from .connection import Connection
    from .link import Link

__all__ = ["LIMIT", "MessageReader", "MessageWriter"]

#: Octets among which a separator is looked for, as in asyncio.
LIMIT = 64 * 1024

_OPEN = 1


class MessageReader:
    """
    The reading half, in the manner of :class:`asyncio.StreamReader`.

    The stream ends (``b""``) where the connection was closed normally; it raises
    ``ConnectionClosedError`` where it ended in any other way, so that what was cut
    short is not taken for the whole. Cancelling any method loses nothing.

    Args:
        connection: Where the messages are; text is read as its octets.
        limit: Octets among which a separator is looked for.

    """

    def __init__(self, connection: Connection, limit: int = LIMIT) -> None:
        if limit <= 0:
            raise ValueError("limit must be > 0")
        self._connection = connection
        self._limit = limit
        self._buffer = bytearray()
        self._eof = False

    async def _fill(self) -> bool:
        """Take one more message; return False at the end of the stream."""
        if not self._eof:
            try:
                self._buffer += await self._connection.recv(decode=False)
            except ConnectionClosedOK:
                self._eof = True
        return not self._eof

    def _take(self, n: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:n])
        del self._buffer[:n]
        return data

    def at_eof(self) -> bool:
        """Tell whether the end of the stream has been read."""
        return self._eof and not self._buffer

    async def read(self, n: int = -1) -> bytes:
        """
        Read octets.

        Args:
            n: At most so many, as soon as there are any; all up to the end if negative.

        Returns:
            The octets; none at the end of the stream.

        Raises:
            ConnectionClosedError: The connection did not end normally.

        """
        if n == 0:
            return b""
        if n < 0:
            while await self._fill():
                pass
            return self._take(len(self._buffer))
        while not self._buffer and await self._fill():
            pass
        return self._take(n)

    async def readexactly(self, n: int) -> bytes:
        """
        Read exactly ``n`` octets.

        Raises:
            asyncio.IncompleteReadError: The stream ended before; ``partial`` has what
                there was.
            ConnectionClosedError: The connection did not end normally.

        """
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        while len(self._buffer) < n:
            if not await self._fill():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), n)
        return self._take(n)

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """
        Read up to a separator, and that too.

        Raises:
            asyncio.IncompleteReadError: The stream ended before; ``partial`` has what
                there was.
            asyncio.LimitOverrunError: The limit was reached; the octets stay.
            ConnectionClosedError: The connection did not end normally.

        """
        if not separator:
            raise ValueError("Separator should be at least one-byte string")
        searched = 0
        while True:
            found = self._buffer.find(separator, searched)
            if found > self._limit:
                raise asyncio.LimitOverrunError(
                    "Separator is found, but chunk is longer than limit", found
                )
            if found >= 0:
                return self._take(found + len(separator))
            searched = max(len(self._buffer) - len(separator) + 1, 0)
            if searched > self._limit:
                raise asyncio.LimitOverrunError(
                    "Separator is not found, and chunk exceed the limit", searched
                )
            if not await self._fill():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), None)

    async def readline(self) -> bytes:
        """
        Read a line, with its end; what is left at the end of the stream.

        Raises:
            ValueError: The limit was reached; the octets are dropped.
            ConnectionClosedError: The connection did not end normally.

        """
        try:
            return await self.readuntil(b"\n")
        except asyncio.IncompleteReadError as exc:
            return exc.partial
        except asyncio.LimitOverrunError as exc:
            self._take(exc.consumed + self._buffer.startswith(b"\n", exc.consumed))
            raise ValueError(exc.args[0]) from None

    def __aiter__(self) -> MessageReader:
        """Iterate over lines."""
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class MessageWriter:
    """
    The writing half, in the manner of :class:`asyncio.StreamWriter`.

    Args:
        connection: Where the messages go.
        text: Send text messages instead of binary ones.

    """

    def __init__(self, connection: Connection, text: bool = False) -> None:
        self._connection = connection
        self._text = text

    @property
    def transport(self) -> Link:
        """What carries the octets; has ``get_extra_info()`` and ``abort()``."""
        return self._connection.transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """
        Send octets as one message, at once; nothing, if there are none.

        Wait in :meth:`drain` after it: what piles up is subject to ``max_send_buffer``.

        Raises:
            ConnectionClosed: The connection is not open; SlowConsumer, one of these, if
                too much had piled up.

        """
        if len(data) > 0:
            self._connection.send(data, text=self._text)

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send octets, all of them as one message; see :meth:`write`."""
        self.write(b"".join(data))

    async def drain(self) -> None:
        """
        Wait until there is room for more.

        Raises:
            ConnectionClosed: The connection has ended, unless we closed it.

        """
        connection = self._connection
        await connection.drain()
        if connection.ready_state != _OPEN and connection.close_sent is None:
            raise connection.closed_error()

    def can_write_eof(self) -> bool:
        """Tell whether there is :meth:`write_eof`: there is."""
        return True

    def write_eof(self) -> None:
        """
        End the stream that we write, by the closing handshake (RFC 6455 §7.1.2).

        What the peer sends until it answers can be read, as far as the queue holds it.
        """
        self.close()

    def close(self) -> None:
        """Close the connection with code 1000; see :meth:`wait_closed`."""
        self._connection.close()

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or being closed."""
        return self._connection.ready_state != _OPEN

    async def wait_closed(self) -> None:
        """
        Wait until the connection has ended.

        Raises:
            ConnectionClosedError: It did not end normally: what was written last may
                not have arrived.

        """
        await self._connection.wait_closed()
        error = self._connection.closed_error()
        if isinstance(error, ConnectionClosedError):
            raise error

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what asyncio transports know under ``name``: peername, socket, ..."""
        return self._connection.transport.get_extra_info(name, default)
