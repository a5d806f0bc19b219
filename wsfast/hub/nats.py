"""NATS between the nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import quote

try:
    from nats.aio.client import Client
    from nats.errors import MaxPayloadError, SlowConsumerError
except ImportError as exc:
    raise ImportError("this needs nats-py: pip install 'wsfast[nats]'") from exc

from ..asyncio._timeout import timeout
from ._tasks import end, first_failure, within
from .bus import Bus

__all__ = ["NatsBus"]


class NatsBus(Bus):
    """
    A bus over a NATS server, or a cluster of them, by nats-py.

    What is handed over is confirmed by a round trip after each batch, which is the sign
    of life, too. Blanks, dots and wildcards, which mean something in a subject, are
    written as %20 and so on.

    Args:
        url: ``nats://[user:password@]host[:port]``, ``tls://``; or several of these.
        connection: Further options of nats-py's ``connect()``, such as ``user``,
            ``password``, ``token`` and ``tls``.
        options: Those of :class:`Bus`.

    Raises:
        ValueError: An option is out of its range.

    """

    def __init__(
        self,
        url: str | Iterable[str] = "nats://127.0.0.1:4222",
        *,
        connection: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._urls = [url] if isinstance(url, str) else list(url)
        if not self._urls:
            raise ValueError("there is no URL")
        self._connection = dict(connection or {})
        self._client: Any = None
        self._subscribed: dict[str, Any] = {}

    async def _serve(self) -> None:
        gone = asyncio.Event()

        async def closed() -> None:
            gone.set()

        async def failed(exc: Exception) -> None:
            if isinstance(exc, SlowConsumerError):
                self._lost(1, "slow", "they come faster than they are taken")
            self.logger.debug("nats-py: %r", exc)

        self._client = client = Client()
        try:
            options = {
                "servers": list(self._urls),
                **self._connection,
                # We connect again ourselves: nats-py would send again, too.
                "allow_reconnect": False,
                "max_reconnect_attempts": 1,
                "reconnect_time_wait": 0,
                "connect_timeout": self.liveness,
                "closed_cb": closed,
                "error_cb": failed,
            }
            await within(self.liveness, client.connect(**options))
            await first_failure(self._live(), gone.wait())
            raise ConnectionError(f"the server has gone: {client.last_error!r}")
        finally:
            self._client = None
            self._subscribed = {}
            await _cut(client)

    async def _live(self) -> None:
        """Subscribe to all channels, then hand over and follow what changes."""
        await self._follow(tuple(self._callbacks))
        while self._changed:
            await self._follow()
        self._is_up()
        await first_failure(self._publish(), self._follow_changes())

    # ---- publishing ----

    async def _publish(self) -> None:
        """Hand over what is queued; if nothing is, ask for a sign of life."""
        interval = self.liveness / 4
        while True:
            try:
                async with timeout(interval):
                    await self._wake.wait()
            except asyncio.TimeoutError:
                await self._confirmed_by_server()
                continue
            batch = self._next_batch()
            async with timeout(self.liveness - interval):
                taken = [await self._hand_over(*item) for item in batch]
            await self._confirmed_by_server()
            self._handed_over(sum(taken))

    async def _hand_over(self, channel: str, octets: bytes) -> bool:
        try:
            await self._client.publish(subject_of(channel), octets)
        except MaxPayloadError as exc:
            self._handed_over(refused=exc)
            return False
        return True

    async def _confirmed_by_server(self) -> None:
        """Wait until the server has taken all there is."""
        client, patience = self._client, self.liveness * 3 / 4
        async with timeout(patience):
            while client.pending_data_size:  # noqa: ASYNC110 - a ping overtakes it
                await asyncio.sleep(0.001)
        await client.flush(timeout=patience)

    # ---- subscribing ----

    async def _follow_changes(self) -> None:
        """Subscribe to channels that come, and leave those that go."""
        while True:
            await self._turn.wait()
            await self._follow()

    async def _follow(self, channels: Iterable[str] = ()) -> None:
        self._turn.clear()
        version = self._version
        changed, self._changed = self._changed.union(channels), set()
        for channel in changed:
            subscription = self._subscribed.get(channel)
            if channel in self._callbacks and subscription is None:
                self._subscribed[channel] = await self._client.subscribe(
                    subject_of(channel),
                    cb=self._taking(channel),
                    pending_bytes_limit=self.max_queue_size,
                )
            elif channel not in self._callbacks and subscription is not None:
                del self._subscribed[channel]
                await subscription.unsubscribe()
        await self._confirmed_by_server()
        self._confirm(version)

    def _taking(self, channel: str) -> Callable[[Any], Awaitable[None]]:
        async def take(message: Any) -> None:
            self._received(channel, message.data)

        return take


def subject_of(channel: str) -> str:
    """Return the subject of a channel: one token, whatever the name has in it."""
    return quote(channel, safe=":/@+$,;=!()'").replace(".", "%2E")


async def _cut(client: Any) -> None:
    """
    End a client, its connection and its tasks.

    Its own ``close()`` waits for a server that has stopped, and leaves things behind if
    the connection breaks meanwhile.
    """
    with contextlib.suppress(Exception):
        await within(1, client.close())
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    for subscription in list(getattr(client, "_subs", {}).values()):
        subscription._stop_processing()
    names = ("_reading_task", "_flusher_task", "_ping_interval_task")
    tasks = [getattr(client, name, None) for name in names]
    await end([task for task in tasks if task is not None])
    await asyncio.sleep(0)  # the socket is closed then
