"""
Accepting clients for the event loop: listening sockets of the transport path.

The loops' own servers do this as well, but for what happens when the process is out of
descriptors: asyncio logs a traceback per try and tries on, uvloop drops the clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

from .link import Driver

__all__ = ["Acceptor"]

logger = logging.getLogger("wsfast.server")

#: Clients that are accepted in one turn of the loop.
ACCEPTS = 64

#: How long to wait when the system has no descriptor or memory for one more client: the
#: first time, and at most, in seconds.
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 1.0


class Acceptor:
    """
    A listening socket, on a loop that lets descriptors be watched.

    Args:
        driver: The driver of the links; it reports what goes wrong.
        sock: A non-blocking socket that listens; it stays the caller's.
        factory: Makes the asyncio protocol of a client.
        shaking: Has the clients during their TLS handshakes; None without TLS.
        options: Keyword arguments of ``loop.connect_accepted_socket()``, about TLS.

    Raises:
        NotImplementedError: The loop is none of those.

    """

    def __init__(
        self,
        driver: Driver,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        shaking: Any,
        **options: Any,
    ) -> None:
        self._driver = driver
        self._sock = sock
        self._factory = factory
        self._shaking = shaking
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._backoff = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._watch()

    def _watch(self) -> None:
        self._retry = None
        self._driver.loop.add_reader(self._sock.fileno(), self._ready)

    def close(self) -> None:
        """Accept no more, before the socket is closed."""
        if self._retry is not None:
            self._retry.cancel()
        else:
            self._driver.loop.remove_reader(self._sock.fileno())

    def _ready(self) -> None:
        for _ in range(ACCEPTS):
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                self._backoff = 0.0  # whoever waited has been served
                return
            except ConnectionError:
                continue  # that client has left again
            except OSError as exc:
                self._suspend(exc)
                return
            client.setblocking(False)
            task = self._driver.loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _suspend(self, exc: OSError) -> None:
        """Wait until the system may have what it takes; say so the first time."""
        if self._backoff == 0:
            error = OSError(exc.errno, exc.strerror)  # without a traceback
            self._driver.report("accepting connections is suspended", error)
        self._backoff = min(max(self._backoff * 2, BACKOFF_MIN_S), BACKOFF_MAX_S)
        loop = self._driver.loop
        loop.remove_reader(self._sock.fileno())
        self._retry = loop.call_later(self._backoff, self._watch)

    async def _serve(self, client: socket.socket) -> None:
        """Have the loop make a transport of a client, after its TLS handshake."""
        protocol = self._factory()
        if self._shaking is not None:
            task = asyncio.current_task()
            assert task is not None
            self._shaking.add(protocol, task.cancel)
        try:
            await self._driver.loop.connect_accepted_socket(
                lambda: protocol, client, **self._options
            )
        except (OSError, EOFError, asyncio.TimeoutError) as exc:
            # It is gone, or does not speak TLS; some loops leave the socket open.
            with contextlib.suppress(OSError):
                client.close()
            logger.debug("a client failed before its request", exc_info=exc)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                client.close()
            raise
        finally:
            if self._shaking is not None:
                self._shaking.discard(protocol)
