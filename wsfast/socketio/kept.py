"""Recovery over many nodes: events in a log that all follow, sessions beside it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from ..hub import Codec, EnvelopeError, new_node_id
from .handlers import logger
from .parser import JSONParser
from .recovery import ConnectionStateRecovery, History, Session
from .remote import plain

if TYPE_CHECKING:
    from ..hub import Presence
    from .kept_adapter import KeptAdapter
    from .parser import Parser
    from .server import Server
    from .socket import Socket

__all__ = ["KeptEvents", "LogHistory", "with_offset"]

SESSION: Final[dict[str, Any]] = {
    "sid": str,
    "rooms": [str],
    "data": dict,
    "first": (str, None),
    "last": (str, None),
    "end": str,
    "gone": float,
}
#: Namespaces whose events are kept, at most: those that no client of this node is in
#: are among them.
MAX_NAMESPACES: Final = 1_000
#: Clients that come back whose sessions other nodes are asked for, at a time.
MAX_SETTLING: Final = 100
#: Seconds that others may take to say that they have saved a session.
SETTLING_S: Final = 2.0
#: Seconds that events are kept beyond those that clients have to come back.
SLACK_S: Final = 10.0
_PID: Final = re.compile(r"[A-Za-z0-9_-]{20}")
_OFFSET: Final = re.compile(r"(0|[1-9a-f][0-9a-f]{0,15})-(0|[1-9a-f][0-9a-f]{0,15})")


class Log(Protocol):
    """What keeps events and sessions: :class:`wsfast.hub.redis_log.RedisLog`."""

    state: Any

    def follow(
        self,
        begins: Callable[[int], object],
        received: Callable[[int, bytes, bool], object],
        *,
        seconds: float,
        on_state: Callable[[Any], object],
    ) -> None:
        """Have all entries told."""

    async def start(self) -> None:
        """Begin to connect."""

    async def close(self) -> None:
        """Disconnect."""

    def append(self, octets: bytes) -> Awaitable[Any]:
        """Append an entry."""

    def put(self, key: str, octets: bytes, seconds: float) -> Awaitable[Any]:
        """Keep a value."""

    def take(self, key: str) -> Awaitable[bytes | None]:
        """Return a value and forget it."""


class LogHistory(History):
    """
    The events and sessions of one namespace, of all nodes.

    Args:
        name: The namespace.
        kept: Those of all namespaces.
        options: As of :class:`History`.
        parser: Likewise.
        most_missed: Likewise.

    """

    def __init__(
        self,
        name: str,
        kept: KeptEvents,
        options: ConnectionStateRecovery,
        parser: Parser,
        most_missed: int | None,
    ) -> None:
        super().__init__(options, parser, most_missed)
        self.name = name
        self._kept = kept
        self.begin(kept.begin)

    @staticmethod
    def offset_of(number: int) -> str:
        """Return the offset of an event."""
        return f"{number >> 64:x}-{number & (1 << 64) - 1:x}"

    @staticmethod
    def number_of(offset: Any) -> int | None:
        """Return the number of an event."""
        found = _OFFSET.fullmatch(offset) if type(offset) is str else None
        return None if found is None else int(found[1], 16) << 64 | int(found[2], 16)

    def begin(self, number: int) -> None:
        """Forget all events: those up to this number are not all there."""
        self._events.clear()
        self._size = 0
        self._next = self._kept_from = number + 1

    def persist(self, socket: Socket) -> None:
        """Keep the session of a socket that has gone, where all nodes find it."""
        self._next = self._kept.position + 1
        super().persist(socket)

    def keep(self, session: Session) -> None:
        """Keep a session, or keep it again: its client was not let in."""
        age = max(0.0, self._clock() - session.at)
        number_of = self.offset_of
        fields = {
            "sid": session.sid,
            "rooms": session.rooms,
            "data": plain(session.data),
            "first": None if session.first is None else number_of(session.first),
            "last": None if session.last is None else number_of(session.last),
            "end": number_of(session.end),
            "gone": time.time() - age,
        }
        self._kept.save(f"{self.name}:{session.pid}", fields, self._age - age)

    def give_back(self, pid: str) -> None:
        """Keep a session that was fetched and not restored."""
        session = self._sessions.pop(pid, None)
        if session is not None:
            self.keep(session)

    def adopt(self, pid: str, fields: dict[str, Any]) -> Session | None:
        """Take a session that was fetched; return it, None if it is none."""
        numbers: list[int | None] = []
        for name in ("first", "last", "end"):
            number = self.number_of(fields[name])
            if number is None and fields[name] is not None:
                return None
            numbers.append(number)
        first, last, end = numbers
        assert end is not None
        age = min(max(0.0, time.time() - fields["gone"]), self._age)
        session = Session(
            *(fields["sid"], pid, fields["rooms"], fields["data"]),
            *(first, last, end, self._clock() - age),
        )
        self._next = self._kept.position + 1
        self._sessions[pid] = session
        return session


class KeptEvents:
    """
    What the nodes of a cluster keep together.

    Args:
        log: Where.
        presence: The nodes.
        kinds: What is appended to the log, with the types of its fields.
        format: As of :class:`~wsfast.hub.Codec`.
        max_size: Likewise.
        timeout: Seconds that a client which comes back waits for the log.

    Attributes:
        fetching: What looks for sessions.
        position: Number of the last entry that was read.
        begin: Number above which all entries are known.

    """

    def __init__(
        self,
        log: Log,
        presence: Presence,
        kinds: dict[str, Any],
        *,
        format: Literal["json", "msgpack"],  # noqa: A002 - as of Codec
        max_size: int,
        timeout: float,
    ) -> None:
        self.log = log
        self.position = self.begin = -1
        self._presence = presence
        self._timeout = timeout
        kinds = {kind: {**fields, "nsp": str} for kind, fields in kinds.items()}
        kinds["session"] = SESSION
        self._writes = Codec(presence.node, kinds, format=format, max_size=max_size)
        # What this node has written is read as well: it has a number then.
        self._reads = Codec(new_node_id(), kinds, format=format, max_size=max_size)
        self._server: Server | None = None
        self._adapters: dict[str, KeptAdapter] = {}
        self._histories: dict[str, LogHistory] = {}
        self._moved: list[asyncio.Future[None]] = []
        self._unsaved: dict[str, tuple[bytes, float]] = {}
        self._saving: dict[str, asyncio.Future[Any]] = {}
        self.fetching: set[asyncio.Future[None]] = set()
        self._settling = asyncio.Semaphore(MAX_SETTLING)

    # ---- the namespaces of this node ----

    def history(self, name: str, server: Server) -> LogHistory:
        """Return the history of a namespace; the first one begins to follow the log."""
        assert server.recovery is not None
        if self._server is None:
            self._server = server
            self.log.follow(
                self._begins,
                self._received,
                seconds=server.recovery.max_disconnection_duration + SLACK_S,
                on_state=self._state,
            )
        found = self._histories.get(name)
        if found is None:
            found = self._histories[name] = LogHistory(
                *(name, self, server.recovery, server.parser),
                server.engine.max_send_buffer,
            )
            self._forget_namespaces()
        return found

    def _forget_namespaces(self) -> None:
        """Forget the events of namespaces that are not in use, if there are many."""
        excess = len(self._histories) - MAX_NAMESPACES
        idle = [name for name in self._histories if name not in self._adapters]
        for name in idle[: max(0, excess)]:
            del self._histories[name]
            self.begin = self.position  # if it is made again, it begins here

    def attach(self, adapter: KeptAdapter) -> None:
        """Hand the entries of its namespace to an adapter."""
        self._adapters[adapter.namespace.name] = adapter

    def detach(self, adapter: KeptAdapter) -> None:
        """Do so no longer."""
        self._adapters.pop(adapter.namespace.name, None)

    # ---- entries ----

    def append(
        self, adapter: KeptAdapter, kind: str, fields: dict[str, Any]
    ) -> asyncio.Future[Any] | None:
        """
        Append an entry.

        Returns:
            A future of the log; None if the log is away.

        Raises:
            EnvelopeError: It is too long.

        """
        if self.log.state != "up":
            return None
        octets = self._writes.encode(kind, nsp=adapter.namespace.name, **fields)
        try:
            future = asyncio.ensure_future(self.log.append(octets))
        except ConnectionError as exc:
            logger.warning("an event is not kept: %s", exc)
            return None
        future.add_done_callback(_seen)
        return future

    def _begins(self, number: int) -> None:
        self.position = self.begin = number
        for history in self._histories.values():
            history.begin(number)

    def _received(self, number: int, octets: bytes, old: bool) -> None:
        self.position = number
        if self._moved:
            moved, self._moved = self._moved, []
            for future in moved:
                if not future.done():
                    future.set_result(None)
        try:
            envelope = self._reads.decode(octets)
        except EnvelopeError as exc:
            logger.warning("the log has something else in it: %s", exc)
            return
        if envelope is None or "nsp" not in envelope.fields:
            return
        node, kind, fields = envelope
        name = fields.pop("nsp")
        adapter = self._adapters.get(name)
        own = node == self._presence.node
        if fields.get("token") is not None:
            assert self._server is not None
            history = self.history(name, self._server)
            _take_kept(history, adapter, number, fields, own=own, old=old)
        elif adapter is not None and not own and not old:
            adapter.take(node, kind, fields)

    def _state(self, state: str) -> None:
        if state == "up":
            unsaved, self._unsaved = self._unsaved, {}
            for key, (octets, until) in unsaved.items():
                self._put(key, octets, until)
            moved, self._moved = self._moved, []
            for future in moved:
                if not future.done():
                    future.set_result(None)
        else:
            for adapter in self._adapters.values():
                adapter.flush_all()

    async def synced(self) -> None:
        """
        Wait until the log is up.

        Raises:
            ConnectionError: It is closed.

        """
        while self.log.state != "up":
            if self.log.state == "closed":
                raise ConnectionError("the log is closed")
            await self._moves(1.0)

    # ---- sessions ----

    def save(self, key: str, fields: dict[str, Any], seconds: float) -> None:
        """Save a session for so long."""
        if seconds <= 0:
            return
        try:
            octets = self._writes.encode("session", **fields)
        except EnvelopeError as exc:
            logger.warning("the state of a client is not kept: %s", exc)
            return
        self._put(key, octets, time.monotonic() + seconds)

    def _put(self, key: str, octets: bytes, until: float) -> None:
        seconds = until - time.monotonic()
        if seconds <= 0:
            return
        self._unsaved[key] = octets, until
        assert self._server is not None
        assert self._server.recovery is not None
        most = self._server.recovery.max_sessions
        while most is not None and len(self._unsaved) > most:
            del self._unsaved[next(iter(self._unsaved))]
        try:
            future = asyncio.ensure_future(self.log.put(key, octets, seconds))
        except ConnectionError:
            return  # once it is back
        self._saving[key] = future

        def done(future: asyncio.Future[Any]) -> None:
            if self._saving.get(key) is future:
                del self._saving[key]
                if not future.cancelled() and future.exception() is None:
                    self._unsaved.pop(key, None)

        future.add_done_callback(done)

    async def saved(self, key: str | None = None) -> None:
        """Wait until a session is saved, or all are, or cannot be."""
        if key is not None:
            if key in self._saving:
                await asyncio.wait([self._saving[key]])
            return
        if self.fetching:
            await asyncio.wait(self.fetching)
        if self._saving:
            await asyncio.wait(list(self._saving.values()))

    async def fetch(self, adapter: KeptAdapter, pid: str, offset: Any) -> None:
        """Have a namespace know of a session, and of all that it may have missed."""
        history = adapter.history
        if not isinstance(history, LogHistory) or not _PID.fullmatch(pid):
            return
        try:
            octets = await self._take(adapter, f"{history.name}:{pid}", pid)
        except ConnectionError:
            return
        if octets is None:
            return
        try:
            envelope = self._reads.decode(octets)
        except EnvelopeError as exc:
            logger.warning("a session is not understood: %s", exc)
            return
        if envelope is None or envelope.kind != "session":
            return
        session = history.adopt(pid, envelope.fields)
        if session is not None:
            await self._reached(max(session.end - 1, history.number_of(offset) or 0))
            history.adopt(pid, envelope.fields)

    async def _take(self, adapter: KeptAdapter, key: str, pid: str) -> bytes | None:
        """Return a session, and forget it wherever it is."""
        await self.saved(key)
        if self.log.state != "up" and key in self._unsaved:
            return self._unsaved.pop(key)[0]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while self.log.state != "up":
            if not await self._moves(deadline - loop.time()):
                return None
        octets = await self.log.take(key)
        if octets is None and self._presence.nodes:
            # The node that it was on may not know yet that it has gone.
            async with self._settling:
                await self._presence.ask(
                    f"settle {adapter.channel}",
                    pid,
                    timeout=min(SETTLING_S, self._timeout),
                    self_too=False,
                )
            # One that did not answer may have saved it on leaving.
            octets = await self.log.take(key)
        return octets

    async def settle(self, adapter: KeptAdapter, pid: Any) -> bool:
        """End a client whose connection has died, and save its session."""
        if type(pid) is not str:
            return False
        key = f"{adapter.namespace.name}:{pid}"
        known = adapter.namespace.end_alive(pid) or key in self._unsaved
        await self.saved(key)
        return known

    async def _reached(self, number: int) -> None:
        """Wait until an entry was read, for a while."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        while self.position < number and await self._moves(deadline - loop.time()):
            pass

    async def _moves(self, seconds: float) -> bool:
        """Wait until something has changed; return whether it has in time."""
        future = asyncio.get_running_loop().create_future()
        self._moved.append(future)
        await asyncio.wait([future], timeout=max(0.0, seconds))
        if not future.done():
            future.cancel()
            if future in self._moved:
                self._moved.remove(future)
            return False
        return True


def _take_kept(
    history: LogHistory,
    adapter: KeptAdapter | None,
    number: int,
    fields: dict[str, Any],
    *,
    own: bool,
    old: bool,
) -> None:
    """Keep an event, and hand it out."""
    text, octets = fields["text"], fields["octets"] or []
    messages = [*([] if text is None else [text]), *octets]
    try:
        messages = with_offset(history.parser, messages, history.offset_of(number))
    except (IndexError, ValueError) as exc:
        logger.warning("the log has something else in it: %s", exc)
        return
    rooms, except_ = (frozenset(fields[name] or ()) for name in ("rooms", "except"))
    history.keep_event(number, rooms, except_, messages)
    if adapter is not None and not old:
        adapter.take_kept(number, messages, fields, own)


def with_offset(
    parser: Parser, messages: list[str | bytes], offset: str
) -> list[str | bytes]:
    """
    Return the messages of an event with its offset behind the data.

    Raises:
        PacketError: They are none.

    """
    first = messages[0]
    if isinstance(parser, JSONParser) and isinstance(first, str) and first[-1:] == "]":
        return [f'{first[:-1]},"{offset}"]', *messages[1:]]
    decoder, packet = parser.decoder(), None
    for message in messages:
        packet = decoder.feed(message)
    if packet is None:
        raise ValueError("not one event")
    packet.data.append(offset)
    return parser.encode(packet)


def _seen(future: asyncio.Future[Any]) -> None:
    """Have nobody complain that a failure was not looked at."""
    if not future.cancelled():
        future.exception()
