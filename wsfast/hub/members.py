"""What topics deliver, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, Literal, Protocol, TypeVar

from ..asyncio.prepared import GONE, QUEUED, SLOW, Prepared

__all__ = ["GONE", "QUEUED", "SLOW", "Member", "Message", "Policy"]

#: What becomes of a message for a member that does not take those before it.
Policy = Literal["skip", "latest", "close"]
POLICIES: Final = ("skip", "latest", "close")

_T = TypeVar("_T")


class Message(Prepared):
    """
    A message on its way to many members, made ready once for each kind of them.

    Args:
        data: ``str`` or octets.

    Attributes:
        data: The same; octets as ``bytes``.

    Raises:
        TypeError: ``data`` is neither.

    """

    __slots__ = ("_made", "data")

    def __init__(self, data: str | bytes | bytearray | memoryview) -> None:
        Prepared.__init__(self, data)
        self.data: str | bytes = data if isinstance(data, str) else self.payload
        self._made: dict[Hashable, Any] = {}

    def made(self, maker: Callable[[str | bytes], _T]) -> _T:
        """
        Return what a function makes of the data; it is called for the first member.

        Args:
            maker: For example, what writes an event of an event stream.

        """
        if maker not in self._made:
            self._made[maker] = maker(self.data)
        made: _T = self._made[maker]
        return made


class Member(Protocol):
    """
    What topics deliver to: a connection of any kind.

    Those of wsfast are: connections of ``serve()`` and ``connect()``, attached
    WebSockets, event streams. It is hashed by identity.
    """

    def offer(self, message: Message, limit: int) -> int:
        """
        Queue a message, unless too much waits; never wait.

        Args:
            message: The message; ``message.made()`` makes it ready once for all.
            limit: Octets; -1 for the high-water mark of the connection.

        Returns:
            `QUEUED`; `SLOW` if more than ``limit`` octets wait to be sent; `GONE` if
            nothing can be sent any more.

        """

    def close(self, code: int, reason: str) -> object:
        """Begin to close."""

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called when it has ended."""

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, later, when there is room in the output."""
