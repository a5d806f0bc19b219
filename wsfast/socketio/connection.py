"""One client's connection, whichever its namespaces: the listener of Engine.IO."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosed
from ._pacing import Paced
from .packet import ACK, CONNECT, CONNECT_ERROR, DISCONNECT, Packet, PacketError
from .targets import DONE

if TYPE_CHECKING:
    from .server import Server
    from .socket import Socket

__all__ = ["Connection", "Entering"]

logger = logging.getLogger("wsfast.socketio")


class Entering:
    """
    A client's wish to be let into a namespace, while that is being decided.

    Attributes:
        socket: The client there, once there is one.
        left: It has taken the wish back.

    """

    __slots__ = ("left", "socket")

    def __init__(self) -> None:
        self.socket: Socket | None = None
        self.left = False

    def leave(self, reason: str) -> None:
        """Take the wish back."""
        self.left = True
        if self.socket is not None:
            self.socket.closed(reason)


class Connection(Paced):
    """
    What Engine.IO's session calls.

    Args:
        server: The server.
        engine: The session.

    Attributes:
        engine: As given.
        dropped: Events that were dropped for it.
        sockets: Namespace -> the client there, if it has been let in.
        pending: Namespace -> the wish to be let in, while that is being decided.

    """

    dropped = 0

    __slots__ = (
        "_attached",
        "_closed",
        "_feed",
        "_timer",
        "pending",
        "server",
        "sockets",
    )

    def __init__(self, server: Server, engine: Any) -> None:
        super().__init__(engine, server.tasks, server.pace)
        self.server = server
        self.sockets: dict[str, Socket] = {}
        self.pending: dict[str, Entering] = {}
        self._feed = server.parser.decoder().feed
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._attached = 0  # octets of a packet that is not complete

    # ---- what Engine.IO calls ----

    def on_open(self) -> None:
        """Wait for the first namespace, but not for ever."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.server.connect_timeout, self._nobody_came)

    def on_message(self, data: str | bytes) -> None:
        """Take a message."""
        if self._closed:
            return
        try:
            packet = self._feed(data)
        except PacketError as exc:
            self._fail(str(exc))
            return
        if packet is None:
            self._attached = len(data) + (0 if type(data) is str else self._attached)
        elif self._crowded and packet.type != ACK:
            self.keep(packet, len(data) + (0 if type(data) is str else self._attached))
        else:
            self.take(packet)

    def take(self, packet: Packet) -> None:
        """Take a packet whose turn it is."""
        socket = self.sockets.get(packet.namespace)
        kind = packet.type
        if socket is not None and kind != CONNECT and kind != CONNECT_ERROR:
            socket.receive(packet)
        else:
            self._other(packet, socket)

    def on_drain(self) -> None:
        """Go on sending: nobody here has waited."""

    def on_upgrade(self) -> None:
        """Act on the change from polling to a WebSocket: there is nothing to do."""

    def on_close(self, reason: str, description: Any) -> None:
        """End all sockets; once."""
        if self._closed:
            return
        self._closed = True
        self._stop_timer()
        waited = self.forget_backlog()
        if waited:
            count = len(waited)
            logger.warning("%r has gone before %d of its packets", self.engine, count)
        if self.server.closing and reason == "forced close":
            reason = "server shutting down"
        for socket in list(self.sockets.values()):
            socket.closed(reason)
        self.sockets.clear()
        for entering in list(self.pending.values()):
            entering.leave(reason)
        self.pending.clear()

    # ---- sending ----

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed

    def send(self, messages: Sequence[Any], compress: bool | None) -> Any:
        """Send the messages of one packet; to nobody if the client has gone."""
        engine = self.engine
        try:
            if len(messages) == 1:
                return engine.send(messages[0], compress=compress)
            return engine.send_many(messages, compress=compress)
        except ConnectionClosed:
            return DONE  # on_close tells of it

    def write(self, message: Any) -> None:
        """Send one message that waits for nobody."""
        try:
            self.engine.send(message)
        except ConnectionClosed:
            return  # on_close tells of it

    @property
    def lane(self) -> Any:
        """The session, if what is for many may go there without asking further."""
        return self.engine

    def write_packet(self, messages: Sequence[Any], droppable: bool) -> None:
        """Send the messages of one event that waits for nobody."""
        self.send(messages, None)

    def refuse(self, namespace: str, message: str) -> None:
        """Tell the client that it is not let in."""
        packet = Packet(CONNECT_ERROR, namespace, {"message": message})
        self.send(self.server.parser.encode(packet), None)

    def close(self, reason: str = "forced server close") -> None:
        """Leave all namespaces, and end the connection."""
        for socket in list(self.sockets.values()):
            socket.disconnect()
        self.engine.close(reason)

    # ---- namespaces ----

    def entered(self, socket: Socket) -> None:
        """Take a socket that is let in."""
        self.sockets[socket.namespace.name] = socket
        self._stop_timer()

    def left(self, socket: Socket) -> None:
        """Forget a socket that has left its namespace."""
        name = socket.namespace.name
        if self.sockets.get(name) is socket:
            del self.sockets[name]

    def forget(self, name: str, entering: Entering) -> None:
        """Forget a wish that is decided, unless there is another one since."""
        if self.pending.get(name) is entering:
            del self.pending[name]

    def _other(self, packet: Packet, socket: Socket | None) -> None:
        """Take what is not for a client that is in a namespace."""
        name = packet.namespace
        entering = self.pending.get(name)
        if packet.type == CONNECT and socket is None:
            if entering is not None:  # it has left in between, and may not have said so
                self.forget(name, entering)
                entering.leave("client namespace disconnect")
            most = self.server.max_namespaces_per_conn
            if len(self.sockets) + len(self.pending) >= most:
                self.refuse(name, f"More than {most} namespaces")
                return
            self.pending[name] = entering = Entering()
            self.server.connect(self, name, packet.data or {}, entering)
        elif packet.type == DISCONNECT:
            if entering is not None:
                self.forget(name, entering)
                entering.leave("client namespace disconnect")
        else:
            self._fail(f"packet {packet.type} in no state for it")

    def _nobody_came(self) -> None:
        self._timer = None
        if not self.sockets:
            self._fail("no namespace was asked for in time")

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fail(self, text: str) -> None:
        """End the connection for what the client has done."""
        logger.info("%s: %s", getattr(self.engine, "id", ""), text)
        self.engine.close("parse error")
        self.on_close("parse error", text)  # one that polls would stay for a while
