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
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .. import engine
from ..exceptions import ConcurrencyError
from ..protocol.http import Request
from .inbound import Inbound
from .waiter import DONE, DROPPED, Later

if TYPE_CHECKING:
    from types import TracebackType

    from ..protocol.http import Response
    from ..protocol.options import Options
    from .link import Link
    from .listener import Listener

__all__ = ["Connection"]

_OPEN = 1
_CLOSED = 3

#: Output is handed to the system at once, not at the end of the pass, from here on.
FLUSH_AT = 32 * 1024


class Extras:
    """
    What most connections do not have; made when the first of it is needed.

    Attributes:
        pings: Pings that wait for their pongs: by payload, the future and the time.
        drainers: Futures of those that wait for room in the output.
        closers: Futures of those that wait for the end.
        fragmenting: Future of the end of the fragmented message that is being sent, or
            of the last one that waits for its turn.
        behind: Messages that wait for that.
        id: Unique identifier.
        logger: Where to log.
        response: The handshake's response, if somebody has asked for it.

    """

    def __init__(self) -> None:
        self.pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self.drainers: list[asyncio.Future[None]] = []
        self.closers: list[asyncio.Future[None]] = []
        self.fragmenting: asyncio.Future[None] | None = None
        self.behind: list[tuple[int, Any, bool | None]] = []
        self.id: uuid.UUID | None = None
        self.logger: Any = None
        self.response: Response | None = None


class Connection(Inbound):
    """
    A WebSocket connection, after its opening handshake.

    Made by ``connect()`` and ``serve()``. Belongs to the event loop, and to the thread,
    in which it was made.

    Args:
        link: Its way to the octets.
        options: Limits and habits; shared with other connections.
        client: Whether we are the client.
        deflate: The negotiated permessage-deflate, or None.
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
        self._was_high = False
        self._extras: Extras | None = None
        if logger is not None:
            self._more().logger = logger
        if response is not None:
            self._more().response = response

    def _more(self) -> Extras:
        if self._extras is None:
            self._extras = Extras()
        return self._extras

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
        closers, extras.closers = extras.closers, []
        for closer in closers:
            if not closer.done():
                closer.set_result(None)

    def output_flushed(self) -> None:
        """Take the news that output went out; senders that wait may go on."""
        Inbound.output_flushed(self)
        if self._was_high and self.writer.queued <= self.options.write_low:
            self._was_high = False
            self._resolve_drainers()
            if self.listener is not None:
                try:
                    self.listener.on_drain(self)
                except Exception as exc:
                    self.handler_failed(exc)

    def _resolve_drainers(self) -> None:
        extras = self._extras
        if extras is None:
            return
        drainers, extras.drainers = extras.drainers, []
        for drainer in drainers:
            if not drainer.done():
                drainer.set_result(None)

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
        """Close the connection because the application's code raised (1011)."""
        self.logger.error("connection handler failed", exc_info=exc)
        self.fail(1011)

    def _wrote(self) -> None:
        """Have what was queued flushed: at the pass's end, or at once if it is much."""
        link = self.link
        if self.writer.queued >= FLUSH_AT:
            link.flush()
        elif not link.dirty:
            link.wrote()

    def must_end(self, at_once: bool) -> None:
        """End the stream, or have the peer end it."""
        if at_once:
            self.link.close()

    def must_abort(self) -> None:
        """Cut the stream: the closing handshake timed out."""
        self.link.abort()

    def timer_changed(self, when: float) -> None:
        """Have :meth:`on_timer` called at ``when``."""
        self.link.driver.schedule(self, when)

    # ---- sending ----

    def send(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> Awaitable[None]:
        """
        Send a message. It is framed and queued at once; awaiting is back-pressure.

        Args:
            message: ``str`` for a text message, octets for a binary one, or an iterable
                or asynchronous iterable of either for a fragmented one, which is sent
                while it is awaited.
            text: True to send octets as text, False to send ``str`` as binary.
            compress: Whether to compress the message, if that was negotiated; None to
                leave it to the threshold.

        Returns:
            An awaitable that is done already, unless the output is above its high-water
            mark: then it is done when the output is below its low-water mark. It gives
            None, or False if the message was dropped (``overflow="drop"``).

        Raises:
            ConnectionClosed: The connection is not open.
            TypeError: ``message`` is none of these.

        """
        if isinstance(message, str):
            opcode = 2 if text is False else 1
        elif isinstance(message, (bytes, bytearray, memoryview)):
            opcode = 1 if text is True else 2
        else:
            return self._send_other(message, text, compress)
        if self._extras is not None and self._extras.fragmenting is not None:
            return self._send_behind(opcode, message, compress)
        if not self._send(opcode, message, True, compress):
            return DROPPED
        if self.writer.queued > self.options.write_high:
            self._was_high = True
            return Later(self.drain)
        return DONE

    def _send_other(
        self, message: Any, text: bool | None, compress: bool | None
    ) -> Awaitable[None]:
        if isinstance(message, Mapping):
            raise TypeError("data is a dict-like object")
        if isinstance(message, AsyncIterable):
            fragments = message
        elif isinstance(message, Iterable):
            fragments = _as_async(message)
        else:
            raise TypeError("data must be str, bytes, iterable, or async iterable")
        return self._send_fragments(fragments, text, compress)

    def _send_behind(
        self, opcode: int, message: Any, compress: bool | None
    ) -> Awaitable[None]:
        """Keep a message until the fragmented message in progress is complete."""
        if self.ready_state != _OPEN:
            raise self.closed_error()
        if isinstance(message, (bytearray, memoryview)):
            message = bytes(message)
        self._more().behind.append((opcode, message, compress))
        return Later(self._until_whole)

    async def _until_whole(self) -> None:
        extras = self._more()
        while extras.fragmenting is not None:
            await asyncio.shield(extras.fragmenting)
        if self.ready_state != _OPEN:
            raise self.closed_error()
        await self.drain()

    async def _send_fragments(
        self, fragments: AsyncIterable[Any], text: bool | None, compress: bool | None
    ) -> None:
        """Send a message fragment by fragment (RFC 6455 §5.4)."""
        extras = self._more()
        before = extras.fragmenting
        done = extras.fragmenting = self.link.driver.loop.create_future()
        if before is not None:
            try:
                await asyncio.shield(before)  # each in its turn
            except BaseException:
                before.add_done_callback(lambda _: self._fragments_done(done))
                raise
        opcode = first = 0
        try:
            async for data in fragments:
                if isinstance(data, str):
                    kind = 2 if text is False else 1
                elif isinstance(data, (bytes, bytearray, memoryview)):
                    kind = 1 if text is True else 2
                else:
                    raise TypeError("iterable must contain bytes or str")
                is_str = isinstance(data, str)
                if first == 0:
                    first, opcode, were_str = kind, kind, is_str
                elif is_str is not were_str:
                    raise TypeError("iterable must contain uniform types")
                self._send(opcode, data, False, compress)
                opcode = 0
                await self.drain()
            if first != 0:
                self._send(0, b"", True, compress)
        except BaseException:
            # Half-way through a message that can't be completed.
            if first != 0 and self.ready_state == _OPEN:
                self.fail(1011, "error in fragmented message")
            raise
        finally:
            try:
                self._send_kept()
            finally:
                self._fragments_done(done)
        await self.drain()

    def _fragments_done(self, done: asyncio.Future[None]) -> None:
        """Let the next message in fragments begin, if there is one that waits."""
        extras = self._more()
        if extras.fragmenting is done:
            extras.fragmenting = None
        if not done.done():
            done.set_result(None)

    def _send_kept(self) -> None:
        extras = self._more()
        behind, extras.behind = extras.behind, []
        for opcode, message, compress in behind:
            if self.ready_state != _OPEN:
                return  # whoever awaits the send is told
            self._send(opcode, message, True, compress)

    def send_many(
        self, messages: Iterable[Any], *, compress: bool | None = None
    ) -> Awaitable[None]:
        """
        Send messages in one go; as :meth:`send` for each, with one wait at the end.

        Args:
            messages: ``str`` or octets each.
            compress: As in :meth:`send`.

        """
        result: Awaitable[None] = DONE
        for message in messages:
            result = self.send(message, compress=compress)
        return result

    def send_octets(self, frame: bytes) -> None:
        """
        Queue a whole data frame that was made before, for this role and extension.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        if self.ready_state != _OPEN:
            raise self.closed_error()
        if self.writer.queued > self.options.max_send_buffer and self.overflown(2):
            return
        self.writer.raw(frame)
        self._wrote()

    async def drain(self) -> None:
        """
        Wait until the output is below its low-water mark.

        Raises:
            ConnectionClosed: The connection ended, with output that was not sent.

        """
        if self.writer.queued > self.options.write_high:
            self._was_high = True
        while self._was_high and self.ready_state != _CLOSED:
            drainer = self.link.driver.loop.create_future()
            self._more().drainers.append(drainer)
            await drainer
        if self._was_high:
            raise self.closed_error()

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued to be sent and that the system has not taken yet."""
        return len(self.writer)

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
    def sending_fragments(self) -> bool:
        """Whether a fragmented message is being sent: others follow behind it."""
        return self._extras is not None and self._extras.fragmenting is not None

    @property
    def extensions(self) -> list[Any]:
        """Negotiated extensions."""
        return [] if self.deflate is None else [self.deflate]

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


async def _as_async(items: Iterable[Any]) -> Any:
    for item in items:
        yield item


with contextlib.suppress(ImportError):
    # Compiled, the result of an await is handed over without an exception.
    from . import _slots  # type: ignore[attr-defined]  # noqa: F401
