"""An ASGI server as the host: its events, where the connection is not ours to have."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..asyncio.prepared import GONE, QUEUED, SLOW, Prepared
from ..asyncio.waiter import Later
from ..exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    NegotiationError,
    PayloadTooBig,
    SlowConsumer,
)
from ..protocol.closing import Close
from ..protocol.headers import Headers, HeadersLike
from .events import CLOSED, OPEN
from .requests import url_of_scope
from .terms import names_of

if TYPE_CHECKING:
    from .websocket import WebSocket

__all__ = ["AsgiConnection", "AsgiHost", "is_over"]

_NORMAL = (1000, 1001, 1005)

#: Octets that may wait for the server to take them.
MAX_SEND_BUFFER = 1 << 20
#: Octets that wait for the server above which the client counts as slow.
WRITE_LIMIT = 64 * 1024


class AsgiHost:
    """
    An application's side of an ASGI server (ASGI WebSocket 2.4).

    Args:
        scope: What the server calls the application with.
        receive: The same.
        send: The same.
        protocols: Subprotocols supported, best first; or one.
        headers: Header fields to add to the response.
        max_size: Largest message accepted, in octets; None leaves it to the server.
        logger: Logger; by default ``wsfast.server``.

    Raises:
        ValueError: ``scope`` is not that of a WebSocket.

    """

    client = False

    def __init__(
        self,
        scope: Any,
        receive: Any,
        send: Any,
        protocols: Any,
        headers: HeadersLike | None,
        max_size: int | None,
        logger: Any,
    ) -> None:
        if scope.get("type") != "websocket":
            raise ValueError(f"not the scope of a WebSocket: {scope.get('type')!r}")
        self._scope, self._receive, self._send = scope, receive, send
        self._protocols = names_of(protocols)
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in Headers(headers or ()).raw_items()
        ]
        self._max_size = max_size
        self.logger = logger
        self.url = url_of_scope(scope)

    async def open(self, ws: WebSocket) -> Any:
        """Accept the client; return our connection, or one of the server's events."""
        event = await self._receive()
        if event["type"] != "websocket.connect":
            raise InvalidHandshake("the client left during its handshake")
        offered = self._scope.get("subprotocols") or ()
        protocol = next((name for name in self._protocols if name in offered), None)
        if self._protocols and protocol is None:
            await self._send({"type": "websocket.close", "code": 1002})
            supported = ", ".join(self._protocols)
            raise NegotiationError(f"invalid subprotocol; expected one of {supported}")
        known = (self._scope.get("extensions") or {}).get("wsfast")
        message: dict[str, Any] = {
            "type": "websocket.accept",
            "subprotocol": protocol,
            "headers": self._headers,
        }
        if known is not None:
            message["max_size"] = self._max_size
        await self._send(message)
        if known is None:
            return AsgiConnection(self._receive, self._send, protocol, self._max_size)
        connection = known["connection"].connection
        if connection is None:
            raise InvalidHandshake("the client left during its handshake")
        return connection


class AsgiConnection:
    """
    A connection that is a server's, through its ASGI events.

    It has what :class:`~wsfast.asyncio.Connection` has, as far as ASGI goes: no pings,
    no extensions.

    Args:
        receive: The server's.
        send: The server's.
        subprotocol: What was accepted.
        max_size: Largest message accepted, in octets, or None.

    """

    response = None
    extensions: tuple[Any, ...] = ()

    def __init__(
        self,
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
        subprotocol: str | None,
        max_size: int | None,
    ) -> None:
        self._receive, self._send = receive, send
        self.subprotocol = subprotocol
        self._max_size = max_size
        self.ready_state = OPEN
        self.buffered_amount = 0
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[dict[str, Any], int]] = deque()
        self._sending = asyncio.Lock()
        self._drainers: list[Callable[[], object]] = []
        self._sender: asyncio.Task[None] | None = None
        self._receiving = False
        self._rcvd: Close | None = None
        self._sent: Close | None = None
        self._cause: BaseException | None = None

    # ---- receiving ----

    async def recv(self) -> str | bytes:
        """
        Receive a message.

        Raises:
            ConnectionClosed: The connection has ended.
            ConcurrencyError: Another task is receiving already.

        """
        if self._receiving:
            raise ConcurrencyError("another task is receiving already")
        if self.ready_state == CLOSED:
            raise self.closed_error()
        self._receiving = True
        try:
            event = await self._receive()
        finally:
            self._receiving = False
        if event["type"] == "websocket.disconnect":
            code = event.get("code") or 1005
            if self._rcvd is None and code != 1006:
                self._rcvd = Close(code, event.get("reason") or "")
            self.ready_state = CLOSED
            raise self.closed_error()
        text = event.get("text")
        message: str | bytes = event["bytes"] if text is None else text
        limit = self._max_size
        if limit is not None and is_over(message, limit):
            self._cause = PayloadTooBig(f"over {limit} octets")
            await self.close(1009, f"over {limit} octets")
            raise self.closed_error()
        return message

    # ---- sending ----

    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> Awaitable[None]:
        """
        Send a message: it is queued at once; awaited, the server has taken it.

        Raises:
            ConnectionClosed: The connection has ended.
            SlowConsumer: Too much waits for the server to take it.
            TypeError: ``message`` is neither ``str`` nor octets.

        """
        if self.ready_state != OPEN:
            raise self.closed_error()
        if isinstance(message, str):
            octets = message.encode()
            is_text = text is not False
        elif isinstance(message, (bytes, bytearray, memoryview)):
            octets = bytes(message)
            is_text = text is True
        else:
            raise TypeError("message must be str or bytes-like")
        if self.buffered_amount > MAX_SEND_BUFFER:
            self._cause = SlowConsumer()
            self._queue.clear()
            self.buffered_amount = 0
            self.close(1008, "peer reads too slowly")
            raise self.closed_error()
        event: dict[str, Any] = {"type": "websocket.send"}
        if is_text:
            event["text"] = message if isinstance(message, str) else octets.decode()
        else:
            event["bytes"] = octets
        return self._put(event, len(octets))

    def _put(self, event: dict[str, Any], size: int) -> Awaitable[None]:
        self._queue.append((event, size))
        self.buffered_amount += size
        if len(self._queue) == 1:
            self._loop.call_soon(self._send_unawaited)
        return Later(self._flush)

    def _send_unawaited(self) -> None:
        """Have a task send what nobody has awaited."""
        if self._queue and not self._sending.locked():
            self._sender = self._loop.create_task(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with contextlib.suppress(ConnectionClosed):  # whoever receives hears of it
            await self._flush()

    async def _flush(self) -> None:
        """Give the server what is queued, in order."""
        async with self._sending:
            while self._queue:
                event, size = self._queue.popleft()
                try:
                    await self._send(event)
                except OSError as exc:  # the client has gone
                    self._cause = exc
                    self._queue.clear()
                    self.buffered_amount = 0
                    self.ready_state = CLOSED
                    raise self.closed_error() from exc
                finally:
                    self.buffered_amount = max(self.buffered_amount - size, 0)
                    if self._queue:
                        self._loop.call_soon(self._send_unawaited)
                    else:
                        self._drained()

    def _drained(self) -> None:
        drainers, self._drainers = self._drainers, []
        for callback in drainers:
            self._loop.call_soon(callback)

    def offer(self, message: Prepared, limit: int) -> int:
        """Queue a message that many get; see :class:`wsfast.hub.Member`."""
        if self.ready_state != OPEN:
            return GONE
        if self.buffered_amount > (WRITE_LIMIT if limit < 0 else limit):
            return SLOW
        self.send(message.payload, message.opcode == 1)
        return QUEUED

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when the server has taken everything."""
        if self._queue or self._sending.locked():
            self._drainers.append(callback)
        else:
            self._loop.call_soon(callback)

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """Close the connection, behind what is queued; to be awaited or not."""
        if self.ready_state == OPEN:
            self._sent = Close(code, reason)
            self.ready_state = CLOSED
            event = {"type": "websocket.close", "code": code, "reason": reason}
            return self._put(event, 0)
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until the server has been given everything; the rest is its business."""
        while self._queue or self._sending.locked():
            await self._flush_quietly()
        with contextlib.suppress(ConnectionClosed):
            while self.ready_state != CLOSED:
                await self.recv()

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that says how the connection was closed."""
        close = self._rcvd or self._sent
        if isinstance(self._cause, SlowConsumer):
            return self._cause
        kind = ConnectionClosedError
        exc: ConnectionClosed
        if close is not None and close.code in _NORMAL and self._cause is None:
            exc = ConnectionClosedOK(self._rcvd, self._sent, None)
        else:
            exc = kind(self._rcvd, self._sent, None)
        exc.__cause__ = self._cause
        return exc

    @property
    def close_code(self) -> int | None:
        """Close code received, or sent if the server tells of no other."""
        if self.ready_state != CLOSED:
            return None
        close = self._rcvd or self._sent
        return 1006 if close is None else int(close.code)

    @property
    def close_reason(self) -> str | None:
        """The reason that came with it."""
        close = self._rcvd or self._sent
        return None if close is None else close.reason


def is_over(message: str | bytes, limit: int) -> bool:
    """Tell whether a message has more octets than a limit allows."""
    if len(message) > limit:
        return True
    if isinstance(message, bytes) or len(message) * 4 <= limit:
        return False
    return len(message.encode()) > limit
