"""A topic: its members, and what becomes of messages for those that are too slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from ..asyncio.fanout import fan_out
from .bus import MAX_CHANNEL
from .members import GONE, POLICIES, QUEUED, Member, Message, Policy

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["Topic"]

#: What a channel's name may hold as it is.
PLAIN: Final = "!$&'()*+,-./:;<=>?@[]^_`{|}~"
#: Octets that may wait for a member before the policy "close" closes it.
CLOSE_ABOVE: Final = 1 << 20


class Terms(NamedTuple):
    """
    The terms of a member, shared by all that have the same.

    Attributes:
        policy: What becomes of messages while the member is slow.
        limit: Octets in its output above which it is; -1 for its own high-water mark.
        info: What the member told of itself.

    """

    policy: Policy
    limit: int
    info: Any


class Topic:
    """
    A topic of a :class:`Hub`, which makes it: ``hub.topic(name)``.

    Attributes:
        name: Its name.
        policy: What becomes of messages for members that are slow, unless they
            subscribed with another: ``"skip"`` drops them; ``"latest"`` keeps the last
            one, and sends it as soon as there is room; ``"close"`` closes the
            connection with 1008.
        max_buffered: Octets in the output of a member above which it is slow; None for
            its own high-water mark (``write_limit``), and for 1 MiB with ``"close"``.
        dropped: Messages that members of this node missed because they were slow.
        closed: Members that were closed because they were.

    """

    def __init__(
        self, hub: Hub, name: str, policy: Policy, max_buffered: int | None
    ) -> None:
        self.name: Final = name
        self.channel: Final = hub.prefix + quote(name, safe=PLAIN)
        if not name or len(self.channel) > MAX_CHANNEL:
            raise ValueError(f"a topic's name must fit into {MAX_CHANNEL} octets")
        self.policy: Policy = policy
        self.max_buffered = max_buffered
        self.dropped = 0
        self.closed = 0
        self._hub = hub
        self._members: dict[Member, Terms] = {}
        #: With the policy "latest": what waits for members until there is room.
        self._latest: dict[Member, Message] = {}
        self._usual = Terms(policy, limit_of(policy, max_buffered), None)
        #: How many members have another limit than the usual one.
        self._unusual = 0

    def __len__(self) -> int:
        """Return how many members of this node there are."""
        return len(self._members)

    def __contains__(self, member: Member) -> bool:
        return member in self._members

    # ---- members ----

    def subscribe(
        self,
        member: Member,
        *,
        policy: Policy | None = None,
        max_buffered: int | None = None,
        info: Any = None,
    ) -> None:
        """
        Have a member get what is published from now on, until its connection ends.

        To subscribe again changes the terms.

        Args:
            member: A connection.
            policy: As of the topic, for this member.
            max_buffered: Likewise.
            info: What :meth:`fetch` tells of the member, as JSON has it.

        Raises:
            TooManyTopics: The member is in as many topics as it may be in.
            ValueError: The policy is none, or has no such limit.

        """
        if policy is None:
            policy = self.policy
            if max_buffered is None:
                max_buffered = self.max_buffered
        terms = Terms(policy, limit_of(policy, max_buffered), info)
        if terms == self._usual:
            terms = self._usual
        self._hub.enter(self, member)
        before = self._members.get(member, self._usual)
        self._unusual += self._is_unusual(terms) - self._is_unusual(before)
        self._members[member] = terms

    def unsubscribe(self, member: Member) -> None:
        """End what :meth:`subscribe` began; do nothing if it has ended."""
        if member in self._members:
            self._hub.leave(self, member)

    def drop(self, member: Member) -> bool:
        """Take a member out; return whether none is left. For the hub."""
        self._unusual -= self._is_unusual(self._members.pop(member))
        self._latest.pop(member, None)
        return not self._members

    def _is_unusual(self, terms: Terms) -> bool:
        return terms.limit != self._usual.limit

    async def fetch(self, timeout: float = 5.0) -> list[tuple[str, Any]]:
        """
        Return the members on all nodes: the ID of the node of each, and its ``info``.

        Nodes that do not answer, or have gone, are logged; their members are missing.

        Args:
            timeout: Seconds to wait for nodes that do not answer.

        """
        return await self._hub.fetch(self, timeout)

    def infos(self) -> list[Any]:
        """Return what the members of this node told of themselves."""
        return [terms.info for terms in self._members.values()]

    # ---- messages ----

    def publish(
        self,
        message: str | bytes | bytearray | memoryview | Message,
        *,
        except_: Member | Iterable[Member] = (),
        local: bool = False,
    ) -> int:
        """
        Send a message to all members, on all nodes; never waits.

        Args:
            message: ``str`` for a text message, octets for a binary one.
            except_: Members of this node that do not get it: one, or several.
            local: Whether it is for the members of this node alone.

        Returns:
            How many members of this node it was queued for.

        Raises:
            EnvelopeError: It is too long for the bus; those of this node got it.
            ConcurrencyError: This is not the event loop's thread.

        """
        hub = self._hub
        hub.check_thread()
        if not isinstance(message, Message):
            message = Message(message)
        count = self.deliver(message, except_) if self._members else 0
        if hub.bus is not None and not local:
            hub.forward(self, message)
        return count

    def deliver(self, message: Message, except_: Member | Iterable[Member] = ()) -> int:
        """Queue a message for the members of this node; return for how many."""
        members = list(self._members)
        if except_ != ():
            left_out = set(except_) if isinstance(except_, Iterable) else {except_}
            members = [member for member in members if member not in left_out]
        if self._latest:
            members = [member for member in members if not self._waits(member, message)]
        groups = {self._usual.limit: members}
        if self._unusual:
            groups = {}
            for member in members:
                groups.setdefault(self._members[member].limit, []).append(member)
        count = 0
        for limit, group in groups.items():
            rest = fan_out(group, message, limit)
            count += len(group) - len(rest)
            for place, result in rest:
                self._not_queued(group[place], result, message)
        return count

    def _waits(self, member: Member, message: Message) -> bool:
        """Have a message take the place of the one that waits, if there is one."""
        if member not in self._latest:
            return False
        self._latest[member] = message
        self._missed()
        return True

    def _not_queued(self, member: Member, result: Any, message: Message) -> None:
        """Act on what is said of a member that did not take a message."""
        terms = self._members.get(member)
        if isinstance(result, Exception):
            self._failed(member, result)
        elif result == GONE:
            self._hub.remove(member)
        elif terms is not None:  # otherwise it has left meanwhile
            self._slow(member, terms, message)

    def from_bus(self, channel: str, octets: bytes) -> None:
        """Take what another node has published."""
        envelope = self._hub.understood(octets)
        if envelope is not None:
            text, data = envelope.fields["text"], envelope.fields["data"]
            if text is not None or data is not None:
                self.deliver(Message(data if text is None else text))

    # ---- the slow ones ----

    def _slow(self, member: Member, terms: Terms, message: Message) -> None:
        if terms.policy == "latest":
            self._latest[member] = message
            member.when_drained(lambda: self._drained(member))
        elif terms.policy == "skip":
            self._missed()
        else:
            self.closed += 1
            self._missed()
            self._hub.remove(member)
            self._hub.logger.info("closed a member of %r: too slow", self.name)
            member.close(1008, "too slow")

    def _drained(self, member: Member) -> None:
        message = self._latest.pop(member, None)
        if message is None:
            return  # it has left meanwhile
        terms = self._members[member]
        try:
            result = member.offer(message, terms.limit)
        except Exception as exc:
            self._failed(member, exc)
            return
        if result == GONE:
            self._hub.remove(member)
        elif result != QUEUED:
            self._slow(member, terms, message)

    def _missed(self) -> None:
        self.dropped += 1
        self._hub.dropped += 1

    def _failed(self, member: Member, exc: Exception) -> None:
        self._missed()
        self._hub.logger.warning("a member of %r failed: %s", self.name, exc)


def limit_of(policy: str, max_buffered: int | None) -> int:
    """
    Return the limit of a member with this policy.

    Raises:
        ValueError: The policy is none, or has no such limit.

    """
    if policy not in POLICIES:
        raise ValueError(f"policy must be skip, latest or close, got {policy!r}")
    if max_buffered is None:
        return CLOSE_ABOVE if policy == "close" else -1
    if policy == "latest":
        raise ValueError("latest goes by the high-water mark of the connection itself")
    if max_buffered < 0:
        raise ValueError("max_buffered must be >= 0")
    return max_buffered
