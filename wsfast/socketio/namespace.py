"""Namespaces of a server: static ones, and those that a rule makes."""

from __future__ import annotations

import asyncio
import builtins
import secrets
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .adapter import Adapter
from .environ import environ_of
from .exceptions import ConnectionRefusedError  # noqa: A004
from .handlers import Handlers, accepted, logger
from .packet import DISCONNECT, Packet
from .socket import Socket
from .targets import DONE, Operator, Target

if TYPE_CHECKING:
    from .connection import Connection, Entering
    from .server import Server

__all__ = ["Namespace", "ParentNamespace"]

Function = TypeVar("Function", bound=Callable[..., Any])
#: Children without clients that are kept for those who may come back, at most.
MAX_EMPTY: Final = 1000


class _Common:
    """What both kinds of namespaces have: handlers and middlewares."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.handlers = Handlers()
        self.middlewares: list[Callable[..., Any]] = []
        self.connection_handlers: list[Callable[..., Any]] = []
        self.server_side: dict[str, Callable[..., Any]] = {}

    def on(self, event: str, handler: Function | None = None) -> Any:
        """Have ``handler(sid, *args)`` called for an event; or decorate it."""
        if handler is None:
            return partial(self.on, event)
        self.handlers.by_event[event] = handler
        return handler

    def on_connection(self, handler: Function) -> Function:
        """Have ``handler(socket)`` called for each client that is let in."""
        self.connection_handlers.append(handler)
        return handler

    def on_server_side(self, event: str, handler: Function | None = None) -> Any:
        """
        Have ``handler(*args)`` called for what other nodes emit to this one.

        What it returns is the reply; see :meth:`Namespace.server_side_emit`.
        """
        if handler is None:
            return partial(self.on_server_side, event)
        self.server_side[event] = handler
        return handler

    def use(self, middleware: Function) -> Function:
        """
        Have ``middleware(socket)`` called before a client is let in, in this order.

        One that raises :class:`ConnectionRefusedError` refuses the client; both kinds
        of functions will do.
        """
        self.middlewares.append(middleware)
        return middleware


class Namespace(_Common):
    """
    A namespace: its clients, handlers and middlewares.

    Args:
        server: The server.
        name: Its name, with a slash at the front.
        parent: The rule that has made it, or None.

    Attributes:
        sockets: Its clients by id.
        adapter: Their rooms.

    """

    def __init__(
        self, server: Server, name: str, parent: ParentNamespace | None = None
    ) -> None:
        super().__init__(server, name)
        if parent is not None:
            self.handlers = parent.handlers
            self.middlewares = parent.middlewares
            self.connection_handlers = parent.connection_handlers
            self.server_side = parent.server_side
        self.parent = parent
        self.sockets: dict[str, Socket] = {}
        self.adapter: Adapter = server.adapter_factory(self)
        self.closed = False
        self._waiting: dict[str, Socket] = {}
        self._leaving: dict[str, Socket] = {}
        self._pids: dict[str, Socket] = {}
        self._ids = 0
        self._started: asyncio.Future[None] | None = None
        self._entering = 0
        self._ending: asyncio.TimerHandle | None = None

    def next_id(self) -> int:
        """Return a number for an event that is to be acknowledged."""
        number = self._ids
        self._ids += 1
        return number

    # ---- finding ----

    def find(self, sid: str) -> Socket | None:
        """Return the client of this id; one that is being let in counts."""
        return self.sockets.get(sid) or self._waiting.get(sid)

    def get(self, sid: str) -> Socket | None:
        """Do the same; one whose ``disconnect`` handler is running counts, too."""
        return self.find(sid) or self._leaving.get(sid)

    def everybody(self) -> Iterable[Socket]:
        """
        Return the clients that events for all are for.

        One that comes back counts while it is being let in: what it has missed until
        then was looked up already.
        """
        coming = [socket for socket in self._waiting.values() if socket.recovered]
        return [*self.sockets.values(), *coming] if coming else self.sockets.values()

    # ---- letting in ----

    async def start(self) -> None:
        """Start the adapter, once."""
        if self._started is None:
            self._started = asyncio.ensure_future(self.adapter.start())
        await asyncio.shield(self._started)

    async def enter(
        self, connection: Connection, auth: dict[str, Any], wish: Entering
    ) -> None:
        """Let a client in, or refuse it."""
        self._entering += 1
        self.server.empty.pop(self, None)
        try:
            await self.start()
            if not wish.left:
                await self._enter(connection, auth, wish)
        finally:
            self._entering -= 1
            self._look_empty()

    async def _enter(
        self, connection: Connection, auth: dict[str, Any], wish: Entering
    ) -> None:
        history, pid = self.adapter.history, auth.get("pid")
        if history is not None and type(pid) is str:
            self.end_alive(pid)
            await self.adapter.fetch_session(pid, auth.get("offset"))
            if wish.left:
                history.give_back(pid)
                return
        socket, missed = self._socket_of(connection, auth)
        self._waiting[socket.id] = socket
        self.adapter.came(socket)
        wish.socket = socket
        if self.server.always_connect:
            self._admit(socket, missed)
        recovery = self.server.recovery
        skip = socket.recovered and recovery is not None and recovery.skip_middlewares
        error = await self._ask(socket, skip)
        connection.forget(self.name, wish)
        if connection.closed or (not socket.connected and socket.ended):
            return
        if error is not None:
            if socket.connected:
                socket.send_packet(Packet(DISCONNECT, self.name))
                socket.closed("server namespace disconnect")
            else:
                socket.refuse(error)
            return
        if not socket.connected:
            self._admit(socket, missed)
        for handler in self.connection_handlers:
            self.server.tasks.call(handler, socket)

    async def _ask(self, socket: Socket, skip: bool) -> dict[str, Any] | None:
        """Ask middlewares and the ``connect`` handler; return what to refuse with."""
        try:
            for middleware in [] if skip else list(self.middlewares):
                result = middleware(socket)
                if type(result) is CoroutineType:
                    await result
                if socket.ended:
                    return None
            handler, first = self.handler_of("connect", socket.id)
            if handler is None:
                return None
            environ = environ_of(socket.handshake.request)
            args = (*first, environ, socket.handshake.auth or None)
            result = handler(*args[: accepted(handler, len(args))])
            if type(result) is CoroutineType:
                result = await result
        except ConnectionRefusedError as exc:
            return exc.error
        except builtins.ConnectionRefusedError:
            return {"message": "Connection refused by server"}
        except Exception:
            logger.exception("%r is refused", socket)
            return {"message": "Internal server error"}
        return ConnectionRefusedError().error if result is False else None

    def _socket_of(
        self, connection: Connection, auth: dict[str, Any]
    ) -> tuple[Socket, list[list[str | bytes]]]:
        """Return a client, as it was before if it comes back in time."""
        history = self.adapter.history
        if history is None:
            return Socket(self, connection, secrets.token_urlsafe(15), auth), []
        pid, offset = auth.get("pid"), auth.get("offset")
        restored = None
        if type(pid) is str:
            restored = history.restore(pid, offset)
        if restored is None:
            sid, pid = secrets.token_urlsafe(15), secrets.token_urlsafe(15)
            return Socket(self, connection, sid, auth, pid), []
        session = restored.session
        socket = Socket(self, connection, session.sid, auth, session.pid)
        socket.data = session.data
        socket.recovered = True
        socket.restored = session
        socket.first_offset, socket.last_offset = session.first, restored.last
        if session.first is None:
            socket.first_offset = restored.first
        socket.join(*session.rooms)
        self._pids[session.pid] = socket  # it may come again before it is let in
        return socket, restored.events

    def end_alive(self, pid: str) -> bool:
        """End a client whose connection has died, which is not known yet, if so."""
        alive = self._pids.get(pid)
        if alive is None:
            return False
        alive.closed("transport close")
        alive.connection.engine.close("transport close")
        return True

    def _admit(self, socket: Socket, missed: list[list[str | bytes]]) -> None:
        self._waiting.pop(socket.id, None)
        self.sockets[socket.id] = socket
        socket.restored = None
        if socket.pid is not None:
            self._pids[socket.pid] = socket
        socket.connection.entered(socket)
        socket.open(missed)

    # ---- leaving ----

    def remove(self, socket: Socket) -> None:
        """Forget a client."""
        for known in (self.sockets, self._waiting):
            if known.get(socket.id) is socket:
                del known[socket.id]
        self.adapter.went(socket)
        if socket.pid is not None and self._pids.get(socket.pid) is socket:
            del self._pids[socket.pid]
        session, socket.restored = socket.restored, None
        if session is not None and self.adapter.history is not None:
            self.adapter.history.keep(session)  # it was not let in: it may come again
        self._look_empty()

    def leaving(self, socket: Socket, event: str, reason: str) -> None:
        """Call the handler of ``disconnecting`` or ``disconnect``."""
        handler, first = self.handler_of(event, socket.id)
        own = socket.handler_of_end(event)
        if own is not None:
            socket.connection.call(own, *(reason,)[: accepted(own, 1)])
        if handler is None:
            return
        args = (*first, reason)
        self._leaving[socket.id] = socket
        socket.connection.call(
            self._leave, socket.id, handler, args[: accepted(handler, len(args))]
        )

    def _leave(self, sid: str, handler: Callable[..., Any], args: Any) -> Any:
        """Call a handler; the client can be found until it has ended."""
        result = None
        try:
            result = handler(*args)
        finally:
            if type(result) is not CoroutineType:
                self._leaving.pop(sid, None)
        if type(result) is CoroutineType:
            return self._awaited(sid, result)
        return None

    async def _awaited(self, sid: str, coroutine: Any) -> None:
        try:
            await coroutine
        finally:
            self._leaving.pop(sid, None)

    def _look_empty(self) -> None:
        """End a child without clients, unless some may come back to it."""
        if (
            self.parent is None
            or not self.server.cleanup_empty_child_namespaces
            or (self.sockets or self._waiting or self._entering or self.closed)
        ):
            return
        history, empty = self.adapter.history, self.server.empty
        if self._ending is None:
            left = 0.0 if history is None else history.lasts()
            if left <= 0:
                self._end()
                return
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(left, self._look_again)
        empty[self] = None
        if len(empty) > MAX_EMPTY:
            next(iter(empty))._end()

    def _look_again(self) -> None:
        self._ending = None
        self._look_empty()

    def _end(self) -> None:
        """End a child."""
        self.close()
        if self.parent is not None:
            self.parent.children.pop(self.name, None)
        self.server.namespaces.pop(self.name, None)

    def close(self) -> None:
        """End the adapter."""
        self.closed = True
        self.server.empty.pop(self, None)
        if self._ending is not None:
            self._ending.cancel()
        self.adapter.close()

    # ---- handlers ----

    def handler_of(
        self, event: str, sid: str
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """Return the handler of an event, and its arguments before those of that."""
        handler, first = self.handlers.find(event, (sid,))
        if handler is None and self.server.star is not None:
            return self.server.star.find(event, (self.name, sid))
        return handler, first

    # ---- everybody ----

    def _all(self) -> Operator:
        return Operator(self.adapter, Target())

    def to(self, *rooms: str) -> Operator:
        """Choose the sockets of these rooms."""
        return self._all().to(*rooms)

    in_ = to

    def except_(self, *rooms: str) -> Operator:
        """Choose all but the sockets of these rooms."""
        return self._all().except_(*rooms)

    @property
    def volatile(self) -> Operator:
        """Choose whoever is ready for more."""
        return self._all().volatile

    @property
    def local(self) -> Operator:
        """Choose the sockets of this node."""
        return self._all().local

    def compress(self, compress: bool) -> Operator:
        """Choose all, and whether to compress what they are sent."""
        return self._all().compress(compress)

    def timeout(self, seconds: float) -> Operator:
        """Choose all, and how long to wait for acknowledgements."""
        return self._all().timeout(seconds)

    def emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to all clients of the namespace."""
        return self._all().emit(event, *args)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Send an event to all, and return all replies."""
        return await self._all().emit_with_ack(event, *args)

    async def fetch_sockets(self) -> list[Any]:
        """Return all sockets: those of other nodes as :class:`RemoteSocket`."""
        return await self._all().fetch_sockets()

    def sockets_join(self, *rooms: str) -> None:
        """Have all join rooms."""
        self._all().sockets_join(*rooms)

    def sockets_leave(self, *rooms: str) -> None:
        """Have all leave rooms."""
        self._all().sockets_leave(*rooms)

    def disconnect_sockets(self, close: bool = False) -> None:
        """Have all leave the namespace; ``close`` ends their connections as well."""
        self._all().disconnect_sockets(close)

    def server_side_emit(self, event: str, *args: Any) -> None:
        """Raise an event on all other nodes."""
        self.adapter.server_side_emit(event, list(args))

    async def server_side_emit_with_ack(
        self, event: str, *args: Any, timeout: float = 5.0
    ) -> list[Any]:
        """
        Raise an event on all other nodes and wait for what each replies.

        Raises:
            AckTimeout: Some node has not replied in time.

        """
        return await self.adapter.server_side_emit_with_ack(event, list(args), timeout)

    async def raised(self, event: str, args: list[Any]) -> Any:
        """Call the handler of what another node has emitted; return its reply."""
        handler = self.server_side.get(event)
        result = None if handler is None else handler(*args)
        return await result if type(result) is CoroutineType else result


class ParentNamespace(_Common):
    """
    The namespaces that a rule allows; each is made when its first client comes.

    Args:
        server: The server.
        rule: ``rule(name, auth)``, or a coroutine function, says whether a name is
            allowed.

    Attributes:
        children: Those that are there, by name.

    """

    def __init__(
        self, server: Server, rule: Callable[[str, dict[str, Any]], Any]
    ) -> None:
        super().__init__(server, "")
        self.rule = rule
        self.children: dict[str, Namespace] = {}

    async def allows(self, name: str, auth: dict[str, Any]) -> bool:
        """Return whether there may be a namespace of this name."""
        result = self.rule(name, auth)
        return bool(await result if type(result) is CoroutineType else result)

    def create(self, name: str) -> Namespace:
        """Return a new child."""
        child = Namespace(self.server, name, self)
        self.children[name] = child
        self.server.namespaces[name] = child
        return child

    def emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to all clients of all children."""
        for child in list(self.children.values()):
            child.emit(event, *args)
        return DONE
