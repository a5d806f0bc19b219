"""One client in one namespace, at the server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import cached_property, partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from ._early import Early
from .acks import Answered, Waiting, fail_all, give_up
from .exceptions import Disconnected, TooManyRooms
from .handlers import Anything, logger
from .packet import ACK, CONNECT, CONNECT_ERROR, DISCONNECT, Packet
from .recovery import RECOVERABLE, Session
from .targets import DONE, Operator, Target, event_packet

if TYPE_CHECKING:
    from ..engineio import Request
    from .connection import Connection
    from .namespace import Namespace

__all__ = ["Handshake", "Socket"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Handshake:
    """
    What a client came with.

    Args:
        connection: Its connection.
        auth: What it sent for this namespace.

    Attributes:
        auth: As given.
        time: When that was, in seconds since the epoch.

    """

    def __init__(self, connection: Connection, auth: dict[str, Any]) -> None:
        self.request: Request = connection.engine.request
        self.auth = auth
        self.time = time.time()

    @property
    def headers(self) -> Any:
        """Header fields of the request."""
        return self.request.headers

    @property
    def query(self) -> dict[str, str]:
        """Parameters of its query."""
        return self.request.query

    @property
    def address(self) -> Any:
        """Host and port of the client, or of the proxy before us."""
        return self.request.remote_address

    @cached_property
    def cookies(self) -> dict[str, str]:
        """Its cookies."""
        return self.request.cookies


class Socket(Anything):
    """
    A client in a namespace; handlers with a ``sid`` find it by ``server.socket(sid)``.

    Args:
        namespace: The namespace.
        connection: The client's connection, which its other namespaces share.
        sid: Its id.
        auth: What the client sent.

    Attributes:
        id: Its id, which is a room of its own, too.
        namespace: As given.
        data: Whatever the application keeps about it; recovered with it, and seen by
            ``fetch_sockets()`` of other nodes if JSON can hold it.
        handshake: What it came with.
        connected: Whether it is in the namespace.
        recovered: Whether it came back, and has its state and what it missed.
        lane: The session that broadcasts may be handed to without asking further; None
            before and after the time in the namespace, and where listeners are told of
            what goes.

    """

    __slots__ = (
        "__weakref__",
        "_acks",
        "_early",
        "_handlers",
        "_middlewares",
        "_rooms",
        "connected",
        "connection",
        "data",
        "first_offset",
        "handshake",
        "id",
        "lane",
        "last_offset",
        "namespace",
        "pid",
        "recovered",
        "restored",
        "write",
    )

    def __init__(
        self,
        namespace: Namespace,
        connection: Connection,
        sid: str,
        auth: dict[str, Any],
        pid: str | None = None,
    ) -> None:
        super().__init__()
        self.namespace = namespace
        self.connection = connection
        self.id = sid
        self.pid = pid
        self.handshake = Handshake(connection, auth)
        self.data: dict[str, Any] = {}
        self.connected = False
        self.recovered = False
        #: What it has come back to, until it is let in.
        self.restored: Session | None = None
        self.first_offset: int | None = None
        self.last_offset: int | None = None
        self._acks: dict[int, Any] | None = None
        self._handlers: dict[str, Callable[..., Any]] | None = None
        self._middlewares: list[Callable[..., Any]] | None = None
        self._rooms: dict[str, None] | None = None
        most = namespace.server.engine.max_send_buffer
        self._early: Early | None = Early(most, self._too_early)
        #: Sends a message: kept until the client knows that it is connected.
        self.write: Callable[[Any], Any] = self._early.append
        self.lane: Any = None

    def __repr__(self) -> str:
        return f"<Socket {self.id} of {self.namespace.name}>"

    # ---- facts ----

    @property
    def writable(self) -> bool:
        """Whether a volatile event would be sent."""
        return self.connected and self.connection.engine.writable

    @property
    def rooms(self) -> set[str]:
        """The rooms that it is in, that of its own among them."""
        return {self.id, *(self._rooms or ())}

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return str(self.connection.engine.transport)

    @property
    def dropped(self) -> int:
        """Events for many that its connection has dropped; see ``overflow``."""
        return self.connection.dropped

    @property
    def ended(self) -> bool:
        """Whether the client has gone, or was refused."""
        return not self.connected and self._early is None

    # ---- sending ----

    def emit(
        self,
        event: str,
        *args: Any,
        callback: Callable[..., Any] | None = None,
        timeout: float | None = None,
        volatile: bool = False,
        compress: bool | None = None,
    ) -> Awaitable[Any]:
        """
        Send an event. It is queued at once; awaiting is back-pressure.

        Args:
            event: Its name.
            args: Its arguments. A tuple that is alone is several.
            callback: Called with what the client acknowledges it with.
            timeout: Seconds that this may take. With it, it is ``callback(error,
                *values)`` that is called: the error is None, `AckTimeout` or
                `Disconnected`.
            volatile: Drop the event if the client is not ready for more.
            compress: Whether to compress it; None to leave it to the server.

        Raises:
            ValueError: The name is reserved, or the data cannot be written.
            TypeError: The data cannot be written.

        """
        packet = event_packet(self.namespace.name, event, args)
        if callback is None:
            return self._emit(packet, volatile, compress)
        if volatile and not self.writable:
            return DONE
        packet.id = number = self.namespace.next_id()
        if timeout is not None:
            call = self.namespace.server.tasks.call
            forget = partial(self.forget_ack, number)
            callback = Answered(timeout, forget, callback, call)
        self.expect(number, callback)
        try:
            return self._emit(packet, volatile, compress)
        except BaseException:
            self.forget_ack(number)
            if isinstance(callback, Answered):
                callback.future.cancel()
            raise

    def _emit(
        self, packet: Packet, volatile: bool, compress: bool | None
    ) -> Awaitable[Any]:
        if volatile and not self.writable:
            return DONE
        if self._any_outgoing is not None:
            self.tell_outgoing(packet.data)
        adapter = self.namespace.adapter
        if adapter.history is None or packet.id is not None or volatile:
            return self.send_packet(packet, compress)
        return adapter.emit_to(self, packet, compress)

    def send(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send the event ``message``; see :meth:`emit`."""
        return self.emit("message", *args, **options)

    async def call(
        self,
        event: str,
        *args: Any,
        timeout: float | None = 60.0,
        compress: bool | None = None,
    ) -> Any:
        """
        Send an event and wait until it is acknowledged.

        Args:
            event: Its name.
            args: Its arguments.
            timeout: Seconds that this may take, or None.
            compress: Whether to compress it.

        Returns:
            What the client replies: None, a value, or a tuple of several.

        Raises:
            AckTimeout: It took longer.
            Disconnected: The client has gone.

        """
        if self.ended:
            raise Disconnected("the client is not connected")
        packet = event_packet(self.namespace.name, event, args)
        packet.id = number = self.namespace.next_id()
        waiting = Waiting(timeout, partial(self.forget_ack, number))
        self.expect(number, waiting)
        try:
            self._emit(packet, False, compress)
        except BaseException:
            self.forget_ack(number)
            waiting.future.cancel()
            raise
        return await waiting.future

    emit_with_ack = call

    def send_packet(
        self, packet: Packet, compress: bool | None = None
    ) -> Awaitable[Any]:
        """Send a packet."""
        messages = self.namespace.server.parser.encode(packet)
        return self.send_messages(messages, compress)

    def send_messages(
        self, messages: list[str | bytes], compress: bool | None
    ) -> Awaitable[Any]:
        """Send the messages of a packet."""
        if self._early is not None:
            self._early.extend(messages)
            return DONE
        sent: Awaitable[Any] = self.connection.send(messages, compress)
        return sent

    def _outgoing_changed(self) -> None:
        open_ = self.connected and self._any_outgoing is None
        self.lane = self.connection.lane if open_ else None

    def write_packet(self, messages: list[Any], droppable: bool) -> None:
        """Send the messages of an event for many."""
        if self._early is not None:
            self._early.extend(messages)
        elif self.connected:
            self.connection.write_packet(messages, droppable)

    def expect(self, number: int | None, ack: Callable[..., Any]) -> None:
        """Have ``ack`` called with the reply to an event."""
        assert number is not None
        if self._acks is None:
            self._acks = {}
        self._acks[number] = ack
        if len(self._acks) > self.namespace.server.max_acks:
            give_up(self._acks, self.namespace.server.max_acks)

    def forget_ack(self, number: int) -> None:
        """Wait for a reply no longer."""
        if self._acks is not None:
            self._acks.pop(number, None)

    def tell_outgoing(self, data: list[Any]) -> None:
        """Call those who look on."""
        for listener in self._any_outgoing or ():
            self.namespace.server.tasks.call(listener, *data)

    # ---- rooms and others ----

    def join(self, *rooms: str) -> None:
        """
        Join rooms.

        Raises:
            TooManyRooms: That is more than ``max_rooms_per_conn``.
            Disconnected: The client has gone.

        """
        if self.ended:
            raise Disconnected("the client is not connected")
        if self._rooms is None:
            self._rooms = {}
        most = self.namespace.server.max_rooms_per_conn
        for room in rooms:
            if type(room) is not str:
                raise TypeError(f"a room is a str, not {type(room).__name__}")
            if room == self.id or room in self._rooms:
                continue
            if len(self._rooms) >= most:
                raise TooManyRooms(f"a socket joins at most {most} rooms")
            self._rooms[room] = None
            self.namespace.adapter.add(self, room)

    def leave(self, *rooms: str) -> None:
        """Leave rooms; that of its own stays."""
        for room in rooms:
            if self._rooms is not None and room in self._rooms:
                del self._rooms[room]
                self.namespace.adapter.remove(self, room)

    @property
    def broadcast(self) -> Operator:
        """Everybody else in the namespace."""
        target = Target(except_=frozenset((self.id,)))
        return Operator(self.namespace.adapter, target)

    def to(self, *rooms: str) -> Operator:
        """Everybody else in these rooms."""
        return self.broadcast.to(*rooms)

    in_ = to

    def except_(self, *rooms: str) -> Operator:
        """Everybody else who is not in these rooms."""
        return self.broadcast.except_(*rooms)

    @property
    def local(self) -> Operator:
        """Everybody else on this node."""
        return self.broadcast.local

    # ---- receiving ----

    def on(self, event: str, handler: Function | None = None) -> Any:
        """
        Have ``handler(*args)`` called for an event of this client; or decorate it.

        It goes before the handler of the namespace, and what it returns is the reply.
        """
        if handler is None:
            return partial(self.on, event)
        if self._handlers is None:
            self._handlers = {}
        self._handlers[event] = handler
        return handler

    def off(self, event: str) -> None:
        """Forget the handler of an event."""
        if self._handlers is not None:
            self._handlers.pop(event, None)

    def handler_of_end(self, event: str) -> Callable[..., Any] | None:
        """Return the handler of ``disconnecting`` or ``disconnect`` of its own."""
        return None if self._handlers is None else self._handlers.get(event)

    def use(self, middleware: Function) -> Function:
        """
        Have ``middleware(event, *args)`` called before each event's handler.

        One that raises drops the event. Both kinds of functions will do.
        """
        self._middlewares = [*(self._middlewares or ()), middleware]
        return middleware

    def receive(self, packet: Packet) -> None:
        """Take an event, an acknowledgement, or the client's leave."""
        if packet.type == ACK:
            ack = (self._acks or {}).pop(packet.id or 0, None)
            if ack is not None:
                self.namespace.server.tasks.call(ack, *packet.data)
        elif packet.type == DISCONNECT:
            self.closed("client namespace disconnect")
        elif self._middlewares is not None:
            self.connection.start(self._filter(packet.data, packet.id))
        else:
            work = self._dispatch(packet.data, packet.id)
            if work is not None:
                self.connection.start(work)

    async def _filter(self, data: list[Any], number: int | None) -> None:
        """Ask the middlewares first."""
        try:
            for middleware in self._middlewares or ():
                result = middleware(*data)
                if type(result) is CoroutineType:
                    await result
        except Exception as exc:
            logger.info("%r: %s is dropped: %r", self, data[0], exc)
            return
        work = self._dispatch(data, number) if self.connected else None
        if work is not None:
            await work

    def _dispatch(
        self, data: list[Any], number: int | None
    ) -> Coroutine[Any, Any, None] | None:
        """Call the handler of an event; return what is left to be run."""
        event = data[0]
        if self._any is not None:
            for listener in self._any:
                self.connection.call(listener, *data)
        own = None if self._handlers is None else self._handlers.get(event)
        if own is not None:
            handler: Callable[..., Any] | None = own
            first: tuple[Any, ...] = ()
        else:
            handler, first = self.namespace.handler_of(event, self.id)
            if handler is None:
                return None
        try:
            result = handler(*first, *data[1:])  # type: ignore[misc]
        except Exception:
            logger.exception("the handler of %r has failed", event)
            return None
        if type(result) is CoroutineType:
            return self._finish(event, result, number)
        if number is not None:
            self._acknowledge(number, result)
        return None

    async def _finish(self, event: str, coroutine: Any, number: int | None) -> None:
        """Run a handler to its end."""
        try:
            result = await coroutine
        except Exception:
            logger.exception("the handler of %r has failed", event)
            return
        if number is not None:
            self._acknowledge(number, result)

    def _acknowledge(self, number: int, result: Any) -> None:
        """Send what a handler has returned."""
        if not self.connected:
            return
        if result is None:
            data = []
        elif type(result) is tuple:
            data = list(result)
        else:
            data = [result]
        try:
            self.send_packet(Packet(ACK, self.namespace.name, data, number))
        except (TypeError, ValueError):
            logger.exception("what a handler has returned cannot be sent")

    # ---- beginning and end ----

    def open(self, missed: list[list[str | bytes]]) -> None:
        """Tell the client that it is connected, and send what has waited for that."""
        early = [] if self._early is None else self._early.messages
        self._early = None
        self.connected = True
        self.write = self.connection.write
        self._outgoing_changed()
        said = {"sid": self.id}
        if self.pid is not None:
            said["pid"] = self.pid
        self.send_packet(Packet(CONNECT, self.namespace.name, said))
        for messages in missed:
            self.send_messages(messages, None)
        if early:
            self.connection.send(early, None)

    def _too_early(self) -> None:
        """End the connection: it could not be sent what has waited."""
        text = "too much waits for a client that is being let in"
        logger.warning("%r: %s", self, text)
        self.connection.engine.end("transport error", text, code=1008)

    def refuse(self, error: dict[str, Any]) -> None:
        """Tell the client that it is not."""
        self._early = None
        packet = Packet(CONNECT_ERROR, self.namespace.name, error)
        self.gone()
        self.connection.send(self.namespace.server.parser.encode(packet), None)

    def disconnect(self, close: bool = False) -> None:
        """
        Have the client leave the namespace.

        Args:
            close: End its connection as well, which ends its other namespaces.

        """
        if close:
            self.connection.close()
        elif self.connected:
            self.namespace.adapter.flush(self)
            self.send_packet(Packet(DISCONNECT, self.namespace.name))
            self.closed("server namespace disconnect")

    def closed(self, reason: str) -> None:
        """Take the end, whatever it comes from."""
        if not self.connected:
            if self._early is not None:
                self._early = None
                self.gone()
            return
        namespace = self.namespace
        namespace.leaving(self, "disconnecting", reason)
        if namespace.adapter.history is not None and reason in RECOVERABLE:
            namespace.adapter.history.persist(self)
        self.connected = False
        self.gone()
        namespace.leaving(self, "disconnect", reason)

    def gone(self) -> None:
        """Leave everything; replies that are waited for will not come."""
        self.write = _nowhere
        self.lane = None
        for room in self._rooms or ():
            self.namespace.adapter.remove(self, room)
        self.namespace.remove(self)
        self.connection.left(self)
        acks, self._acks = self._acks, None
        fail_all((acks or {}).values())


def _nowhere(message: Any) -> None:
    """Send nothing: the client has gone."""
