"""One session of Engine.IO 4 at its server, over whatever transport it has."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import ConnectionClosed
from ._packets import CLOSE, NOOP, PING
from ._sending import CLOSED, CLOSING, OPEN, Sending

if TYPE_CHECKING:
    from .request import Request
    from .server import Server
    from .websocket import Upgrade

__all__ = ["Poll", "Socket"]

#: Seconds that a client has to fetch what was sent before the session was closed.
CLOSE_TIMEOUT_S: Final = 30.0

#: What a poll is answered: the payload, and whether to compress it; None for nothing,
#: since the client has gone.
Payload = tuple[bytes, bool]
Poll = asyncio.Future[Payload | None]


class Socket(Sending):
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
        posting: A request brings packets.
        upgrade: The attempt to change to a WebSocket, while there is one.
        watched: :meth:`heard` is to be told of the next packet.

    """

    __slots__ = (
        "_deadline",
        "_flush_due",
        "_poll",
        "_waits",
        "id",
        "posting",
        "request",
        "server",
        "upgrade",
        "watched",
    )

    def __init__(self, server: Server, sid: str, request: Request) -> None:
        super().__init__(server)
        self.server = server
        self.id = sid
        self.request = request
        self.upgrade: Upgrade | None = None
        self.posting = False
        self._poll: Poll | None = None
        self._flush_due = False
        self._waits = False  # for a pong
        self.watched = False
        self._deadline = 0.0

    # ---- facts ----

    @property
    def upgrading(self) -> bool:
        """Whether the client is trying a WebSocket."""
        return self.upgrade is not None

    @property
    def writable(self) -> bool:
        """Whether a message would leave at once; volatile ones are dropped if not."""
        if self.state != OPEN:
            return False
        if self.websocket is None:
            return self._poll is not None and not self._queue
        return self._has_room

    # ---- reading ----

    def _reading_again(self) -> None:
        """Give the client the whole time for its pong: it may wait to be read."""
        if self._waits:
            self._deadline = self.server.wheel.time() + self.server.ping_timeout

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

    def _queue_grew(self) -> None:
        if self._poll is not None and not self._flush_due:
            self._flush_due = True
            self.server.loop.call_soon(self._flush)

    def _take(self) -> Payload:
        """Take what goes into one payload off the queue."""
        payload = self._take_packets(self.server.most_sent)
        compress, self.compressible = self.compressible, bool(self._queue)
        if self.state == CLOSING and not self._queue:
            self.end(self._close_reason)  # its last packet says so
        else:
            self._took()
        return payload, compress

    # ---- the WebSocket ----

    def switch(self, websocket: Any) -> None:
        """Go on over a WebSocket, first with what waits to be sent."""
        self.upgrade = None
        self.release_poll()
        self._move_queue(websocket)
        if self.state == CLOSING:
            self.end(self._close_reason)

    # ---- heartbeat ----

    def begin_heartbeat(self) -> None:
        """Have the first ping sent in an interval."""
        wheel = self.server.wheel
        wheel.schedule(self, wheel.time() + self.server.ping_interval)

    def heard(self) -> None:
        """Take a packet, while a pong is waited for, as a sign of life; but once."""
        self.watched = False
        self._deadline = self.server.wheel.time() + self.server.ping_timeout

    def pong_received(self) -> None:
        """Send the next ping in an interval."""
        self._waits = self.watched = False
        if self.state == OPEN:
            self.begin_heartbeat()

    def on_timer(self, now: float) -> float:
        """Send a ping, or end a session without a pong."""
        if self.state == CLOSING:
            self.end(self._close_reason)
        if self.state != OPEN:
            return 0.0
        if not self._waits:
            self._waits = self.watched = True
            self._deadline = now + self.server.ping_timeout
            if self.websocket is not None:
                with contextlib.suppress(ConnectionClosed):  # its end is to be told yet
                    self.websocket.send(PING)
            else:
                self.queue_packet(PING)
        elif self.paused:  # its pong may wait to be read
            self._deadline = now + self.server.ping_timeout
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
        self.resume_reading()
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
        self.resume_reading()
        self.state = CLOSED
        self._close_reason = reason
        self.server.session_ended(self)
        upgrade, self.upgrade = self.upgrade, None
        if upgrade is not None:
            upgrade.abandon()
        if self.websocket is not None:
            self.websocket.close(code, "" if code == 1000 else reason)
        self.release_poll(packet)
        self._queue.clear()
        self._queued = 0
        self._told_of_end(reason, description)
