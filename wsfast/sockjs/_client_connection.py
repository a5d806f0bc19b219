"""What a client of SockJS holds: one session, whatever transport it runs over."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..asyncio.waiter import DONE, DROPPED, Later
from ..engine import decode_sockjs
from ..exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    WebSocketException,
)
from ..protocol.closing import OK_CLOSE_CODES, Close, CloseCode, State
from ._client_frames import broken_frame, is_prelude, parse_close

if TYPE_CHECKING:
    from ..asyncio._options import Logger
    from ..asyncio.listener import Listener
    from ..protocol.options import Options
    from ._client_transports import Transport

__all__ = ["ClientConnection"]

_CONNECTING, _OPEN, _CLOSING, _CLOSED = State

#: Codes that :meth:`ClientConnection.close` takes, as sockjs-client does.
_NORMAL: Final = 1000

BUSY: Final = "cannot receive while another coroutine is in recv already"


class ClientConnection:
    """
    A session of SockJS that :func:`~wsfast.sockjs.connect` has opened.

    It is used like a connection of :func:`wsfast.connect`; SockJS carries text alone,
    and has neither pings, subprotocols nor a closing handshake: whoever closes a
    session has ended it.

    Args:
        options: Limits and habits.
        logger: Where to log.
        url: Base URL of the server.
        max_frame: Octets of a frame, which may hold several messages.
        on_heartbeat: Called with the connection for each heartbeat of the server.
        listener: Called for what happens, instead of ``recv()``.

    Attributes:
        url: Base URL of the server.
        transport: Name of the transport that it runs over.
        session_id: The session's ID; empty for ``"websocket-raw"``, which has none.
        info: What the server's ``/info`` says; None if it was not asked.
        rtt: Round-trip time in seconds, as asking for ``/info`` has taken it.
        ready_state: State of the session, as a number.
        heartbeats: How many heartbeats of SockJS have arrived; servers may send pings
            of WebSocket instead.

    """

    def __init__(
        self,
        options: Options,
        logger: Logger,
        *,
        url: str,
        max_frame: int | None,
        on_heartbeat: Callable[[ClientConnection], object] | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.options = options
        self.logger = logger
        self.url = url
        self.max_frame = max_frame
        self.transport = ""
        self.session_id = ""
        self.info: dict[str, Any] | None = None
        self.rtt: float | None = None
        self.ready_state: int = _CONNECTING
        self.heartbeats = 0
        self.id = uuid.uuid4()
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self._on_heartbeat = on_heartbeat
        self._listener: Any = listener
        self._listener_failed = False
        self._loop = asyncio.get_running_loop()
        self._way: Transport
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._cause: BaseException | None = None
        self._failed = False
        self._was_lost = False
        self._messages: deque[tuple[str, int]] = deque()
        self._octets = 0
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._pause_asked = False

    # ---- opening; for connect() ----

    async def open(self, way: Transport) -> None:
        """
        Open the session over a transport, once.

        Raises:
            ConnectionClosed: The server has closed it, or was lost.
            OSError, InvalidHandshake: As the transport has it.

        """
        self._way = way
        self.transport = way.name
        await way.start()
        await asyncio.shield(self._opened)

    # ---- what the transport calls ----

    def opened(self) -> None:
        """Take the server's ``o``."""
        if self.ready_state != _CONNECTING:
            # It was restarted, or has not heard of us for too long.
            self.lost(ProtocolError("the server has lost the session", "session_lost"))
            self._way.abort()
            return
        self.ready_state = _OPEN
        if not self._opened.done():
            self._opened.set_result(None)
        if self._listener is not None:
            self._tell(self._listener.on_open)

    def _tell(self, method: Callable[..., object], *args: Any) -> None:
        """Call the listener; if it fails, the session does."""
        try:
            method(self, *args)
        except Exception as exc:
            self.logger.error("listener failed", exc_info=exc)
            self._listener_failed = True
            if self.ready_state in (_CONNECTING, _OPEN):
                self.close(1011)

    def drained(self) -> None:
        """Take the news that the output has gone from above its limit to its mark."""
        if self._listener is not None and self.ready_state == _OPEN:
            self._tell(self._listener.on_drain)

    def frame_received(self, frame: str | bytes) -> None:
        """Take a frame (SockJS protocol 0.3.3, Protocol and framing)."""
        if self.ready_state == _CLOSED or not frame:
            return
        limit, kind = self.max_frame, frame[:1]
        if isinstance(kind, bytes):
            kind = kind.decode("latin-1")
        if kind == "h":
            self._heartbeat(frame)
        elif limit is not None and len(frame) > limit:
            self.fail(PayloadTooBig(f"over frame size limit ({limit} bytes)"))
        elif kind == "o" and len(frame) == 1:
            self.opened()
        elif kind in ("a", "m") and self.ready_state != _CONNECTING:
            try:
                messages = decode_sockjs(frame[1:], single=kind == "m")
            except ValueError as exc:
                self.fail(broken_frame(frame, exc))
                return
            for message in messages:
                self.message_received(message)
        elif kind == "c":
            self._close_received(frame)
        else:
            self.fail(broken_frame(frame, None))

    def _heartbeat(self, frame: str | bytes) -> None:
        if len(frame) > 1:  # what fills the buffers of browsers, ahead of a stream
            if not is_prelude(frame):
                self.fail(broken_frame(frame, None))
            return
        self.heartbeats += 1
        if self._on_heartbeat is not None:
            try:
                self._on_heartbeat(self)
            except Exception as exc:
                self.logger.error("on_heartbeat failed", exc_info=exc)

    def _close_received(self, frame: str | bytes) -> None:
        try:
            close = parse_close(frame)
        except ValueError as exc:
            self.fail(broken_frame(frame, exc))
            return
        self.close_rcvd = close
        self._end()
        self._way.close(1000, "")

    def message_received(self, message: str) -> None:
        """Queue a message for :meth:`recv`."""
        if self.ready_state == _CLOSED:
            return  # one before it, in the same frame, has failed the session
        limit, size = self.options.max_size, len(message)
        if not message.isascii():
            size = len(message.encode("utf-8", "surrogatepass"))
        if 0 <= limit < size:
            self.fail(PayloadTooBig(f"over size limit ({size} > {limit} bytes)"))
            return
        if self._listener is not None:
            if not self._listener_failed:
                self._tell(self._listener.on_message, message)
            return
        self._messages.append((message, size))
        self._octets += size
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        options = self.options
        if not self._paused and (
            len(self._messages) >= options.queue_high
            or self._octets >= options.queue_size
        ):
            self._paused = True
            self._way.pause_reading()

    def fail(self, failure: WebSocketException) -> None:
        """End the session because the server, or the application, broke a rule."""
        if self.ready_state == _CLOSED:
            return
        self.logger.info("%s failed with %d: %s", self.url, failure.code, failure)
        self._cause, self._failed = failure, True
        self.close_sent = self.close_sent or Close(failure.code, "")
        self._end()
        self._way.close(failure.code, "")

    def lost(
        self,
        cause: BaseException | None,
        rcvd: Close | None = None,
        sent: Close | None = None,
    ) -> None:
        """
        Take the news that the transport has ended.

        Args:
            cause: Why, if that is known.
            rcvd: The close frame of WebSocket that was received, if there is one.
            sent: The one that was sent.

        """
        if self.ready_state == _CLOSED:
            return
        self._cause = self._cause or cause
        # A WebSocket that broke a rule was ended with its code, as any transport is;
        # of one that was cut, or that answers no pings (1011), nobody has ended it.
        broken = sent is not None and sent.code != CloseCode.INTERNAL_ERROR
        self._was_lost = self.close_sent is None and not broken
        self._failed = self.close_sent is None and rcvd is None
        if cause is not None and not isinstance(cause, ConnectionClosed):
            kind = type(cause).__name__
            self.logger.info("%s was lost: %s: %s", self.url, kind, cause)
        self.close_rcvd = self.close_rcvd or rcvd
        self.close_sent = self.close_sent or sent
        self._end()

    def _end(self) -> None:
        """Tell everybody who waits."""
        was_open = self._opened.done()
        self.ready_state = _CLOSED
        if not self._opened.done():
            self._opened.set_exception(self.closed_error())
            self._opened.exception()  # nobody has to ask for it
        if not self._ended.done():
            self._ended.set_result(None)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._paused or self._pause_asked:
            self._way.resume_reading()
        listener, self._listener = self._listener, None
        if listener is not None and was_open:
            self._tell(listener.on_close, self.close_code, self.close_reason)

    # ---- receiving ----

    async def recv(self, decode: bool | None = None) -> Any:
        """
        Receive the next message.

        Cancelling loses no message: the next call returns it.

        Args:
            decode: False to get ``bytes``.

        Returns:
            ``str``.

        Raises:
            ConnectionClosedOK: The session was closed normally.
            ConnectionClosedError: It ended in any other way.
            ConcurrencyError: Another task waits in ``recv()`` already.
            RuntimeError: The session has a listener, which gets its messages.

        """
        if self._listener is not None:
            raise RuntimeError("a connection with a listener cannot be read")
        if self._waiter is not None:
            raise ConcurrencyError(BUSY)
        while not self._messages:
            if self.ready_state == _CLOSED:
                raise self.closed_error()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, size = self._messages.popleft()
        self._octets -= size
        options = self.options
        if (
            self._paused
            and len(self._messages) <= options.queue_low
            and self._octets < options.queue_size
        ):
            self._paused = False
            if not self._pause_asked:
                self._way.resume_reading()
        return message.encode() if decode is False else message

    async def recv_many(self, limit: int | None = None) -> list[Any]:
        """
        Receive all messages that have arrived, waiting for one if there is none.

        Args:
            limit: Return no more than this many.

        Raises:
            ConnectionClosed, ConcurrencyError: As :meth:`recv`.

        """
        messages = [await self.recv()]
        while self._messages and (limit is None or len(messages) < limit):
            messages.append(await self.recv())
        return messages

    def __aiter__(self) -> ClientConnection:
        """Iterate over the messages until the session is closed normally."""
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    def pause_reading(self) -> None:
        """
        Take no more from the server until :meth:`resume_reading`.

        A polling client that does not ask again within the server's
        ``disconnect_delay``, of 5 seconds by default, loses its session.
        """
        if self.ready_state == _OPEN and not self._pause_asked:
            self._pause_asked = True
            if not self._paused:
                self._way.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        if self._pause_asked:
            self._pause_asked = False
            if not self._paused:
                self._way.resume_reading()

    # ---- sending ----

    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> Awaitable[None]:
        """
        Send a message. It is queued at once; awaiting is back-pressure.

        Over HTTP, what is queued while a request is under way goes out with the next
        one. One that fails ends the session.

        Args:
            message: ``str``; or octets of UTF-8, with ``text=True``.
            text: True to send octets as text; there is nothing else.
            compress: Whether to compress it, if that was negotiated; over WebSocket.

        Returns:
            An awaitable that is done already, unless the output is above its high-water
            mark: then it is done when the output is below its low-water mark. It gives
            None, or False if the message was dropped (``overflow="drop"``).

        Raises:
            ConnectionClosed: The session is not open.
            TypeError: ``message`` is something else.

        """
        if text is True and isinstance(message, (bytes, bytearray, memoryview)):
            message = str(message, "utf-8")
        if not isinstance(message, str) or text is False:
            raise TypeError("SockJS carries text: data must be str")
        if self.ready_state != _OPEN:
            raise self.closed_error()
        if not self._way.send(message, compress):
            return DROPPED
        if self._way.is_high():
            return Later(self.drain)
        return DONE

    def send_nowait(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> bool:
        """Send a message if there is room for it; tell whether there was."""
        if self.ready_state == _OPEN and self._way.is_high():
            return False
        return self.send(message, text, compress=compress) is not DROPPED

    def send_many(
        self, messages: Iterable[Any], *, compress: bool | None = None
    ) -> Awaitable[None]:
        """Send messages; as :meth:`send` for each, with one wait at the end."""
        result: Awaitable[None] = DONE
        for message in messages:
            result = self.send(message, compress=compress)
        return result

    async def drain(self) -> None:
        """
        Wait until the output is below its low-water mark.

        Raises:
            ConnectionClosed: The session ended, with output that was not sent.

        """
        await self._way.drain()

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued to be sent and that have not gone out yet."""
        return self._way.buffered_amount

    # ---- the end ----

    def close(self, code: int = _NORMAL, reason: str = "") -> Awaitable[None]:
        """
        End the session, once what was sent has gone out; may be called again.

        SockJS has no way to tell a server the code and the reason: over HTTP they are
        for this side alone.

        Args:
            code: Close code: 1000, or 3000 to 4999; 1011 as well.
            reason: Close reason, at most 123 octets of UTF-8.

        Returns:
            An awaitable of the end, ``close_timeout`` later at most.

        Raises:
            ProtocolError: The code or the reason cannot be sent.

        """
        close = Close(code, reason)
        close.serialize()
        if self.ready_state in (_CONNECTING, _OPEN):
            self.ready_state = _CLOSING
            self.close_sent = close
            self._way.close(code, reason)
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until the session has ended, and nothing of it is left."""
        await asyncio.shield(self._ended)
        await self._way.wait_closed()

    def abort(self) -> None:
        """End the session at once (1006); what is queued to be sent is lost."""
        self._way.abort()
        self.lost(None)

    async def __aenter__(self) -> ClientConnection:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(_NORMAL if exc_type is None else 1011)

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that says how the session was closed."""
        rcvd, sent = self.close_rcvd, self.close_sent
        if isinstance(self._cause, ConnectionClosed):  # what WebSocket has to say
            return self._cause
        closes = [close for close in (rcvd, sent) if close is not None]
        clean = not self._failed and all(c.code in OK_CLOSE_CODES for c in closes)
        kind: type[ConnectionClosed] = ConnectionClosedError
        if clean and closes:
            kind = ConnectionClosedOK
        both = len(closes) == 2
        exc = kind(rcvd, sent, False if both else None)
        exc.__cause__ = self._cause
        return exc

    # ---- facts ----

    @property
    def state(self) -> State:
        """State of the session."""
        return State(self.ready_state)

    @property
    def close_code(self) -> int | None:
        """
        Code of the end: the server's, or ours; 1006 if the server was lost.

        None before the session has ended.
        """
        if self.ready_state != _CLOSED:
            return None
        close = self._close
        return 1006 if close is None else int(close.code)

    @property
    def close_reason(self) -> str | None:
        """Reason of the end; None before the session has ended."""
        if self.ready_state != _CLOSED:
            return None
        close = self._close
        return "" if close is None else close.reason

    @property
    def _close(self) -> Close | None:
        """Code and reason of who has ended it; a WebSocket given up is not an end."""
        return self.close_rcvd or (None if self._was_lost else self.close_sent)

    @property
    def paused(self) -> bool:
        """Whether reading is paused, by ``pause_reading()``."""
        return self._pause_asked

    @property
    def subprotocol(self) -> None:
        """None: SockJS has no subprotocols."""
        return

    @property
    def local_address(self) -> Any:
        """Address of our end, as ``socket.getsockname()`` gives it, if known."""
        return self._way.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """Address of the peer, as ``socket.getpeername()`` gives it, if known."""
        return self._way.get_extra_info("peername")
