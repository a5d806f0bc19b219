"""States and sides, where the websockets library has them."""

from __future__ import annotations

import enum

from ..protocol.closing import State

__all__ = [
    "CLIENT",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "OPEN",
    "SERVER",
    "Side",
    "State",
]


class Side(enum.IntEnum):
    """Role of an endpoint."""

    SERVER, CLIENT = range(2)


SERVER = Side.SERVER
CLIENT = Side.CLIENT
CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED
