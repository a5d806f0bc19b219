"""A client's WebSocket: first it is tried, then it carries the session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..asyncio.listener import Listener
from ..exceptions import ConnectionClosedError
from ._packets import Packet

if TYPE_CHECKING:
    from .client import ClientSocket

__all__ = ["ClientTransport"]


class ClientTransport(Listener):
    """
    The listener of a WebSocket.

    Args:
        socket: The session.

    Attributes:
        lost: The WebSocket has ended.

    """

    __slots__ = ("_early", "_first", "_socket", "_websocket", "lost")

    def __init__(self, socket: ClientSocket) -> None:
        self._socket = socket
        self._websocket: Any = None
        self._first: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._early: list[Packet] | None = []
        self.lost = False

    def on_open(self, ws: Any) -> None:
        """Note the connection."""
        self._websocket = ws

    async def first(self) -> Packet:
        """
        Wait for the first packet.

        Raises:
            ConnectionClosed: The WebSocket ended before.

        """
        return await self._first

    def go_on(self) -> None:
        """Hand packets to the session from now on, first those that came since."""
        early, self._early = self._early, None
        for packet in early or ():
            self._socket.packet_received(packet)
        if self.lost:
            self._socket.end("transport close")

    def on_message(self, ws: Any, message: str | bytes) -> None:
        """Take a packet."""
        if self._early is None:
            self._socket.packet_received(message)
        elif self._first.done():
            self._early.append(message)
        else:
            self._first.set_result(message)

    def on_drain(self, ws: Any) -> None:
        """Go on sending."""
        self._socket.drained()

    def on_close(self, ws: Any, code: int, reason: str) -> None:
        """Take the end of the WebSocket for that of the session, if it carries that."""
        self.lost = True
        if not self._first.done():
            self._first.set_exception(ConnectionClosedError(ws.close_rcvd, None))
            self._first.exception()  # nobody has to ask for it
        if self._early is None:
            self._socket.end("transport close", (code, reason))

    def abort(self) -> None:
        """End the WebSocket, if there is one, at once."""
        if self._websocket is not None and not self.lost:
            self._websocket.abort()
