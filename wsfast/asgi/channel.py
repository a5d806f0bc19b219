# cython: binding=False
"""
The two callables of an ASGI application, at the speed of the connection below.

A :class:`Channel` is what an application has of its connection: ``receive`` and
``send``. As long as the connection is open, and messages are what is received and sent,
all of it happens here; everything less frequent is left to the channel's owner, who
knows the server. Specification: ASGI WebSocket 2.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ..asyncio.connection import Connection
from ..asyncio.inbound import Receiver, drop
from ..asyncio.waiter import DONE, Later

if TYPE_CHECKING:
    from ..asyncio.link import Link
    from ..asyncio.listener import Listener
    from ..protocol.options import Options

__all__ = ["Channel", "Events", "ServedConnection"]

_OPEN = 1
_CLOSED = 3


class Events(Receiver):
    """
    What ``receive()`` returns: awaiting it gives the next event.

    Args:
        connection: Where the messages are.
        channel: What was called.

    """

    def __init__(self, connection: ServedConnection, channel: Channel) -> None:
        Receiver.__init__(self, connection)
        self._channel = channel

    def _result(self) -> Any:
        message = self._connection._take_message(None)
        channel = self._channel
        channel.received += 1
        if channel._behind is not None:
            channel._next_waits()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    def _leave(self) -> None:
        Receiver._leave(self)
        if self._channel._behind is not None:
            self._channel._next_waits()

    def _at_end(self) -> bool:
        return self._channel.outcome is not None or self._connection.ended

    def _end(self) -> Any:
        return self._channel.disconnected()


class ServedConnection(Connection):
    """
    The connection of a client that an ASGI application serves.

    Args:
        link: Its way to the octets.
        options: Limits and habits.
        channel: What the application has of it.
        deflate: The negotiated permessage-deflate, or None.
        subprotocol: The negotiated subprotocol, or None.
        listener: Called for what happens, instead of ``receive()``, or None.

    """

    def __init__(
        self,
        link: Link,
        options: Options,
        channel: Channel,
        deflate: Any = None,
        subprotocol: str | None = None,
        listener: Listener | None = None,
    ) -> None:
        Connection.__init__(
            self,
            link,
            options,
            client=False,
            deflate=deflate,
            subprotocol=subprotocol,
            listener=listener,
        )
        self._channel = channel

    @property
    def logger(self) -> Any:
        """Where the server logs."""
        return self._channel.owner.logger

    def must_end(self, at_once: bool) -> None:
        """End the stream; nothing more will come of it, so the application is told."""
        Connection.must_end(self, at_once)
        if self.waiting is not None:
            self.waiting.wake_soon()

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended."""
        if self.ready_state == _CLOSED:
            return
        try:
            Connection.lost(self, exc)
        finally:
            self._channel.owner.ended()

    def drop_messages(self) -> None:
        """Forget what else arrives: the application has said goodbye."""
        self._on_message, self._bound = drop, False
        if self.waiting is not None:
            self.waiting.wake_soon()


class Channel:
    """
    ``receive`` and ``send`` of one application, and what it may know.

    The application finds it as ``scope["extensions"]["wsfast"]["connection"]``.

    Args:
        owner: Has ``send_rarely(message)`` and ``receive_early()``, for what is not
            done here; ``disconnected``, the class of the error of a ``send`` after the
            end; ``ended()``, called when the stream has ended; and ``logger``.

    Attributes:
        owner: As given.
        connection: The connection; None before it was accepted.
        outcome: Event that tells the application of an end that we decided on, or of
            one before the connection was accepted; None otherwise.
        received: Messages that the application has received.
        sent: Messages that it has sent.

    """

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.connection: ServedConnection | None = None
        self.outcome: dict[str, Any] | None = None
        self.received = 0
        self.sent = 0
        self._events: Events | None = None
        self._behind: list[asyncio.Future[None]] | None = None

    # ---- what the application calls ----

    def receive(self) -> Awaitable[dict[str, Any]]:
        """
        Receive the next event; to be awaited. Cancelling loses none.

        Returns:
            ``websocket.connect``, then ``websocket.receive`` for each message, at last
            ``websocket.disconnect``, which every further call gives again.

        """
        connection = self.connection
        if connection is None:
            return self.owner.receive_early()  # type: ignore[no-any-return]
        events = self._events
        if events is None or events.busy:
            if connection.waiting is not None:
                return self._receive_behind(connection)
            events = self._events = Events(connection, self)
        events.busy = True
        return events

    def send(self, message: Any) -> Awaitable[None]:
        """
        Send an event. A message is queued at once; awaiting is back-pressure.

        Args:
            message: The event. Besides what ASGI says, ``websocket.send`` may have
                ``compress``, whether to compress the message.

        Raises:
            OSError: The connection has ended; the server's own subclass of it.
            RuntimeError: The event is not one that may be sent now.

        """
        connection = self.connection
        if (
            connection is None
            or connection.ready_state != _OPEN
            or type(message) is not dict
        ):
            return self.owner.send_rarely(message)  # type: ignore[no-any-return]
        fields = message
        if fields["type"] != "websocket.send":
            return self.owner.send_rarely(fields)  # type: ignore[no-any-return]
        data = fields.get("bytes")
        opcode = 2
        if data is None:
            data = fields.get("text")
            opcode = 1
            if not isinstance(data, str):
                raise TypeError("websocket.send needs bytes, or text that is a str")
        elif not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("the bytes of websocket.send are not bytes")
        compress = None if connection.deflate is None else fields.get("compress")
        connection._send(opcode, data, True, compress)
        self.sent += 1
        if connection.writer.queued > connection.options.write_high:
            return Later(self._drain)
        return DONE

    async def ping(self, data: str | bytes | None = None) -> float:
        """
        Send a ping and wait for the pong (RFC 6455 §5.5.2).

        Args:
            data: Payload, at most 125 octets; random by default.

        Returns:
            The round-trip time in seconds.

        Raises:
            OSError: The connection is not open, or ends before the pong.

        """
        connection = self.connection
        if connection is None or connection.ready_state != _OPEN:
            raise self.owner.disconnected()
        pong = await connection.ping(data)
        try:
            return await pong
        except Exception as exc:
            raise self.owner.disconnected() from exc

    @property
    def latency(self) -> float:
        """Round-trip time in seconds of the last ping answered; 0.0 before."""
        return 0.0 if self.connection is None else self.connection.latency

    def statistics(self) -> dict[str, Any]:
        """
        Return what is known of the connection.

        Returns:
            ``received`` and ``sent``, messages that the application has received and
            sent; ``waiting``, messages that it has yet to receive; ``buffered``, octets
            that the system has yet to take; ``latency``; ``compressed``, whether
            permessage-deflate was agreed upon; ``path``, ``"reactor"`` or
            ``"transport"``, None before the connection was accepted.

        """
        connection = self.connection
        path = None
        if connection is not None:
            reactor = type(connection.link).__name__ == "ReactorLink"
            path = "reactor" if reactor else "transport"
        return {
            "received": self.received,
            "sent": self.sent,
            "waiting": 0 if connection is None else connection.queue_length(),
            "buffered": 0 if connection is None else connection.buffered_amount,
            "latency": self.latency,
            "compressed": connection is not None and connection.deflate is not None,
            "path": path,
        }

    # ---- what the owner calls ----

    def opened(self, connection: ServedConnection) -> None:
        """Serve a connection that was accepted."""
        self.connection = connection

    def closed(self, outcome: dict[str, Any]) -> None:
        """Tell the application of an end that was decided on here, behind the queue."""
        self.outcome = outcome
        if self.connection is not None:
            self.connection.drop_messages()

    def disconnected(self) -> dict[str, Any]:
        """Return the event that says how the connection ended."""
        if self.outcome is not None:
            return dict(self.outcome)
        close = None
        if self.connection is not None:
            close = self.connection.close_rcvd or self.connection.close_sent
        if close is None:
            return {"type": "websocket.disconnect", "code": 1006}
        return {
            "type": "websocket.disconnect",
            "code": int(close.code),
            "reason": close.reason,
        }

    # ---- waiting ----

    async def _drain(self) -> None:
        """Wait until the output is below its low-water mark."""
        connection = self.connection
        assert connection is not None
        try:
            await connection.drain()
        except Exception as exc:
            raise self.owner.disconnected() from exc

    async def _receive_behind(self, connection: ServedConnection) -> Any:
        """Receive after the task that is receiving now: one of them gets each event."""
        loop = asyncio.get_running_loop()
        while connection.waiting is not None:
            if self._behind is None:
                self._behind = []
            turn: asyncio.Future[None] = loop.create_future()
            self._behind.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._next_waits()
                raise
        return await self.receive()

    def _next_waits(self) -> None:
        """Let one of those that wait behind another task have its turn."""
        behind = self._behind
        while behind:
            turn = behind.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._behind = None
