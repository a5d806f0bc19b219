"""
Rooms that are shared with Node over sharded PUB/SUB: :class:`RedisShardedAdapter`.

It speaks what the sharded adapter of npm's ``@socket.io/redis-adapter`` does, with a
Redis of version 7 or later, or a cluster of them. A message goes to the one server that
has its channel's hash slot; rooms may have channels of their own.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ..hub.redis_patterns import RedisCountingBus
from . import redis_sharded_wire as sharded
from . import redis_wire as wire
from ._counted import CountedAdapter, SharedBus
from .handlers import logger
from .packet import Packet, PacketError
from .targets import Target

if TYPE_CHECKING:
    from .namespace import Namespace
    from .socket import Socket

__all__ = ["RedisShardedAdapter", "RedisShardedNamespaceAdapter", "SubscriptionMode"]

SubscriptionMode = Literal["static", "dynamic", "dynamic-private"]
#: Length of the ids of clients, here and there; longer and shorter names are of rooms.
SID_LENGTH: Final = 20


class RedisShardedAdapter(SharedBus):
    """
    What makes one server of nodes in Python and in JavaScript; the ``adapter`` of each.

    Does what :class:`~.redis_adapter.RedisAdapter` does, for JavaScript's
    ``createShardedAdapter``.

    Args:
        url: As that of :class:`wsfast.hub.redis.RedisShardedBus`.
        key: What channels begin with: ``channelPrefix`` there, the same on all nodes.
        timeout: As that of :class:`~.redis_adapter.RedisAdapter`; there it is 5 s.
        subscription_mode: ``subscriptionMode`` there, and the same on all nodes: which
            rooms have channels of their own, which only those nodes listen to that
            have clients in them. ``"static"``: none; ``"dynamic"``: those that are not
            of one client, unless their names are of 20 characters, as ids are;
            ``"dynamic-private"``: all.
        options: Those of :class:`wsfast.hub.redis.RedisShardedBus`. ``max_size`` bounds
            what is heard, too.

    Raises:
        ValueError: There is no such mode, or an argument is out of its range.

    """

    bus: RedisCountingBus

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        key: str = "socket.io",
        timeout: float = 5.0,
        subscription_mode: SubscriptionMode = "dynamic",
        **options: Any,
    ) -> None:
        if subscription_mode not in get_args(SubscriptionMode):
            raise ValueError(f"no subscription_mode {subscription_mode!r}")
        super().__init__(RedisCountingBus(url, **options), key, timeout)
        self.subscription_mode = subscription_mode

    def __call__(self, namespace: Namespace) -> RedisShardedNamespaceAdapter:
        """Return the adapter of a namespace."""
        return RedisShardedNamespaceAdapter(self, namespace)


class RedisShardedNamespaceAdapter(CountedAdapter):
    """
    The rooms of a namespace on this node, and a line to those of the others.

    Args:
        shared: The line of all namespaces.
        namespace: The namespace.

    """

    shared: RedisShardedAdapter

    def __init__(self, shared: RedisShardedAdapter, namespace: Namespace) -> None:
        super().__init__(shared, namespace, secrets.token_hex(8))
        self.bus = shared.bus
        self.everyone = self.channel
        self.own_channel = self._channel_of(self.uid)
        self._private = shared.subscription_mode == "dynamic-private"
        self._followed: set[str] = set()  # rooms whose channels are listened to

    def _channel_of(self, room: str) -> str:
        return f"{self.channel}{room}#"

    def _subscribe(self) -> None:
        self.bus.subscribe(self.channel, self._heard)
        self.bus.subscribe(self.own_channel, self._heard)

    def _unsubscribe(self) -> None:
        self.bus.unsubscribe(self.channel, self._heard)
        self.bus.unsubscribe(self.own_channel, self._heard)
        for room in self._followed:
            self.bus.unsubscribe(self._channel_of(room), self._heard)
        self._followed.clear()

    # ---- rooms with channels ----

    def add(self, socket: Socket, room: str) -> None:
        """Put a socket into a room."""
        super().add(socket, room)
        self._look(room)

    def remove(self, socket: Socket, room: str) -> None:
        """Take a socket out of a room."""
        super().remove(socket, room)
        self._look(room)

    def came(self, socket: Socket) -> None:
        """Take note of a socket."""
        if self._private:
            self._look(socket.id)

    went = came

    def _separate(self, room: str) -> bool:
        """Tell whether a room has a channel of its own."""
        if self.shared.subscription_mode == "static":
            return False
        try:
            length = len(room.encode("utf-16-le")) // 2  # as JavaScript counts
        except UnicodeEncodeError:
            return False  # no channel can be called that
        return self._private or length != SID_LENGTH

    def _look(self, room: str) -> None:
        """Listen to a room if there is anybody in it."""
        wanted = room in self.rooms or (
            self._private and self.namespace.find(room) is not None
        )
        if not self.listening or wanted == (room in self._followed):
            return
        if not wanted:
            self._followed.discard(room)
            self.bus.unsubscribe(self._channel_of(room), self._heard)
        elif self._separate(room):
            self._followed.add(room)
            self.bus.subscribe(self._channel_of(room), self._heard)

    # ---- telling the others ----

    def _send_event(self, packet: Packet, target: Target) -> None:
        asked = self._request(wire.BROADCAST, packet=wire.fields_of(packet))
        asked["opts"] = wire.options_of(target)
        channel = self.channel
        if len(target.rooms) == 1:
            (room,) = target.rooms
            if self._separate(room):
                channel = self._channel_of(room)
        self._publish(channel, asked)

    def _send_request(self, request: dict[str, Any]) -> None:
        self._publish(self.channel, request)

    def _publish(self, channel: str, request: dict[str, Any]) -> None:
        name = self.namespace.name
        self.bus.publish(channel, sharded.write_request(self.uid, name, request))

    def _send_answer(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        name, kind = self.namespace.name, answer.get("type") or request["type"]
        octets = sharded.write_answer(self.uid, name, kind, answer)
        self.bus.publish(self._channel_of(request["uid"]), octets)

    # ---- listening to them ----

    def _heard(self, channel: str, octets: bytes) -> None:
        """Take what another node says."""
        if sharded.is_from(self.uid, octets):
            return
        try:
            self._check_size(octets)
            message = sharded.read(octets, self.namespace.name)
            if message is None or message[1]["uid"] == self.uid:
                return
            answer, fields = message
            if answer:
                self._take_answer(fields)
            elif fields["type"] == wire.BROADCAST and "requestId" not in fields:
                packet = fields.get("packet")
                self.deliver(
                    wire.packet_of(packet, self.namespace.name, self._dates),
                    wire.target_of(fields.get("opts")),
                )
            else:
                self._do(fields)
        except (PacketError, TypeError, ValueError) as exc:
            logger.warning("%s: %s", channel, exc)
