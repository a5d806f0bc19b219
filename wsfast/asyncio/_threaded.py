"""A client that comes back, for threads: :class:`ReconnectingThread`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import Awaitable, Coroutine, Iterator
from types import TracebackType
from typing import Any, TypeVar, cast

from ..exceptions import ConnectionClosedError, ConnectionClosedOK
from .reconnecting import Reconnecting

__all__ = ["ReconnectingThread"]

T = TypeVar("T")


class ReconnectingThread:
    """
    :class:`Reconnecting` for programs without an event loop.

    It runs one in a thread of its own, in which the callbacks are called too; they must
    not block, and not call what waits: they have the :class:`Reconnecting` itself. The
    methods here may be called from any other thread, several at once. One instance
    serves for ever: it may be closed and opened again.

    Args:
        uri: As for :class:`Reconnecting`.
        options: As for :class:`Reconnecting`.

    """

    def __init__(self, uri: str, **options: Any) -> None:
        self._client = Reconnecting(uri, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    # ---- facts ----

    @property
    def state(self) -> str:
        """``"closed"``, ``"connecting"``, ``"open"`` or ``"waiting"``."""
        return self._client.state

    @property
    def attempts(self) -> int:
        """Attempts since the last connection."""
        return self._client.attempts

    @property
    def queued(self) -> int:
        """How many messages wait for a connection."""
        return self._client.queued

    @property
    def dropped(self) -> int:
        """How many messages ``while_down="drop"`` has dropped."""
        return self._client.dropped

    # ---- opening and closing ----

    def open(self, timeout: float | None = None) -> None:
        """
        Begin to connect, unless that has begun, and wait for the next connection.

        Args:
            timeout: Most seconds to wait, None for ever, 0 not at all.

        Raises:
            TimeoutError: There is none yet; it goes on trying.
            Exception: What connecting failed with for good, or often enough.

        """
        with self._lock:
            if self._thread is None:
                self._start()

        async def opened() -> None:
            waiting = self._client.open()
            if timeout != 0:
                await _within(waiting, timeout)

        self._run(opened())

    def _start(self) -> None:
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=run_loop,
            args=(loop,),
            name=f"wsfast {self._client.uri}",
            daemon=True,
        )
        self._thread.start()

    def reconnect(self) -> None:
        """Connect again after the usual delay; see :meth:`Reconnecting.reconnect`."""

        async def reconnect() -> None:
            self._client.reconnect()

        self._run(reconnect())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close for good, and wait for the end; see :meth:`Reconnecting.close`."""
        self._check_thread()

        async def close() -> None:
            await self._client.close(code, reason)

        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                return
            asyncio.run_coroutine_threadsafe(close(), loop).result()
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def __enter__(self) -> ReconnectingThread:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(1000 if exc_type is None else 1011)

    # ---- messages ----

    def send(
        self,
        message: str | bytes,
        text: bool | None = None,
        *,
        compress: bool | None = None,
        wait: bool = False,
    ) -> bool:
        """
        Send a message, or do with it what ``while_down`` says.

        Args:
            message: ``str`` or octets.
            text: As for :meth:`Connection.send`.
            compress: As for that.
            wait: Wait until a message that is queued has gone into a connection.

        Returns:
            Whether it was sent or queued, rather than dropped.

        Raises:
            ConnectionClosed: There is no connection.
            QueueFull: As many wait as may wait.

        """

        async def send() -> bool:
            waiting = self._client.send(message, text, compress=compress)
            if self._client.queued and not wait:
                return True
            result: object = await cast("Awaitable[object]", waiting)
            return result is None

        return self._run(send())

    def json(self, value: object) -> bool:
        """Send a value as JSON, as :meth:`send` does."""
        return self.send(json.dumps(value))

    def recv(self, timeout: float | None = None) -> str | bytes:
        """
        Receive a message, of whatever connection it comes by.

        Args:
            timeout: Most seconds to wait, None for ever.

        Raises:
            TimeoutError: There was none.
            Exception: See :meth:`Reconnecting.recv`.

        """

        async def recv() -> str | bytes:
            message: str | bytes = await _within(self._client.recv(), timeout)
            return message

        return self._run(recv())

    def __iter__(self) -> Iterator[str | bytes]:
        """Receive until it is closed; raises unless that was in an orderly way."""
        while True:
            try:
                message = self.recv()
            except ConnectionClosedOK:
                return
            except Exception:
                if self._thread is None or self._client.stopping:
                    return
                raise
            yield message

    def _check_thread(self) -> None:
        """Refuse to wait in the other thread, which has to do what is waited for."""
        if self._thread is threading.current_thread():
            raise RuntimeError("this waits; callbacks have the Reconnecting itself")

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the other thread, and wait for it."""
        try:
            self._check_thread()
        except RuntimeError:
            coroutine.close()
            raise
        with self._lock:  # what is on its way when the loop is stopped is cancelled
            if self._loop is None:
                coroutine.close()
                raise ConnectionClosedError(None, None)
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ConnectionClosedError(None, None) from None


async def _within(awaitable: Any, timeout: float | None) -> Any:
    """Wait for so many seconds at most; what comes at the last moment is not lost."""
    task = asyncio.ensure_future(_wait(awaitable))
    done, _ = await asyncio.wait([task], timeout=timeout)
    if not done:
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            raise TimeoutError(f"nothing within {timeout} seconds") from None
    return task.result()


async def _wait(awaitable: Any) -> Any:
    return await awaitable


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run an event loop until it is stopped; then end what is left on it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
