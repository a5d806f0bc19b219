"""Channels by pattern, and who listens, for protocols that others have drawn up."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .bus import Callback
from .redis import RedisBus, RedisShardedBus

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

    from ._redis_link import Command, Link

__all__ = ["Counting", "RedisCountingBus", "RedisPatternBus", "escaped"]

_SPECIAL: Final = re.compile(r"([*?\[\]\\])")


def escaped(name: str) -> str:
    """Return the pattern that matches a name alone."""
    return _SPECIAL.sub(r"\\\1", name)


class Counting(RedisBus):
    """
    A bus that counts subscribers, too.

    A channel may have any name here that UTF-8 can hold.
    """

    _count: str  # the command

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._questions: deque[tuple[str, asyncio.Future[int]]] = deque()

    def _check_channel(self, name: str) -> None:
        if not name:
            raise ValueError("a channel has a name")
        name.encode()

    async def subscribers(self, channel: str) -> int:
        """
        Return how many connections are subscribed to a channel, patterns aside.

        Raises:
            ConnectionError: The server is away.

        """
        if self.state != "up":
            raise ConnectionError("the bus is away")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[int] = loop.create_future()
        self._questions.append((channel, answered))
        self._wake.set()
        return await answered

    async def _serve(self) -> None:
        try:
            await super()._serve()
        finally:
            while self._questions:
                answered = self._questions.popleft()[1]
                if not answered.done():
                    answered.set_exception(ConnectionError("the bus went away"))

    async def _ask(self) -> None:
        """Ask how many subscribers channels have."""
        await super()._ask()
        while self._questions:
            channel, answered = self._questions[0]
            answers: list[Any] = []
            command = ("PUBSUB", self._count, channel)
            await self._link_of(channel).ask([command], answers.append)
            self._questions.popleft()
            if answered.done():
                continue
            try:
                answered.set_result(int(answers[0][1]))
            except (LookupError, TypeError, ValueError):  # as it is not allowed to
                answered.set_exception(ConnectionError(f"no number: {answers[0]!r}"))


class RedisPatternBus(Counting):
    """
    A :class:`RedisBus` that follows patterns and counts subscribers, too.

    The arguments are those of :class:`RedisBus`.
    """

    _count = "NUMSUB"

    def __init__(self, url: str = "redis://127.0.0.1:6379", **options: Any) -> None:
        super().__init__(url, **options)
        self._patterns: dict[str, Callback] = {}
        self._told_patterns: set[str] = set()  # of those, by the server

    def subscribe_pattern(self, pattern: str, callback: Callback) -> None:
        """
        Have messages of all channels delivered whose names match a pattern.

        Args:
            pattern: As that of ``PSUBSCRIBE``; see :func:`escaped`.
            callback: As that of :meth:`subscribe`; a pattern has one.

        Raises:
            ValueError: The pattern is empty, or not to be encoded.

        """
        self._check_channel(pattern)
        self._patterns[pattern] = callback
        self._pattern_changes()

    def unsubscribe_pattern(self, pattern: str) -> None:
        """End what :meth:`subscribe_pattern` began; else do nothing."""
        if self._patterns.pop(pattern, None) is not None:
            self._pattern_changes()

    def _pattern_changes(self) -> None:
        self._version += 1
        self._turn.set()

    def _link(self, pool: ConnectionPool) -> Link:
        link = super()._link(pool)
        link.matched = self._matched
        return link

    def _matched(self, pattern: str, channel: str, octets: bytes) -> None:
        callback = self._patterns.get(pattern)
        if callback is not None:
            self._call(callback, channel, octets)

    async def _serve(self) -> None:
        self._told_patterns.clear()
        await super()._serve()

    async def _subscribe(self, changed: Iterable[str]) -> None:
        await super()._subscribe(changed)
        wanted = set(self._patterns)
        verbs = {
            "PSUBSCRIBE": wanted - self._told_patterns,
            "PUNSUBSCRIBE": self._told_patterns - wanted,
        }
        self._told_patterns = wanted
        commands: list[Command] = [(v, *sorted(p)) for v, p in verbs.items() if p]
        if commands:
            await self._links[0].tell(commands)


class RedisCountingBus(Counting, RedisShardedBus):
    """
    A :class:`RedisShardedBus` that counts subscribers, too.

    The arguments are those of :class:`RedisShardedBus`.
    """

    _count = "SHARDNUMSUB"
