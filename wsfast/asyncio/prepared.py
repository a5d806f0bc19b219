"""A message that is framed, and compressed, once for any number of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import engine

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .connection import Connection

__all__ = ["GONE", "QUEUED", "SLOW", "Prepared"]

#: What becomes of a message that a connection is offered.
QUEUED, SLOW, GONE = range(3)


class Prepared:
    """
    A message to send to many connections, or again and again.

    The work is done for the first connection of each kind: without compression, and
    with each set of parameters of permessage-deflate. What is compressed here stands
    alone, so that one result fits every connection; a connection with context takeover
    starts afresh after it. Clients mask each frame with a key of its own: for them
    nothing but the encoding is shared.

    Args:
        message: ``str`` for a text message, octets for a binary one.
        text: True to send octets as text, False to send ``str`` as binary.
        compress: Whether to compress the message, where that was negotiated; None to
            leave it to the threshold.

    Raises:
        TypeError: ``message`` is neither ``str`` nor octets.

    """

    def __init__(
        self,
        message: str | bytes | bytearray | memoryview,
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        if isinstance(message, str):
            self.opcode = 2 if text is False else 1
            self.payload = message.encode()
        elif isinstance(message, (bytes, bytearray, memoryview)):
            self.opcode = 1 if text is True else 2
            self.payload = bytes(message)
        else:
            raise TypeError("data must be str or bytes")
        self._compress = compress
        self._frames: dict[Hashable, bytes] = {}
        self.plain: bytes | None = None  # the frame of a server, without extensions

    def send_to(self, connection: Connection) -> None:
        """
        Queue the message on a connection, at once; see ``Connection.buffered_amount``.

        While the connection is sending a fragmented message, it follows behind that.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        deflate = connection.deflate
        if (
            connection.client
            or connection.sending_fragments
            or (deflate is not None and deflate.chained)
        ):
            connection.send_whole(self.opcode, self.payload, self._compress)
            return
        if deflate is not None:
            wanted = self._compress
            if wanted is None:
                wanted = deflate.wants(len(self.payload))
            if wanted:
                key = deflate.alone_key
                frame = self._frames.get(key)
                if frame is None:
                    data = deflate.encode_alone(self.payload)
                    frame = engine.encode_frame(self.opcode, data, rsv1=True)
                    self._frames[key] = frame
                connection.send_octets(frame)
                deflate.sent_alone()
                return
        connection.send_octets(self.plain or self.make_plain())

    def make_plain(self) -> bytes:
        """Return the frame that a server sends without any extension."""
        if self.plain is None:
            self.plain = engine.encode_frame(self.opcode, self.payload)
        return self.plain
