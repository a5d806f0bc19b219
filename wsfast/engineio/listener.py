"""What happens in a session, as methods to override."""

from __future__ import annotations

from typing import Any

__all__ = ["Listener"]


class Listener:
    """
    What happens in a session: of a server, or of a client.

    Each session gets an instance of its own, made of its socket::

        class Echo(Listener):
            def on_message(self, data):
                self.socket.send(data)

    The methods are plain functions, called while octets are being read: they must not
    block. An exception in one of them is logged and ends its session, no other.

    Args:
        socket: The session.

    """

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    def on_open(self) -> None:
        """Act on a session that is open; from here on messages can be sent."""

    def on_message(self, data: str | bytes) -> None:
        """Take a message: ``str`` if it is text, ``bytes`` if it is binary."""

    def on_drain(self) -> None:
        """Go on sending: the output has gone from above its limit to its low mark."""

    def on_upgrade(self) -> None:
        """Act on the change from polling to a WebSocket."""

    def on_close(self, reason: str, description: Any) -> None:
        """
        Act on the end of the session; called once, at last.

        Args:
            reason: ``"transport close"``, ``"transport error"``, ``"ping timeout"``,
                ``"parse error"``, ``"server error"`` or what was given to ``close``,
                ``"forced close"`` by default.
            description: More about it, or None.

        """
