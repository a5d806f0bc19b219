"""What a protocol without I/O reports to have received."""

from __future__ import annotations

__all__ = ["Event"]


class Event:
    """
    Something that a :class:`Protocol` received.

    Attributes:
        kind: ``"message"``, ``"fragment"``, ``"ping"`` or ``"pong"``.
        data: ``str`` of a text message, ``bytes`` of anything else.
        fin: False for any fragment of a message but its last.

    """

    __slots__ = ("data", "fin", "kind")

    def __init__(self, kind: str, data: str | bytes, fin: bool = True) -> None:
        self.kind = kind
        self.data = data
        self.fin = fin

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.data!r}, fin={self.fin})"
