"""The part of the server's API that knows clients by their ids, as python-socketio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from .environ import environ_of
from .targets import DONE, Operator, Target, event_packet, names

if TYPE_CHECKING:
    from .handlers import Tasks
    from .namespace import Namespace
    from .socket import Socket

__all__ = ["Sids"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Sids:
    """Methods that take ``sid`` and ``namespace`` (a mixin of the server)."""

    tasks: Tasks

    def of(self, name: Any) -> Any:
        """Return a namespace."""
        raise NotImplementedError

    def socket(self, sid: str, namespace: str | None = None) -> Socket:
        """
        Return a client.

        Raises:
            KeyError: There is none of this id.

        """
        found: Socket | None = self._of(namespace).get(sid)
        if found is None:
            raise KeyError(f"no client {sid!r} in {namespace or '/'}")
        return found

    def _of(self, namespace: str | None) -> Namespace:
        found: Namespace = self.of(namespace or "/")
        return found

    # ---- handlers ----

    def on(
        self,
        event: str,
        handler: Function | None = None,
        namespace: str | None = None,
    ) -> Any:
        """
        Have a handler called for an event; or decorate it.

        Args:
            event: Its name; ``"*"`` for all that have no handler; ``connect``,
                ``disconnecting``, ``disconnect``.
            handler: ``handler(sid, *args)``; of ``connect``, ``(sid, environ, auth)``
                or fewer; of the last two, ``(sid, reason)`` or less; of ``"*"``,
                ``(event, sid, *args)``. A coroutine function runs in a task of its own,
                any other at once. What it returns is the reply: a tuple is several
                values.
            namespace: Its namespace; ``"*"`` for all that have no such handler, which
                is told the namespace before the ``sid``.

        """
        if handler is None:
            return partial(self._decorate, event, namespace)
        if namespace == "*":
            self._star().by_event[event] = handler
        else:
            self.of(namespace or "/").on(event, handler)
        return handler

    def _star(self) -> Any:
        raise NotImplementedError

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

    # ---- sending ----

    def emit(
        self,
        event: str,
        *args: Any,
        to: str | Iterable[str] | None = None,
        room: str | Iterable[str] | None = None,
        except_: str | Iterable[str] | None = None,
        skip_sid: str | Iterable[str] | None = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        timeout: float | None = None,
        volatile: bool = False,
        compress: bool | None = None,
        local: bool = False,
        ignore_queue: bool = False,
    ) -> Awaitable[Any]:
        """
        Send an event. It is queued at once, and nobody waits for a slow client.

        Args:
            event: Its name.
            args: Its arguments. A tuple that is alone is several.
            to: Ids of clients, or rooms; None for everybody in the namespace.
            room: The same.
            except_: Ids or rooms that are left out.
            skip_sid: The same.
            namespace: The namespace, ``"/"`` by default.
            callback: Called with the reply of each recipient; then they are those of
                this node alone.
            timeout: Seconds that this may take. With it, it is ``callback(error,
                *values)`` that is called, and ``to`` is one client: for many there is
                :meth:`emit_with_ack`.
            volatile: Leave out whoever is not ready for more.
            compress: Whether to compress it; None to leave it to the server.
            local: Clients of this node alone.
            ignore_queue: The same.

        Raises:
            ValueError: The name is reserved, the data cannot be written, or there is a
                ``timeout`` without one client of this node.
            TypeError: The data cannot be written.

        """
        found = self._of(namespace)
        only = to if room is None else room if to is None else None
        if (
            type(only) is str
            and except_ is None
            and skip_sid is None
            and only not in found.adapter.rooms
        ):
            socket = found.find(only)
            if socket is not None:  # a client, and nobody else
                return socket.emit(
                    event,
                    *args,
                    callback=callback,
                    timeout=timeout,
                    volatile=volatile,
                    compress=compress,
                )
        if timeout is not None:
            raise ValueError(f"timeout= needs one client of this node, not {only!r}")
        rooms = names(to) | names(room)
        left_out = names(except_) | names(skip_sid)
        local = local or ignore_queue
        target = Target(rooms, left_out, volatile, compress, local)
        if callback is None:
            return Operator(found.adapter, target).emit(event, *args)
        packet = event_packet(found.name, event, args)
        packet.id = found.next_id()
        found.adapter.deliver(packet, target, callback)  # of this node
        return DONE

    def send(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send the event ``message``; see :meth:`emit`."""
        return self.emit("message", *args, **options)

    async def call(
        self,
        event: str,
        *args: Any,
        to: str | None = None,
        sid: str | None = None,
        namespace: str | None = None,
        timeout: float | None = 60.0,
    ) -> Any:
        """
        Send an event to one client, and wait for its reply.

        Returns:
            None, a value, or a tuple of several.

        Raises:
            ValueError: No client is named.
            KeyError: There is none of this id.
            AckTimeout: It took longer than ``timeout`` seconds.
            Disconnected: The client has gone.

        """
        recipient = to if to is not None else sid
        if recipient is None:
            raise ValueError("call() needs a client: to=")
        found = self._of(namespace)
        socket = found.get(recipient)
        if socket is None and found.adapter.clustered:
            target = Target(frozenset((recipient,)), timeout=timeout)
            replies = await Operator(found.adapter, target).emit_with_ack(event, *args)
            if replies:
                return replies[0]
        return await self.socket(recipient, namespace).call(
            event, *args, timeout=timeout
        )

    async def emit_with_ack(
        self,
        event: str,
        *args: Any,
        to: str | Iterable[str] | None = None,
        except_: str | Iterable[str] | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        local: bool = False,
    ) -> list[Any]:
        """
        Send an event, and wait for the replies of all its recipients.

        Returns:
            The replies, in the order of their coming.

        Raises:
            AckTimeout: Some took longer; ``responses`` has the others.

        """
        target = Target(names(to), names(except_), local=local, timeout=timeout)
        operator = Operator(self._of(namespace).adapter, target)
        return await operator.emit_with_ack(event, *args)

    # ---- rooms ----

    def enter_room(
        self, sid: str, room: str, namespace: str | None = None
    ) -> Awaitable[None]:
        """
        Have a client join a room.

        Raises:
            KeyError: There is none of this id.
            TooManyRooms: That is more than ``max_rooms_per_conn``.

        """
        found = self._of(namespace)
        if found.adapter.clustered and found.get(sid) is None:
            found.to(sid).sockets_join(room)
        else:
            self.socket(sid, namespace).join(room)
        return DONE

    def leave_room(
        self, sid: str, room: str, namespace: str | None = None
    ) -> Awaitable[None]:
        """Have a client leave a room."""
        found = self._of(namespace)
        if found.adapter.clustered and found.get(sid) is None:
            found.to(sid).sockets_leave(room)
        else:
            self.socket(sid, namespace).leave(room)
        return DONE

    join, leave = enter_room, leave_room

    def close_room(self, room: str, namespace: str | None = None) -> Awaitable[None]:
        """Have everybody leave a room, on all nodes."""
        self._of(namespace).adapter.close_room(room)
        return DONE

    def rooms(self, sid: str, namespace: str | None = None) -> list[str]:
        """Return the rooms of a client, that of its own among them."""
        return sorted(self.socket(sid, namespace).rooms)

    # ---- sessions and facts ----

    async def get_session(
        self, sid: str, namespace: str | None = None
    ) -> dict[str, Any]:
        """Return what is kept about a client."""
        return self.socket(sid, namespace).data

    async def save_session(
        self, sid: str, session: dict[str, Any], namespace: str | None = None
    ) -> None:
        """Keep this about a client."""
        self.socket(sid, namespace).data = session

    @asynccontextmanager
    async def session(
        self, sid: str, namespace: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Return what is kept about a client, and keep what becomes of it."""
        session = await self.get_session(sid, namespace)
        yield session
        await self.save_session(sid, session, namespace)

    def get_environ(self, sid: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the environment of a client's request, in the manner of WSGI."""
        return environ_of(self.socket(sid, namespace).handshake.request)

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """Return ``"polling"`` or ``"websocket"``."""
        return self.socket(sid, namespace).transport

    def disconnect(
        self, sid: str, namespace: str | None = None, *, close: bool = False
    ) -> Awaitable[None]:
        """Have a client leave a namespace; if there is none of this id, do nothing."""
        found = self._of(namespace)
        socket = found.find(sid)
        if socket is not None:
            socket.disconnect(close)
        elif found.adapter.clustered:
            found.to(sid).disconnect_sockets(close)
        return DONE

    # ---- as python-socketio ----

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function in a task."""
        return self.tasks.start(target(*args, **kwargs))

    async def sleep(self, seconds: float = 0) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
