"""The client for asyncio, as python-socketio's; and ``io()``, as JavaScript's."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from .client_socket import ClientSocket
from .exceptions import ConnectionError, Disconnected  # noqa: A004
from .manager import Manager

__all__ = ["Client", "io"]

Function = TypeVar("Function", bound=Callable[..., Any])

#: Arguments of a namespace; all others are the connection's.
SOCKET_OPTIONS = frozenset(
    ("ack_timeout", "auth", "max_acks", "max_offline", "retries")
)

_managers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Manager]] = (
    weakref.WeakKeyDictionary()
)


def io(
    url: str,
    *,
    multiplex: bool = True,
    force_new: bool = False,
    connect: bool = True,
    **options: Any,
) -> ClientSocket:
    """
    Return a client of a namespace, as JavaScript's ``io()`` does.

    Clients of several namespaces of a server share one connection.

    Args:
        url: The server; its path is the namespace.
        multiplex: Share a connection that is there.
        force_new: Do not.
        connect: Connect at once, in the background.
        options: Arguments of :class:`ClientSocket`, and, for a new connection, of
            :class:`Manager`.

    """
    parts = urlsplit(url)
    name = parts.path if len(parts.path) > 1 else "/"
    origin = urlunsplit((parts.scheme, parts.netloc, "/", parts.query, ""))
    of_socket = {k: v for k, v in options.items() if k in SOCKET_OPTIONS}
    of_manager = {k: v for k, v in options.items() if k not in SOCKET_OPTIONS}
    known = _managers.setdefault(asyncio.get_running_loop(), {})
    key = f"{origin} {of_manager.get('path', '')}"
    manager = known.get(key)
    if force_new or not multiplex or (manager is not None and name in manager.sockets):
        manager = Manager(origin, **of_manager)
    elif manager is None:
        manager = known[key] = Manager(origin, **of_manager)
    socket = manager.socket(name, **of_socket)
    return socket.connect() if connect else socket


class Client:
    """
    A client of any number of namespaces, with the methods of python-socketio's.

    Args:
        options: Arguments of :class:`Manager` but ``url``, and of
            :class:`ClientSocket` but ``auth``, for all namespaces.

    Attributes:
        manager: The connection; None before :meth:`connect`.

    """

    def __init__(self, **options: Any) -> None:
        self._of_sockets = {k: v for k, v in options.items() if k in SOCKET_OPTIONS}
        self._of_manager = {k: v for k, v in options.items() if k not in SOCKET_OPTIONS}
        self._handlers: dict[str, dict[str, Callable[..., Any]]] = {}
        self.manager: Manager | None = None

    # ---- handlers ----

    def on(
        self,
        event: str,
        handler: Function | None = None,
        namespace: str | None = None,
    ) -> Any:
        """Have a handler called for an event; see :meth:`ClientSocket.on`."""
        if handler is None:
            return partial(self._decorate, event, namespace)
        name = namespace or "/"
        self._handlers.setdefault(name, {})[event] = handler
        if self.manager is not None and name in self.manager.sockets:
            self.manager.sockets[name].on(event, handler)
        return handler

    def _decorate(
        self, event: str, namespace: str | None, handler: Function
    ) -> Function:
        self.on(event, handler, namespace)
        return handler

    def event(self, *args: Any, namespace: str | None = None) -> Any:
        """Have a function called for the event of its name: a decorator."""
        if args:
            return self._decorate(args[0].__name__, namespace, args[0])
        return lambda function: self._decorate(function.__name__, namespace, function)

    # ---- connecting ----

    async def connect(
        self,
        url: str,
        *,
        auth: Any = None,
        namespaces: str | Iterable[str] | None = None,
        wait: bool = True,
        retry: bool = False,
        **options: Any,
    ) -> None:
        """
        Connect.

        Args:
            url: The server.
            auth: What it is told; see :class:`ClientSocket`.
            namespaces: The namespaces; by default, those that have handlers.
            wait: Wait until all of them are entered.
            retry: Go on trying when that fails; otherwise it raises, and from then on
                lost connections come back.
            options: Arguments of :class:`Manager`, beside those given before.

        Raises:
            ConnectionError: The server cannot be reached, or refuses.
            RuntimeError: It is connected.

        """
        if self.manager is not None:
            if any(socket.active for socket in self.manager.sockets.values()):
                raise RuntimeError("the client is connected")
            await self.disconnect()
        if namespaces is None:
            names = list(self._handlers) or ["/"]
        else:
            names = [namespaces] if isinstance(namespaces, str) else list(namespaces)
        manager = self.manager = Manager(url, **{**self._of_manager, **options})
        for name in names:
            socket = manager.socket(name, **{**self._of_sockets, "auth": auth})
            for event, handler in self._handlers.get(socket.name, {}).items():
                socket.on(event, handler)
            socket.connect()
        if not wait:
            return
        waiting = [
            asyncio.ensure_future(self._entered(socket, retry))
            for socket in manager.sockets.values()
        ]
        try:
            await asyncio.gather(*waiting)
        except BaseException:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await self.disconnect()
            raise

    async def _entered(self, socket: ClientSocket, retry: bool) -> None:
        while not socket.connected:
            again = (
                suppress(ConnectionError) if retry and socket.active else nullcontext()
            )
            with again:
                await socket.wait_connected()

    async def disconnect(self) -> None:
        """Leave all namespaces, close the connection, and wait for its end."""
        manager, self.manager = self.manager, None
        if manager is not None:
            for socket in list(manager.sockets.values()):
                await socket.disconnect()
            await asyncio.sleep(0)
            await manager.wait_closed()

    shutdown = disconnect

    async def wait(self) -> None:
        """Wait until nothing tries to be connected any more."""
        manager = self.manager
        if manager is not None:
            await manager.wait_ended()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.disconnect()

    # ---- facts ----

    def socket(self, namespace: str | None = None) -> ClientSocket:
        """
        Return the client of a namespace.

        Raises:
            Disconnected: The client was not connected to it.

        """
        name = namespace or "/"
        if self.manager is None or name not in self.manager.sockets:
            raise Disconnected(f"{name} is not a connected namespace")
        return self.manager.sockets[name]

    @property
    def connected(self) -> bool:
        """Whether some namespace is entered."""
        sockets = {} if self.manager is None else self.manager.sockets
        return any(socket.connected for socket in sockets.values())

    def get_sid(self, namespace: str | None = None) -> str | None:
        """Return the id that the server gave in a namespace."""
        return self.socket(namespace).id

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``; empty without a connection."""
        engine = None if self.manager is None else self.manager.engine
        return "" if engine is None else str(engine.transport)

    # ---- sending ----

    def emit(
        self, event: str, *args: Any, namespace: str | None = None, **options: Any
    ) -> Awaitable[Any]:
        """Send an event; see :meth:`ClientSocket.emit`."""
        return self.socket(namespace).emit(event, *args, **options)

    def send(
        self, *args: Any, namespace: str | None = None, **options: Any
    ) -> Awaitable[Any]:
        """Send the event ``message``; see :meth:`ClientSocket.emit`."""
        return self.emit("message", *args, namespace=namespace, **options)

    async def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        timeout: float | None = 60.0,
    ) -> Any:
        """Send an event and return the reply; see :meth:`ClientSocket.call`."""
        return await self.socket(namespace).call(event, *args, timeout=timeout)

    async def sleep(self, seconds: float = 0) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
