"""One session of Engine.IO 4 at its server, over whatever transport it has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, Final

from ..asyncio.waiter import DONE, Later
from ..exceptions import ConnectionClosed
from ._packets import CLOSE, NOOP, PING, SEPARATOR, Packet, encode_payload
from .exceptions import SessionClosed
from .prepared import Prepared
from .wheel import Timed

if TYPE_CHECKING:
    from .listener import Listener
    from .request import Request
    from .server import Server
    from .websocket import Upgrade

__all__ = ["Poll", "Socket"]

#: Seconds that a client has to fetch what was sent before the session was closed.
CLOSE_TIMEOUT_S: Final = 30.0

OPEN, CLOSING, CLOSED = "open", "closing", "closed"

#: What a poll is answered: the payload, and whether to compress it; None for nothing,
#: since the client has gone.
Payload = tuple[bytes, bool]
Poll = asyncio.Future[Payload | None]


class Socket(Timed):
    """
    A session, which survives the change from polling to a WebSocket.

    It belongs to the event loop. What is sent goes out in order, whatever the
    transport; nothing is sent after the end.

    Args:
        server: The server.
        sid: Its identifier; whoever knows it, is the client.
        request: The request that it began with.

    Attributes:
        id: Its identifier.
        server: As given.
        request: As given.
        listener: What ``listener_factory`` has made for it.
        state: ``"open"``, ``"closing"`` or ``"closed"``.

    """

    __slots__ = (
        "__weakref__",
        "_close_reason",
        "_compressible",
        "_deadline",
        "_drainers",
        "_flush_due",
        "_poll",
        "_queue",
        "_queued",
        "_waits",
        "_was_high",
        "_watched",
        "id",
        "listener",
        "posting",
        "request",
        "server",
        "state",
        "upgrade",
        "websocket",
    )

    def __init__(self, server: Server, sid: str, request: Request) -> None:
        super().__init__()
        self.server = server
        self.id = sid
        self.request = request
        self.state = OPEN
        self.listener: Listener | Any = None
        self.websocket: Any = None  # the connection, once the session is on it
        self.upgrade: Upgrade | None = None
        self.posting = False
        self._poll: Poll | None = None
        self._queue: list[Packet] = []  # of which a poll, or the upgrade, takes
        self._queued = 0
        self._compressible = False
        self._flush_due = False
        self._was_high = False
        self._drainers: list[asyncio.Future[None]] | None = None
        self._close_reason = ""
        self._waits = False  # for a pong
        self._watched = False  # the next packet moves the deadline
        self._deadline = 0.0

    # ---- facts ----

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return "polling" if self.websocket is None else "websocket"

    @property
    def upgrading(self) -> bool:
        """Whether the client is trying a WebSocket."""
        return self.upgrade is not None

    @property
    def buffered_amount(self) -> int:
        """Octets, or characters of text to be polled, that wait to be sent."""
        if self.websocket is None:
            return self._queued
        amount: int = self.websocket.buffered_amount
        return amount

    @property
    def writable(self) -> bool:
        """Whether a message would leave at once; volatile ones are dropped if not."""
        if self.state != OPEN:
            return False
        if self.websocket is None:
            return self._poll is not None and not self._queue
        return bool(
            self.websocket.ready_state == 1
            and self.websocket.buffered_amount <= self.server.write_limit
        )

    # ---- sending ----

    def send(self, data: Any, *, compress: bool | None = None) -> Awaitable[None]:
        """
        Send a message. It is queued at once; awaiting is back-pressure.

        Args:
            data: Text, octets, or a :class:`Prepared` message.
            compress: Whether to compress it; None to leave it to the server.

        Returns:
            An awaitable that is done already, unless more than ``write_limit`` waits.

        Raises:
            SessionClosed, ConnectionClosed: The session has ended, or just now for
                having left more than ``max_send_buffer`` unread.
            ValueError: Text has U+001E in it, and the client polls: a payload could not
                tell it from two packets.
            TypeError: ``data`` is none of these.

        """
        websocket = self.websocket
        if websocket is None:
            return self._enqueue(data, compress)
        if websocket.buffered_amount > self.server.max_send_buffer:
            raise self._too_slow()
        if compress is None:
            compress = self.server.compress
        if type(data) is str:
            packet: Packet = "4" + data
        elif type(data) is Prepared:
            return self._send_prepared(data, compress)
        else:
            packet = Prepared(data).packet
        sending: Awaitable[None] = websocket.send(packet, compress=compress)
        return sending

    def send_many(
        self, messages: Iterable[Any], *, compress: bool | None = None
    ) -> Awaitable[None]:
        """Send messages in one go; as :meth:`send` for each, with one wait."""
        result: Awaitable[None] = DONE
        for message in messages:
            result = self.send(message, compress=compress)
        return result

    def _send_prepared(
        self, prepared: Prepared, compress: bool | None
    ) -> Awaitable[None]:
        websocket = self.websocket
        if prepared.compress is not None:
            compress = prepared.compress
        if not hasattr(websocket, "send_octets"):  # a connection of another server's
            sending: Awaitable[None] = websocket.send(prepared.packet)
            return sending
        prepared.framed(compress).send_to(websocket)
        if websocket.buffered_amount > self.server.write_limit:
            return Later(websocket.drain)
        return DONE

    def _enqueue(self, data: Any, compress: bool | None) -> Awaitable[None]:
        """Queue a message for the next poll."""
        if self.state != OPEN:
            raise SessionClosed(self._close_reason)
        if type(data) is not Prepared:
            data = Prepared(data)
        packet = data.packet
        if isinstance(packet, str) and SEPARATOR in packet:
            raise ValueError("text with U+001E cannot be sent while the client polls")
        if self._queued > self.server.max_send_buffer:
            raise self._too_slow()
        if compress is not False and data.compress is not False:
            self._compressible = True
        self.queue_packet(packet)
        if self._queued <= self.server.write_limit:
            return DONE
        self._was_high = True
        return Later(self._drained)

    def queue_packet(self, packet: Packet) -> None:
        """Queue a packet for the next poll, or for the end of the upgrade."""
        self._queue.append(packet)
        self._queued += len(packet)
        if self._poll is not None and not self._flush_due:
            self._flush_due = True
            self.server.loop.call_soon(self._flush)

    def _too_slow(self) -> SessionClosed:
        self.end("transport error", "the client reads too slowly", code=1008)
        return SessionClosed(self._close_reason)

    async def _drained(self) -> None:
        """Wait until little is left to be polled."""
        while self._was_high and self.state != CLOSED:
            drainer: asyncio.Future[None] = self.server.loop.create_future()
            if self._drainers is None:
                self._drainers = []
            self._drainers.append(drainer)
            await drainer
        if self.state == CLOSED:
            raise SessionClosed(self._close_reason)

    def drained(self) -> None:
        """Go on sending: the output has gone from above its limit to its low mark."""
        drainers, self._drainers = self._drainers, None
        for drainer in drainers or ():
            if not drainer.done():
                drainer.set_result(None)
        if self.listener is not None and self.state != CLOSED:
            try:
                self.listener.on_drain()
            except Exception as exc:
                self.failed(exc)

    # ---- polling ----

    @property
    def is_polled(self) -> bool:
        """Whether a request waits for something to be sent."""
        return self._poll is not None

    def begin_poll(self) -> Payload | Poll:
        """
        Take a request for what is to be sent; there is no other.

        Returns:
            What to answer; or a future of it.

        """
        if self._queue:
            return self._take()
        self._poll = self.server.loop.create_future()
        return self._poll

    def forget_poll(self, poll: Poll) -> None:
        """Forget a request that will not be answered."""
        if self._poll is poll:
            self._poll = None

    def release_poll(self, packet: str = NOOP) -> None:
        """Answer the request that waits, if there is one."""
        poll, self._poll = self._poll, None
        if poll is not None and not poll.done():
            poll.set_result((packet.encode(), False))

    def _flush(self) -> None:
        """Answer the request that waits with what is queued."""
        self._flush_due = False
        poll = self._poll
        if poll is not None and self._queue and not poll.done():
            self._poll = None
            poll.set_result(self._take())

    def _take(self) -> Payload:
        """Take what goes into one payload off the queue."""
        most = self.server.max_packets
        packets = self._queue if most is None else self._queue[:most]
        self._queue = self._queue[len(packets) :]
        self._queued -= sum(map(len, packets))
        compress, self._compressible = self._compressible, bool(self._queue)
        payload = encode_payload(packets)
        if self.state == CLOSING and not self._queue:
            self.end(self._close_reason)  # its last packet says so
        elif self._was_high and self._queued <= self.server.write_limit // 4:
            self._was_high = False
            self.drained()
        return payload, compress

    # ---- the WebSocket ----

    def switch(self, websocket: Any) -> None:
        """Go on over a WebSocket, first with what waits to be sent."""
        queue, self._queue = self._queue, []
        self._queued = 0
        self.upgrade = None
        self.websocket = websocket
        self.release_poll()
        for packet in queue:
            if packet != CLOSE:
                websocket.send(packet, compress=self.server.compress)
        if self._was_high:
            self._was_high = False
            self.drained()
        if self.state == CLOSING:
            self.end(self._close_reason)

    # ---- heartbeat ----

    def begin_heartbeat(self) -> None:
        """Have the first ping sent in an interval."""
        wheel = self.server.wheel
        wheel.schedule(self, wheel.time() + self.server.ping_interval)

    @property
    def watched(self) -> bool:
        """Whether :meth:`heard` wants to be told of the next packet."""
        return self._watched

    def heard(self) -> None:
        """Take a packet, while a pong is waited for, as a sign of life; but once."""
        self._watched = False
        self._deadline = self.server.wheel.time() + self.server.ping_timeout

    def pong_received(self) -> None:
        """Send the next ping in an interval."""
        self._waits = self._watched = False
        if self.state == OPEN:
            self.begin_heartbeat()

    def on_timer(self, now: float) -> float:
        """Send a ping, or end a session without a pong."""
        if self.state == CLOSING:
            self.end(self._close_reason)
        if self.state != OPEN:
            return 0.0
        if not self._waits:
            self._waits = self._watched = True
            self._deadline = now + self.server.ping_timeout
            if self.websocket is not None:
                with contextlib.suppress(ConnectionClosed):  # its end is to be told yet
                    self.websocket.send(PING)
            else:
                self.queue_packet(PING)
        elif now + 0.0005 >= self._deadline:
            self.end("ping timeout", code=1011)
            return 0.0
        return self._deadline

    # ---- the end ----

    def close(self, reason: str = "forced close") -> None:
        """
        End the session, behind what was sent.

        Args:
            reason: What ``on_close`` is told.

        """
        if self.state != OPEN:
            return
        if self.websocket is not None:
            self.end(reason)
            return
        self.state = CLOSING
        self._close_reason = reason
        wheel = self.server.wheel
        wheel.schedule(self, wheel.time() + CLOSE_TIMEOUT_S)
        self.queue_packet(CLOSE)

    def end(
        self,
        reason: str,
        description: Any = None,
        *,
        code: int = 1000,
        packet: str = CLOSE,
    ) -> None:
        """
        End the session at once; what waits to be polled is lost.

        Args:
            reason: What ``on_close`` is told.
            description: The same.
            code: Close code of the WebSocket.
            packet: Answer to the request that waits.

        """
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self._close_reason = reason
        self.server.session_ended(self)
        upgrade, self.upgrade = self.upgrade, None
        if upgrade is not None:
            upgrade.abandon()
        websocket, self.websocket = self.websocket, None
        if websocket is not None:
            websocket.close(code, "" if code == 1000 else reason)
        self.release_poll(packet)
        self._queue.clear()
        self._queued = 0
        self.drained()
        listener = self.listener
        if listener is not None:
            try:
                listener.on_close(reason, description)
            except Exception as exc:
                self.server.logger.error("on_close failed", exc_info=exc)

    def failed(self, exc: Exception) -> None:
        """End the session because the application's code raised."""
        self.server.logger.error("a listener failed", exc_info=exc)
        self.end("server error", exc, code=1011)
