"""What goes wrong in Socket.IO."""

from __future__ import annotations

import builtins
from typing import Any

from ..exceptions import WebSocketException

__all__ = [
    "AckTimeout",
    "ConnectionError",
    "ConnectionRefusedError",
    "Disconnected",
    "NodeGone",
    "SocketIOError",
    "TooManyRooms",
]


class SocketIOError(WebSocketException):
    """Base of what is raised here."""

    reason_code = "socketio"


class ConnectionRefusedError(SocketIOError, builtins.ConnectionRefusedError):  # noqa: A001
    """
    A client is not let into a namespace; raised by a middleware or ``connect`` handler.

    Args:
        args: What the client is told: a text, and any data that JSON can hold; of more
            than one piece of data, a list.

    Attributes:
        error: That as the object of the CONNECT_ERROR packet.

    """

    reason_code = "refused"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.error: dict[str, Any] = {
            "message": str(args[0]) if args else "Connection rejected by server"
        }
        if len(args) > 1:
            self.error["data"] = args[1] if len(args) == 2 else list(args[1:])


class ConnectionError(SocketIOError, builtins.ConnectionError):  # noqa: A001
    """
    A client could not connect, or a namespace has refused it.

    Attributes:
        data: What the server said, if it did: an object with ``message``.

    """

    reason_code = "connect_error"

    def __init__(self, text: str, data: Any = None) -> None:
        super().__init__(text)
        self.data = data


class Disconnected(SocketIOError, builtins.ConnectionError):  # noqa: N818
    """The other side has gone before it acknowledged, or there is no connection."""

    reason_code = "disconnected"


class AckTimeout(SocketIOError, TimeoutError):  # noqa: N818
    """
    An event was not acknowledged in time.

    Attributes:
        responses: What those that did have said, if it went to several.

    """

    reason_code = "ack_timeout"

    def __init__(self, text: str, responses: list[Any] | None = None) -> None:
        super().__init__(text)
        self.responses = responses or []


class NodeGone(SocketIOError, builtins.ConnectionError):  # noqa: N818
    """
    Nodes have gone, or fell silent, while acknowledgements of their clients were due.

    Attributes:
        nodes: Their IDs.
        responses: What clients of other nodes have said.

    """

    reason_code = "node_gone"

    def __init__(self, nodes: list[str], responses: list[Any]) -> None:
        super().__init__(f"no acknowledgements of the clients of {', '.join(nodes)}")
        self.nodes = nodes
        self.responses = responses


class TooManyRooms(SocketIOError, RuntimeError):  # noqa: N818
    """A socket may not join another room: ``max_rooms_per_conn``."""

    reason_code = "too_many_rooms"
