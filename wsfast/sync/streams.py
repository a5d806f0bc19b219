"""
A connection for threads as files: one to read, one to write.

What the peer sends is read as if its messages were one run of octets; what is written
goes as one message a call. Back-pressure works both ways: what is not read stays in the
connection's queue, which stops reading when it is full, and ``write()`` returns when
the system has taken all of the message.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosedError, ConnectionClosedOK

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["BUFFER", "MessageReader", "MessageWriter"]

#: Octets that the buffer of a reader holds.
BUFFER = 64 * 1024


class MessageReader(io.RawIOBase):
    """
    The octets of the messages of a connection, below an :class:`io.BufferedReader`.

    The file ends where the connection was closed normally; reading raises
    ``ConnectionClosedError`` where it ended in any other way, so that what was cut
    short is not taken for the whole. Closing the file leaves the connection open.

    Args:
        connection: Where the messages are; text is read as its octets.

    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell whether this can be read: it can."""
        return True

    def fileno(self) -> int:
        """
        Return no descriptor: what is readable is not what is received.

        Raises:
            io.UnsupportedOperation: Always.

        """
        raise io.UnsupportedOperation("fileno")

    def readinto(self, buffer: Any) -> int:
        """
        Read what there is of a message; wait for one if there is nothing.

        Returns:
            How many octets were read; 0 at the end.

        Raises:
            ConnectionClosedError: The connection did not end normally.
            ConcurrencyError: Another thread is receiving.

        """
        if self.closed:
            raise ValueError("I/O operation on closed file")
        octets = memoryview(buffer).cast("B")
        try:
            while not self._rest and octets:
                self._rest = memoryview(self._connection.recv(decode=False))
        except ConnectionClosedOK:
            return 0
        size = min(len(octets), len(self._rest))
        octets[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class MessageWriter(io.RawIOBase):
    """
    A file of which each write is a message; :class:`io.BufferedWriter` gathers some.

    Args:
        connection: Where the messages go.
        text: Send text messages instead of binary ones.

    """

    def __init__(self, connection: Connection, text: bool = False) -> None:
        super().__init__()
        self._connection = connection
        self._text = text

    def writable(self) -> bool:
        """Tell whether this can be written: it can."""
        return True

    def write(self, data: Any) -> int:
        """
        Send octets as one message; nothing, if there are none.

        Returns:
            How many octets there were.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        if self.closed:
            raise ValueError("I/O operation on closed file")
        octets = memoryview(data).cast("B")
        if octets:
            self._connection.send(octets, text=self._text)
        return len(octets)

    def close(self) -> None:
        """
        Close the connection with code 1000, and wait until it is closed.

        Raises:
            ConnectionClosedError: It did not end normally: what was written last may
                not have arrived.

        """
        if self.closed:
            return
        super().close()
        self._connection.close()
        error = self._connection.closed_error()
        if isinstance(error, ConnectionClosedError):
            raise error

    def __del__(self) -> None:
        """Leave the connection open: it is not this file's alone."""
