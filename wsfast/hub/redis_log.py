"""A log in Redis: what any node appends, all nodes read, in one order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

try:
    from redis.asyncio import ConnectionPool
    from redis.exceptions import MovedError, ResponseError
except ImportError as exc:
    raise ImportError("this needs redis-py: pip install 'wsfast[redis]'") from exc

from ..asyncio._timeout import timeout
from ..protocol.retrying import backoff
from ._redis_link import make_pool
from ._tasks import end, first_failure
from .bus import BATCH, HEALTHY_S, BusState

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RedisLog"]

#: Entries that are read in one go, and that are trimmed together.
CHUNK: Final = 256

Command = tuple[Any, ...]


class RedisLog:
    """
    A stream of Redis (6.2 and later) that all nodes append to and follow.

    Each entry has a number, and all nodes read them in the order of these. Whoever was
    away reads what it has missed, as long as that is kept: for some time, up to a
    number of entries and of octets. Beside it, values can be put under keys, for a
    time. Belongs to the event loop that it was started in.

    Args:
        url: ``redis://[[user]:[password]@]host[:port]``, ``rediss://`` for TLS, or
            ``unix://[[user]:[password]@]path``; of a cluster, that of any server.
        name: The key of the stream, and what other keys begin with: the same on all
            nodes. On a cluster, all of them are on one server, by a hash tag:
            ``"{wsfast}:log"``.
        max_entries: Entries that are kept.
        max_size: Octets of them.
        max_waiting: Commands that wait for an answer; beyond, they are refused.
        liveness: Seconds without an answer after which Redis is taken to be away, at
            most 5.
        min_retry: Seconds until the first attempt to connect again.
        max_retry: Most seconds between two attempts.
        connection: Further options of redis-py's connections.
        logger: Logger; by default ``wsfast.hub``.

    Attributes:
        state: ``"up"`` while it is connected and all that there was has been read.

    Raises:
        ValueError: An argument is out of its range.

    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        name: str = "wsfast:log",
        max_entries: int = 100_000,
        max_size: int = 64 << 20,
        max_waiting: int = 10_000,
        liveness: float = 4.0,
        min_retry: float = 0.1,
        max_retry: float = 5.0,
        connection: dict[str, Any] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        if max_entries < 1 or max_size < 1 or max_waiting < 1:
            raise ValueError("max_entries, max_size and max_waiting must be positive")
        if not 0 < liveness <= 5:
            raise ValueError(f"liveness must be above 0 and at most 5 s: {liveness}")
        if not 0 < min_retry <= max_retry:
            raise ValueError("min_retry must be positive and at most max_retry")
        self.name: Final = name
        self.state: BusState = "closed"
        self.logger = logging.getLogger("wsfast.hub") if logger is None else logger
        #: Where to connect; of a cluster, where the stream was last is beside it.
        self._pools = deque([make_pool(url, dict(connection or {}))])
        self._seed = self._pools[0]
        self._max_entries = max_entries
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._liveness = liveness
        self._min_retry = min_retry
        self._max_retry = max_retry
        self._seconds = 0.0
        self._begins: Callable[[int], object] = _nothing
        self._received: Callable[[int, bytes, bool], object] = _nothing
        self._on_state: Callable[[BusState], object] = _nothing
        self._followed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last: int | None = None  # number of the last entry that was read
        self._queue: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._sent: deque[asyncio.Future[Any]] = deque()
        self._wake = asyncio.Event()
        self._chunks: deque[list[int]] = deque()  # last number, entries, octets of each
        self._entries = 0
        self._size = 0

    # ---- the two ends of its life ----

    def follow(
        self,
        begins: Callable[[int], object],
        received: Callable[[int, bytes, bool], object],
        *,
        seconds: float,
        on_state: Callable[[BusState], object] = lambda state: None,
    ) -> None:
        """
        Have all entries told; once.

        Args:
            begins: ``begins(number)``: all entries above this number will be told, and
                others are lost. Called first, and after an outage in which some were.
            received: ``received(number, octets, old)``; an entry that was there when
                this node began is old.
            seconds: How long entries are kept.
            on_state: ``on_state(state)``.

        Raises:
            RuntimeError: It has a follower.

        """
        if self._followed.is_set():
            raise RuntimeError("the log has a follower")
        self._begins, self._received, self._on_state = begins, received, on_state
        self._seconds = seconds
        self._followed.set()

    async def start(self) -> None:
        """
        Begin to connect, and go on until :meth:`close`; does not wait for the result.

        Raises:
            RuntimeError: It has been started.

        """
        if self._task is not None:
            raise RuntimeError("the log has been started")
        self._set_state("down")
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Wait for answers to what was asked, for a while, and disconnect."""
        task, self._task = self._task, None
        if task is None:
            return
        waiting = [*self._sent, *(future for _, future in self._queue)]
        if self.state == "up" and waiting:
            await asyncio.wait(waiting, timeout=self._liveness)
        await end([task])
        self._fail("the log was closed")
        self._set_state("closed")

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

    # ---- what it does ----

    def append(self, octets: bytes) -> asyncio.Future[bytes]:
        """
        Append an entry.

        Returns:
            A future of its ID. It fails with ``ConnectionError`` if Redis goes
            meanwhile: then the entry may be there, or not.

        Raises:
            ConnectionError: Redis is away, or does not keep up.

        """
        return self._ask("XADD", self.name, "*", "e", octets)

    def put(self, key: str, octets: bytes, seconds: float) -> asyncio.Future[Any]:
        """Keep a value for so long; as :meth:`append` otherwise."""
        ms = max(1, int(seconds * 1000))
        return self._ask("SET", f"{self.name}:{key}", octets, "PX", ms)

    def take(self, key: str) -> asyncio.Future[bytes | None]:
        """Return a value and forget it, None if there is none; as :meth:`append`."""
        return self._ask("GETDEL", f"{self.name}:{key}")

    def _ask(self, *command: Any) -> asyncio.Future[Any]:
        if self.state != "up":
            raise ConnectionError("the log is away")
        if len(self._queue) + len(self._sent) >= self._max_waiting:
            raise ConnectionError("the log does not keep up")
        return self._submit(*command)

    def _submit(self, *command: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._queue.append((command, future))
        self._wake.set()
        return future

    # ---- inside ----

    def _set_state(self, state: BusState) -> None:
        if state != self.state:
            self.state = state
            self._call(self._on_state, state)

    def _call(self, callback: Callable[..., object], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as exc:
            self.logger.error("a callback of the log failed", exc_info=exc)

    def _fail(self, why: str) -> None:
        """Fail what has no answer."""
        waiting = [*self._sent, *(future for _, future in self._queue)]
        self._sent.clear()
        self._queue.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionError(why))

    async def _run(self) -> None:
        """Serve, again and again."""
        await self._followed.wait()
        loop = asyncio.get_running_loop()
        delays = backoff(self._min_retry * 2, 2.0, self._max_retry)
        known = ""
        while True:
            began = loop.time()
            try:
                await self._serve()
            except MovedError as exc:
                failure = self._moved(exc)
            except Exception as exc:
                failure = f"{type(exc).__name__}: {exc}"
                self._pools.rotate()
            if self.state == "up" or failure != known:
                self.logger.warning("the log is away: %s", failure)
            if self.state == "up" and loop.time() - began >= HEALTHY_S:
                delays = backoff(self._min_retry * 2, 2.0, self._max_retry)
            known = failure
            self._set_state("down")
            self._fail(failure)
            await asyncio.sleep(max(self._min_retry, next(delays)))

    def _moved(self, exc: MovedError) -> str:
        """Look elsewhere in the cluster; return what has happened."""
        start = self.name.find("{")
        if not 0 <= start < self.name.find("}", start + 1) - 1:
            return f"a name on a cluster has a hash tag, unlike {self.name!r}: {exc}"
        seed = self._seed
        options = {**seed.connection_kwargs, "port": exc.port}
        if exc.host:  # the same one, otherwise
            options["host"] = exc.host
        pool = ConnectionPool(connection_class=seed.connection_class, **options)
        self._pools = deque([pool, seed])
        return f"the log is on another server: {exc}"

    async def _serve(self) -> None:
        """Connect, read what there is, then follow; until that fails."""
        make: Callable[[], Any] = self._pools[0].make_connection
        asking, reading = make(), make()
        try:
            async with timeout(self._liveness):
                await asking.connect()
                await reading.connect()
            boundary = await self._find_begin(asking)
            while await self._read_some(reading, boundary):  # noqa: ASYNC110
                await asyncio.sleep(0)
            self._wake.clear()
            self._set_state("up")
            await first_failure(
                self._send(asking),
                self._take_answers(asking),
                self._follow(reading),
                self._watch(),
            )
        finally:
            for connection in (asking, reading):
                writer = getattr(connection, "_writer", None)
                if writer is not None:
                    writer.transport.abort()
                with contextlib.suppress(Exception):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(0)  # the sockets are closed then

    async def _command(self, connection: Any, *command: Any) -> Any:
        """Send a command and return its answer."""
        if not connection.is_connected:  # it would connect again by itself
            raise ConnectionError("the connection is gone")
        async with timeout(self._liveness):
            packed = connection.pack_command(*command)
            await connection.send_packed_command(packed, check_health=False)
            return await connection.read_response()

    # ---- reading ----

    async def _find_begin(self, connection: Any) -> int:
        """
        See from where on all is there; return the number of the last entry.

        The first entry of the stream is never anything but a mark: that nothing above
        it is missing.
        """
        key = self.name
        first = await self._command(connection, "XRANGE", key, "-", "+", "COUNT", 1)
        if not first:
            await self._command(connection, "XADD", key, "*", "e", b"")
            first = await self._command(connection, "XRANGE", key, "-", "+", "COUNT", 1)
        last = await self._command(connection, "XREVRANGE", key, "+", "-", "COUNT", 1)
        begin, boundary = number_of(first[0][0]), number_of(last[0][0])
        known = self._last
        if known is None or not begin <= known <= boundary:
            if known is not None:
                self.logger.warning("the log has lost entries that were not read")
            self._last = begin
            self._chunks.clear()
            self._entries = self._size = 0
            self._call(self._begins, begin)
        return boundary if known is None else 0

    async def _follow(self, connection: Any) -> None:
        """Read what comes."""
        wait_ms = max(1, int(self._liveness * 250))
        while True:
            await self._read_some(connection, 0, "BLOCK", wait_ms)

    async def _read_some(self, connection: Any, boundary: int, *terms: Any) -> int:
        """Read some entries; return how many."""
        assert self._last is not None
        answer = await self._command(
            connection,
            *("XREAD", "COUNT", CHUNK, *terms),
            *("STREAMS", self.name, id_of(self._last)),
        )
        if not answer:
            return 0
        entries: list[Any] = answer[0][1]
        for ident, fields in entries:
            number = self._last = number_of(ident)
            octets = fields[1] if fields and len(fields) == 2 else b""
            if not self._chunks or self._chunks[-1][1] >= CHUNK:
                self._chunks.append([number, 0, 0])
            chunk, size = self._chunks[-1], len(octets)
            chunk[0] = number
            chunk[1] += 1
            chunk[2] += size
            self._entries += 1
            self._size += size
            if octets:
                self._call(self._received, number, octets, number <= boundary)
        return len(entries)

    # ---- asking ----

    async def _send(self, connection: Any) -> None:
        """Send commands, as many as there are at once."""
        queue = self._queue
        while True:
            await self._wake.wait()
            self._wake.clear()
            while queue:
                batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
                self._sent += [future for _, future in batch]
                if not connection.is_connected:
                    raise ConnectionError("the connection is gone")
                packed = connection.pack_commands([command for command, _ in batch])
                async with timeout(self._liveness):
                    await connection.send_packed_command(packed, check_health=False)

    async def _take_answers(self, connection: Any) -> None:
        """Take the answers, in their order; :meth:`_watch` sees that they come."""
        while True:
            failure = None
            try:
                answer = await connection.read_response()
            except ResponseError as exc:
                answer, failure = None, exc
            future = self._sent.popleft()
            if future.done():
                pass
            elif failure is not None:
                future.set_exception(ConnectionError(f"Redis says: {failure}"))
            else:
                future.set_result(answer)
            if isinstance(failure, MovedError):
                raise failure

    async def _watch(self) -> None:
        """Ask for a sign of life, and have entries forgotten, again and again."""
        while True:
            await asyncio.sleep(self._liveness / 4)
            async with timeout(self._liveness * 3 / 4):
                now, _ = await self._submit("TIME")
                oldest = (int(now) * 1000 - int(self._seconds * 1000)) << 64
                mark = 0
                while self._chunks and (
                    self._chunks[0][0] < oldest
                    or self._entries > self._max_entries
                    or self._size > self._max_size
                ):
                    mark, entries, size = self._chunks.popleft()
                    self._entries -= entries
                    self._size -= size
                if mark:  # it stays as the mark
                    await self._submit("XTRIM", self.name, "MINID", id_of(mark))
                expiry = int(self._seconds * 2000) + 60_000
                await self._submit("PEXPIRE", self.name, expiry)


def number_of(ident: bytes) -> int:
    """Return the number of the entry with this ID."""
    ms, _, seq = ident.partition(b"-")
    return int(ms) << 64 | int(seq)


def id_of(number: int) -> str:
    """Return the ID of the entry with this number."""
    return f"{number >> 64}-{number & (1 << 64) - 1}"


def _nothing(*arguments: object) -> None:
    """Do nothing."""
