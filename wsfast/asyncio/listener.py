"""The callback style: a class whose methods are called, without any task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Listener"]


class Listener:
    """
    What happens on one connection, as methods to override.

    A subclass is given to :func:`~wsfast.serve` as the handler, or to
    :func:`~wsfast.connect` as ``listener``; each connection gets an instance of its
    own::

        class Echo(Listener):
            def on_message(self, ws, message):
                ws.send(message)

        async with serve(Echo, "127.0.0.1", 8765) as server:
            await server.serve_forever()

    The methods are plain functions, called while octets are being read: they must not
    block. ``ws.send()`` queues a message at once; what it returns need not be awaited.
    An exception in one of them is logged and closes the connection with code 1011.
    """

    __slots__ = ()

    def on_open(self, ws: Connection) -> None:
        """Act on a handshake that is done; from here on messages can be sent."""

    def on_message(self, ws: Connection, message: str | bytes) -> None:
        """Take a message: ``str`` if it is text, ``bytes`` if it is binary."""

    def on_ping(self, ws: Connection, payload: bytes) -> None:
        """Take a ping; it has been answered, unless ``auto_pong`` is off."""

    def on_pong(self, ws: Connection, payload: bytes) -> None:
        """Take a pong, whether it was asked for or not."""

    def on_drain(self, ws: Connection) -> None:
        """Go on sending: the output has gone from above its limit to its low mark."""

    def on_close(self, ws: Connection, code: int, reason: str) -> None:
        """
        Act on the end of the connection, whatever ended it; called once, at last.

        Args:
            ws: The connection; ``ws.send`` raises from here on.
            code: Close code of the peer; 1005 if its close frame had none, 1006 if
                there was no close frame.
            reason: What the peer gave as the reason.

        """
