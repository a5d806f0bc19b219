"""A client's connection, which its namespaces share, and how it comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ..engineio import connect as connect_engine
from ..exceptions import ConnectionClosed
from ._pacing import Pace, Paced
from .client_socket import ClientSocket
from .handlers import Tasks, coroutine_of, logger
from .packet import ACK, EVENT, Packet, PacketError
from .parser import Parser, parser_of
from .targets import DONE

__all__ = ["Manager"]

Function = Callable[..., Any]


class Manager:
    """
    A connection to a server, opened again when it is lost.

    Args:
        url: The server; its path does not count.
        parser: As the server's: ``"default"``, ``"msgpack"``, or a parser.
        json: JSON of the default parser; see :class:`JSONParser`.
        reconnection: Come back when the connection is lost, or cannot be opened.
        reconnection_attempts: How often in a row; None for no limit.
        reconnection_delay: Seconds before the first attempt; twice that before the
            second, and so on.
        reconnection_delay_max: Most seconds between two attempts.
        randomization_factor: By which part of it each delay is longer or shorter.
        timeout: Seconds that opening may take, and again entering a namespace; None for
            no limit.
        transports: Transports, in the order of their use.
        try_all_transports: Begin with the next one when the first does not work.
        max_handlers: Coroutine handlers of the connection that run at a time; the
            packets that come meanwhile wait. With 1, each event is handled before the
            next one. None for no limit, here and below.
        max_queue: Packets that wait at most; then the connection is not read.
        max_queue_size: Octets of them.
        path: Path of the server's requests.
        engine: Any other argument of :func:`wsfast.engineio.connect`.

    Attributes:
        state: ``"closed"``, ``"opening"`` or ``"open"``.
        sockets: The namespaces.

    """

    def __init__(
        self,
        url: str,
        *,
        parser: Any = None,
        json: Any = None,
        reconnection: bool = True,
        reconnection_attempts: int | None = None,
        reconnection_delay: float = 1.0,
        reconnection_delay_max: float = 5.0,
        randomization_factor: float = 0.5,
        timeout: float | None = 20.0,
        transports: Sequence[str] = ("polling", "websocket"),
        try_all_transports: bool = False,
        max_handlers: int | None = 100,
        max_queue: int | None = 1000,
        max_queue_size: int | None = 1 << 20,
        path: str = "/socket.io/",
        **engine: Any,
    ) -> None:
        if not 0 <= randomization_factor <= 1:
            raise ValueError("randomization_factor must be from 0 to 1")
        if reconnection_delay < 0 or reconnection_delay_max < 0:
            raise ValueError("delays must be >= 0")
        self.url = url
        self.parser: Parser = parser_of(parser, json)
        self.reconnection = reconnection
        self.reconnection_attempts = reconnection_attempts
        self.reconnection_delay = reconnection_delay
        self.reconnection_delay_max = reconnection_delay_max
        self.randomization_factor = randomization_factor
        self.timeout = timeout
        self.transports = tuple(transports)
        self.try_all_transports = try_all_transports
        self.state = "closed"
        self.engine: Any = None
        self.sockets: dict[str, ClientSocket] = {}
        self.tasks = Tasks()
        self.pace = Pace.of(max_handlers, max_queue, max_queue_size)
        self._link: _Link | None = None
        self._options = {"path": path, "open_timeout": timeout, **engine}
        self._handlers: dict[str, list[Function]] = {}
        self._running: asyncio.Task[None] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._last: Any = None

    def on(self, event: str, handler: Function) -> Function:
        """
        Have a handler called for what happens to the connection.

        Args:
            event: ``reconnect_attempt`` and ``reconnect`` (the number of attempts),
                ``error`` and ``reconnect_error`` (an exception), ``reconnect_failed``,
                ``close`` (the reason).
            handler: Function or coroutine function.

        """
        self._handlers.setdefault(event, []).append(handler)
        return handler

    def _tell(self, event: str, *args: Any) -> None:
        for handler in self._handlers.get(event, ()):
            self.tasks.call(handler, *args)

    # ---- namespaces ----

    def socket(self, namespace: str = "/", **options: Any) -> ClientSocket:
        """
        Return the client of a namespace; the same for the same name.

        Args:
            namespace: Its name.
            options: Arguments of :class:`ClientSocket`, the first time.

        """
        name = namespace if namespace[:1] == "/" else f"/{namespace}"
        socket = self.sockets.get(name)
        if socket is None:
            socket = self.sockets[name] = ClientSocket(self, name, **options)
        return socket

    # ---- opening ----

    def open(self) -> None:
        """Open the connection in the background, unless that is done or under way."""
        if self._running is None or self._running.done():
            self._running = self.tasks.start(self._run())

    async def _run(self) -> None:
        """Keep a connection open for as long as some namespace wants it."""
        await self._keep_open()
        for socket in list(self.sockets.values()):
            socket.given_up()

    async def _keep_open(self) -> None:
        attempts = 0
        while True:
            if await self._open(attempts):
                attempts = 0
                assert self._lost is not None
                await self._lost
            if not self._wanted() or not self.reconnection:
                return
            most = self.reconnection_attempts
            if most is not None and attempts >= most:
                self._tell("reconnect_failed")
                return
            await asyncio.sleep(self.delay(attempts))
            attempts += 1
            if not self._wanted():
                return
            self._tell("reconnect_attempt", attempts)

    def _wanted(self) -> bool:
        return any(socket.active for socket in self.sockets.values())

    def delay(self, attempts: int) -> float:
        """Return how many seconds to wait after so many attempts in a row."""
        most = self.reconnection_delay_max
        delay = min(self.reconnection_delay * 2 ** min(attempts, 60), most)
        part = random.uniform(-1, 1) * self.randomization_factor
        return float(min(delay * (1 + part), most))

    async def _open(self, attempts: int) -> bool:
        """Try to open the connection; return whether that was done."""
        self.state = "opening"
        self._lost = asyncio.get_running_loop().create_future()
        try:
            await self._connect()
        except Exception as exc:
            self.state = "closed"
            self._tell("error", exc)
            if attempts:
                self._tell("reconnect_error", exc)
            for socket in list(self.sockets.values()):
                socket.failed(exc)
            return False
        if attempts:
            self._tell("reconnect", attempts)
        return True

    async def _connect(self) -> None:
        ways = [self.transports]
        if self.try_all_transports:
            ways = [self.transports[n:] for n in range(len(self.transports))]
        for way in ways:
            connecting = connect_engine(
                self.url, self._listener, transports=way, **self._options
            )
            try:
                await connecting
            except Exception as exc:
                if way is ways[-1]:
                    raise
                logger.info("%s: not by %s: %s", self.url, way[0], exc)
            else:
                return

    def _listener(self, engine: Any) -> _Link:
        self._link = _Link(self, engine)
        return self._link

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run the coroutine of a handler, which counts."""
        if self._link is None:
            self.tasks.start(coroutine)
        else:
            self._link.start(coroutine)

    def call(self, function: Function, *args: Any) -> None:
        """Call what may be a coroutine function, and counts then."""
        coroutine = coroutine_of(function, args)
        if coroutine is not None:
            self.start(coroutine)

    def opened(self, engine: Any) -> None:
        """Ask for the namespaces: the connection is open."""
        self.engine = self._last = engine
        self.state = "open"
        for socket in list(self.sockets.values()):
            socket.engine_opened()

    def received(self, packet: Packet) -> None:
        """Take a packet."""
        socket = self.sockets.get(packet.namespace)
        if socket is not None:
            socket.receive(packet)

    def closed(self, reason: str) -> None:
        """Take the end of the connection."""
        self.engine = None
        self.state = "closed"
        self._tell("close", reason)
        for socket in list(self.sockets.values()):
            socket.lost(reason)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    # ---- sending ----

    @property
    def writable(self) -> bool:
        """Whether a volatile event would be sent."""
        return self.engine is not None and bool(self.engine.writable)

    def send(self, messages: list[Any], compress: bool | None) -> Any:
        """Send the messages of one packet."""
        if self.engine is None:
            return DONE
        try:
            return self.engine.send_many(messages, compress=compress)
        except ConnectionClosed:
            return DONE  # closed() tells of it

    # ---- closing ----

    def left(self) -> None:
        """Close the connection if no namespace wants it any more."""
        if not self._wanted():
            self.close()

    def close(self) -> None:
        """Close the connection, and do not come back."""
        running, self._running = self._running, None
        engine = self.engine
        if engine is not None:
            engine.close("forced close")
        if running is not None and not running.done():
            running.cancel()
        self.state = "closed"

    async def wait_ended(self) -> None:
        """Wait until the connection has ended, and does not come back."""
        running = self._running
        if running is not None:
            await asyncio.wait([running])

    async def wait_closed(self) -> None:
        """Close the connection and wait for what belongs to it."""
        self.close()
        if self._last is not None:
            await self._last.wait_closed()
        await self.tasks.close()


class _Link(Paced):
    """The listener of Engine.IO's session."""

    __slots__ = ("_attached", "_feed", "_manager")

    def __init__(self, manager: Manager, engine: Any) -> None:
        super().__init__(engine, manager.tasks, manager.pace)
        self._manager = manager
        self._feed = manager.parser.decoder().feed
        self._attached = 0  # octets of a packet that is not complete

    def on_open(self) -> None:
        """Go on with the namespaces."""
        self._manager.opened(self.engine)

    def on_message(self, data: str | bytes) -> None:
        """Take a message."""
        try:
            packet = self._feed(data)
        except PacketError as exc:
            logger.info("%s: %s", self._manager.url, exc)
            self.engine.close("parse error")
            return
        if packet is None:
            self._attached = len(data) + (0 if type(data) is str else self._attached)
        elif self._crowded and packet.type != ACK:
            self.keep(packet, len(data) + (0 if type(data) is str else self._attached))
        else:
            self._manager.received(packet)

    def take(self, packet: Packet) -> None:
        """Take a packet whose turn it is."""
        if self._manager.engine is self.engine:
            self._manager.received(packet)

    def on_drain(self) -> None:
        """Go on sending: nobody here has waited."""

    def on_upgrade(self) -> None:
        """Act on the change to a WebSocket: there is nothing to do."""

    def on_close(self, reason: str, description: Any) -> None:
        """Take the end, behind what the server has said of it."""
        waited = self.forget_backlog()
        events = [packet for packet in waited if packet.type == EVENT]
        if events:
            logger.warning("lost with the connection: %d events", len(events))
        for packet in waited:
            if packet.type != EVENT:
                self.take(packet)
        if self._manager.engine is self.engine:
            self._manager.closed(reason)
