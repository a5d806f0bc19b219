"""What a session sends, whichever side it is of: with back-pressure, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..asyncio.fanout import fan_out
from ..asyncio.waiter import DONE, Later
from ..exceptions import ConnectionClosed
from ._packets import CLOSE, SEPARATOR, Packet, encode_payload
from .exceptions import SessionClosed
from .prepared import Prepared
from .wheel import Timed

if TYPE_CHECKING:
    from .wheel import Wheel

__all__ = ["CLOSED", "CLOSING", "OPEN", "Sending", "Terms", "send_to_all"]

OPEN: Final = "open"
CLOSING: Final = "closing"
CLOSED: Final = "closed"


class Terms(Protocol):
    """What sessions have in common: those of a server, or of one client."""

    max_packets: int | None
    max_send_buffer: int
    write_limit: int
    compress: bool | None
    logger: Any

    @property
    def wheel(self) -> Wheel:
        """The timers."""
        raise NotImplementedError

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        raise NotImplementedError


class Sending(Timed):
    """
    The sending half of a session, and when it reads (abstract).

    Args:
        terms: What it has in common with others.

    Attributes:
        state: ``"opening"`` at a client, ``"open"``, ``"closing"`` or ``"closed"``.
        listener: What ``listener_factory`` has made for it.
        websocket: The connection, once the session is on it.
        takes_frames: The same, if it takes frames that were made before.
        paused: No more packets are taken, by :meth:`pause_reading`.

    """

    __slots__ = (
        "__weakref__",
        "_close_reason",
        "_crowd",
        "_drainers",
        "_queue",
        "_queued",
        "_reader",
        "_terms",
        "_was_high",
        "compressible",
        "listener",
        "paused",
        "state",
        "takes_frames",
        "websocket",
    )

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self._terms = terms
        self.state = OPEN
        self.listener: Any = None
        self.websocket: Any = None
        self.compressible = False
        self.paused = False
        self._reader: asyncio.Future[None] | None = None
        self._queue: list[Packet] = []  # what polling sends, until the upgrade
        self._queued = 0
        self._was_high = False
        self._drainers: list[asyncio.Future[None]] | None = None
        self._close_reason = ""
        self.takes_frames: Any = None
        self._crowd = min(terms.write_limit, terms.max_send_buffer)

    # ---- what the subclasses know ----

    def _queue_grew(self) -> None:
        """Send what is queued, as soon as that can be."""
        raise NotImplementedError

    def end(
        self,
        reason: str,
        description: Any = None,
        *,
        code: int = 1000,
    ) -> None:
        """
        End the session at once.

        Args:
            reason: What ``on_close`` is told.
            description: The same.
            code: Close code of the WebSocket.

        """
        raise NotImplementedError

    def _reading_again(self) -> None:
        """Expect the peer's heartbeat anew."""
        raise NotImplementedError

    # ---- reading ----

    def pause_reading(self) -> None:
        """
        Take no more from the peer until :meth:`resume_reading`.

        What it sends meanwhile waits at its end, or on its way. Its heartbeat counts as
        answered for so long.
        """
        if self.state == OPEN and not self.paused:
            self.paused = True
            if self.websocket is not None:
                self.websocket.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if not self.paused:
            return
        self.paused = False
        self._reading_again()
        if self.websocket is not None:
            self.websocket.resume_reading()
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    async def wait_readable(self) -> None:
        """Have the packets of one request wait until reading goes on, or has ended."""
        while self.paused:
            self._reader = self._terms.loop.create_future()
            await self._reader

    # ---- facts ----

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return "polling" if self.websocket is None else "websocket"

    @property
    def buffered_amount(self) -> int:
        """Octets, or characters of text to be polled, that wait to be sent."""
        if self.websocket is None:
            return self._queued
        amount: int = self.websocket.buffered_amount
        return amount

    @property
    def _has_room(self) -> bool:
        """Whether the WebSocket takes a message that leaves at once."""
        return bool(
            self.websocket.ready_state == 1
            and self.websocket.buffered_amount <= self._terms.write_limit
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
        if websocket is None or self.state != OPEN:
            return self._enqueue(data, compress)
        crowded = websocket.buffered_amount > self._crowd
        if crowded and websocket.buffered_amount > self._terms.max_send_buffer:
            raise self._too_slow()
        if compress is None:
            compress = self._terms.compress
        sending: Awaitable[None]
        if type(data) is str:
            sending = websocket.send("4" + data, compress=compress)
        elif type(data) is not Prepared:
            sending = websocket.send(Prepared(data).packet, compress=compress)
        elif self.takes_frames is None:
            sending = websocket.send(data.packet)
        else:
            if data.compress is not None:
                compress = data.compress
            data.framed(compress).send_to(websocket)
            sending = Later(websocket.drain) if crowded else DONE
        return sending

    def send_many(
        self, messages: Iterable[Any], *, compress: bool | None = None
    ) -> Awaitable[None]:
        """Send messages in one go; as :meth:`send` for each, with one wait."""
        result: Awaitable[None] = DONE
        for message in messages:
            result = self.send(message, compress=compress)
        return result

    def attach(self, websocket: Any) -> None:
        """Send over a WebSocket from now on."""
        self.websocket = websocket
        # A connection of another server's makes its own frames.
        self.takes_frames = websocket if hasattr(websocket, "send_octets") else None

    def _enqueue(self, data: Any, compress: bool | None) -> Awaitable[None]:
        """Queue a message for the next poll."""
        if self.state != OPEN:
            raise SessionClosed(self._close_reason)
        if type(data) is not Prepared:
            data = Prepared(data)
        packet = data.packet
        if isinstance(packet, str) and SEPARATOR in packet:
            raise ValueError("text with U+001E cannot be sent while the client polls")
        if self._queued > self._terms.max_send_buffer:
            raise self._too_slow()
        if compress is not False and data.compress is not False:
            self.compressible = True
        self.queue_packet(packet)
        if self._queued <= self._terms.write_limit:
            return DONE
        self._was_high = True
        return Later(self._drained)

    def queue_packet(self, packet: Packet) -> None:
        """Queue a packet for polling, or for the end of the upgrade."""
        self._queue.append(packet)
        self._queued += len(packet)
        self._queue_grew()

    def _take_packets(self, most: int | None) -> bytes:
        """Take so many packets off the queue, as a payload; see :meth:`_took`."""
        packets = self._queue if most is None else self._queue[:most]
        self._queue = self._queue[len(packets) :]
        self._queued -= sum(map(len, packets))
        return encode_payload(packets)

    def _took(self) -> None:
        """Tell those who wait for room, if there is some."""
        if self._was_high and self._queued <= self._terms.write_limit // 4:
            self._was_high = False
            self.drained()

    def _move_queue(self, websocket: Any) -> None:
        """Send what is queued over a WebSocket, and all that follows."""
        queue, self._queue = self._queue, []
        self._queued = 0
        self.attach(websocket)
        for packet in queue:
            if packet != CLOSE:
                websocket.send(packet, compress=self._terms.compress)
        if self.paused:
            websocket.pause_reading()
        self._took()

    def _too_slow(self) -> SessionClosed:
        self.end("transport error", "the peer reads too slowly", code=1008)
        return SessionClosed(self._close_reason)

    async def _drained(self) -> None:
        """Wait until little is left to be polled."""
        while self._was_high and self.state != CLOSED:
            drainer: asyncio.Future[None] = self._terms.loop.create_future()
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

    def failed(self, exc: Exception) -> None:
        """End the session because the application's code raised."""
        self._terms.logger.error("a listener failed", exc_info=exc)
        self.end("server error", exc, code=1011)

    def _told_of_end(self, reason: str, description: Any) -> None:
        """Wake up those who wait for room, and tell the listener of the end."""
        self.drained()
        if self.listener is not None:
            try:
                self.listener.on_close(reason, description)
            except Exception as exc:
                self._terms.logger.error("on_close failed", exc_info=exc)

    def told_of_upgrade(self) -> None:
        """Tell the listener that the session is on a WebSocket now."""
        try:
            upgraded = getattr(self.listener, "on_upgrade", None)
            if upgraded is not None:
                upgraded()
        except Exception as exc:
            self.failed(exc)


def send_to_all(sessions: Sequence[Sending], message: Prepared) -> None:
    """
    Send a message to many sessions of one server, and wait for none of them.

    Args:
        sessions: The sessions; whoever has closed gets nothing.
        message: The message.

    """
    if not sessions:
        return
    first = sessions[0]
    compress = first._terms.compress if message.compress is None else message.compress
    websockets = [session.takes_frames for session in sessions]
    for place, _ in fan_out(websockets, message.framed(compress), first._crowd):
        with suppress(ConnectionClosed):  # on_close tells of it
            sessions[place].send(message)
