"""The transport of a session that is a WebSocket, in the callback style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..asyncio.listener import Listener
from ..attach.asgi import is_over
from ..exceptions import ConnectionClosed
from ._packets import CLOSE, PING, PONG, UPGRADE
from .exceptions import Refused
from .request import Request
from .wheel import Timed

if TYPE_CHECKING:
    from .server import Server
    from .session import Socket

__all__ = ["LimitedTransport", "Upgrade", "WebSocketTransport"]

#: Seconds between answers to the polls of a client that is changing to a WebSocket.
POLL_S: Final = 0.1

_PROBE: Final = PING + "probe"
_PROBED: Final = PONG + "probe"


class WebSocketTransport(Listener):
    """
    The listener of a WebSocket: a packet costs a call and a slice.

    Args:
        server: The server.
        request: The request, verified; None to have it read off the connection.
        sid: Identifier of the session to be, or None.

    """

    __slots__ = ("_id", "_on_message", "_request", "_upgrade", "server", "socket")

    def __init__(
        self, server: Server, request: Request | None = None, sid: str | None = None
    ) -> None:
        self.server = server
        self.socket: Socket | None = None
        self._request = request
        self._id = sid
        self._upgrade: Upgrade | None = None
        self._on_message: Any = None

    def on_open(self, ws: Any) -> None:
        """Begin a session, or try to take one over from polling."""
        server, request = self.server, self._request
        self._request = None
        try:
            if request is None:
                request = Request.of_connection(ws)
                socket = server.verify(request)
                self._id = getattr(ws, "engineio_id", None)
            else:
                sid = request.query.get("sid")
                socket = server.sockets[sid] if sid else None
        except (Refused, KeyError) as exc:
            ws.close(1008, str(exc) if isinstance(exc, Refused) else "")
            return
        if socket is None:
            opened = server.open_session(request, self._id, ws)
            if opened.state == "open":
                self.take(opened)
        elif socket.upgrading or socket.websocket is not None or socket.state != "open":
            ws.close(1008, "the session has a WebSocket, or is closing")
        else:
            self._upgrade = Upgrade(self, socket, ws)

    def take(self, socket: Socket) -> None:
        """Carry a session from now on."""
        self._upgrade = None
        self.socket = socket
        self._on_message = socket.listener.on_message

    def on_message(self, ws: Any, message: str | bytes) -> None:
        """Take a packet."""
        socket = self.socket
        if socket is None:
            if self._upgrade is not None:
                self._upgrade.packet_received(message)
            return
        if socket.watched:
            socket.heard()
        if type(message) is str:
            if message[:1] != "4":
                self._control(socket, message)
                return
            message = message[1:]
        if socket.state != "open":
            return
        try:
            self._on_message(message)
        except Exception as exc:
            socket.failed(exc)

    def _control(self, socket: Socket, packet: str) -> None:
        """Take a packet that is no message."""
        kind = packet[:1]
        if kind == PONG:
            socket.pong_received()
        elif kind == CLOSE:
            socket.end("transport close")
        elif kind == PING:
            socket.end("transport error", "invalid heartbeat direction", code=1008)
        elif kind not in ("0", "5", "6") or not kind:
            socket.end("parse error", f"a packet of the type {kind!r}", code=1008)

    def on_drain(self, ws: Any) -> None:
        """Go on sending."""
        if self.socket is not None:
            self.socket.drained()

    def on_close(self, ws: Any, code: int, reason: str) -> None:
        """Take the end of the WebSocket for that of the session."""
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is not None:
            upgrade.over()
        socket, self.socket, self._on_message = self.socket, None, None
        if socket is not None:
            error = ws.closed_error()
            ours = error.sent is not None and not error.rcvd_then_sent
            wrong = ours and error.sent.code not in (1000, 1001)
            socket.end(
                "transport error" if wrong else "transport close", (code, reason)
            )


class LimitedTransport(WebSocketTransport):
    """The same where the connection has another limit than ours."""

    __slots__ = ()

    def on_message(self, ws: Any, message: str | bytes) -> None:
        """Take a packet, if it is not too long."""
        limit = self.server.max_http_buffer_size
        if limit is None or not is_over(message, limit):
            super().on_message(ws, message)
        elif self.socket is not None:
            self.socket.end("transport error", f"over {limit} octets", code=1009)
        else:
            ws.close(1009, f"over {limit} octets")


class Upgrade(Timed):
    """
    The attempt of a client that polls to change to a WebSocket.

    Args:
        transport: The listener of the WebSocket.
        socket: The session.
        websocket: The connection.

    """

    __slots__ = ("_deadline", "_probed", "_transport", "_websocket", "socket")

    def __init__(
        self, transport: WebSocketTransport, socket: Socket, websocket: Any
    ) -> None:
        super().__init__()
        self.socket = socket
        self._transport = transport
        self._websocket = websocket
        self._probed = False
        socket.upgrade = self
        wheel = socket.server.wheel
        self._deadline = wheel.time() + socket.server.upgrade_timeout
        wheel.schedule(self, self._deadline)

    def packet_received(self, packet: str | bytes) -> None:
        """Take a packet: the probe, then the word to change."""
        if packet == _PROBE:
            self._probed = True
            self._websocket.send(_PROBED)
            wheel = self.socket.server.wheel
            wheel.schedule(self, self.on_timer(wheel.time()) or self._deadline)
        elif packet == UPGRADE and self._probed:
            socket = self.socket
            self.over()
            self._transport.take(socket)
            try:
                socket.switch(self._websocket)
            except ConnectionClosed:
                return  # on_close follows
            if socket.state == "open":
                socket.told_of_upgrade()
        else:
            self._give_up("not an upgrade")

    def on_timer(self, now: float) -> float:
        """Let a poll go, so that the client can change; give up at last."""
        if now + 0.0005 >= self._deadline:
            self._give_up("the upgrade took too long")
            return 0.0
        self.socket.release_poll()
        return min(now + POLL_S, self._deadline)

    def _give_up(self, reason: str) -> None:
        self.over()
        self._websocket.close(1008, reason)

    def abandon(self) -> None:
        """Close the WebSocket: the session has ended."""
        self._give_up("the session has ended")

    def over(self) -> None:
        """Forget the attempt; the session goes on."""
        self.socket.server.wheel.cancel(self)
        self._transport._upgrade = None
        if self.socket.upgrade is self:
            self.socket.upgrade = None
