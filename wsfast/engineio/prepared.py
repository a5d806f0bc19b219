"""A message that is encoded and framed once, for any number of sessions."""

from __future__ import annotations

from ..asyncio.prepared import Prepared as Framed
from ._packets import Packet, message_packet

__all__ = ["Prepared"]


class Prepared:
    """
    A message to send to many sessions, or again and again.

    It is framed for WebSockets when the first of them gets it, and compressed then if
    that is wanted; a session that polls queues the packet as it is.

    Args:
        data: Text or octets.
        compress: Whether to compress it, where that was negotiated; None to leave it to
            the server.

    Raises:
        TypeError: ``data`` is neither text nor octets.

    Attributes:
        packet: The packet.
        compress: As given.

    """

    __slots__ = ("_compressed", "_plain", "compress", "packet")

    def __init__(
        self,
        data: str | bytes | bytearray | memoryview,
        *,
        compress: bool | None = None,
    ) -> None:
        self.packet: Packet = message_packet(data)
        self.compress = compress
        self._plain: Framed | None = None
        self._compressed: Framed | None = None

    def framed(self, compress: bool | None) -> Framed:
        """
        Return the message as WebSockets have it.

        Args:
            compress: False for never, True for always, None by its length.

        """
        if compress is False:
            if self._plain is None:
                self._plain = Framed(self.packet, compress=False)
            return self._plain
        if self._compressed is None:
            self._compressed = Framed(self.packet, compress=compress)
        return self._compressed
