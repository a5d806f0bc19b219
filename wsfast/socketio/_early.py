"""What a client is sent before it is let in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

__all__ = ["Early", "size_of"]

#: Octets that a message counts beside its own.
OVERHEAD: Final = 64


class Early:
    """
    Messages that wait until the client knows that it is connected, up to a size.

    Args:
        most: Octets; text counts by its characters, and each message 64 more.
        full: Called when there are more; nothing is kept then.

    Attributes:
        messages: What waits.

    """

    __slots__ = ("_full", "_left", "messages")

    def __init__(self, most: float, full: Callable[[], object]) -> None:
        self.messages: list[Any] = []
        self._left = most
        self._full = full

    def append(self, message: Any) -> None:
        """Keep a message."""
        self._left -= size_of(message) + OVERHEAD
        if self._left >= 0:
            self.messages.append(message)
        else:
            self.messages.clear()
            self._full()

    def extend(self, messages: Iterable[Any]) -> None:
        """Keep messages."""
        for message in messages:
            self.append(message)


def size_of(message: Any) -> int:
    """Return the octets of a message, or the characters of text."""
    return len(getattr(message, "packet", message))
