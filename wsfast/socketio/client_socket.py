"""One namespace of a client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

from ..asyncio.waiter import DONE as SENT
from ..exceptions import ConnectionClosed
from ._client_events import Queued, Written, told
from .acks import Answered, Waiting, fail_all, give_up
from .exceptions import AckTimeout, ConnectionError, Disconnected  # noqa: A004
from .handlers import Anything, Handlers, accepted, logger
from .packet import ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet
from .targets import DONE, event_packet

if TYPE_CHECKING:
    from .manager import Manager

__all__ = ["ClientSocket"]

Function = TypeVar("Function", bound=Callable[..., Any])


class ClientSocket(Anything):
    """
    A client in a namespace; made by :meth:`Manager.socket`.

    What is emitted while there is no connection is sent when there is one. A server
    that recovers connections sends an offset behind the arguments of each event; a
    handler that has no argument for it is not given it.

    Args:
        manager: The connection.
        name: The namespace.
        auth: What the server is told at each connection: an object, or a function or
            coroutine function that returns one.
        ack_timeout: Seconds for acknowledgements, unless ``call()`` is told others.
        retries: How often an event is sent again that was not acknowledged within
            ``ack_timeout``. With it, events wait for each other, and each arrives at
            least once, or is given up: ``call()`` raises then.
        max_offline: Events that wait for a connection at most; and of those that came
            before the namespace was entered.
        max_acks: Acknowledgements that are waited for at most; the oldest is given up
            for one more.

    Attributes:
        id: The id that the server gave; None without a connection.
        connected: Whether the namespace is entered.
        recovered: Whether the server has kept the state of the last connection.
        active: Whether it is connected, or tries to be.

    """

    def __init__(
        self,
        manager: Manager,
        name: str,
        *,
        auth: Any = None,
        ack_timeout: float | None = None,
        retries: int | None = None,
        max_offline: int = 10_000,
        max_acks: int = 10_000,
    ) -> None:
        super().__init__()
        if retries is not None and ack_timeout is None:
            raise ValueError("retries need ack_timeout")
        self.manager = manager
        self.name = name
        self.auth = auth
        self.ack_timeout = ack_timeout
        self.retries = retries
        self.max_offline = max_offline
        self.max_acks = max_acks
        self.id: str | None = None
        self.connected = False
        self.recovered = False
        self.active = False
        self.handlers = Handlers()
        self._pid: str | None = None
        self._offset: str | None = None
        self._ids = 0
        self._acks: dict[int, Callable[..., Any]] = {}
        self._offline: dict[int, Written] = {}  # by id; those without have others
        self._early: list[Packet] = []
        self._queue: deque[Queued] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._draining: asyncio.Task[Any] | None = None
        self._failure: ConnectionError | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._most: dict[Callable[..., Any], int] = {}

    def __repr__(self) -> str:
        return f"<ClientSocket {self.id} of {self.name}>"

    # ---- handlers ----

    def on(self, event: str, handler: Function | None = None) -> Any:
        """
        Have a handler called for an event; or decorate it.

        Args:
            event: Its name; ``"*"`` for all without a handler; ``connect``,
                ``connect_error``, ``disconnect``.
            handler: ``handler(*args)``, of ``"*"`` ``handler(event, *args)``; a
                coroutine function runs in a task. What it returns is the reply. Of
                ``connect_error`` it gets what the server said, or an exception; of
                ``disconnect``, the reason.

        """
        if handler is None:
            return partial(self.on, event)
        self.handlers.by_event[event] = handler
        return handler

    def off(self, event: str) -> None:
        """Forget the handler of an event."""
        self.handlers.by_event.pop(event, None)

    # ---- connecting ----

    def connect(self) -> ClientSocket:
        """Enter the namespace, in the background; the connection is opened for it."""
        if not self.active:
            self.active = True
            self._failure = None
            if self.manager.state == "open":
                self.engine_opened()
            else:
                self.manager.open()
        return self

    async def wait_connected(self) -> None:
        """
        Wait until the namespace is entered.

        Raises:
            ConnectionError: It is refused, or the connection could not be opened.

        """
        if self._failure is not None and not self.active:
            error, self._failure = self._failure, None
            raise error  # it came at once: out of descriptors, for one
        if not self.connected:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self, exc: Exception | None) -> None:
        self._stop_timer()
        if exc is None:
            self._failure = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if exc is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(exc)

    def engine_opened(self) -> None:
        """Ask for the namespace."""
        if not self.active:
            return
        auth = self.auth() if callable(self.auth) else self.auth
        if type(auth) is CoroutineType:
            self.manager.tasks.start(self._ask_later(auth, self.manager.engine))
        else:
            self._ask(auth)

    async def _ask_later(self, auth: Any, engine: Any) -> None:
        auth = await auth
        if self.active and self.manager.engine is engine:
            self._ask(auth)

    def _ask(self, auth: Any) -> None:
        if self._pid is not None:
            auth = {**(auth or {}), "pid": self._pid}
            if self._offset is not None:
                auth["offset"] = self._offset
        self._send(Packet(CONNECT, self.name, auth))
        manager, loop = self.manager, asyncio.get_running_loop()
        self._stop_timer()
        if manager.timeout is not None:
            self._timer = loop.call_later(
                manager.timeout, self._not_answered, manager.engine
            )

    def _not_answered(self, engine: Any) -> None:
        self._timer = None
        if self.manager.engine is engine:
            self.failed(TimeoutError("the server has not answered in time"))

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def failed(self, exc: Exception) -> None:
        """Take that the connection could not be opened, or the namespace entered."""
        if self.active and not self.connected:
            self._call("connect_error", exc)
            error = ConnectionError(f"{self.manager.url}: {exc}")
            error.__cause__ = exc
            if not self._waiters:
                self._failure = error
            self._wake(error)

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
        Send an event, now or when there is a connection; awaiting is back-pressure.

        Args:
            event: Its name.
            args: Its arguments. A tuple that is alone is several.
            callback: Called with what the server acknowledges it with.
            timeout: Seconds that this may take. With it, it is ``callback(error,
                *values)`` that is called: the error is None, `AckTimeout` or
                `Disconnected`. An event that waits for a connection still is not sent
                then.
            volatile: Drop the event rather than have it wait.
            compress: Whether to compress it.

        Raises:
            Disconnected: ``max_offline`` events wait already.
            ValueError: The name is reserved.

        """
        packet = event_packet(self.name, event, args)
        if self.retries is not None and not volatile:
            future = self._enqueue(packet, compress)
            call = self.manager.tasks.call
            future.add_done_callback(partial(told, callback, event, call))
            return DONE
        if callback is None:
            return self._emit(packet, volatile, compress)
        if volatile and not self._writable:
            return DONE
        packet.id = number = self._next_id()
        if timeout is not None:
            call = self.manager.tasks.call
            callback = Answered(timeout, partial(self._forget, number), callback, call)
        return self._expecting(packet, callback, volatile, compress)

    def send(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Send the event ``message``; see :meth:`emit`."""
        return self.emit("message", *args, **options)

    async def call(self, event: str, *args: Any, timeout: float | None = 60.0) -> Any:
        """
        Send an event and wait until it is acknowledged.

        Returns:
            What the server replies: None, a value, or a tuple of several.

        Raises:
            AckTimeout: It took longer than ``timeout`` seconds; with ``retries``, all
                attempts did.
            Disconnected: The connection was lost before.

        """
        packet = event_packet(self.name, event, args)
        if self.retries is not None:
            return await self._enqueue(packet, None)
        number = packet.id = self._next_id()
        waiting = Waiting(timeout, partial(self._forget, number))
        self._expecting(packet, waiting, False, None)
        return await waiting.future

    emit_with_ack = call

    def _expecting(
        self,
        packet: Packet,
        ack: Callable[..., Any],
        volatile: bool,
        compress: bool | None,
    ) -> Awaitable[Any]:
        """Send an event that is to be acknowledged."""
        assert packet.id is not None
        self._expect(packet.id, ack)
        try:
            return self._emit(packet, volatile, compress)
        except BaseException:
            self._acks.pop(packet.id, None)
            if isinstance(ack, Waiting):
                ack.future.cancel()
            raise

    def _expect(self, number: int, ack: Callable[..., Any]) -> None:
        self._acks[number] = ack
        give_up(self._acks, self.max_acks)

    def _forget(self, number: int) -> None:
        """Wait for a reply no longer; an event that was not sent yet, will not be."""
        self._acks.pop(number, None)
        self._offline.pop(number, None)

    def _next_id(self) -> int:
        number, self._ids = self._ids, self._ids + 1
        return number

    @property
    def _writable(self) -> bool:
        return self.connected and self.manager.writable

    def _emit(
        self, packet: Packet, volatile: bool, compress: bool | None
    ) -> Awaitable[Any]:
        if volatile and not self._writable:
            return DONE
        written = Written(packet, self.manager.parser.encode(packet), compress)
        if self.connected and not self._offline:
            return self._send_event(written)
        if len(self._offline) >= self.max_offline:
            raise Disconnected(f"{self.max_offline} events wait for a connection")
        number = -1 - self._next_id() if packet.id is None else packet.id
        self._offline[number] = written
        return DONE

    def _send_event(self, event: Written) -> Awaitable[Any]:
        for listener in self._any_outgoing or ():
            self.manager.tasks.call(listener, *event.data)
        sent: Awaitable[Any] = self.manager.send(event.messages, event.compress)
        return sent

    def _send(self, packet: Packet, compress: bool | None = None) -> Awaitable[Any]:
        messages = self.manager.parser.encode(packet)
        sent: Awaitable[Any] = self.manager.send(messages, compress)
        return sent

    def _flush(self) -> None:
        """Send what has waited for a connection, as fast as that takes it."""
        while self._offline and self.connected:
            event = self._offline.pop(next(iter(self._offline)))
            sent = self._send_event(event)
            if self._offline and sent is not SENT and sent is not DONE:
                self.manager.tasks.start(self._flush_later(sent))
                return

    async def _flush_later(self, sent: Awaitable[Any]) -> None:
        with suppress(ConnectionClosed):  # the rest waits for the next one
            await sent
        self._flush()

    # ---- retries ----

    def _enqueue(self, packet: Packet, compress: bool | None) -> asyncio.Future[Any]:
        """Have an event sent until it is acknowledged."""
        if len(self._queue) >= self.max_offline:
            raise Disconnected(f"{self.max_offline} events wait for a connection")
        packet.id = self._next_id()
        event = Written(packet, self.manager.parser.encode(packet), compress)
        future = asyncio.get_running_loop().create_future()
        self._queue.append(Queued(event, future))
        self._drain()
        return future

    def _drain(self) -> None:
        if self._queue and (self._draining is None or self._draining.done()):
            self._draining = self.manager.tasks.start(self._drain_on())

    async def _drain_on(self) -> None:
        """Send what is queued, one by one, while there is a connection."""
        while self._queue and self.connected:
            queued = self._queue[0]
            if queued.future.cancelled():  # nobody waits for it any more
                self._queue.popleft()
                continue
            queued.tries += 1
            number = queued.event.id
            assert number is not None
            waiting = Waiting(self.ack_timeout, partial(self._acks.pop, number, None))
            self._expect(number, waiting)
            self._send_event(queued.event)
            error = result = None
            try:
                result = await waiting.future
            except (AckTimeout, Disconnected) as exc:
                assert self.retries is not None
                if queued.tries <= self.retries:
                    continue
                error = exc
            if self._queue and self._queue[0] is queued:
                self._queue.popleft()
            if queued.future.done():
                continue
            if error is None:
                queued.future.set_result(result)
            else:
                queued.future.set_exception(error)

    # ---- receiving ----

    def receive(self, packet: Packet) -> None:
        """Take a packet."""
        kind = packet.type
        if kind == EVENT:
            if self.connected:
                self._event(packet)
            elif len(self._early) < self.max_offline:
                self._early.append(packet)
            else:
                logger.warning("%r: too much before it was entered", self)
                self.manager.engine.close("parse error")
        elif kind == ACK:
            ack = self._acks.pop(packet.id or 0, None)
            if ack is not None:
                self.manager.tasks.call(ack, *packet.data)
        elif kind == CONNECT:
            self._entered(packet.data or {})
        elif kind == DISCONNECT:
            self.active = False
            self._left("io server disconnect")
            self.manager.left()
        elif kind == CONNECT_ERROR:
            self.active = False
            self._call("connect_error", packet.data)
            data = packet.data
            text = data.get("message") if isinstance(data, dict) else data
            self._wake(ConnectionError(f"{self.name}: {text}", data))
            self.manager.left()

    def _entered(self, said: dict[str, Any]) -> None:
        if not isinstance(said.get("sid"), str):
            self._call("connect_error", "a server of an older version")
            self.manager.engine.close("parse error")
            return
        pid = said.get("pid")
        self.id = said["sid"]
        self.recovered = pid is not None and pid == self._pid
        if not self.recovered:
            self._offset = None
        self._pid = pid
        self.connected = True
        self._call("connect")
        early, self._early = self._early, []
        for packet in early:
            self._event(packet)
        self._flush()
        self._drain()
        self._wake(None)

    def _event(self, packet: Packet) -> None:
        """Call the handler of an event."""
        data = packet.data
        offset = False  # behind the arguments, as far as one can tell
        if self._pid is not None and packet.id is None and len(data) > 1:
            offset = type(data[-1]) is str
            if offset:
                self._offset = data[-1]
        for listener in self._any or ():
            self.manager.call(listener, *data)
        handler, first = self.handlers.find(data[0], ())
        if handler is None:
            return
        args = (*first, *data[1:])
        if offset and not self._takes(handler, len(args)):
            args = args[:-1]
        try:
            result = handler(*args)
        except Exception:
            logger.exception("the handler of %r has failed", data[0])
            return
        if type(result) is CoroutineType:
            self.manager.start(self._finish(data[0], result, packet.id))
        elif packet.id is not None:
            self._acknowledge(packet.id, result)

    def _takes(self, handler: Callable[..., Any], count: int) -> bool:
        """Return whether a handler has so many arguments."""
        most = self._most.get(handler)
        if most is None:
            most = self._most[handler] = accepted(handler, 1000)
        return count <= most

    async def _finish(self, event: str, coroutine: Any, number: int | None) -> None:
        try:
            result = await coroutine
        except Exception:
            logger.exception("the handler of %r has failed", event)
            return
        if number is not None:
            self._acknowledge(number, result)

    def _acknowledge(self, number: int, result: Any) -> None:
        if result is None:
            data = []
        else:
            data = list(result) if type(result) is tuple else [result]
        try:
            self._send(Packet(ACK, self.name, data, number))
        except (TypeError, ValueError):
            logger.exception("what a handler has returned cannot be sent")

    def _call(self, event: str, *args: Any) -> None:
        handler = self.handlers.by_event.get(event)
        if handler is not None:
            self.manager.tasks.call(handler, *args)

    # ---- the end ----

    def disconnect(self) -> Awaitable[None]:
        """Leave the namespace; the connection is closed behind the last one."""
        if self.active:
            if self.connected:
                self._send(Packet(DISCONNECT, self.name))
            self.active = False
            self._pid = self._offset = None
            self._left("io client disconnect")
            self._give_up()
            self._wake(ConnectionError(f"{self.name}: disconnected"))
            self.manager.left()
        return DONE

    def _give_up(self) -> None:
        """Forget what waits for acknowledgements or for a connection."""
        queue, self._queue = self._queue, deque()
        self._offline = {}
        self._early = []
        for queued in queue:
            if not queued.future.done():
                queued.future.set_exception(Disconnected("the client has left"))
        acks = list(self._acks.values())
        self._acks.clear()
        fail_all(acks)

    def given_up(self) -> None:
        """Take that the connection will not come back."""
        if self.active:
            self.active = False
            self._give_up()
            self._wake(ConnectionError(f"{self.name}: no connection"))

    def lost(self, reason: str) -> None:
        """Take the end of the connection."""
        self._early = []
        self._stop_timer()
        self._left(reason)
        if self.active and not self.manager.reconnection:
            self.active = False
        if not self.active:
            self._wake(ConnectionError(f"{self.name}: {reason}"))

    def _left(self, reason: str) -> None:
        if not self.connected:
            return
        self.connected = False
        self.id = None
        sent = [number for number in self._acks if number not in self._offline]
        fail_all([self._acks.pop(number) for number in sent])
        self._call("disconnect", reason)
