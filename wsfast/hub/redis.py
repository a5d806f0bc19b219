"""Redis between the nodes: PUB/SUB, and the sharded PUB/SUB of Redis 7."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

try:
    from redis.asyncio import ConnectionPool
    from redis.crc import key_slot
    from redis.exceptions import (
        AskError,
        ClusterDownError,
        MovedError,
        ResponseError,
    )
except ImportError as exc:
    raise ImportError("this needs redis-py: pip install 'wsfast[redis]'") from exc

from ..asyncio._timeout import timeout
from ._redis_link import Command, Link, Verbs, make_pool
from ._tasks import first_failure
from .bus import Bus

__all__ = ["RedisBus", "RedisShardedBus"]

#: Commands that are sent in one go when all channels are subscribed to again.
COMMANDS_AT_ONCE = 500


class RedisBus(Bus):
    """
    A bus over the PUB/SUB of a Redis server, by redis-py.

    There are two connections: one publishes and has each message confirmed, the other
    is subscribed. Both are asked for signs of life.

    Args:
        url: ``redis://[[user]:[password]@]host[:port]``, ``rediss://`` for TLS, or
            ``unix://[[user]:[password]@]path``.
        connection: Further options of redis-py's connections, such as ``password`` and
            ``ssl_ca_certs``.
        options: Those of :class:`Bus`.

    Raises:
        ValueError: ``url`` is none, or an option is out of its range.

    """

    _verbs = Verbs("")

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        connection: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._connection = dict(connection or {})
        self._pool = make_pool(url, self._connection)
        self._links: list[Link] = []

    def _link(self, pool: ConnectionPool) -> Link:
        """Return a link that will be cut at the end of the session."""
        link = Link(pool, self._verbs, self.liveness)
        self._links.append(link)
        return link

    async def _connect(self) -> None:
        """Make the links."""
        await self._link(self._pool).connect()

    def _link_of(self, channel: str) -> Link:
        """Return the link to the server that a channel is on."""
        return self._links[0]

    async def _serve(self) -> None:
        try:
            await self._connect()
            subscribed = asyncio.Event()
            await first_failure(
                self._follow(subscribed),
                self._publish(subscribed),
                *(link.read(self._received) for link in self._links),
                *(link.watch() for link in self._links),
            )
        finally:
            links, self._links = self._links, []
            for link in links:
                await link.disconnect()

    # ---- publishing ----

    async def _publish(self, subscribed: asyncio.Event) -> None:
        """Hand over what is queued; if nothing is, ask for a sign of life."""
        await subscribed.wait()
        while True:
            try:
                async with timeout(self.liveness / 4):
                    await self._wake.wait()
            except asyncio.TimeoutError:
                for link in self._links:
                    await link.ask([("PING",)], _unless_refused)
                continue
            verb = self._verbs.publish
            commands: dict[Link, list[Command]] = {}
            for channel, octets in self._next_batch():
                try:
                    link = self._link_of(channel)
                except ConnectionError as exc:  # noqa: PERF203 - others go on
                    self._handed_over(refused=exc)
                else:
                    commands.setdefault(link, []).append((verb, channel, octets))
            for link, several in commands.items():
                await link.ask(several, self._answered)
            await self._ask()

    async def _ask(self) -> None:
        """Ask the server what else there is to ask, on the publishing connection."""

    def _answered(self, answer: Any) -> None:
        if isinstance(answer, ResponseError):
            self._handed_over(refused=answer)
            if isinstance(answer, (MovedError, AskError, ClusterDownError)):
                raise ConnectionError(f"the channel has moved: {answer}")
        else:
            self._handed_over()

    # ---- subscribing ----

    async def _follow(self, subscribed: asyncio.Event) -> None:
        """Subscribe to all channels, then follow those that come and go."""
        changed: Iterable[str] = tuple(self._callbacks)
        self._changed.clear()
        while True:
            self._turn.clear()
            version = self._version
            await self._subscribe(changed)
            self._confirm(version)
            if not self._changed and not subscribed.is_set():
                subscribed.set()
                self._is_up()
            if not self._changed:
                await self._turn.wait()
            changed, self._changed = self._changed, set()

    async def _subscribe(self, changed: Iterable[str]) -> None:
        commands: dict[Link, list[Command]] = {link: [] for link in self._links}
        for channel in changed:
            link = self._link_of(channel)
            if channel in self._callbacks and channel not in link.channels:
                link.channels.add(channel)
                commands[link].append((self._verbs.subscribe, channel))
            elif channel not in self._callbacks and channel in link.channels:
                link.channels.discard(channel)
                commands[link].append((self._verbs.unsubscribe, channel))
        for link, several in commands.items():
            for start in range(0, len(several), COMMANDS_AT_ONCE):
                await link.tell(several[start : start + COMMANDS_AT_ONCE])


class RedisShardedBus(RedisBus):
    """
    A bus over the sharded PUB/SUB of Redis 7 and later, in a cluster or on one server.

    A channel is on the server that its name's hash slot is on, and no other server of a
    cluster hears of its messages. When a slot moves, all is connected and subscribed
    again.

    Args:
        url: Of any server of the cluster; others are learnt from it.
        fallbacks: Further ones, in case that this one is away.
        connection: As for :class:`RedisBus`.
        options: Those of :class:`Bus`.

    Raises:
        ValueError: As for :class:`RedisBus`.

    """

    _verbs = Verbs("S")

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        fallbacks: Iterable[str] = (),
        connection: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, connection=connection, **options)
        self._seeds = [self._pool]
        self._seeds += [make_pool(other, self._connection) for other in fallbacks]
        self._slots: list[Link | None] = []
        self._ranges: list[tuple[int, int, tuple[str, int]]] = []
        self._looked_at = 0.0

    async def _connect(self) -> None:
        shards = self._ranges = await self._shards()
        self._looked_at = asyncio.get_running_loop().time()
        self._slots = [None] * 16384
        links: dict[tuple[str, int], Link] = {}
        for first, last, address in shards:
            if address not in links:
                links[address] = self._link(self._pool_of(*address))
            self._slots[first : last + 1] = [links[address]] * (last + 1 - first)
        for link in self._links:
            await link.connect()

    def _pool_of(self, host: str, port: int) -> ConnectionPool:
        pool = self._seeds[0]
        if not host:  # it serves all slots itself
            return pool
        options = {**pool.connection_kwargs, "host": host, "port": port}
        return ConnectionPool(connection_class=pool.connection_class, **options)

    async def _shards(self) -> list[tuple[int, int, tuple[str, int]]]:
        """Return ranges of slots and where they are, from the first that answers."""
        failure: Exception | None = None
        for pool in tuple(self._seeds):
            link = Link(pool, self._verbs, self.liveness)
            answers: list[Any] = []
            try:
                await link.connect()
                await link.ask([("CLUSTER", "SLOTS")], answers.append)
            except Exception as exc:
                failure = exc
                continue
            finally:
                await link.disconnect()
            # The one that answered is asked first the next time.
            self._seeds.remove(pool)
            self._seeds.insert(0, pool)
            (answer,) = answers
            if isinstance(answer, ResponseError):
                if "cluster support disabled" in str(answer):
                    return [(0, 16383, ("", 0))]
                raise answer
            if not answer:
                raise ConnectionError("the cluster has no slots yet")
            own = pool.connection_kwargs.get("host", "127.0.0.1")
            return [
                (first, last, (main[0].decode() if main[0] else own, main[1]))
                for first, last, main, *_ in answer
            ]
        raise ConnectionError("no server of the cluster answers") from failure

    async def _ask(self) -> None:
        """See now and then whether slots without a server have got one."""
        now = asyncio.get_running_loop().time()
        if None in self._slots and now - self._looked_at >= self.liveness:
            self._looked_at = now
            if await self._shards() != self._ranges:
                raise ConnectionError("the slots of the cluster have moved")

    def _link_of(self, channel: str) -> Link:
        link = self._slots[int(key_slot(channel.encode()))]
        if link is None:
            raise ConnectionError(f"no server has the slot of {channel!r}")
        return link


def _unless_refused(answer: Any) -> None:
    if isinstance(answer, ResponseError):
        raise answer
