"""Rooms of one namespace on one node, and what is done with all of their sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..engineio import Prepared
from ..engineio._sending import send_to_all
from .acks import Collected
from .exceptions import TooManyRooms
from .handlers import logger
from .packet import Packet
from .recovery import ConnectionStateRecovery, History
from .targets import DONE, Target

if TYPE_CHECKING:
    from .namespace import Namespace
    from .parser import Parser
    from .socket import Socket

__all__ = ["Adapter"]


class Adapter:
    """
    The sockets of a namespace by room; a base for those that span nodes.

    A socket is in a room of its own id without having joined it. Leaving everything
    takes as long as the socket has rooms, and a room that is empty is forgotten.

    Args:
        namespace: The namespace.

    Attributes:
        namespace: As given.
        rooms: Room -> the sockets that have joined it, in that order.
        history: What recovery needs, or None.
        recorder: What gives numbers to events as they are sent, or None.

    """

    #: Whether it may know of clients that are not here.
    clustered = False

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.rooms: dict[str, dict[Socket, None]] = {}
        server = namespace.server
        self.history: History | None = None
        if server.recovery is not None:
            most = server.engine.max_send_buffer
            self.history = self.make_history(server.recovery, server.parser, most)
        self.recorder = self.history

    def make_history(
        self, options: ConnectionStateRecovery, parser: Parser, most: int | None
    ) -> History:
        """Return what recovery needs."""
        return History(options, parser, most)

    async def fetch_session(self, pid: str, offset: Any) -> None:
        """Have the history know of a client that comes back, from wherever it was."""

    async def start(self) -> None:
        """Begin; called before the first socket."""

    def close(self) -> None:
        """End: the namespace is gone."""

    # ---- rooms ----

    def came(self, socket: Socket) -> None:
        """Take note of a socket, which is in the room of its own id from now on."""

    def went(self, socket: Socket) -> None:
        """Take note of the end of a socket."""

    def add(self, socket: Socket, room: str) -> None:
        """Put a socket into a room."""
        members = self.rooms.get(room)
        if members is None:
            members = self.rooms[room] = {}
        members[socket] = None

    def remove(self, socket: Socket, room: str) -> None:
        """Take a socket out of a room."""
        members = self.rooms.get(room)
        if members is not None:
            members.pop(socket, None)
            if not members:
                del self.rooms[room]

    def sockets(self, target: Target) -> Iterator[Socket]:
        """Yield the sockets of this node, each once."""
        if target.rooms:
            found = self._members(target.rooms)
        else:
            found = self.namespace.everybody()
        if target.except_:
            left_out = set(self._members(target.except_))
            found = [socket for socket in found if socket not in left_out]
        return iter(list(found))

    def _members(self, rooms: Iterable[str]) -> Iterable[Socket]:
        """Return the sockets that are in any of these rooms."""
        found: dict[Socket, None] = {}
        for room in rooms:
            members = self.rooms.get(room)
            if members is not None:
                found.update(members)
            socket = self.namespace.find(room)
            if socket is not None:
                found[socket] = None
        return found

    def close_room(self, room: str) -> None:
        """Take everybody out of a room."""
        self.del_sockets(Target(frozenset((room,))), frozenset((room,)))

    # ---- events ----

    def broadcast(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Send an event to whom it is for; awaiting is back-pressure, if there is."""
        self.deliver(packet, target)
        return DONE

    def flush(self, socket: Socket) -> None:
        """Send a socket what it was emitted: it is about to be disconnected."""

    def deliver(
        self,
        packet: Packet,
        target: Target,
        ack: Callable[..., Any] | None = None,
    ) -> int:
        """
        Send an event to the sockets of this node; encoded and framed once.

        Args:
            packet: The event.
            target: Whom it is for.
            ack: Registered with each of them for ``packet.id``, or None.

        Returns:
            How many it was sent to.

        """
        number, said = None, packet.data
        if self.recorder is not None and ack is None and not target.volatile:
            said = list(said)
            number, messages = self.recorder.add(packet, target.rooms, target.except_)
        else:
            messages = self.namespace.server.parser.encode(packet)
        return self.hand_out(
            self.sockets(target), messages, said, target, number, packet.id, ack
        )

    def hand_out(
        self,
        sockets: Iterable[Socket],
        messages: list[str | bytes],
        said: list[Any],
        target: Target,
        number: int | None = None,
        ident: int | None = None,
        ack: Callable[..., Any] | None = None,
    ) -> int:
        """
        Send the messages of an event, framed once.

        Args:
            sockets: To whom.
            messages: As the parser has made them.
            said: Its data, for those who look on.
            target: How.
            number: Its number, if it has one.
            ident: Its id, if it is to be acknowledged.
            ack: What takes the acknowledgement of each of them.

        Returns:
            How many it was sent to.

        """
        prepared = [Prepared(message, compress=target.compress) for message in messages]
        single = prepared[0] if len(prepared) == 1 and ack is None else None
        chosen = list(sockets)
        if number is not None:
            for socket in chosen:
                socket.last_offset = number
                if socket.first_offset is None:
                    socket.first_offset = number
        count = 0
        if single is not None and not target.volatile:
            lanes = [lane for socket in chosen if (lane := socket.lane) is not None]
            count = len(lanes)
            if count == len(chosen):
                chosen = []
            else:
                chosen = [socket for socket in chosen if socket.lane is None]
            send_to_all(lanes, single)
        for socket in chosen:
            if target.volatile and not socket.writable:
                continue
            count += 1
            if ack is not None:
                socket.expect(ident, ack)
            if socket._any_outgoing is not None:
                socket.tell_outgoing(said)
            if single is not None:
                socket.write(single)
            else:
                socket.write_packet(prepared, ack is None)
        return count

    def emit_to(
        self, socket: Socket, packet: Packet, compress: bool | None
    ) -> Awaitable[Any]:
        """Send an event to one socket, which may ask for it again."""
        assert self.recorder is not None
        rooms: frozenset[str] = frozenset((socket.id,))
        number, messages = self.recorder.add(packet, rooms, frozenset())
        socket.last_offset = number
        if socket.first_offset is None:
            socket.first_offset = number
        return socket.send_messages(messages, compress)

    async def broadcast_with_ack(self, packet: Packet, target: Target) -> list[Any]:
        """Send an event and return all replies."""
        collected = Collected(target.timeout)
        packet.id = self.namespace.next_id()
        try:
            collected.expect(self.deliver(packet, target, collected))
            return await collected.future
        finally:
            self.forget_acks(packet.id)

    def forget_acks(self, number: int | None) -> None:
        """Wait no longer for what clients of this node have not acknowledged."""
        if number is not None:
            for socket in self.namespace.everybody():
                socket.forget_ack(number)

    # ---- what else is done with sockets ----

    async def fetch_sockets(self, target: Target) -> list[Any]:
        """Return the sockets."""
        return list(self.sockets(target))

    def add_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have them join rooms."""
        for socket in self.sockets(target):
            socket.join(*rooms)

    def have_join(self, target: Target, rooms: Iterable[str]) -> None:
        """Have sockets of this node join rooms, as far as they may."""
        for socket in self.sockets(target):
            try:
                socket.join(*rooms)
            except TooManyRooms as exc:  # noqa: PERF203 - of one of them
                logger.warning("%r: %s", socket, exc)

    def del_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have them leave rooms."""
        for socket in self.sockets(target):
            for room in rooms:
                socket.leave(room)

    def disconnect_sockets(self, target: Target, close: bool) -> None:
        """Have them leave the namespace."""
        for socket in self.sockets(target):
            socket.disconnect(close)

    # ---- other nodes ----

    async def server_count(self) -> int:
        """Return how many nodes there are."""
        return 1

    def server_side_emit(self, event: str, args: list[Any]) -> None:
        """Raise an event on all other nodes: here there are none."""

    async def server_side_emit_with_ack(
        self, event: str, args: list[Any], timeout: float
    ) -> list[Any]:
        """Do the same, and return what they reply."""
        return []
