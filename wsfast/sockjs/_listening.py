"""What a session knows of the request that listens to it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Listener", "Sink"]


class Listener(Protocol):
    """
    A request that listens.

    Attributes:
        writing_since: When it began to write what it writes now, on the loop's clock; 0
            if it does not.

    """

    writing_since: float

    def wake(self) -> None:
        """Look for a frame, or whether the session is no more."""

    def cut(self) -> None:
        """End the response if it is stuck: the session is no more."""


class Sink(Listener, Protocol):
    """
    A request that listens, and takes messages as they are sent.

    Attributes:
        shares: It takes what :attr:`Prepared.chunk` makes.

    """

    shares: bool

    def send(self, frame: bytes) -> None:
        """Send a frame."""

    def send_piece(self, piece: bytes, size: int) -> None:
        """Send a frame as a chunk, see :attr:`Prepared.chunk`."""
