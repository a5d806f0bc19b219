"""Packets of Socket.IO 5, and the limits that those from the wire are held to."""

from __future__ import annotations

from typing import Any, Final

__all__ = [
    "ACK",
    "BINARY_ACK",
    "BINARY_EVENT",
    "CONNECT",
    "CONNECT_ERROR",
    "DISCONNECT",
    "EVENT",
    "MAX_ATTACHMENTS",
    "MAX_ID",
    "MAX_NESTING",
    "RESERVED_EVENTS",
    "Packet",
    "PacketError",
]

CONNECT: Final = 0
DISCONNECT: Final = 1
EVENT: Final = 2
ACK: Final = 3
CONNECT_ERROR: Final = 4
BINARY_EVENT: Final = 5
BINARY_ACK: Final = 6

#: Binary attachments of one packet, unless the parser is told another number.
MAX_ATTACHMENTS: Final = 10
#: The largest id of a packet: the last integer that JavaScript counts to.
MAX_ID: Final = 2**53
#: Arrays and objects within each other, in either direction.
MAX_NESTING: Final = 100

#: Events that only the library itself may raise; a peer that sends one breaks the
#: protocol, and so does an application that tries to.
RESERVED_EVENTS: Final = frozenset(
    (
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    )
)


class PacketError(ValueError):
    """
    What came, or is to be sent, is no packet of Socket.IO.

    Args:
        text: What is wrong.
        reason_code: A stable name of the rule or limit.

    Attributes:
        reason_code: That name, for logs and metrics.

    """

    def __init__(self, text: str, reason_code: str = "invalid_packet") -> None:
        super().__init__(text)
        self.reason_code = reason_code


class Packet:
    """
    One packet, whatever the parser makes of it on the wire.

    Args:
        type: ``CONNECT`` to ``CONNECT_ERROR``; the two binary types exist only on the
            wire.
        namespace: Its namespace.
        data: A list for ``EVENT`` (the event first) and ``ACK``; a dict or None for
            ``CONNECT``; a dict or ``str`` for ``CONNECT_ERROR``.
        id: Number by which it is, or is to be, acknowledged; None for none.

    """

    __slots__ = ("data", "id", "namespace", "type")

    def __init__(
        self,
        type: int,  # noqa: A002
        namespace: str = "/",
        data: Any = None,
        id: int | None = None,  # noqa: A002
    ) -> None:
        self.type = type
        self.namespace = namespace
        self.data = data
        self.id = id

    def __repr__(self) -> str:
        return f"Packet({self.type}, {self.namespace!r}, {self.data!r}, id={self.id!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packet):
            return NotImplemented
        return (self.type, self.namespace, self.data, self.id) == (
            other.type,
            other.namespace,
            other.data,
            other.id,
        )

    __hash__ = None  # type: ignore[assignment]

    def check(self) -> Packet:
        """
        See that the data is what the type asks for.

        Returns:
            The packet.

        Raises:
            PacketError: It is not.

        """
        data, kind = self.data, self.type
        if kind == EVENT:
            if type(data) is not list or not data:
                raise PacketError("an event is an array, its name first", "payload")
            event = data[0]
            if type(event) is not str:
                if type(event) is not int:
                    raise PacketError("the name of an event is a string", "event_name")
                data[0] = str(event)
            elif event in RESERVED_EVENTS:
                raise PacketError(f"{event!r} is reserved", "reserved_event")
        elif kind == ACK:
            if type(data) is not list:
                raise PacketError("an acknowledgement is an array", "payload")
            if self.id is None:
                raise PacketError("an acknowledgement has an id", "id")
        elif kind == CONNECT:
            if data is not None and type(data) is not dict:
                raise PacketError("CONNECT takes an object", "payload")
        elif kind == DISCONNECT:
            if data is not None:
                raise PacketError("DISCONNECT takes nothing", "payload")
        elif type(data) is not dict and type(data) is not str:
            raise PacketError("CONNECT_ERROR takes an object", "payload")
        return self
