"""
What a connection sends: messages, whole or in fragments, and back-pressure.

:class:`Outbound` is the sending half of a connection. What can be framed at once, is;
what is awaited is room in the output.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import ConcurrencyError
from .inbound import Inbound
from .prepared import GONE, QUEUED, SLOW
from .waiter import DONE, DROPPED, Later

if TYPE_CHECKING:
    import uuid

    from ..protocol.http import Response
    from .connection import Connection
    from .prepared import Prepared

__all__ = ["Outbound"]

_OPEN = 1
_CLOSED = 3
_QUEUED, _SLOW, _GONE = QUEUED, SLOW, GONE

#: Output is handed to the system at once, not at the end of the pass, from here on.
FLUSH_AT = 32 * 1024


class Extras:
    """
    What most connections do not have; made when the first of it is needed.

    Attributes:
        pings: Pings that wait for their pongs: by payload, the future and the time.
        drainers: Futures, and callbacks, of those that wait for room in the output.
        closers: Futures, and callbacks, of those that wait for the end.
        fragmenting: Future of the end of the fragmented message that is being sent, or
            of the last one that waits for its turn.
        by_hand: The same for a message that is sent by ``send(fin=False)``.
        behind: Messages that wait for that.
        id: Unique identifier.
        logger: Where to log.
        response: The handshake's response, if somebody has asked for it.

    """

    def __init__(self) -> None:
        self.pings: dict[bytes, tuple[asyncio.Future[float], float]] = {}
        self.drainers: list[asyncio.Future[None] | Callable[[], object]] = []
        self.closers: list[asyncio.Future[None] | Callable[[], object]] = []
        self.fragmenting: asyncio.Future[None] | None = None
        self.by_hand: asyncio.Future[None] | None = None
        self.behind: list[tuple[int, Any, bool | None]] = []
        self.id: uuid.UUID | None = None
        self.logger: Any = None
        self.response: Response | None = None


class Outbound(Inbound):
    """The sending half of a connection, over any link."""

    def _may_send(self) -> None:
        """Begin: nothing is being sent, and nobody waits."""
        self._was_high = False
        self._extras: Extras | None = None

    def _more(self) -> Extras:
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    def output_flushed(self) -> None:
        """Take the news that output went out; senders that wait may go on."""
        Inbound.output_flushed(self)
        if self._was_high and self.writer.queued <= self.options.write_low:
            self._was_high = False
            self._resolve_drainers()
            if self.listener is not None:
                try:
                    self.listener.on_drain(cast("Connection", self))
                except Exception as exc:
                    self.handler_failed(exc)

    def _resolve_drainers(self) -> None:
        extras = self._extras
        if extras is None:
            return
        drainers, extras.drainers = extras.drainers, []
        self._resolve(drainers)

    def _resolve(self, waiting: list[Any]) -> None:
        """Tell those who wait for something that it is there."""
        for one in waiting:
            if callable(one):
                self.link.driver.loop.call_soon(one)
            elif not one.done():
                one.set_result(None)

    def _wrote(self) -> None:
        """Have what was queued flushed: at the pass's end, or at once if it is much."""
        link = self.link
        if self.writer.queued >= FLUSH_AT:
            link.flush()
        elif not link.dirty:
            link.wrote()

    def send(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
        fin: bool = True,
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
            fin: False if more of this message follows with the next call, which is one
                fragment then, as this is: ``str`` or octets, of the same kind.

        Returns:
            An awaitable that is done already, unless the output is above its high-water
            mark: then it is done when the output is below its low-water mark. It gives
            None, or False if the message was dropped (``overflow="drop"``).

        Raises:
            ConnectionClosed: The connection is not open.
            TypeError: ``message`` is none of these.
            ConcurrencyError: This is not the event loop's thread.

        """
        self.link.driver.check_thread()
        if isinstance(message, str):
            opcode = 2 if text is False else 1
        elif isinstance(message, (bytes, bytearray, memoryview)):
            opcode = 1 if text is True else 2
        else:
            return self._send_other(message, text, compress, fin)
        if fin is not True:
            return self._send_fragment(opcode, message, compress, bool(fin))
        if self._extras is not None and self._extras.fragmenting is not None:
            if self._extras.by_hand is not None:
                return self._send_fragment(opcode, message, compress, True)
            return self._send_behind(opcode, message, compress)
        if not self._send(opcode, message, True, compress):
            return DROPPED
        if self.writer.queued > self.options.write_high:
            self._was_high = True
            return Later(self.drain)
        return DONE

    def send_nowait(
        self,
        message: Any,
        text: bool | None = None,
        *,
        compress: bool | None = None,
    ) -> bool:
        """
        Send a message if there is room for it; never wait.

        Args:
            message: ``str`` or octets.
            text: As in :meth:`send`.
            compress: As in :meth:`send`.

        Returns:
            Whether the message was queued. It was not if the output is above its
            high-water mark, or while a fragmented message is being sent.

        Raises:
            ConnectionClosed: The connection is not open.
            TypeError: ``message`` is neither ``str`` nor octets.

        """
        if not isinstance(message, (str, bytes, bytearray, memoryview)):
            raise TypeError("data must be str or bytes")
        if self.ready_state == _OPEN and (
            self.writer.queued > self.options.write_high or self.sending_fragments
        ):
            return False
        return self.send(message, text, compress=compress) is not DROPPED

    def send_whole(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        """
        Queue a whole message, behind a fragmented one that is being sent.

        Args:
            opcode: 1 text or 2 binary.
            payload: Octets; those of a text are valid UTF-8.
            compress: As in :meth:`send`.

        Raises:
            ConnectionClosed: The connection is not open.

        """
        if self.sending_fragments:
            self._send_behind(opcode, payload, compress)
        else:
            self._send(opcode, payload, True, compress)

    def _send_fragment(
        self, opcode: int, message: Any, compress: bool | None, fin: bool
    ) -> Awaitable[None]:
        """Send a fragment by hand (RFC 6455 §5.4)."""
        if self.ready_state != _OPEN:
            raise self.closed_error()
        extras = self._more()
        if extras.by_hand is None:
            if extras.fragmenting is not None:
                raise ConcurrencyError("another fragmented message is being sent")
            if not self._send(opcode, message, False, compress):
                return DROPPED
            extras.by_hand = self.link.driver.loop.create_future()
            extras.fragmenting = extras.by_hand
        else:
            if opcode != self._sending_opcode:
                raise TypeError("fragments of a message must be of uniform types")
            self._send(0, message, fin, compress)
        if fin:
            try:
                self._send_kept()
            finally:
                self._end_by_hand(extras)
        if self.writer.queued > self.options.write_high:
            self._was_high = True
            return Later(self.drain)
        return DONE

    def _send_other(
        self, message: Any, text: bool | None, compress: bool | None, fin: bool
    ) -> Awaitable[None]:
        if not fin:
            raise TypeError("with fin=False, data must be str or bytes")
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

    def _end_by_hand(self, extras: Extras) -> None:
        """Let others send, if a message was sent fragment by fragment, by hand."""
        done, extras.by_hand = extras.by_hand, None
        if done is not None:
            self._fragments_done(done)

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
        self.link.driver.check_thread()
        if self.ready_state != _OPEN:
            raise self.closed_error()
        self._put_octets(frame)

    def _put_octets(self, frame: bytes) -> int:
        if self.writer.queued <= self.options.max_send_buffer or not self.overflown(2):
            self.writer.raw(frame)
            self._wrote()
        return 0

    def offer(self, prepared: Prepared, limit: int = -1) -> int:
        """
        Queue a message that many get, unless too much waits; see ``wsfast.hub``.

        Args:
            prepared: The message.
            limit: Octets; -1 for the high-water mark.

        Returns:
            ``QUEUED``; ``SLOW`` if more octets wait to be sent; ``GONE`` if the
            connection is not open.

        Raises:
            SlowConsumer: ``limit`` is above ``max_send_buffer``, and so is what waits.

        """
        self.link.driver.check_thread()
        return self._offer(prepared, limit)

    def _offer(self, prepared: Prepared, limit: int) -> int:
        """Do :meth:`offer`, in the event loop's thread."""
        if self.ready_state != _OPEN:
            return _GONE
        if self.writer.queued > (self.options.write_high if limit < 0 else limit):
            return _SLOW
        extras = self._extras
        if (
            self.deflate is not None
            or self.client
            or (extras is not None and extras.fragmenting is not None)
        ):
            prepared.send_to(cast("Connection", self))
        else:
            frame = prepared.plain
            self._put_octets(prepared.make_plain() if frame is None else frame)
        return _QUEUED

    def when_drained(self, callback: Callable[[], object]) -> None:
        """
        Have a callback called once, soon, when there is room in the output.

        It is called as well when the connection has ended.
        """
        if self.ready_state == _CLOSED or self.writer.queued <= self.options.write_low:
            self.link.driver.loop.call_soon(callback)
        else:
            self._was_high = True
            self._more().drainers.append(callback)

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when the connection has ended."""
        if self.ready_state == _CLOSED:
            self.link.driver.loop.call_soon(callback)
        else:
            self._more().closers.append(callback)

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
        return len(self.writer) + self.link.unsent()

    @property
    def sending_fragments(self) -> bool:
        """Whether a fragmented message is being sent: others follow behind it."""
        return self._extras is not None and self._extras.fragmenting is not None


async def _as_async(items: Iterable[Any]) -> Any:
    for item in items:
        yield item
