"""Two connections to one Redis server: one publishes, the other is subscribed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ResponseError

from ..asyncio._timeout import timeout
from .bus import BATCH

__all__ = ["Link", "Verbs", "make_pool"]

Command = tuple[Any, ...]


class Verbs:
    """The commands of PUB/SUB, or of sharded PUB/SUB, and what they are told by."""

    def __init__(self, prefix: str) -> None:
        self.publish = f"{prefix}PUBLISH"
        self.subscribe = f"{prefix}SUBSCRIBE"
        self.unsubscribe = f"{prefix}UNSUBSCRIBE"
        self.message = f"{prefix}message".lower().encode()
        self.left = f"{prefix}unsubscribe".lower().encode()


def make_pool(url: str, options: dict[str, Any]) -> ConnectionPool:
    """
    Return what makes connections to a server.

    They connect, send and ask once: whatever is repeated would arrive twice.

    Args:
        url: As redis-py has it: ``redis://``, ``rediss://`` or ``unix://``.
        options: Further ones of redis-py's connections.

    Raises:
        ValueError: ``url`` is none.

    """
    ours = {
        "protocol": 2,
        "socket_timeout": None,
        "health_check_interval": 0,
        "decode_responses": False,
    }
    return ConnectionPool.from_url(url, **{**options, **ours})


class Link:
    """
    The way to one Redis server.

    Args:
        pool: Makes the connections; see `make_pool`.
        verbs: The commands.
        liveness: Seconds without an answer after which the server is away.

    Attributes:
        channels: Those that the server has been told of.
        matched: ``matched(pattern, channel, octets)`` takes what comes by a pattern.

    """

    def __init__(self, pool: ConnectionPool, verbs: Verbs, liveness: float) -> None:
        self.verbs = verbs
        self.channels: set[str] = set()
        self.matched: Callable[[str, str, bytes], object] | None = None
        self._interval = liveness / 4  # of asking
        self._patience = liveness - self._interval
        make: Callable[[], Any] = pool.make_connection
        self._publisher, self._subscriber = make(), make()
        self._telling = asyncio.Lock()
        self._pings: dict[bytes, asyncio.Future[None]] = {}
        self._pinged = 0

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with timeout(self._patience):
                yield
        except asyncio.TimeoutError:
            raise ConnectionError(f"no answer within {self._patience:.3g} s") from None

    async def connect(self) -> None:
        """
        Connect, twice.

        Raises:
            OSError, RedisError: The server cannot be reached, or does not want us.

        """
        async with self._in_time():
            await self._publisher.connect()
            await self._subscriber.connect()

    async def disconnect(self) -> None:
        """Cut both connections, whether the server takes what is left or not."""
        for connection in (self._publisher, self._subscriber):
            writer = getattr(connection, "_writer", None)
            if writer is not None:
                writer.transport.abort()
            with contextlib.suppress(Exception):
                await connection.disconnect(nowait=True)
        await asyncio.sleep(0)  # the sockets are closed then

    async def _send(self, connection: Any, commands: Iterable[Command]) -> None:
        if not connection.is_connected:  # it would connect again by itself
            raise ConnectionError("the connection is gone")
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)

    # ---- the publisher ----

    async def ask(
        self, commands: list[Command], answered: Callable[[Any], object]
    ) -> None:
        """
        Send commands on the publishing connection.

        Args:
            commands: Any but those that subscribe.
            answered: Called with the answer to each; an error that the server answers
                with is one.

        Raises:
            OSError, RedisError: The server does not answer.

        """
        async with self._in_time():
            await self._send(self._publisher, commands)
        for _ in commands:
            async with self._in_time():
                try:
                    answer = await self._publisher.read_response()
                except ResponseError as exc:
                    answer = exc
            answered(answer)

    # ---- the subscriber ----

    async def tell(self, commands: list[Command]) -> None:
        """
        Send commands on the subscribed connection, and wait until all are done.

        Raises:
            OSError, RedisError: The server does not answer.

        """
        self._pinged += 1
        token = b"%d" % self._pinged
        done = self._pings[token] = asyncio.get_running_loop().create_future()
        try:
            async with self._in_time():
                async with self._telling:
                    await self._send(self._subscriber, [*commands, ("PING", token)])
                await done
        finally:
            del self._pings[token]

    async def read(self, received: Callable[[str, bytes], object]) -> None:
        """
        Take what the server has to tell, until the connection ends.

        Raises:
            OSError, RedisError: It has ended; or channels have moved elsewhere.

        """
        verbs = self.verbs
        for count in itertools.count(1):
            if count % BATCH == 0:  # all of them may be there already
                await asyncio.sleep(0)
            answer = await self._subscriber.read_response()
            if not isinstance(
                answer, list
            ):  # to a ping, while nothing is subscribed to
                answer = [b"pong", answer]
            kind = answer[0]
            if kind == verbs.message:
                received(answer[1].decode(errors="replace"), answer[2])
            elif kind == b"pmessage" and self.matched is not None:
                pattern, channel, octets = answer[1:]
                self.matched(pattern.decode(), channel.decode(errors="replace"), octets)
            elif kind == b"pong":
                done = self._pings.get(answer[1])
                if done is not None and not done.done():
                    done.set_result(None)
            elif kind == verbs.left and (answer[1] or b"").decode() in self.channels:
                raise ConnectionError("a channel has moved to another server")

    async def watch(self) -> None:
        """
        Ask both connections for a sign of life, again and again.

        Raises:
            OSError, RedisError: There is none.

        """
        while True:
            await asyncio.sleep(self._interval)
            await self.tell([])
