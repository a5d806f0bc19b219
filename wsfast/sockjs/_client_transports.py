"""The transports of a client: WebSocket, and what they all have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..asyncio.client import connect
from ..asyncio.listener import Listener
from ..asyncio.waiter import DROPPED
from ..engine import encode_sockjs
from ..exceptions import ConnectionClosed, InvalidPayload

if TYPE_CHECKING:
    from ..asyncio.connection import Connection
    from ._client_connection import ClientConnection

__all__ = ["RawWebSocketTransport", "Transport", "WebSocketTransport"]


class Transport:
    """
    What a session runs over (abstract).

    Args:
        session: Has frames, and news of the end, by its ``frame_received()``,
            ``lost()``.

    """

    name: ClassVar[str]

    def __init__(self, session: ClientConnection) -> None:
        self.session = session

    async def start(self) -> None:
        """Begin; the session learns from its frames that it is open."""
        raise NotImplementedError

    def send(self, message: str, compress: bool | None) -> bool:
        """
        Queue a message; False if it was dropped.

        Raises:
            ConnectionClosed: That, or what was there before, was too much.

        """
        raise NotImplementedError

    def is_high(self) -> bool:
        """Tell whether the output is above its high-water mark."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until the output is below its low-water mark."""
        raise NotImplementedError

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued and that have not gone out yet."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        """Take no more from the server; what has arrived is still delivered."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        raise NotImplementedError

    def close(self, code: int, reason: str) -> None:
        """End it, behind what was sent if the session is still there."""
        raise NotImplementedError

    def abort(self) -> None:
        """End it at once."""
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Wait until nothing of it is left."""
        raise NotImplementedError

    def get_extra_info(self, name: str) -> Any:
        """Return what is known of the connection under ``name``, or None."""
        raise NotImplementedError


class WebSocketTransport(Transport, Listener):
    """
    A WebSocket, with frames of SockJS as its messages.

    Args:
        session: The session.
        url: Its URL, with scheme http or https.
        options: Those of :func:`wsfast.connect`.

    """

    name = "websocket"

    def __init__(
        self, session: ClientConnection, url: str, options: dict[str, Any]
    ) -> None:
        super().__init__(session)
        self._connect = connect(url, listener=self, **options)
        self._ws: Connection | None = None

    async def start(self) -> None:
        """Open the WebSocket."""
        await self._connect

    # ---- what the WebSocket calls ----

    def on_open(self, ws: Connection) -> None:
        """Begin: frames come in before :meth:`start` has returned."""
        self._ws = ws

    def on_message(self, ws: Connection, message: str | bytes) -> None:
        """Take a frame."""
        if isinstance(message, str):
            self.received(message)
        else:
            self.session.fail(InvalidPayload("a binary message", "binary_message"))

    def on_drain(self, ws: Connection) -> None:
        """Take the news that there is room in the output again."""
        self.session.drained()

    def on_close(self, ws: Connection, code: int, reason: str) -> None:
        """Take the news that the WebSocket has ended."""
        self.session.lost(ws.closed_error(), ws.close_rcvd, ws.close_sent)

    def received(self, frame: str) -> None:
        """Take a text message."""
        self.session.frame_received(frame)

    # ---- what the session calls ----

    @property
    def _open(self) -> Connection:
        assert self._ws is not None  # no session is open without it
        return self._ws

    def _message(self, message: str) -> str | bytes:
        return encode_sockjs((message,), b"")

    def send(self, message: str, compress: bool | None) -> bool:
        """Send a message as an array of one."""
        try:
            sent = self._open.send(self._message(message), True, compress=compress)
        except ConnectionClosed as exc:
            ws = self._open
            self.session.lost(exc, ws.close_rcvd, ws.close_sent)
            raise
        return sent is not DROPPED

    def is_high(self) -> bool:
        """Tell whether the output is above its high-water mark."""
        ws = self._open
        return ws.buffered_amount > ws.options.write_high

    async def drain(self) -> None:
        """Wait until the output is below its low-water mark."""
        await self._open.drain()

    @property
    def buffered_amount(self) -> int:
        """Octets that the system has not taken yet."""
        return 0 if self._ws is None else self._ws.buffered_amount

    def pause_reading(self) -> None:
        """Take no more from the server."""
        self._open.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self._open.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake."""
        if self._ws is not None:
            self._ws.close(code, reason)

    def abort(self) -> None:
        """Cut the connection."""
        if self._ws is not None:
            self._ws.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        if self._ws is not None:
            await self._ws.wait_closed()

    def get_extra_info(self, name: str) -> Any:
        """Return what is known of the connection under ``name``."""
        return None if self._ws is None else self._ws.link.get_extra_info(name)


class RawWebSocketTransport(WebSocketTransport):
    """A WebSocket without frames of SockJS: a message is a message."""

    name = "websocket-raw"

    def on_open(self, ws: Connection) -> None:
        """Begin; there is no ``o`` to wait for."""
        super().on_open(ws)
        self.session.opened()

    def received(self, frame: str) -> None:
        """Take a text message."""
        self.session.message_received(frame)

    def _message(self, message: str) -> str | bytes:
        return message
