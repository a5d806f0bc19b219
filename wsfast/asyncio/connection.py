"""
A WebSocket connection under asyncio: one class for coroutines and for callbacks.

:class:`Connection` adds to the protocol what an application sees: messages to receive,
sending that applies back-pressure, pings to wait for, an orderly end. It works the same
over any :class:`~wsfast.asyncio.link.Link`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from .. import engine
from ..exceptions import ConcurrencyError, ConnectionClosed
from ..protocol.extension_frames import extensions_of
from ..protocol.http import Request
from .outbound import Extras, Outbound
from .streams import LIMIT, MessageReader, MessageWriter
from .waiter import DONE, Later

if TYPE_CHECKING:
    from types import TracebackType

    from ..exceptions import WebSocketException
    from ..protocol.http import Response
    from ..protocol.options import Options
    from .link import Link
    from .listener import Listener

__all__ = ["Connection"]

_OPEN = 1
_CLOSED = 3


class Connection(Outbound):
    """
    A WebSocket connection, after its opening handshake.

    Made by ``connect()`` and ``serve()``. Belongs to the event loop, and to the thread,
    in which it was made: in any other thread its methods raise ConcurrencyError; there,
    use ``loop.call_soon_threadsafe()`` or ``asyncio.run_coroutine_threadsafe()``.

    Args:
        link: Its way to the octets.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, a `Chain` of extensions, or None.
        request: The handshake's request.
        response: The handshake's response, if :meth:`answer` can't make it again.
        subprotocol: The negotiated subprotocol, or None.
        listener: Called for what happens, instead of ``recv()``.
        logger: Where to log; by default ``wsfast.client`` or ``wsfast.server``.

    Attributes:
        subprotocol: The negotiated subprotocol, or None (RFC 6455 §1.9).
        latency: Round-trip time in seconds of the last ping answered; 0.0 before.

    """

    def __init__(
        self,
        link: Link,
        options: Options,
        *,
        client: bool,
        deflate: Any = None,
        request: Request | None = None,
        response: Response | None = None,
        subprotocol: str | None = None,
        listener: Listener | None = None,
        logger: Any = None,
    ) -> None:
        self._join(link, options, client, deflate, listener)
        self._request: Request | bytes | None = None
        if request is not None:
            self._request = request.head_as_received() or request
        self.subprotocol = subprotocol
        self.timer_slot = 0
        self.timer_index = 0
        self.place = -1
        self._may_send()
        if logger is not None:
            self._more().logger = logger
        if response is not None:
            self._more().response = response

    # ---- what the link calls ----

    def opened(self) -> None:
        """Begin: to be called once, right before ``link.start(connection, rest)``."""
        if self._ping_at > self.now:
            self.link.driver.schedule(self, self._ping_at)
        if self.listener is not None:
            try:
                self.listener.on_open(self)
            except Exception as exc:
                self.handler_failed(exc)

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended, and tell everybody who waits."""
        if self.ready_state == _CLOSED:
            return
        if exc is not None:
            self.begin_ending().lost_by = exc
        self.connection_ended()
        if self._charged != 0:
            self.account()
        self.link.driver.cancel(self)
        if self._extras is not None:
            self._tell_waiting(self._extras)
        if self.waiting is not None:
            self.waiting.wake_soon()
        if self.listener is not None:
            listener, self.listener, self._on_message = self.listener, None, None
            try:
                listener.on_close(
                    self, self.close_code or 1006, self.close_reason or ""
                )
            except Exception as failure:
                self.logger.error("on_close failed", exc_info=failure)

    def _tell_waiting(self, extras: Extras) -> None:
        """Resolve every future, now that the connection has ended."""
        pings, extras.pings = extras.pings, {}
        for pong, _ in pings.values():
            if not pong.done():
                pong.set_exception(self.closed_error())
                pong.exception()  # nobody has to ask for it
        self._resolve_drainers()
        self._end_by_hand(extras)
        closers, extras.closers = extras.closers, []
        self._resolve(closers)

    def on_timer(self, now: float) -> float:
        """Look after keepalive and the closing handshake; called by the driver."""
        return self.check_time(now)

    # ---- what the protocol calls ----

    def ping_received(self, payload: bytes) -> None:
        """Tell the listener about a ping, which has been answered already."""
        if self.listener is not None:
            self._call("on_ping", payload)

    def pong_received(self, payload: bytes) -> None:
        """Resolve the ping that this answers, and all before it."""
        extras = self._extras
        if extras is not None and payload in extras.pings:
            for data in list(extras.pings):
                pong, sent_at = extras.pings.pop(data)
                if not pong.done():
                    pong.set_result(self.now - sent_at)
                if data == payload:
                    self.latency = self.now - sent_at
                    break
        if self.listener is not None:
            self._call("on_pong", payload)

    def _call(self, name: str, payload: bytes) -> None:
        try:
            getattr(self.listener, name)(self, payload)
        except Exception as exc:
            self.handler_failed(exc)

    def handler_failed(self, exc: BaseException) -> None:
        """
        Close the connection because the application's code raised (1011).

        To send while the connection ends is no failure: its end goes on as it was.
        """
        if isinstance(exc, ConnectionClosed) and self.ready_state != _OPEN:
            return
        self.logger.error("connection handler failed", exc_info=exc)
        self.fail(1011)

    def must_end(self, at_once: bool) -> None:
        """End the stream, or have the peer end it."""
        if at_once:
            self.link.close()

    def failed(self, failure: WebSocketException, code: int) -> None:
        """Log in one line which peer failed the connection, and why."""
        self.logger.info("%s failed with %d: %s", self.remote_address, code, failure)

    def must_abort(self) -> None:
        """Cut the stream: the closing handshake timed out."""
        self.link.abort()

    def timer_changed(self, when: float) -> None:
        """Have :meth:`on_timer` called at ``when``."""
        self.link.driver.schedule(self, when)

    # ---- pings ----

    def ping(self, data: str | bytes | None = None) -> Awaitable[Awaitable[float]]:
        """
        Send a ping (RFC 6455 §5.5.2), at once.

        Args:
            data: Payload, at most 125 octets; random by default.

        Returns:
            An awaitable, done already, of a future of the round-trip time in seconds.

        Raises:
            ConnectionClosed: The connection is not open.
            ConcurrencyError: A ping with this payload waits for its pong.

        """
        self.link.driver.check_thread()
        pings = self._more().pings
        if isinstance(data, str):
            payload = data.encode()
        elif data is not None:
            payload = bytes(data)
        else:
            payload = engine.masking_key()
            while payload in pings:
                payload = engine.masking_key()
        if payload in pings:
            raise ConcurrencyError("already waiting for a pong with the same data")
        self.send_ping(payload)
        pong: asyncio.Future[float] = self.link.driver.loop.create_future()
        pings[payload] = (pong, self.link.driver.time())
        return Later(None, pong)

    def pong(self, data: str | bytes = b"") -> Awaitable[None]:
        """
        Send an unsolicited pong (RFC 6455 §5.5.3), at once.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        self.link.driver.check_thread()
        self.send_pong(data.encode() if isinstance(data, str) else bytes(data))
        return DONE

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """
        Start the closing handshake, at once (RFC 6455 §7.1.2); may be called again.

        Args:
            code: Close code.
            reason: Close reason, at most 123 octets of UTF-8.

        Returns:
            An awaitable of the connection's end, ``close_timeout`` later at most.

        """
        self.link.driver.check_thread()
        if self.sending_fragments and self.ready_state == _OPEN:
            self.fail(1011, "close during fragmented message")
        self.now = self.link.driver.time()
        self.send_close(code, reason)
        self.read_to_the_end()
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        while self.ready_state != _CLOSED:
            closer = self.link.driver.loop.create_future()
            self._more().closers.append(closer)
            await closer

    def abort(self) -> None:
        """End the connection at once, without a closing handshake (1006)."""
        self.link.driver.check_thread()
        self.abandon()
        self.link.abort()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(1000 if exc_type is None else 1011)

    def as_stream(
        self, *, text: bool = False, limit: int = LIMIT
    ) -> tuple[MessageReader, MessageWriter]:
        """
        Return the connection as a stream of octets, in the manner of asyncio.

        Args:
            text: Send text messages, of which each must be valid UTF-8, instead of
                binary ones. Either kind is read.
            limit: Octets among which ``readline()`` looks for a line's end.

        Returns:
            What reads, and what writes.

        Raises:
            RuntimeError: The connection has a listener, which gets its messages.

        """
        if self.listener is not None:
            raise RuntimeError("a connection with a listener cannot be read")
        return MessageReader(self, limit), MessageWriter(self, text)

    # ---- facts ----

    @property
    def request(self) -> Request | None:
        """The opening handshake's request."""
        if isinstance(self._request, bytes):
            self._request = Request.from_head(self._request)
        return self._request

    @property
    def response(self) -> Response | None:
        """The opening handshake's response."""
        if self._extras is not None and self._extras.response is not None:
            return self._extras.response
        response = self.answer()
        if response is not None:
            self._more().response = response
        return response

    @response.setter
    def response(self, response: Response | None) -> None:
        self._more().response = response

    def answer(self) -> Response | None:
        """Return the response, made again of the request; None if that is not known."""
        return None

    @property
    def paused(self) -> bool:
        """Whether reading is paused, by ``pause_reading()``."""
        return bool(self._pause_asked)

    @property
    def id(self) -> uuid.UUID:
        """Unique identifier, for logs."""
        extras = self._more()
        if extras.id is None:
            extras.id = uuid.uuid4()
        return extras.id

    @property
    def logger(self) -> Any:
        """Where the connection logs."""
        if self._extras is not None and self._extras.logger is not None:
            return self._extras.logger
        return logging.getLogger("wsfast.client" if self.client else "wsfast.server")

    @property
    def extensions(self) -> list[Any]:
        """Negotiated extensions."""
        return extensions_of(self.deflate)

    @property
    def local_address(self) -> Any:
        """Address of our end, as ``socket.getsockname()`` gives it."""
        return self.link.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """Address of the peer, as ``socket.getpeername()`` gives it."""
        return self.link.get_extra_info("peername")

    @property
    def transport(self) -> Link:
        """What carries the octets; has ``get_extra_info()`` and ``abort()``."""
        return self.link


with contextlib.suppress(ImportError):
    # Compiled, the result of an await is handed over without an exception.
    from . import _slots  # type: ignore[attr-defined]  # noqa: F401
