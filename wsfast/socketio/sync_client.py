"""The client for threads."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ..asyncio._threaded import run_loop
from .client import Client
from .exceptions import Disconnected
from .handlers import logger

__all__ = ["SyncClient"]

Function = TypeVar("Function", bound=Callable[..., Any])
T = TypeVar("T")


class SyncClient:
    """
    :class:`Client` for programs without an event loop: its methods wait.

    The connection lives in a thread of its own, and handlers are called in another, one
    after the other: they may block, and use all methods here.

    Args:
        options: The arguments of :class:`Client`.

    """

    def __init__(self, **options: Any) -> None:
        self._client = Client(**options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()

    # ---- handlers ----

    def on(
        self,
        event: str,
        handler: Function | None = None,
        namespace: str | None = None,
    ) -> Any:
        """Have a function called for an event; or decorate it."""
        if handler is None:
            return lambda function: self.on(event, function, namespace)
        called: Any = partial(self._called, handler)
        with suppress(TypeError, ValueError):  # it takes what the handler takes
            called.__signature__ = inspect.signature(handler)
        self._client.on(event, called, namespace)
        return handler

    def event(self, *args: Any, namespace: str | None = None) -> Any:
        """Have a function called for the event of its name: a decorator."""
        if args:
            return self.on(args[0].__name__, args[0], namespace)
        return lambda function: self.on(function.__name__, function, namespace)

    async def _called(self, handler: Callable[..., Any], *args: Any) -> Any:
        """Have a handler called in the other thread; return its reply."""
        future: Future[Any] = Future()

        def run() -> None:
            wanted = future.set_running_or_notify_cancel()
            try:
                result = handler(*args)
            except BaseException as exc:
                if wanted:
                    future.set_exception(exc)
                else:
                    logger.exception("%r has failed", handler)
            else:
                if wanted:
                    future.set_result(result)

        self._calls.put(run)
        return await asyncio.wrap_future(future)

    def _call_on(self) -> None:
        """Call handlers, until there are no more."""
        while (run := self._calls.get()) is not None:
            run()

    # ---- connecting ----

    def connect(self, url: str, **options: Any) -> None:
        """Connect; see :meth:`Client.connect`."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._threads = [
                    threading.Thread(
                        target=run_loop,
                        args=(self._loop,),
                        name=f"wsfast {url}",
                        daemon=True,
                    ),
                    threading.Thread(
                        target=self._call_on, name=f"wsfast {url} handlers", daemon=True
                    ),
                ]
                for thread in self._threads:
                    thread.start()
        try:
            self._run(self._client.connect(url, **options))
        except BaseException:
            if self._client.manager is None:
                self._stop()
            raise

    def disconnect(self) -> None:
        """Disconnect, and wait for the end."""
        if self._loop is not None:
            self._run(self._client.disconnect())
            self._stop()

    shutdown = disconnect

    def _stop(self) -> None:
        """End both threads; handlers that were called yet run to their end."""
        with self._lock:
            loop, self._loop = self._loop, None
            threads, self._threads = self._threads, []
        if loop is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        self._calls.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def wait(self) -> None:
        """Wait until nothing tries to be connected any more."""
        self._run(self._client.wait())

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.disconnect()

    # ---- facts ----

    @property
    def connected(self) -> bool:
        """Whether some namespace is entered."""
        return self._client.connected

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``; empty without a connection."""
        return self._client.transport

    def get_sid(self, namespace: str | None = None) -> str | None:
        """Return the id that the server gave in a namespace."""
        return self._client.get_sid(namespace)

    # ---- sending ----

    def emit(self, event: str, *args: Any, **options: Any) -> None:
        """Send an event; see :meth:`ClientSocket.emit`."""
        callback = options.pop("callback", None)
        if callback is not None:
            options["callback"] = partial(self._called, callback)

        async def emit() -> None:
            await self._client.emit(event, *args, **options)

        self._run(emit())

    def send(self, *args: Any, **options: Any) -> None:
        """Send the event ``message``."""
        self.emit("message", *args, **options)

    def call(self, event: str, *args: Any, **options: Any) -> Any:
        """Send an event and return the reply; see :meth:`ClientSocket.call`."""
        return self._run(self._client.call(event, *args, **options))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._loop is None:
                coroutine.close()
                raise Disconnected("the client is not connected")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise Disconnected("the client was disconnected") from None
