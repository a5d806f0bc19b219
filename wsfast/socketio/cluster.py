"""Rooms over many nodes: :class:`Cluster`, on a bus of ``wsfast.hub``."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from urllib.parse import quote

from ..hub import Bus, Codec, EnvelopeError, Presence
from .acks import Collected
from .adapter import Adapter
from .exceptions import AckTimeout
from .handlers import logger
from .kept import KeptEvents
from .packet import EVENT, Packet, PacketError
from .parser import Decoder, JSONDecoder, JSONParser
from .remote import description_of, remote_sockets
from .targets import DONE, Target

if TYPE_CHECKING:
    from .kept import Log
    from .namespace import Namespace

__all__ = ["Cluster", "ClusterAdapter"]

_TARGET: Final[dict[str, Any]] = {
    "rooms": ([str], None),
    "except": ([str], None),
    "volatile": (bool, None),
    "compress": (bool, None),
}
#: What nodes tell each other, with the types of its fields. A packet is what the parser
#: makes of it: the nodes of a cluster have the same one.
KINDS: Final[dict[str, dict[str, Any]]] = {
    "event": {
        "text": (str, None),
        "octets": ([bytes], None),
        "ack": (str, None),
        "timeout": (float, None),
        "token": (int, None),
        **_TARGET,
    },
    "count": {"ack": str, "count": int},
    "forget": {"ack": str},
    "ack": {"ack": str, "text": (str, None), "octets": ([bytes], None)},
    "join": {"names": [str], **_TARGET},
    "leave": {"names": [str], **_TARGET},
    "disconnect": {"close": bool, **_TARGET},
    "raise": {"event": str, "args": list},
}
#: What goes through the log, if there is one, so that it keeps its order.
LOGGED: Final = ("event", "join", "leave", "disconnect", "raise")
#: Events of other nodes whose acknowledgements are waited for here, at most.
MAX_ASKED: Final = 10_000
#: Seconds that they are waited for beyond those that the other node waits.
SLACK_S: Final = 5.0


class Cluster:
    """
    What makes one server of those of many nodes; given to the server as ``adapter``.

    Events to many, joining and leaving rooms, ``fetch_sockets()`` and so on reach the
    clients of all nodes. Each node delivers to its own clients at once, bus or no bus;
    what goes over the bus arrives at most once.

    Args:
        bus: The bus; it is started and closed by others.
        presence: Who else is there; by default one of its own, which :meth:`start`
            starts.
        name: What channels begin with: the same on all nodes.
        format: Of what goes over the bus; see :class:`wsfast.hub.Codec`.
        max_size: Octets of it at most.
        log: Where events and the state of clients are kept, such as a
            :class:`~wsfast.hub.redis_log.RedisLog`, for servers that recover
            connections: clients may come back to any node then. It is started and
            closed with the cluster, unless it has been started.
        timeout: Seconds that ``fetch_sockets()`` waits for other nodes, and that an
            event to be acknowledged waits for the number of their clients.

    """

    def __init__(
        self,
        bus: Bus,
        *,
        presence: Presence | None = None,
        log: Log | None = None,
        name: str = "wsfast:socketio",
        format: Literal["json", "msgpack"] = "json",  # noqa: A002 - as of Codec
        max_size: int = 1 << 20,
        timeout: float = 5.0,
    ) -> None:
        self.bus = bus
        self.name = name
        self.timeout = timeout
        self.own_presence = presence is None
        if presence is None:
            presence = Presence(bus, name=name, format=format, max_size=max_size)
        self.presence = presence
        self.codec = Codec(presence.node, KINDS, format=format, max_size=max_size)
        self.kept: KeptEvents | None = None
        if log is not None:
            kinds = {kind: KINDS[kind] for kind in LOGGED}
            terms: Any = {"format": format, "max_size": max_size, "timeout": timeout}
            self.kept = KeptEvents(log, presence, kinds, **terms)
        self._owns_log = False

    def __call__(self, namespace: Namespace) -> ClusterAdapter:
        """Return the adapter of a namespace."""
        if self.kept is not None and namespace.server.recovery is not None:
            from .kept_adapter import KeptAdapter

            return KeptAdapter(self, self.kept, namespace)
        return ClusterAdapter(self, namespace)

    async def start(self) -> None:
        """Tell the others that this node is there."""
        if self.own_presence:
            await self.presence.start()
        if self.kept is not None and self.kept.log.state == "closed":
            self._owns_log = True
            await self.kept.log.start()

    async def close(self) -> None:
        """Save what clients may come back for, and tell the others that it has gone."""
        if self.kept is not None:
            await self.kept.saved()
            if self._owns_log:
                self._owns_log = False
                await self.kept.log.close()
        if self.own_presence:
            await self.presence.close()

    async def synced(self) -> None:
        """
        Wait until the bus is up, knows what is subscribed to, and the log is up.

        What is emitted before is not kept.

        Raises:
            ConnectionError: The bus or the log is closed.

        """
        await self.bus.synced()
        if self.kept is not None:
            await self.kept.synced()

    async def __aenter__(self) -> Cluster:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class ClusterAdapter(Adapter):
    """
    The rooms of a namespace on this node, and a line to those of the others.

    Args:
        cluster: The cluster.
        namespace: The namespace.

    """

    clustered = True

    def __init__(self, cluster: Cluster, namespace: Namespace) -> None:
        self.cluster = cluster
        super().__init__(namespace)
        name = quote(namespace.name)
        if len(name) > 256:
            name = hashlib.sha256(name.encode()).hexdigest()
        self.channel = f"{cluster.name}:{name}"
        self._collected: dict[str, Collected] = {}
        self._asked: dict[tuple[str, str], _Asked] = {}
        self.listening = False

    async def start(self) -> None:
        """Listen to the others."""
        bus, presence = self.cluster.bus, self.cluster.presence
        self.listening = True
        presence.when_gone(self._node_gone)
        bus.subscribe(self.channel, self._heard)
        bus.subscribe(f"{self.channel}#{presence.node}", self._heard)
        presence.answer(f"fetch {self.channel}", self._fetched)
        presence.answer(f"raise {self.channel}", self._raised)

    def close(self) -> None:
        """Listen no longer."""
        if self.listening:
            self.listening = False
            bus, presence = self.cluster.bus, self.cluster.presence
            for node in tuple(presence.nodes):  # it would not be heard any more
                self._node_gone(node)
            presence.off_gone(self._node_gone)
            bus.unsubscribe(self.channel, self._heard)
            bus.unsubscribe(f"{self.channel}#{presence.node}", self._heard)
            presence.answer(f"fetch {self.channel}", None)
            presence.answer(f"raise {self.channel}", None)
        for key in list(self._asked):
            self._forget(*key)

    # ---- telling the others ----

    def tell(self, kind: str, to: str = "", **fields: Any) -> None:
        """
        Tell all other nodes, or one.

        Raises:
            EnvelopeError: It is too long.

        """
        channel = f"{self.channel}#{to}" if to else self.channel
        octets = self.cluster.codec.encode(kind, **fields)
        self.cluster.bus.publish(channel, octets)

    def broadcast(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Send an event to the clients of all nodes."""
        if not target.local:
            self.tell("event", **self.written(packet), **fields_of(target))
        self.deliver(packet, target)
        return DONE

    async def broadcast_with_ack(self, packet: Packet, target: Target) -> list[Any]:
        """Send an event to the clients of all nodes, and return all replies."""
        if target.local:
            return await super().broadcast_with_ack(packet, target)
        nodes = self.cluster.presence.nodes
        collected = Collected(target.timeout, ["", *nodes])
        number = secrets.token_urlsafe(12)
        self._collected[number] = collected
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self.cluster.timeout, self._do_without, collected)
        try:
            written = self.written(packet)
            written.update(fields_of(target), ack=number, timeout=target.timeout)
            self.tell("event", **written)
            packet.id = self.namespace.next_id()
            collected.expect(self.deliver(packet, target, collected))
            replies = await collected.future
        except BaseException:
            with contextlib.suppress(EnvelopeError):
                self.tell("forget", ack=number)
            raise
        finally:
            patience.cancel()
            del self._collected[number]
            self.forget_acks(packet.id)
        return replies

    def _do_without(self, collected: Collected) -> None:
        """Wait no longer for nodes that have not heard of an event, as it seems."""
        for node in tuple(collected.silent):
            collected.gone(node)

    def _node_gone(self, node: str) -> None:
        """Wait for nothing from a node, nor for it."""
        for collected in tuple(self._collected.values()):
            collected.gone(node)
        for key in list(self._asked):
            if key[0] == node:
                self._forget(*key)

    def add_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have clients of all nodes join rooms."""
        if not target.local:
            self.tell("join", names=sorted(rooms), **fields_of(target))
        super().add_sockets(target, rooms)

    def del_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have clients of all nodes leave rooms."""
        if not target.local:
            self.tell("leave", names=sorted(rooms), **fields_of(target))
        super().del_sockets(target, rooms)

    def disconnect_sockets(self, target: Target, close: bool) -> None:
        """Have clients of all nodes leave the namespace."""
        if not target.local:
            self.tell("disconnect", close=close, **fields_of(target))
        super().disconnect_sockets(target, close)

    async def fetch_sockets(self, target: Target) -> list[Any]:
        """Return the clients of all nodes; of nodes that do not answer, none."""
        found = await super().fetch_sockets(target)
        if target.local:
            return found
        presence, what = self.cluster.presence, f"fetch {self.channel}"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.cluster.timeout
        asked: dict[str, str] = dict.fromkeys(presence.nodes, "")  # node -> last id
        while asked:
            pages = await asyncio.gather(
                *(
                    presence.ask(
                        what,
                        {**fields_of(target), "after": after},
                        timeout=max(0.0, deadline - loop.time()),
                        nodes=nodes,
                    )
                    for after, nodes in _by_value(asked).items()
                )
            )
            asked = {}
            for answers in pages:
                failed = {**answers.failed, **dict.fromkeys(answers.missing, "silence")}
                for node, page in answers.answers.items():
                    try:
                        sockets, more = remote_sockets(self, page)
                    except (LookupError, TypeError) as exc:
                        failed[node] = repr(exc)
                        continue
                    found += sockets
                    if more:
                        asked[node] = sockets[-1].id
                for node, why in failed.items():
                    logger.warning("which clients node %s has: %s", node, why)
        return found

    async def server_count(self) -> int:
        """Return how many nodes there are."""
        return 1 + len(self.cluster.presence.nodes)

    def server_side_emit(self, event: str, args: list[Any]) -> None:
        """Raise an event on all other nodes."""
        self.tell("raise", event=event, args=args)

    async def server_side_emit_with_ack(
        self, event: str, args: list[Any], timeout: float
    ) -> list[Any]:
        """Raise an event on all other nodes, and return what they reply."""
        answers = await self.cluster.presence.ask(
            f"raise {self.channel}", [event, args], timeout=timeout, self_too=False
        )
        replies = list(answers.answers.values())
        if answers.missing:
            count = len(answers.missing)
            raise AckTimeout(f"{count} nodes have not replied", replies)
        return replies

    def written(self, packet: Packet) -> dict[str, Any]:
        """Return a packet as fields."""
        messages = self.namespace.server.parser.encode(packet)
        octets = [each for each in messages if not isinstance(each, str)]
        text = messages[0] if isinstance(messages[0], str) else None
        return {"text": text, "octets": octets or None}

    # ---- listening to them ----

    def _heard(self, channel: str, octets: bytes) -> None:
        try:
            envelope = self.cluster.codec.decode(octets)
            if envelope is not None:
                self.take(envelope.node, envelope.kind, envelope.fields)
        except EnvelopeError as exc:
            logger.warning("%s: %s", channel, exc)

    def take(self, node: str, kind: str, fields: dict[str, Any]) -> None:
        """Do what another node has told, if it makes sense."""
        try:
            self._take(node, kind, fields)
        except (EnvelopeError, PacketError) as exc:
            logger.warning("%s of node %s: %s", kind, node, exc)

    def _take(self, node: str, kind: str, fields: dict[str, Any]) -> None:
        """Do what another node has told."""
        if kind == "event":
            self._event(node, fields)
        elif kind == "count":
            collected = self._collected.get(fields["ack"])
            if collected is not None:
                collected.expect(max(0, fields["count"]), node)
        elif kind == "ack":
            collected = self._collected.get(fields["ack"])
            if collected is not None:
                if fields["text"] is None and fields["octets"] is None:
                    collected.fail(node)
                else:
                    collected.reply(node, self.read(fields).data[1:])
        elif kind == "forget":
            self._forget(node, fields["ack"])
        elif kind == "join":
            self.have_join(target_of(fields), fields["names"])
        elif kind == "leave":
            super().del_sockets(target_of(fields), frozenset(fields["names"]))
        elif kind == "disconnect":
            super().disconnect_sockets(target_of(fields), fields["close"])
        elif kind == "raise":
            raising = self.namespace.raised(fields["event"], fields["args"])
            self.namespace.server.tasks.start(raising)

    def read(self, fields: dict[str, Any]) -> Packet:
        """
        Return the event in fields.

        Raises:
            PacketError: There is none.

        """
        text, octets = fields["text"], fields["octets"] or []
        parser = self.namespace.server.parser
        if isinstance(parser, JSONParser):  # its limit is for what clients send
            decoder: Decoder = JSONDecoder(parser.loads, len(octets))
        else:
            decoder = parser.decoder()
        packet = None
        for message in [*([] if text is None else [text]), *octets]:
            packet = decoder.feed(message)
        if packet is None or packet.type != EVENT:
            raise PacketError("not one event")
        packet.namespace = self.namespace.name
        return packet

    def told(self, packet: Packet, target: Target) -> None:
        """Hand out an event of another node."""
        self.deliver(packet, target)

    def _event(self, node: str, fields: dict[str, Any]) -> None:
        """Deliver what another node has emitted."""
        packet, target = self.read(fields), target_of(fields)
        ack, timeout = fields["ack"], fields["timeout"]
        if ack is None:
            self.told(packet, target)
            return
        if (node, ack) in self._asked:
            raise PacketError("an event that came before")
        packet.id = self.namespace.next_id()
        reply = _Reply(self, node, ack)
        count = self.deliver(packet, target, reply)
        self.tell("count", node, ack=ack, count=count)
        reply.owed += count
        if reply.owed <= 0:
            return
        timer = None
        if timeout is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(timeout + SLACK_S, self._forget, node, ack)
        self._asked[node, ack] = _Asked(packet.id, timer)
        if len(self._asked) > MAX_ASKED:
            self._forget(*next(iter(self._asked)))

    def _forget(self, node: str, ack: str) -> None:
        """Wait for the clients of this node no longer."""
        asked = self._asked.pop((node, ack), None)
        if asked is not None:
            if asked.timer is not None:
                asked.timer.cancel()
            self.forget_acks(asked.number)

    def reply(self, node: str, ack: str, values: tuple[Any, ...] | None) -> None:
        """Hand the reply of a client to the node that waits for it."""
        written: dict[str, Any] = {}
        if values is not None:
            packet = Packet(EVENT, self.namespace.name, ["ack", *values])
            written = self.written(packet)
        try:
            self.tell("ack", node, ack=ack, **written)
        except EnvelopeError as exc:
            logger.warning("a reply cannot be passed on: %s", exc)
            self.tell("ack", node, ack=ack)

    def replied(self, node: str, ack: str) -> None:
        """Take that all clients of this node have replied."""
        asked = self._asked.pop((node, ack), None)
        if asked is not None and asked.timer is not None:
            asked.timer.cancel()

    def _fetched(self, node: str, body: Any) -> dict[str, Any]:
        """Answer which clients are here, as many as go into one message."""
        target = target_of({name: body.get(name) for name in _TARGET})
        after, most = body["after"], self.cluster.codec.max_size // 2
        sockets = [socket for socket in self.sockets(target) if socket.id > after]
        sockets.sort(key=lambda socket: socket.id)
        found: list[dict[str, Any]] = []
        for socket in sockets:
            described = description_of(socket)
            most -= len(json.dumps(described, ensure_ascii=False).encode())
            if found and most < 0:
                break
            found.append(described)
        return {"sockets": found, "more": len(found) < len(sockets)}

    async def _raised(self, node: str, body: Any) -> Any:
        """Answer an event of another node."""
        return await self.namespace.raised(body[0], body[1])


class _Asked(NamedTuple):
    """An event of another node that clients of this one have to acknowledge."""

    number: int
    timer: asyncio.TimerHandle | None


class _Reply:
    """The replies of clients of this node, on their way to the node that waits."""

    __slots__ = ("_ack", "_adapter", "_node", "owed")

    def __init__(self, adapter: ClusterAdapter, node: str, ack: str) -> None:
        self._adapter = adapter
        self._node = node
        self._ack = ack
        self.owed = 0

    def __call__(self, *values: Any) -> None:
        self._pass_on(values)

    def fail(self) -> None:
        """Tell that a client will send none."""
        self._pass_on(None)

    def _pass_on(self, values: tuple[Any, ...] | None) -> None:
        self.owed -= 1
        if not self.owed:
            self._adapter.replied(self._node, self._ack)
        self._adapter.reply(self._node, self._ack, values)


def _by_value(table: dict[str, str]) -> dict[str, list[str]]:
    """Return the keys of each value."""
    found: dict[str, list[str]] = {}
    for key, value in table.items():
        found.setdefault(value, []).append(key)
    return found


def fields_of(target: Target) -> dict[str, Any]:
    """Return a target as fields; those that are None are left out."""
    return {
        "rooms": sorted(target.rooms) or None,
        "except": sorted(target.except_) or None,
        "volatile": target.volatile or None,
        "compress": target.compress,
    }


def target_of(fields: dict[str, Any]) -> Target:
    """Return fields as a target."""
    return Target(
        frozenset(fields["rooms"] or ()),
        frozenset(fields["except"] or ()),
        bool(fields["volatile"]),
        fields["compress"],
        local=True,
    )
