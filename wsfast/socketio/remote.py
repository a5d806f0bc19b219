"""Clients of other nodes."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from .targets import Operator, Target

if TYPE_CHECKING:
    from .adapter import Adapter
    from .socket import Socket

__all__ = ["RemoteSocket", "description_of", "plain", "remote_sockets"]


def description_of(socket: Socket) -> dict[str, Any]:
    """Return what other nodes are told of a client, as JSON has it."""
    handshake = socket.handshake
    address = handshake.address
    return {
        "id": socket.id,
        "rooms": sorted(socket.rooms),
        "data": plain(socket.data),
        "handshake": {
            "headers": {str(k): v for k, v in handshake.headers.raw_items()},
            "query": handshake.query,
            "auth": plain(handshake.auth),
            "address": list(address) if address else None,
            "time": handshake.time,
        },
    }


def plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return those items that JSON can hold."""
    found = {}
    for key, value in data.items():
        if _holds(value):
            found[str(key)] = value
    return found


def _holds(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def remote_sockets(adapter: Adapter, page: Any) -> tuple[list[RemoteSocket], bool]:
    """
    Return the clients that another node has told of, and whether it has more.

    Raises:
        TypeError, LookupError: It has told something else.

    """
    found = [RemoteSocket(adapter, told) for told in page["sockets"]]
    if not all(type(s.id) is str and type(s.data) is dict for s in found):
        raise TypeError("a client without an id or data")
    return found, bool(found and page["more"])


class RemoteSocket:
    """
    A client of another node, as ``fetch_sockets()`` has found it.

    Args:
        adapter: The adapter of its namespace here.
        told: What its node tells of it.

    Attributes:
        id: Its id.
        rooms: The rooms that it was in.
        data: What was kept about it, as far as JSON can hold that; a copy.
        handshake: What it came with: ``headers``, ``query``, ``auth``, ``address``,
            ``time``.

    """

    __slots__ = ("_operator", "data", "handshake", "id", "rooms")

    def __init__(self, adapter: Adapter, told: dict[str, Any]) -> None:
        self.id: str = told["id"]
        self.rooms: set[str] = set(told["rooms"])
        self.data: dict[str, Any] = told["data"]
        self.handshake: dict[str, Any] = told["handshake"]
        self._operator = Operator(adapter, Target(frozenset((self.id,))))

    def __repr__(self) -> str:
        return f"<RemoteSocket {self.id}>"

    def emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send it an event."""
        return self._operator.emit(event, *args)

    async def call(self, event: str, *args: Any, timeout: float = 60.0) -> Any:
        """Send it an event and return the reply; None if it has gone."""
        replies = await self._operator.timeout(timeout).emit_with_ack(event, *args)
        return replies[0] if replies else None

    def join(self, *rooms: str) -> None:
        """Have it join rooms."""
        self._operator.sockets_join(*rooms)

    def leave(self, *rooms: str) -> None:
        """Have it leave rooms."""
        self._operator.sockets_leave(*rooms)

    def disconnect(self, close: bool = False) -> None:
        """Have it leave the namespace."""
        self._operator.disconnect_sockets(close)
