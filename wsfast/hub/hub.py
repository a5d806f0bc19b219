"""Topics of one process, or of many nodes on a bus."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakValueDictionary

from ..exceptions import ConcurrencyError, WebSocketException
from .bus import Bus
from .envelope import Codec, Envelope, EnvelopeError, new_node_id
from .members import Member, Message, Policy
from .presence import Presence
from .topic import Topic

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Hub", "TooManyTopics"]

KINDS: Final = {"publish": {"text": (str, None), "data": (bytes, None)}}


class TooManyTopics(WebSocketException):
    """A member subscribes to more topics than it may be in."""


class Hub:
    """
    Topics, to which connections of all kinds subscribe.

    Without a bus it needs no start, and works in one process. With one it is used by
    ``async with``, or by :meth:`start` and :meth:`close`; what is published reaches the
    members on all nodes, and while the bus is away those of this one. It belongs to one
    event loop.

    Args:
        bus: What carries messages to other nodes; it is started and closed with the
            hub, unless it has been started.
        name: Name of the hub: nodes with the same one share topics.
        policy: What becomes of messages for members that are slow; see :class:`Topic`.
        max_buffered: Octets in the output of a member above which it is.
        max_topics: Topics that a member may be in.
        node: ID of this node; by default a new one.
        info: What this node tells the others of itself, as JSON has it.
        format: What nodes write, ``"json"`` or ``"msgpack"``; they read both if msgpack
            is installed.
        max_size: Most octets of a message between nodes, as it is written.
        interval: Seconds between two signs of life of a node.
        expiry: Seconds without one after which it has gone.
        logger: Logger; by default ``wsfast.hub``.

    Attributes:
        bus: The bus, or None.
        presence: The nodes, and questions to them; None without a bus.
        dropped: Messages that members missed because they were slow.

    Raises:
        ValueError: An argument is out of its range.

    """

    def __init__(
        self,
        bus: Bus | None = None,
        *,
        name: str = "wsfast",
        policy: Policy = "skip",
        max_buffered: int | None = None,
        max_topics: int = 1_000,
        node: str | None = None,
        info: Mapping[str, Any] | None = None,
        format: Literal["json", "msgpack"] = "json",  # noqa: A002 - as of Codec
        max_size: int = 1 << 20,
        interval: float = 5.0,
        expiry: float = 15.0,
        logger: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        if max_topics < 1:
            raise ValueError("max_topics must be positive")
        self.bus: Final = bus
        self.prefix: Final = f"{name}:topic:"
        self.node: Final = new_node_id() if node is None else node
        self.policy: Policy = policy
        self.max_buffered = max_buffered
        self.max_topics: Final = max_topics
        self.logger = logging.getLogger("wsfast.hub") if logger is None else logger
        self.dropped = 0
        self._codec = Codec(self.node, KINDS, format=format, max_size=max_size)
        self.presence: Presence | None = None
        if bus is not None:
            self.presence = Presence(
                bus,
                node=self.node,
                name=name,
                info=info,
                format=format,
                max_size=max_size,
                interval=interval,
                expiry=expiry,
                logger=logger,
            )
            self.presence.answer("members", self._tell_members)
        #: Those that somebody holds, and among them those with members.
        self._topics: WeakValueDictionary[str, Topic] = WeakValueDictionary()
        self._active: dict[str, Topic] = {}
        self._memberships: dict[Member, set[Topic]] = {}
        self._thread: int | None = None
        self._owns_bus = False
        Topic(self, "check", policy, max_buffered)

    # ---- the two ends of its life ----

    async def start(self) -> None:
        """Begin to talk to other nodes; does not wait until they are reached."""
        self.check_thread()
        if self.bus is None or self.presence is None:
            return
        if self.bus.state == "closed":
            self._owns_bus = True
            await self.bus.start()
        await self.presence.start()

    async def close(self) -> None:
        """Leave the other nodes; topics go on in this one."""
        if self.bus is None or self.presence is None:
            return
        await self.presence.close()
        if self._owns_bus:
            self._owns_bus = False
            await self.bus.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def synced(self) -> None:
        """
        Wait until the bus is up and knows of all topics that have members by now.

        Raises:
            ConnectionError: The hub is closed.

        """
        if self.bus is not None:
            await self.bus.synced()

    def check_thread(self) -> None:
        """
        See that this is the thread of the event loop, the first that the hub met.

        Raises:
            ConcurrencyError: It is another.

        """
        current = threading.get_ident()
        if self._thread is None:
            self._thread = current
        elif self._thread != current:
            raise ConcurrencyError("the hub belongs to another thread")

    # ---- topics ----

    def topic(
        self,
        name: str,
        *,
        policy: Policy | None = None,
        max_buffered: int | None = None,
    ) -> Topic:
        """
        Return the topic of this name; it exists as long as it has members, or is held.

        Args:
            name: Its name.
            policy: What becomes of messages for members that are slow, if it is to be
                set: for those that subscribe from now on.
            max_buffered: Octets in the output of a member above which it is.

        Raises:
            ValueError: The name is empty or too long; the policy is none.

        """
        topic = self._active.get(name) or self._topics.get(name)
        if topic is None:
            if policy is None:
                policy = self.policy
                if max_buffered is None:
                    max_buffered = self.max_buffered
            topic = self._topics[name] = Topic(self, name, policy, max_buffered)
        elif policy is not None or max_buffered is not None:
            changed = Topic(self, name, policy or topic.policy, max_buffered)
            topic.policy, topic.max_buffered = changed.policy, changed.max_buffered
        return topic

    def topics_of(self, member: Member) -> list[str]:
        """Return the names of the topics that a member is in."""
        return sorted(topic.name for topic in self._memberships.get(member, ()))

    def remove(self, member: Member) -> None:
        """Take a member out of all its topics; done by itself when it has closed."""
        topics = self._memberships.get(member, set())
        while topics:
            topic = topics.pop()
            if topic.drop(member):
                self._empty(topic)

    def _closed(self, member: Member) -> None:
        self.remove(member)
        self._memberships.pop(member, None)

    @property
    def active(self) -> int:
        """How many topics have members on this node."""
        return len(self._active)

    @property
    def members(self) -> int:
        """How many connections of this node are in topics."""
        return sum(map(bool, self._memberships.values()))

    # ---- for topics ----

    def enter(self, topic: Topic, member: Member) -> None:
        """
        Note that a member is in a topic.

        Raises:
            TooManyTopics: It is in as many as it may be in.

        """
        self.check_thread()
        topics = self._memberships.get(member)
        if topics is None:
            topics = self._memberships[member] = set()
            member.when_closed(lambda: self._closed(member))
        elif topic in topics:
            return
        elif len(topics) >= self.max_topics:
            raise TooManyTopics(f"a member may be in {self.max_topics} topics")
        topics.add(topic)
        if not len(topic):
            self._topics[topic.name] = self._active[topic.name] = topic
            if self.bus is not None:
                self.bus.subscribe(topic.channel, topic.from_bus)

    def leave(self, topic: Topic, member: Member) -> None:
        """Note that a member leaves a topic."""
        topics = self._memberships[member]
        topics.discard(topic)
        if topic.drop(member):
            self._empty(topic)

    def _empty(self, topic: Topic) -> None:
        del self._active[topic.name]
        if self.bus is not None:
            self.bus.unsubscribe(topic.channel, topic.from_bus)

    def forward(self, topic: Topic, message: Message) -> None:
        """
        Publish a message to the other nodes.

        Raises:
            EnvelopeError: It is too long.

        """
        assert self.bus is not None
        if isinstance(message.data, str):
            octets = self._codec.encode("publish", text=message.data)
        else:
            octets = self._codec.encode("publish", data=message.data)
        self.bus.publish(topic.channel, octets)

    def understood(self, octets: bytes) -> Envelope | None:
        """Return what another node has sent, None for what is to be ignored."""
        try:
            return self._codec.decode(octets)
        except EnvelopeError as exc:
            level = logging.WARNING if self._codec.refused == 1 else logging.DEBUG
            self.logger.log(level, "the hub did not understand a node: %s", exc)
            return None

    @property
    def refused(self) -> int:
        """How many messages of other nodes were not understood."""
        return self._codec.refused

    # ---- over all nodes ----

    async def fetch(self, topic: Topic, timeout: float) -> list[tuple[str, Any]]:
        """Return the members of a topic on all nodes; see :meth:`Topic.fetch`."""
        if self.presence is None:
            return [(self.node, info) for info in topic.infos()]
        answers = await self.presence.ask("members", topic.name, timeout=timeout)
        failed = {**answers.failed, **dict.fromkeys(answers.missing, "no answer")}
        for node, why in failed.items():
            self.logger.warning("members of %r on node %s: %s", topic.name, node, why)
        return [
            (node, info)
            for node, infos in answers.answers.items()
            if isinstance(infos, list)
            for info in infos
        ]

    def _tell_members(self, node: str, name: Any) -> list[Any]:
        topic = self._active.get(name) if isinstance(name, str) else None
        return [] if topic is None else topic.infos()
