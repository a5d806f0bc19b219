"""
Rooms that are shared with Node: :class:`RedisAdapter`.

It speaks what npm's ``@socket.io/redis-adapter`` does (its classic adapter, not the
sharded one), and takes what ``@socket.io/redis-emitter`` sends. Nothing of it says who
is there, and who has answered: nodes are counted, not named.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from ..asyncio._timeout import timeout as within
from ..hub.redis_patterns import RedisPatternBus, escaped
from . import redis_wire as wire
from .acks import Collected
from .adapter import Adapter
from .exceptions import AckTimeout
from .handlers import logger
from .msgpack import pack
from .packet import Packet, PacketError
from .parser import JSONParser
from .remote import RemoteSocket
from .targets import DONE, Target

if TYPE_CHECKING:
    from .namespace import Namespace

__all__ = ["RedisAdapter", "RedisNamespaceAdapter"]

#: Events of other nodes whose acknowledgements are waited for here, at most.
MAX_ASKED: Final = 10_000
#: Seconds that they are waited for beyond those that the other node waits.
SLACK_S: Final = 5.0


class RedisAdapter:
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

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        key: str = "socket.io",
        timeout: float = 5.0,
        specific_responses: bool = False,
        **options: Any,
    ) -> None:
        self.bus = RedisPatternBus(url, **options)
        self.key = key
        self.timeout = timeout
        self.specific_responses = specific_responses

    def __call__(self, namespace: Namespace) -> RedisNamespaceAdapter:
        """Return the adapter of a namespace."""
        return RedisNamespaceAdapter(self, namespace)

    async def start(self) -> None:
        """Begin to connect to Redis; does not wait for it."""
        await self.bus.start()

    async def close(self) -> None:
        """Send what waits, and disconnect from Redis."""
        await self.bus.close()

    async def synced(self) -> None:
        """
        Wait until Redis is there and knows what is listened to.

        Raises:
            ConnectionError: This is closed.

        """
        await self.bus.synced()

    async def __aenter__(self) -> RedisAdapter:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class RedisNamespaceAdapter(Adapter):
    """
    The rooms of a namespace on this node, and a line to those of the others.

    Args:
        shared: The line of all namespaces.
        namespace: The namespace.

    """

    clustered = True

    def __init__(self, shared: RedisAdapter, namespace: Namespace) -> None:
        super().__init__(namespace)
        self.shared = shared
        self.bus = shared.bus
        self.uid = secrets.token_hex(6)
        key, name = shared.key, namespace.name
        self.channel = f"{key}#{name}#"
        self.request_channel = f"{key}-request#{name}#"
        self.response_channel = f"{key}-response#{name}#"
        self.own_channel = f"{self.response_channel}{self.uid}#"
        self._pattern = escaped(self.channel) + "*"
        #: Times stay what they are where the parser has a form for them.
        self._dates = not isinstance(namespace.server.parser, JSONParser)
        self._requests: dict[str, _Request] = {}
        self._tallies: dict[str, _Tally] = {}
        self._asked: dict[tuple[str, str], _Reply] = {}
        self.listening = False

    async def start(self) -> None:
        """Listen to the others."""
        self._listen()

    def _listen(self) -> None:
        if not self.listening:
            self.listening = True
            self.bus.subscribe_pattern(self._pattern, self._heard)
            self.bus.subscribe(self.request_channel, self._heard_request)
            self.bus.subscribe(self.response_channel, self._heard_response)
            self.bus.subscribe(self.own_channel, self._heard_response)

    def close(self) -> None:
        """Listen no longer."""
        if self.listening:
            self.listening = False
            self.bus.unsubscribe_pattern(self._pattern)
            self.bus.unsubscribe(self.request_channel, self._heard_request)
            self.bus.unsubscribe(self.response_channel, self._heard_response)
            self.bus.unsubscribe(self.own_channel, self._heard_response)
        for key in list(self._asked):
            self._forget(*key)

    # ---- telling the others ----

    def broadcast(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Send an event to the clients of all nodes."""
        if not target.local:
            channel = self.channel
            if len(target.rooms) == 1:  # who has nobody in there need not read it
                channel += f"{next(iter(target.rooms))}#"
            self.bus.publish(channel, wire.write_event(self.uid, packet, target))
        self.deliver(packet, target)
        return DONE

    async def broadcast_with_ack(self, packet: Packet, target: Target) -> list[Any]:
        """Send an event to the clients of all nodes, and return all replies."""
        others = 0 if target.local else await self._others()
        if not others:
            return await super().broadcast_with_ack(packet, target)
        if target.timeout is None:  # nobody says that a client has gone
            target = target.but(timeout=self.shared.timeout)
        tally = _Tally(target.timeout, ["", *map(str, range(others))])
        number = secrets.token_hex(6)
        self._tallies[number] = tally
        try:
            asked = self._request(wire.BROADCAST, number)
            asked["packet"] = wire.fields_of(packet)
            asked["opts"] = wire.options_of(target)
            self.bus.publish(self.request_channel, pack(asked))
            packet.id = self.namespace.next_id()
            tally.expect(self.deliver(packet, target, tally))
            return await tally.future
        finally:
            del self._tallies[number]
            self.forget_acks(packet.id)

    def add_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have clients of all nodes join rooms."""
        self._tell(wire.REMOTE_JOIN, target, rooms=sorted(rooms))
        super().add_sockets(target, rooms)

    def del_sockets(self, target: Target, rooms: frozenset[str]) -> None:
        """Have clients of all nodes leave rooms."""
        self._tell(wire.REMOTE_LEAVE, target, rooms=sorted(rooms))
        super().del_sockets(target, rooms)

    def disconnect_sockets(self, target: Target, close: bool) -> None:
        """Have clients of all nodes leave the namespace."""
        self._tell(wire.REMOTE_DISCONNECT, target, close=close)
        super().disconnect_sockets(target, close)

    async def fetch_sockets(self, target: Target) -> list[Any]:
        """Return the clients of all nodes; of nodes that do not answer, none."""
        found = await super().fetch_sockets(target)
        others = 0 if target.local else await self._others()
        if not others:
            return found
        opts = wire.options_of(target)
        asked = self._request(wire.REMOTE_FETCH, secrets.token_hex(6), opts=opts)
        pages, missing = await self._ask(asked, others, self.shared.timeout)
        if missing:
            logger.warning("%d nodes have not said which clients they have", missing)
        for page in pages:
            found += [RemoteSocket(self, told) for told in page]
        return found

    async def server_count(self) -> int:
        """Return how many nodes there are."""
        return 1 + await self._others()

    def server_side_emit(self, event: str, args: list[Any]) -> None:
        """Raise an event on all other nodes."""
        asked = self._request(wire.SERVER_SIDE_EMIT, data=[event, *args])
        self.bus.publish(self.request_channel, wire.write_json(asked))

    async def server_side_emit_with_ack(
        self, event: str, args: list[Any], timeout: float
    ) -> list[Any]:
        """Raise an event on all other nodes, and return what they reply."""
        number = secrets.token_hex(6)
        asked = self._request(wire.SERVER_SIDE_EMIT, number, data=[event, *args])
        others = await self._others()
        if not others:
            return []
        replies, missing = await self._ask(asked, others, timeout)
        if missing:
            raise AckTimeout(f"{missing} nodes have not replied", replies)
        return replies

    def _request(
        self, kind: int, number: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Return a request; one without a number is not to be answered."""
        if number is not None:
            fields["requestId"] = number
        return {"uid": self.uid, "type": kind, **fields}

    def _tell(self, kind: int, target: Target, **fields: Any) -> None:
        """Have all other nodes do something, unless it is for this one alone."""
        if not target.local:
            asked = self._request(kind, opts=wire.options_of(target), **fields)
            self.bus.publish(self.request_channel, wire.write_json(asked))

    async def _others(self) -> int:
        """Return how many other nodes there are; none while Redis is away."""
        self._listen()
        try:
            if self.bus.state == "up":
                async with within(self.shared.timeout):
                    await self.bus.synced()
                    return max(0, await self.bus.subscribers(self.request_channel) - 1)
        except (ConnectionError, asyncio.TimeoutError):
            pass
        logger.warning("Redis is away: other nodes are not asked")
        return 0

    async def _ask(
        self, asked: dict[str, Any], others: int, timeout: float
    ) -> tuple[list[Any], int]:
        """Ask all other nodes; return what they answer, and how many did not."""
        request = self._requests[asked["requestId"]] = _Request(asked["type"], others)
        try:
            self.bus.publish(self.request_channel, wire.write_json(asked))
            async with within(timeout):
                await request.done.wait()
        except asyncio.TimeoutError:
            pass
        finally:
            del self._requests[asked["requestId"]]
        return request.answers, others - len(request.answers)

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
            response = wire.read_message(octets)
            number = wire.text_of(response.get("requestId"))
            request, tally = self._requests.get(number), self._tallies.get(number)
            if request is not None:
                request.take(response)
            elif tally is not None and response.get("type") == wire.BROADCAST_ACK:
                values = response.get("packet")
                tally.acknowledged(values if self._dates else wire.for_json(values))
            elif tally is not None:
                tally.counted(wire.number_of(response.get("clientCount")))
        except PacketError as exc:
            logger.warning("%s: %s", channel, exc)

    def _check_size(self, octets: bytes) -> None:
        if len(octets) > self.bus.max_size:
            size, most = len(octets), self.bus.max_size
            raise PacketError(f"message of {size} octets, limit is {most}", "size")

    def _do(self, request: dict[str, Any]) -> None:
        kind = request.get("type")
        if kind == wire.BROADCAST:
            self._event(request)
        elif kind == wire.SERVER_SIDE_EMIT:
            data = request.get("data")
            if type(data) is not list or not data:
                raise PacketError("an event is an array, its name first", "payload")
            raising = self._raise(request, wire.text_of(data[0]), data[1:])
            self.namespace.server.tasks.start(raising)
        elif kind in (wire.REMOTE_JOIN, wire.REMOTE_LEAVE, wire.REMOTE_DISCONNECT):
            self._move(request)
        elif kind == wire.REMOTE_FETCH:
            chosen = self.sockets(wire.target_of(request.get("opts")))
            self._respond(request, sockets=[wire.details_of(s) for s in chosen])
        elif kind == wire.SOCKETS:
            chosen = self.sockets(Target(wire.names_of(request.get("rooms"))))
            self._respond(request, sockets=[socket.id for socket in chosen])
        elif kind == wire.ALL_ROOMS:
            ids = (socket.id for socket in self.namespace.everybody())
            self._respond(request, rooms=[*self.rooms, *ids])
        else:
            raise PacketError(f"a request of type {kind!r}", "type")

    def _move(self, request: dict[str, Any]) -> None:
        """Have clients here join or leave rooms, or leave the namespace."""
        kind, opts, close = request["type"], request.get("opts"), request.get("close")
        one = opts is None  # as nodes of version 6 and before have it
        if one:
            target = Target(frozenset((wire.text_of(request.get("sid")),)))
            rooms = wire.names_of([request.get("room", "")])
        else:
            target = wire.target_of(opts)
            rooms = wire.names_of(request.get("rooms"))
        if one and not list(self.sockets(target)):
            return
        if kind == wire.REMOTE_JOIN:
            self.have_join(target, rooms)
        elif kind == wire.REMOTE_LEAVE:
            super().del_sockets(target, rooms)
        else:
            super().disconnect_sockets(target, close is True)
        if one:
            self._respond(request)

    async def _raise(self, request: dict[str, Any], event: str, args: Any) -> None:
        """Raise an event of another node, and answer if it is to be answered."""
        reply = await self.namespace.raised(event, args)
        if request.get("requestId") is not None:
            kind = wire.SERVER_SIDE_EMIT
            self._respond(request, specific=False, type=kind, data=reply)

    def _event(self, request: dict[str, Any]) -> None:
        """Deliver what another node has emitted, and pass replies on."""
        key = wire.text_of(request.get("uid")), wire.text_of(request.get("requestId"))
        if key in self._asked:
            raise PacketError("an event that came before", "payload")
        packet = wire.packet_of(request.get("packet"), self.namespace.name, self._dates)
        target = wire.target_of(request.get("opts"))
        packet.id = self.namespace.next_id()
        reply = _Reply(self, request, packet.id)
        count = self.deliver(packet, target, reply)
        self._respond(request, type=wire.BROADCAST_CLIENT_COUNT, clientCount=count)
        reply.owed += count
        if reply.owed <= 0:
            return
        limit = self.shared.timeout if target.timeout is None else target.timeout
        loop = asyncio.get_running_loop()
        reply.timer = loop.call_later(limit + SLACK_S, self._forget, *key)
        self._asked[key] = reply
        if len(self._asked) > MAX_ASKED:
            self._forget(*next(iter(self._asked)))

    def _forget(self, uid: str, number: str) -> None:
        """Wait for the clients of this node no longer."""
        reply = self._asked.pop((uid, number), None)
        if reply is not None and reply.timer is not None:
            reply.timer.cancel()
            if reply.owed > 0:
                self.forget_acks(reply.ident)

    def replied(self, reply: _Reply, values: tuple[Any, ...] | None) -> None:
        """Pass on what a client has replied: the first value, as JavaScript does."""
        if reply.owed <= 0:
            self._forget(reply.request["uid"], reply.request["requestId"])
        if values is not None:
            value = values[0] if values else None
            kind = wire.BROADCAST_ACK
            self._respond(reply.request, packed=True, type=kind, packet=value)

    def _respond(
        self,
        request: dict[str, Any],
        packed: bool = False,
        specific: bool = True,
        **fields: Any,
    ) -> None:
        """Answer a request."""
        answer = {"requestId": request.get("requestId"), **fields}
        channel = self.response_channel
        if specific and self.shared.specific_responses:
            channel += f"{request.get('uid')}#"
        try:
            self.bus.publish(channel, (pack if packed else wire.write_json)(answer))
        except (PacketError, TypeError, ValueError, OverflowError) as exc:
            logger.warning("an answer cannot be passed on: %s", exc)


class _Request:
    """What all other nodes were asked, and their answers."""

    __slots__ = ("_kind", "_wanted", "answers", "done")

    def __init__(self, kind: int, wanted: int) -> None:
        self._kind = kind
        self._wanted = wanted
        self.answers: list[Any] = []
        self.done = asyncio.Event()

    def take(self, response: dict[str, Any]) -> None:
        """Take an answer."""
        if self.done.is_set():
            return
        answer = response.get("data")
        if self._kind == wire.REMOTE_FETCH:
            answer = wire.clients_of(response.get("sockets"))
        self.answers.append(answer)
        if len(self.answers) == self._wanted:
            self.done.set()


class _Tally(Collected):
    """Acknowledgements of clients of nodes that have a number here, and no name."""

    def counted(self, count: int) -> None:
        """Take the number of clients of one of the other nodes."""
        for node in self.silent - {""}:
            self.expect(count, node)
            break

    def acknowledged(self, value: Any) -> None:
        """Take a reply of a client of any of them, which has said its number before."""
        for node, owed in self._owed.items():
            if node and owed > 0 and node not in self.silent:
                self.reply(node, [] if value is None else [value])
                break


class _Reply:
    """The replies of clients of this node, on their way to the node that waits."""

    __slots__ = ("_adapter", "ident", "owed", "request", "timer")

    def __init__(
        self, adapter: RedisNamespaceAdapter, request: dict[str, Any], ident: int
    ) -> None:
        self._adapter = adapter
        self.request = {"uid": request["uid"], "requestId": request["requestId"]}
        self.ident = ident
        self.owed = 0
        self.timer: asyncio.TimerHandle | None = None

    def __call__(self, *values: Any) -> None:
        self.owed -= 1
        self._adapter.replied(self, values)

    def fail(self) -> None:
        """Note that a client will send none, of which nobody can be told."""
        self.owed -= 1
        self._adapter.replied(self, None)
