"""
Rooms that are shared with Node: :class:`RedisAdapter`.

It speaks what npm's ``@socket.io/redis-adapter`` does (its classic adapter; see
:mod:`.redis_sharded` for the other one), and takes what ``@socket.io/redis-emitter``
sends. Nothing of it says who is there, and who has answered.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from ..hub.redis_patterns import RedisPatternBus, escaped
from . import redis_wire as wire
from ._counted import CountedAdapter, SharedBus
from .handlers import logger
from .msgpack import pack
from .packet import Packet, PacketError
from .targets import Target

if TYPE_CHECKING:
    from .namespace import Namespace

__all__ = ["RedisAdapter", "RedisNamespaceAdapter"]


class RedisAdapter(SharedBus):
    """
    What makes one server of nodes in Python and in JavaScript; the ``adapter`` of each.

    Events to many, joining and leaving rooms, ``fetch_sockets()`` and so on reach the
    clients of all nodes. Each node delivers to its own clients at once, Redis or no
    Redis; what goes through it arrives at most once.

    Args:
        url: As that of :class:`wsfast.hub.redis.RedisBus`.
        key: What channels begin with: the same on all nodes.
        timeout: Seconds that other nodes are waited for, in ``fetch_sockets()``, and in
            ``emit_with_ack()`` without a time limit of its own; ``requestsTimeout``
            there.
        specific_responses: Answer on a channel that only the node that asks has, as
            ``publishOnSpecificResponseChannel`` does.
        options: Those of :class:`wsfast.hub.redis.RedisBus`. ``max_size`` bounds what
            is heard, too.

    """

    bus: RedisPatternBus

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        key: str = "socket.io",
        timeout: float = 5.0,
        specific_responses: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(RedisPatternBus(url, **options), key, timeout)
        self.specific_responses = specific_responses

    def __call__(self, namespace: Namespace) -> RedisNamespaceAdapter:
        """Return the adapter of a namespace."""
        return RedisNamespaceAdapter(self, namespace)


class RedisNamespaceAdapter(CountedAdapter):
    """
    The rooms of a namespace on this node, and a line to those of the others.

    Args:
        shared: The line of all namespaces.
        namespace: The namespace.

    """

    shared: RedisAdapter

    def __init__(self, shared: RedisAdapter, namespace: Namespace) -> None:
        super().__init__(shared, namespace, secrets.token_hex(6))
        self.bus = shared.bus
        key, name = shared.key, namespace.name
        self.request_channel = self.everyone = f"{key}-request#{name}#"
        self.response_channel = f"{key}-response#{name}#"
        self.own_channel = f"{self.response_channel}{self.uid}#"
        self._pattern = escaped(self.channel) + "*"

    def _subscribe(self) -> None:
        self.bus.subscribe_pattern(self._pattern, self._heard)
        self.bus.subscribe(self.request_channel, self._heard_request)
        self.bus.subscribe(self.response_channel, self._heard_response)
        self.bus.subscribe(self.own_channel, self._heard_response)

    def _unsubscribe(self) -> None:
        self.bus.unsubscribe_pattern(self._pattern)
        self.bus.unsubscribe(self.request_channel, self._heard_request)
        self.bus.unsubscribe(self.response_channel, self._heard_response)
        self.bus.unsubscribe(self.own_channel, self._heard_response)

    # ---- telling the others ----

    def _send_event(self, packet: Packet, target: Target) -> None:
        channel = self.channel
        if len(target.rooms) == 1:  # who has nobody in there need not read it
            channel += f"{next(iter(target.rooms))}#"
        self.bus.publish(channel, wire.write_event(self.uid, packet, target))

    def _send_request(self, request: dict[str, Any]) -> None:
        write = pack if request["type"] == wire.BROADCAST else wire.write_json
        self.bus.publish(self.request_channel, write(request))

    def _send_answer(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        channel, kind = self.response_channel, answer.get("type")
        if kind != wire.SERVER_SIDE_EMIT and self.shared.specific_responses:
            channel += f"{request.get('uid')}#"
        write = pack if kind == wire.BROADCAST_ACK else wire.write_json
        self.bus.publish(channel, write(answer))

    # ---- listening to them ----

    def _heard(self, channel: str, octets: bytes) -> None:
        """Deliver what another node has emitted."""
        room = channel[len(self.channel) : -1]
        if room and room not in self.rooms and self.namespace.find(room) is None:
            return
        try:
            self._check_size(octets)
            event = wire.read_event(octets, self.namespace.name, self.uid, self._dates)
            if event is not None:
                self.deliver(*event)
        except PacketError as exc:
            logger.warning("%s: %s", channel, exc)

    def _heard_request(self, channel: str, octets: bytes) -> None:
        """Do what another node asks for."""
        try:
            self._check_size(octets)
            request = wire.read_message(octets)
            if request.get("uid") != self.uid:
                self._do(request)
        except (PacketError, TypeError, ValueError) as exc:
            logger.warning("%s: %s", channel, exc)

    def _heard_response(self, channel: str, octets: bytes) -> None:
        """Take what another node answers."""
        if not self._requests and not self._tallies:  # it is not for us
            return
        try:
            self._check_size(octets)
            self._take_answer(wire.read_message(octets))
        except PacketError as exc:
            logger.warning("%s: %s", channel, exc)
