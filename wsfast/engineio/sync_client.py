"""The client of Engine.IO 4 for threads: :class:`SyncClient`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from ..asyncio._threaded import run_loop
from .client import ClientSocket, connect
from .exceptions import SessionClosed

__all__ = ["SyncClient"]

T = TypeVar("T")


class SyncClient:
    """
    A session for programs without an event loop.

    It runs in a thread of its own, in which the listener is called too: that must not
    block, and sends by the :class:`ClientSocket` that it was made of. The methods here
    may be called from any other thread, several at once::

        with SyncClient("http://localhost:8000", Listener) as client:
            client.send("hello")
            client.wait()

    Args:
        url: As for :func:`connect`.
        listener_factory: The same.
        options: The other arguments of :func:`connect`.

    Raises:
        InvalidURI, ValueError: As for :func:`connect`.

    """

    def __init__(
        self, url: str, listener_factory: Callable[[ClientSocket], Any], **options: Any
    ) -> None:
        self._connect = connect(url, listener_factory, **options)
        self._socket: ClientSocket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    # ---- facts ----

    @property
    def id(self) -> str:
        """The identifier of the session; empty before there is one."""
        return "" if self._socket is None else self._socket.id

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``; empty before there is a session."""
        return "" if self._socket is None else self._socket.transport

    @property
    def state(self) -> str:
        """``"open"``, ``"closing"`` or ``"closed"``."""
        return "closed" if self._socket is None else self._socket.state

    # ---- opening and closing ----

    def open(self) -> None:
        """
        Open a session, unless there is one; it may be opened again after its end.

        Raises:
            BadReply, OSError, InvalidHandshake, HandshakeTimeout: As :func:`connect`.

        """
        with self._lock:
            if self._thread is None:
                self._loop = loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=run_loop,
                    args=(loop,),
                    name=f"wsfast {self._connect.url}",
                    daemon=True,
                )
                self._thread.start()

        async def opened() -> None:
            if self._socket is None or self._socket.state == "closed":
                self._socket = await self._connect

        try:
            self._run(opened())
        except BaseException:
            if self.state == "closed":  # nobody closes what was never open
                self.close()
            raise

    def close(self) -> None:
        """End the session behind what was sent, and wait for the end."""
        self._check_thread()

        async def closed() -> None:
            if self._socket is not None:
                await self._socket.close()

        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                return
            asyncio.run_coroutine_threadsafe(closed(), loop).result()
            self._loop = self._thread = None
            loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait until the session has ended.

        Args:
            timeout: Most seconds to wait, None for ever.

        Returns:
            Whether it has.

        """

        async def ended() -> bool:
            if self._socket is None:
                return True
            waiting = asyncio.ensure_future(self._socket.wait_closed())
            done, _ = await asyncio.wait([waiting], timeout=timeout)
            waiting.cancel()
            return bool(done)

        try:
            return self._run(ended())
        except SessionClosed:
            return True

    def __enter__(self) -> SyncClient:
        self.open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ---- messages ----

    def send(self, data: Any, *, compress: bool | None = None) -> None:
        """
        Send a message; wait while too much waits to be sent.

        Args:
            data: Text, octets, or a :class:`Prepared` message.
            compress: Whether to compress it; None to leave it to the threshold.

        Raises:
            SessionClosed: There is no session.
            ValueError, TypeError: As :meth:`ClientSocket.send`.

        """

        async def send() -> None:
            if self._socket is None:
                raise SessionClosed("there is none")
            await self._socket.send(data, compress=compress)

        self._run(send())

    # ---- inside ----

    def _check_thread(self) -> None:
        """Refuse to wait in the other thread, which has to do what is waited for."""
        if self._thread is threading.current_thread():
            raise RuntimeError("this waits; the listener has the ClientSocket")

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the other thread, and wait for it."""
        try:
            self._check_thread()
        except RuntimeError:
            coroutine.close()
            raise
        with self._lock:
            if self._loop is None:
                coroutine.close()
                raise SessionClosed("there is none")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise SessionClosed("the client was closed") from None
