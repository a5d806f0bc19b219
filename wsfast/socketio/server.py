"""The server of Socket.IO 5."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from re import Pattern
from typing import Any, Literal

from ..engineio import Server as EngineServer
from ._dropping import DroppingConnection
from ._limits import limits
from ._pacing import Pace
from .adapter import Adapter
from .classes import AsyncNamespace
from .connection import Connection, Entering
from .handlers import Handlers, Tasks, logger
from .namespace import Namespace, ParentNamespace
from .parser import Parser, parser_of
from .recovery import ConnectionStateRecovery
from .sids import Sids

__all__ = ["Server"]

Rule = Callable[[str, dict[str, Any]], Any]


class Server(Sids):
    """
    A server of Socket.IO 5: an ASGI application, and a handler of ``wsfast.serve``.

    Its methods are those of python-socketio's ``AsyncServer`` where that has them, and
    :meth:`of` returns namespaces with those of the JavaScript server. What sends does
    so at once; it may be awaited all the same.

    Args:
        parser: ``"default"``, ``"msgpack"``, or a :class:`~wsfast.socketio.Parser`.
        json: Its JSON: None for the standard library, ``"orjson"``, ``"msgspec"``, or a
            module with ``dumps`` and ``loads``.
        namespaces: Names of namespaces that exist without a handler; ``"*"`` lets any
            name in.
        connect_timeout: Seconds in which a client has to ask for a namespace.
        connection_state_recovery: True or a :class:`ConnectionStateRecovery` to have
            clients recovered that come back in time.
        cleanup_empty_child_namespaces: Forget the namespaces that a rule has made when
            their last client goes; with recovery, when nobody may come back any more,
            or 1000 are kept for that.
        max_rooms_per_conn: Rooms that a client joins at most, in a namespace; None for
            no limit, here and below.
        max_namespaces_per_conn: Namespaces that a connection is in at most.
        overflow: What becomes of an event for many when a client has left
            ``max_send_buffer`` unread: ``"close"`` ends its session, ``"drop_new"``
            drops the event for it, ``"drop_old"`` the oldest of those that wait.
        max_acks: Acknowledgements of a client in one namespace that are waited for at
            most; the oldest is given up for one more.
        max_handlers: Coroutine handlers and middlewares of a connection that run at a
            time; the packets that come meanwhile wait. With 1, each event is handled
            before the next one.
        max_queue: Packets of a connection that wait at most; then it is not read.
        max_queue_size: Octets of them.
        always_connect: Tell clients that they are connected before their middlewares
            and handlers were asked; who is refused then is disconnected.
        adapter: Makes the adapter of each namespace; by default in memory.
        path: Path of its requests.
        engine: Any other argument of :class:`wsfast.engineio.Server`.

    Attributes:
        engine: The Engine.IO server.
        namespaces: The namespaces, by name.

    """

    def __init__(
        self,
        *,
        parser: Any = None,
        json: Any = None,
        namespaces: str | Iterable[str] = (),
        connect_timeout: float = 45.0,
        connection_state_recovery: bool | ConnectionStateRecovery = False,
        cleanup_empty_child_namespaces: bool = True,
        max_rooms_per_conn: int | None = 1000,
        max_namespaces_per_conn: int | None = 100,
        overflow: Literal["close", "drop_new", "drop_old"] = "close",
        max_acks: int | None = 1000,
        max_handlers: int | None = 100,
        max_queue: int | None = 1000,
        max_queue_size: int | None = 1 << 20,
        always_connect: bool = False,
        adapter: Callable[[Namespace], Adapter] = Adapter,
        path: str = "/socket.io/",
        **engine: Any,
    ) -> None:
        if connect_timeout <= 0:
            raise ValueError(f"connect_timeout must be positive, got {connect_timeout}")
        self.parser: Parser = parser_of(parser, json)
        self.connect_timeout = connect_timeout
        self.recovery: ConnectionStateRecovery | None
        if isinstance(connection_state_recovery, ConnectionStateRecovery):
            self.recovery = connection_state_recovery
        else:
            self.recovery = (
                ConnectionStateRecovery() if connection_state_recovery else None
            )
        self.cleanup_empty_child_namespaces = cleanup_empty_child_namespaces
        (self.max_rooms_per_conn,) = limits(0, max_rooms_per_conn=max_rooms_per_conn)
        (self.max_namespaces_per_conn,) = limits(
            1, max_namespaces_per_conn=max_namespaces_per_conn
        )
        (self.max_acks,) = limits(1, max_acks=max_acks)
        self.pace = Pace.of(max_handlers, max_queue, max_queue_size)
        self.always_connect = always_connect
        self.adapter_factory = adapter
        self.tasks = Tasks()
        self.star: Handlers | None = None
        self.closing = False
        self.namespaces: dict[str, Namespace] = {}
        #: Children without clients that some may come back to.
        self.empty: dict[Namespace, None] = {}
        self._parents: list[ParentNamespace] = []
        if overflow not in ("close", "drop_new", "drop_old"):
            raise ValueError(f"overflow is close, drop_new or drop_old: {overflow!r}")
        self.overflow = overflow
        kind = Connection if overflow == "close" else DroppingConnection
        self.engine = EngineServer(partial(kind, self), path=path, **engine)
        self.of("/")
        if namespaces == "*":
            self.of(lambda name, auth: True)
        else:
            for name in namespaces:
                self.of(name)

    # ---- serving ----

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request (ASGI 3)."""
        if scope["type"] != "lifespan":
            await self.engine(scope, receive, send)
            return
        try:
            await self.engine(scope, receive, send)
        finally:
            await self.close()

    @property
    def listener(self) -> Any:
        """What :func:`wsfast.serve` takes as its handler, for WebSockets alone."""
        return self.engine.listener

    def serve(self, *args: Any, **kwargs: Any) -> Any:
        """Return a server of WebSockets alone; see ``engineio.Server.serve``."""
        return self.engine.serve(*args, **kwargs)

    async def close(self) -> None:
        """Disconnect everybody, and end what runs."""
        self.closing = True
        try:
            self.engine.close()
            for namespace in list(self.namespaces.values()):
                namespace.close()
            await asyncio.sleep(0)
            await self.tasks.close()
        finally:
            self.closing = False

    shutdown = close

    # ---- namespaces ----

    def of(self, name: str | Pattern[str] | Rule) -> Any:
        """
        Return a namespace; one that is not there is made.

        Args:
            name: Its name; or a pattern that names match as a whole, or
                ``rule(name, auth)``, for those that are made as clients come: what is
                returned then is their :class:`ParentNamespace`.

        Raises:
            ValueError: A name has a comma in it.

        """
        if isinstance(name, str):
            name = name if name[:1] == "/" else f"/{name}"
            if "," in name:
                raise ValueError(f"a namespace has no comma in it: {name!r}")
            found = self.namespaces.get(name)
            if found is None:
                found = self.namespaces[name] = Namespace(self, name)
            return found
        rule: Rule
        if isinstance(name, Pattern):
            pattern = name

            def rule(asked: str, auth: dict[str, Any]) -> bool:
                return pattern.fullmatch(asked) is not None
        else:
            rule = name
        parent = ParentNamespace(self, rule)
        self._parents.append(parent)
        return parent

    def register_namespace(self, namespace: AsyncNamespace) -> None:
        """Have the methods of an object called for the events of its namespace."""
        namespace.register(self)

    def use(self, middleware: Any) -> Any:
        """Add a middleware to the namespace ``"/"``; see :meth:`Namespace.use`."""
        return self.of("/").use(middleware)

    def to(self, *rooms: str) -> Any:
        """Choose the sockets of rooms in the namespace ``"/"``."""
        return self.of("/").to(*rooms)

    in_ = to

    def except_(self, *rooms: str) -> Any:
        """Choose all but the sockets of rooms in the namespace ``"/"``."""
        return self.of("/").except_(*rooms)

    def _star(self) -> Handlers:
        if self.star is None:
            self.star = Handlers()
        return self.star

    def connect(
        self, connection: Connection, name: str, auth: dict[str, Any], wish: Entering
    ) -> None:
        """Take a client that asks for a namespace."""
        connection.start(self._connect(connection, name, auth, wish))

    async def _connect(
        self, connection: Connection, name: str, auth: dict[str, Any], wish: Entering
    ) -> None:
        try:
            namespace = self.namespaces.get(name)
            if namespace is None:
                namespace = await self._child(name, auth)
            if namespace is not None:
                await namespace.enter(connection, auth, wish)
            elif not wish.left:
                connection.refuse(name, "Invalid namespace")
        except Exception:
            logger.exception("%s cannot be entered", name)
            if not wish.left:
                connection.refuse(name, "Internal server error")
        finally:
            connection.forget(name, wish)

    async def _child(self, name: str, auth: dict[str, Any]) -> Namespace | None:
        """Return the namespace of this name that a rule allows."""
        for parent in self._parents:
            if await parent.allows(name, auth):
                return self.namespaces.get(name) or parent.create(name)
        return None
