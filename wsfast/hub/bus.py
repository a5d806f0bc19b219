"""
What carries octets between nodes: :class:`Bus`; inside a process, :class:`MemoryBus`.

A bus knows nothing of what it carries. It delivers at most once: what it loses, because
the other end was away for too long or broke off, it counts.
"""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from ..asyncio._timeout import timeout
from ..protocol.retrying import backoff

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MAX_CHANNEL", "Bus", "BusState", "MemoryBus"]

BusState = Literal["closed", "down", "up"]
Callback = Callable[[str, bytes], object]

#: Most octets of a channel's name.
MAX_CHANNEL: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")

#: A connection that lasted so long was a healthy one, in seconds: begin anew at
#: ``min_retry``. One that comes and goes is left alone for longer and longer.
HEALTHY_S: Final = 10.0
#: Messages, and octets, that are handed over in one go; then others have their turn.
BATCH: Final = 64
BATCH_SIZE: Final = 256 * 1024


class Bus(ABC):
    """
    A way for octets between nodes, by the names of channels.

    What is published reaches every subscriber of the channel on every node, this one
    included, at most once. While the other end is away, messages wait in a bounded
    queue, of which the oldest are dropped; when it is back, all subscriptions are made
    again before the queue goes out. Belongs to the event loop that it was started in.

    Args:
        max_queue: Messages that wait.
        max_queue_size: Octets of them.
        max_size: Octets of one message.
        liveness: Seconds without a sign of life after which the other end is taken to
            be away, at most 5. It is asked for one four times as often.
        min_retry: Seconds until the first attempt to connect again.
        max_retry: Most seconds between two attempts.
        on_state: ``on_state(state)``: the bus went ``"up"``, ``"down"``, ``"closed"``.
        on_drop: ``on_drop(count, reason)``: messages were lost; see :attr:`dropped` and
            :attr:`uncertain`. The reason is ``"full"``, ``"closed"``, ``"refused"``,
            ``"broken"``, or ``"slow"``: it was received, and waited for too long.
        logger: Logger; by default ``wsfast.hub``.

    Attributes:
        state: ``"up"`` while it is connected and all subscriptions are confirmed.
        dropped: Messages that were never handed over: the queue was full, the bus was
            closed, or the other end refused them.
        uncertain: Messages that were handed over when the connection broke: they may
            have arrived, and are not sent again.
        outages: How often the connection broke.

    Raises:
        ValueError: An argument is out of its range.

    """

    def __init__(
        self,
        *,
        max_queue: int = 10_000,
        max_queue_size: int = 8 << 20,
        max_size: int = 1 << 20,
        liveness: float = 4.0,
        min_retry: float = 0.1,
        max_retry: float = 5.0,
        on_state: Callable[[BusState], object] | None = None,
        on_drop: Callable[[int, str], object] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        if max_queue < 1 or max_queue_size < 1 or max_size < 1:
            raise ValueError("max_queue, max_queue_size and max_size must be positive")
        if max_size > max_queue_size:
            raise ValueError("max_size must not exceed max_queue_size")
        if not 0 < liveness <= 5:
            raise ValueError(f"liveness must be above 0 and at most 5 s: {liveness}")
        if not 0 < min_retry <= max_retry:
            raise ValueError("min_retry must be positive and at most max_retry")
        self.max_queue: Final = max_queue
        self.max_queue_size: Final = max_queue_size
        self.max_size: Final = max_size
        self.liveness: Final = liveness
        self._min_retry = min_retry
        self._max_retry = max_retry
        self._state_callbacks: list[Callable[[BusState], object]] = []
        if on_state is not None:
            self._state_callbacks.append(on_state)
        self.on_drop = on_drop
        self.logger = logging.getLogger("wsfast.hub") if logger is None else logger
        self.state: BusState = "closed"
        self.dropped = 0
        self.uncertain = 0
        self.outages = 0
        self._queue: deque[tuple[str, bytes]] = deque()
        self._queue_size = 0
        self._callbacks: dict[str, list[Callback]] = {}
        self._changed: set[str] = set()  # channels to subscribe to, or to leave
        self._version = 0  # of what is subscribed to
        self._confirmed = 0  # the version that the other end has confirmed
        self._awaiting: list[asyncio.Future[None]] = []
        self._in_flight = 0  # messages that are being handed over
        self._wake = asyncio.Event()  # there is something to send
        self._turn = asyncio.Event()  # there is something to subscribe to, or to leave
        self._task: asyncio.Task[None] | None = None
        self._dropping = False  # the log has been told

    # ---- the two ends of its life ----

    async def start(self) -> None:
        """
        Begin to connect, and go on until :meth:`close`; does not wait for the result.

        Raises:
            RuntimeError: It has been started.

        """
        if self._task is not None:
            raise RuntimeError("the bus has been started")
        self._set_state("down")
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """
        Hand over what waits, if the other end is there, and disconnect.

        What cannot be handed over within ``liveness`` seconds is dropped.
        """
        task = self._task
        if task is None:
            return
        if self.state == "up":
            try:
                async with timeout(self.liveness):
                    await self._all_handed_over()
            except asyncio.TimeoutError:
                self.logger.warning("the bus does not take what is queued")
        if self._task is not task:
            return  # another call has closed it meanwhile
        self._task = None
        task.cancel()
        await asyncio.wait([task])
        self._set_state("closed")
        count = len(self._queue)
        self._queue.clear()
        self._queue_size = 0
        if count:
            self._lost(count, "closed")
        for future in self._awaiting:
            if not future.done():
                future.set_exception(ConnectionError("the bus was closed"))
        self._awaiting.clear()

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

    def publish(self, channel: str, octets: bytes) -> bool:
        """
        Queue a message for all subscribers of a channel; never waits.

        Args:
            channel: Name: printable characters without blanks, at most 512 octets.
            octets: The message.

        Returns:
            Whether it was queued: not if the bus has been closed. To make room for it,
            older ones may be dropped.

        Raises:
            ValueError: The channel cannot have this name, or the message is longer than
                ``max_size``.

        """
        self._check_channel(channel)
        size = len(octets)
        if size > self.max_size:
            raise ValueError(f"message of {size} octets, limit is {self.max_size}")
        if self.state == "closed":
            self._lost(1, "closed")
            return False
        self._queue.append((channel, octets))
        self._queue_size += size
        lost = 0
        while (
            len(self._queue) > self.max_queue or self._queue_size > self.max_queue_size
        ):
            self._queue_size -= len(self._queue.popleft()[1])
            lost += 1
        if lost:
            self._lost(lost, "full")
        self._wake.set()
        return True

    def subscribe(self, channel: str, callback: Callback) -> None:
        """
        Have messages of a channel delivered, as soon as the other end knows.

        Args:
            channel: As in :meth:`publish`.
            callback: ``callback(channel, octets)``; must not block. What it raises is
                logged.

        Raises:
            ValueError: The channel cannot have this name.

        """
        self._check_channel(channel)
        callbacks = self._callbacks.get(channel)
        if callbacks is None:
            self._callbacks[channel] = [callback]
            self._changes(channel)
        else:
            callbacks.append(callback)

    def unsubscribe(self, channel: str, callback: Callback) -> None:
        """End what :meth:`subscribe` began with the same arguments; else do nothing."""
        callbacks = self._callbacks.get(channel, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self._callbacks[channel]
                self._changes(channel)

    async def synced(self) -> None:
        """
        Wait until the bus is up, and all that is subscribed to by now is confirmed.

        Raises:
            ConnectionError: The bus is closed.

        """
        wanted = self._version
        while self.state != "up" or self._confirmed < wanted:
            if self.state == "closed":
                raise ConnectionError("the bus is closed")
            await self._told()

    def on_state(self, callback: Callable[[BusState], object]) -> None:
        """Have a callback called with each new state, after those there are."""
        self._state_callbacks.append(callback)

    def off_state(self, callback: Callable[[BusState], object]) -> None:
        """Call a callback no longer that was given to `on_state`; else do nothing."""
        if callback in self._state_callbacks:
            self._state_callbacks.remove(callback)

    @property
    def queued(self) -> int:
        """Messages that wait."""
        return len(self._queue)

    @property
    def queued_size(self) -> int:
        """Octets that wait."""
        return self._queue_size

    # ---- for the kinds of buses ----

    def _check_channel(self, name: str) -> None:
        """See that a channel can have this name; else raise `ValueError`."""
        check_channel(name)

    @abstractmethod
    async def _serve(self) -> None:
        """
        Connect, subscribe, call `_is_up`, and serve until that fails; then raise.

        What to send comes from `_next_batch` and is done with at `_handed_over`. What
        to subscribe to is in `_callbacks`; whose entry has changed, in `_changed`.
        `_confirm` says that the subscriptions of a version are known to the other end.
        """

    def _is_up(self) -> None:
        """Note that the other end is there, and has confirmed all subscriptions."""
        self._dropping = False
        self._set_state("up")
        self._tell()

    def _confirm(self, version: int) -> None:
        """Note that the other end knows the subscriptions of this version."""
        self._confirmed = max(self._confirmed, version)
        self._tell()

    def _next_batch(self) -> list[tuple[str, bytes]]:
        """Take messages out of the queue, as many as go in one batch."""
        queue, size = self._queue, 0
        batch: list[tuple[str, bytes]] = []
        while queue and len(batch) < BATCH and size < BATCH_SIZE:
            item = queue.popleft()
            size += len(item[1])
            batch.append(item)
        self._queue_size -= size
        self._in_flight = len(batch)
        if not queue:
            self._wake.clear()
        return batch

    def _handed_over(self, count: int = 1, refused: object = None) -> None:
        """Note that the other end has taken messages of the batch, or refused them."""
        self._in_flight -= count
        if refused is not None:
            self._lost(count, "refused", refused)
        if not self._in_flight:
            self._tell()

    def _received(self, channel: str, octets: bytes) -> None:
        """Deliver a message to those who subscribed to its channel."""
        for callback in tuple(self._callbacks.get(channel, ())):
            self._call(callback, channel, octets)

    def _call(self, callback: Callable[..., object], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as exc:
            self.logger.error("a callback of the bus failed", exc_info=exc)

    # ---- inside ----

    async def _run(self) -> None:
        """Serve, again and again."""
        loop = asyncio.get_running_loop()
        delays = backoff(self._min_retry * 2, 2.0, self._max_retry)
        known = ""
        while True:
            began = loop.time()
            try:
                await self._serve()
            except Exception as exc:
                failure = f"{type(exc).__name__}: {exc}"
            else:
                failure = "it ended"
            if self.state == "up":
                self.outages += 1
                self.logger.warning("the bus is away: %s", failure)
                if loop.time() - began >= HEALTHY_S:
                    delays = backoff(self._min_retry * 2, 2.0, self._max_retry)
            elif failure != known:
                self.logger.warning("the bus cannot be reached: %s", failure)
            known = failure
            self._changed.clear()  # all are made again
            if self._in_flight:
                uncertain, self._in_flight = self._in_flight, 0
                self.uncertain += uncertain
                self._report(uncertain, "broken")
            self._set_state("down")
            await asyncio.sleep(max(self._min_retry, next(delays)))

    async def _all_handed_over(self) -> None:
        """Wait until nothing is queued, and nothing on its way to the other end."""
        while (self._queue or self._in_flight) and self.state == "up":
            await self._told()

    async def _told(self) -> None:
        """Wait for the next change."""
        future = asyncio.get_running_loop().create_future()
        self._awaiting.append(future)
        try:
            await future
        finally:
            if future in self._awaiting:  # who waits has gone
                self._awaiting.remove(future)

    def _changes(self, channel: str) -> None:
        self._version += 1
        self._changed.add(channel)
        self._turn.set()

    def _set_state(self, state: BusState) -> None:
        if state == self.state:
            return
        self.state = state
        for callback in tuple(self._state_callbacks):
            self._call(callback, state)

    def _tell(self) -> None:
        awaiting, self._awaiting = self._awaiting, []
        for future in awaiting:
            if not future.done():
                future.set_result(None)

    def _lost(self, count: int, reason: str, why: object = None) -> None:
        self.dropped += count
        if not self._dropping:  # once in each outage
            self._dropping = True
            text = reason if why is None else f"{reason}: {why}"
            self.logger.warning("the bus drops messages, %s", text)
        self._report(count, reason)

    def _report(self, count: int, reason: str) -> None:
        if self.on_drop is not None:
            self._call(self.on_drop, count, reason)


class MemoryBus(Bus):
    """
    A bus inside a process, for one event loop: for tests with several nodes.

    It has the manner of the others: what is published is delivered a little later, also
    to those of the same node, and goes out once the bus is started.
    """

    async def _serve(self) -> None:
        self._confirm(self._version)
        self._is_up()
        while True:
            await self._wake.wait()
            for channel, octets in self._next_batch():
                self._received(channel, octets)
                self._handed_over()
            await asyncio.sleep(0)

    def _changes(self, channel: str) -> None:
        Bus._changes(self, channel)
        self._changed.clear()
        if self.state == "up":
            self._confirm(self._version)


def check_channel(name: str) -> None:
    """
    See that a channel can have this name.

    Raises:
        ValueError: It cannot.

    """
    if not name or len(name.encode(errors="surrogatepass")) > MAX_CHANNEL:
        raise ValueError(f"a channel's name has 1 to {MAX_CHANNEL} octets")
    if _CONTROL.search(name):
        raise ValueError(f"a channel's name has no blanks: {name!r}")
