"""What the adapters over Redis have in common: nodes are counted there, not named."""

from __future__ import annotations

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from ..asyncio._timeout import timeout as within
from . import redis_wire as wire
from .acks import Collected
from .adapter import Adapter
from .exceptions import AckTimeout
from .handlers import logger
from .packet import Packet, PacketError
from .parser import JSONParser
from .remote import RemoteSocket
from .targets import DONE, Target

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..hub.redis_patterns import Counting
    from .namespace import Namespace

__all__ = ["CountedAdapter", "SharedBus"]

#: Events of other nodes whose acknowledgements are waited for here, at most.
MAX_ASKED: Final = 10_000
#: Seconds that they are waited for beyond those that the other node waits.
SLACK_S: Final = 5.0


class SharedBus:
    """
    The line that all namespaces of a server share.

    Args:
        bus: The bus; it is started and closed with this.
        key: What channels begin with.
        timeout: Seconds that other nodes are waited for.

    """

    def __init__(self, bus: Counting, key: str, timeout: float) -> None:
        self.bus = bus
        self.key = key
        self.timeout = timeout

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

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class CountedAdapter(Adapter):
    """
    The rooms of a namespace on this node, and a line to those of the others.

    Requests and answers are maps here, named as in :mod:`.redis_wire`; what they are on
    the wire is up to the class of the adapter.

    Args:
        shared: The line of all namespaces.
        namespace: The namespace.
        uid: What this node is called.

    Attributes:
        channel: What the channels of events begin with.
        everyone: The channel that each node listens to once.

    """

    clustered = True
    everyone: str

    def __init__(self, shared: SharedBus, namespace: Namespace, uid: str) -> None:
        super().__init__(namespace)
        self.shared = shared
        self.uid = uid
        self.channel = f"{shared.key}#{namespace.name}#"
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
            self._subscribe()

    def close(self) -> None:
        """Listen no longer."""
        if self.listening:
            self.listening = False
            self._unsubscribe()
        for key in list(self._asked):
            self._forget(*key)

    # ---- for the kinds of adapters ----

    @abstractmethod
    def _subscribe(self) -> None:
        """Listen to the others: events, requests, answers."""

    @abstractmethod
    def _unsubscribe(self) -> None:
        """End what `_subscribe` began."""

    @abstractmethod
    def _send_event(self, packet: Packet, target: Target) -> None:
        """Tell all other nodes of an event."""

    @abstractmethod
    def _send_request(self, request: dict[str, Any]) -> None:
        """Ask all other nodes."""

    @abstractmethod
    def _send_answer(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Answer a request: its node, or all of them if answers are heard by all."""

    # ---- telling the others ----

    def broadcast(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Send an event to the clients of all nodes."""
        if not target.local:
            self._send_event(packet, target)
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
        number = secrets.token_hex(8)
        self._tallies[number] = tally
        try:
            asked = self._request(wire.BROADCAST, number)
            asked["packet"] = wire.fields_of(packet)
            asked["opts"] = wire.options_of(target)
            self._send_request(asked)
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
        asked = self._request(wire.REMOTE_FETCH, secrets.token_hex(8), opts=opts)
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
        self._send_request(self._request(wire.SERVER_SIDE_EMIT, data=[event, *args]))

    async def server_side_emit_with_ack(
        self, event: str, args: list[Any], timeout: float
    ) -> list[Any]:
        """Raise an event on all other nodes, and return what they reply."""
        number = secrets.token_hex(8)
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
            opts = wire.options_of(target)
            self._send_request(self._request(kind, opts=opts, **fields))

    async def _others(self) -> int:
        """Return how many other nodes there are; none while Redis is away."""
        self._listen()
        try:
            if self.shared.bus.state == "up":
                async with within(self.shared.timeout):
                    await self.shared.bus.synced()
                    return max(0, await self.shared.bus.subscribers(self.everyone) - 1)
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
            self._send_request(asked)
            async with within(timeout):
                await request.done.wait()
        except asyncio.TimeoutError:
            pass
        finally:
            del self._requests[asked["requestId"]]
        return request.answers, others - len(request.answers)

    # ---- listening to them ----

    def _take_answer(self, answer: dict[str, Any]) -> None:
        """Take what another node answers."""
        number = wire.text_of(answer.get("requestId"))
        request, tally = self._requests.get(number), self._tallies.get(number)
        if request is not None:
            request.take(answer)
        elif tally is not None and answer.get("type") == wire.BROADCAST_ACK:
            value = answer.get("packet")
            tally.acknowledged(value if self._dates else wire.for_json(value))
        elif tally is not None:
            tally.counted(wire.number_of(answer.get("clientCount")))

    def _check_size(self, octets: bytes) -> None:
        if len(octets) > self.shared.bus.max_size:
            size, most = len(octets), self.shared.bus.max_size
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
            self._respond(request, type=wire.SERVER_SIDE_EMIT, data=reply)

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
            self._respond(reply.request, type=wire.BROADCAST_ACK, packet=value)

    def _respond(self, request: dict[str, Any], **answer: Any) -> None:
        """Answer a request."""
        answer["requestId"] = request.get("requestId")
        try:
            self._send_answer(request, answer)
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
        self, adapter: CountedAdapter, request: dict[str, Any], ident: int
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
