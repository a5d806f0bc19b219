"""A client that comes back: :class:`Reconnecting`, for coroutines and for callbacks."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Sequence,
)
from types import TracebackType
from typing import Any, Literal, cast

from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidProxy,
    InvalidURI,
    WebSocketException,
)
from ..protocol.closing import Close, State
from ._options import Logger
from ._outbox import Outbox
from ._timeout import timeout as time_limit
from .client import ClientConnection, connect
from .waiter import DROPPED, Later

__all__ = ["FINAL_CODES", "Reconnecting"]

#: Close codes after which nobody reconnects: the other side is done with us.
FINAL_CODES = frozenset((1000, 1001, 1005))

#: Ended connections whose messages nobody has taken; there is no new one beyond that.
MAX_UNREAD = 4

States = Literal["closed", "connecting", "open", "waiting"]


def may_go_away(exc: BaseException) -> bool:
    """Tell whether connecting again can help after an error."""
    if isinstance(exc, (InvalidURI, InvalidProxy)):
        return False
    return isinstance(
        exc, (OSError, TimeoutError, asyncio.TimeoutError, WebSocketException)
    )


class Reconnecting:
    """
    A client that connects again whenever its connection is lost.

    One instance serves for ever: it may be closed and opened again, and what is
    registered with it stays. ``async with`` opens it and waits for the first
    connection, ``async for`` gives the messages of one connection after the other.
    With ``on_message`` there is nothing to receive from. Callbacks are plain
    functions, called with the instance first; an exception in one of them is logged,
    and ends the connection with code 1011 if it is ``on_open`` or ``on_message``.

    Args:
        uri: As for :func:`connect`.
        protocols: Subprotocols to offer, best first; or one.
        timeout: Delay before connecting again, in seconds: its bound the first time.
        backoff: How that bound grows with each failure.
        jitter: Share of the delay that is random, 0 to 1.
        min_timeout: Least delay, in seconds; it comes on top of ``timeout``.
        max_timeout: Longest delay, in seconds.
        healthy: A connection that lasted so many seconds sets the delays back.
        max_attempts: Attempts in a row without a connection before giving up.
        final_codes: Close codes after which it does not connect again.
        while_down: What becomes of messages while there is no connection: ``send()``
            raises ConnectionClosedError; drops them; or has them wait in a queue.
        queue: Most messages that wait.
        queue_size: Most octets of all that wait.
        resume: Called with each new :class:`ClientConnection` before anything else
            happens on it, to authenticate and subscribe; may be a coroutine function,
            may send and receive, must be done within ``open_timeout``.
        on_open: ``on_open(ws)``: connected.
        on_message: ``on_message(ws, message)``.
        on_reconnect: ``on_reconnect(ws, exc)``: about to connect again, because of exc.
        on_maximum: ``on_maximum(ws, exc)``: gave up after ``max_attempts``.
        on_close: ``on_close(ws, code, reason)``: a connection, or an attempt, ended.
        on_error: ``on_error(ws, exc)``: an attempt failed, or the server broke a rule.
        logger: Logger; by default that of :func:`connect`.
        options: Passed to :func:`connect`.

    Attributes:
        attempts: Attempts since the last connection.
        delay: The delay before the last attempt, in seconds.
        dropped: How many messages ``while_down="drop"`` has dropped.
        state: ``"closed"``, ``"connecting"``, ``"open"`` or ``"waiting"``.

    Raises:
        InvalidURI: ``uri`` is not one of a WebSocket.
        ValueError: An option makes no sense.

    """

    def __init__(
        self,
        uri: str,
        *,
        protocols: str | Sequence[str] | None = None,
        timeout: float = 1.0,
        backoff: float = 2.0,
        jitter: float = 1.0,
        min_timeout: float = 0.5,
        max_timeout: float = 60.0,
        healthy: float = 10.0,
        max_attempts: int | None = None,
        final_codes: Collection[int] = FINAL_CODES,
        while_down: Literal["raise", "drop", "queue"] = "raise",
        queue: int = 1000,
        queue_size: int = 1 << 20,
        resume: Callable[[ClientConnection], Awaitable[object] | None] | None = None,
        on_open: Callable[[Reconnecting], object] | None = None,
        on_message: Callable[[Reconnecting, str | bytes], object] | None = None,
        on_reconnect: Callable[[Reconnecting, BaseException], object] | None = None,
        on_maximum: Callable[[Reconnecting, BaseException], object] | None = None,
        on_close: Callable[[Reconnecting, int, str], object] | None = None,
        on_error: Callable[[Reconnecting, BaseException], object] | None = None,
        logger: Logger | None = None,
        **options: Any,
    ) -> None:
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter is not between 0 and 1: {jitter}")
        if min(timeout, min_timeout, healthy) < 0 or max_timeout < min_timeout:
            raise ValueError("a delay is negative, or the longest below the least")
        if backoff < 1:
            raise ValueError(f"backoff is below 1: {backoff}")
        if while_down not in ("raise", "drop", "queue"):
            raise ValueError(f"while_down is none of its values: {while_down!r}")
        if options.get("listener") is not None:
            raise ValueError("a listener is for one connection; use on_message")
        if protocols is not None:
            options["subprotocols"] = (
                [protocols] if isinstance(protocols, str) else list(protocols)
            )
        self.uri = uri
        self.timeout, self.backoff, self.jitter = timeout, backoff, jitter
        self.min_timeout, self.max_timeout = min_timeout, max_timeout
        self.healthy, self.max_attempts = healthy, max_attempts
        self.final_codes = frozenset(final_codes)
        self.while_down = while_down
        self.resume = resume
        self.on_open, self.on_message = on_open, on_message
        self.on_reconnect, self.on_maximum = on_reconnect, on_maximum
        self.on_close, self.on_error = on_close, on_error
        for name in ("open", "message", "reconnect", "maximum", "close", "error"):
            if inspect.iscoroutinefunction(getattr(self, f"on_{name}")):
                raise TypeError(f"on_{name} is a coroutine function; use async for")
        self.logger = logging.getLogger("wsfast.client") if logger is None else logger
        self.attempts = 0
        self.delay = 0.0
        self.dropped = 0
        self.state: States = "closed"
        self._options = {"logger": self.logger, **options}
        self._open_timeout = self._connector().open_timeout
        self._outbox = Outbox(queue, queue_size)
        self._connection: ClientConnection | None = None
        self._unread: deque[ClientConnection] = deque()
        self._task: asyncio.Task[None] | None = None
        self._attempt: asyncio.Task[ClientConnection] | None = None
        self._changed: list[asyncio.Future[None]] = []
        self._stopping = False
        self._forced = False
        self._cause: BaseException = ConnectionClosedError(None, None)

    def _connector(self) -> connect:
        return connect(self.uri, **self._options)

    # ---- facts ----

    @property
    def connection(self) -> ClientConnection | None:
        """The connection of this moment, or None."""
        return self._connection

    @property
    def queued(self) -> int:
        """How many messages wait for a connection."""
        return len(self._outbox)

    @property
    def stopping(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._stopping

    # ---- opening and closing ----

    def open(self) -> Awaitable[None]:
        """
        Begin to connect, unless that has begun.

        Returns:
            An awaitable of the next connection. It raises what :meth:`recv` raises.

        """
        if self._task is None or self._task.done():
            self._stopping = self._forced = False
            self.attempts = 0
            self.state = "connecting"
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif self._stopping or self.state == "closed":  # about to end
            self._stopping = False
            self._forced = self.state != "waiting"
        return Later(self._wait_open)

    async def _wait_open(self) -> None:
        while self.state != "open":
            if self.state == "closed":
                raise self._cause
            await self._change()

    def reconnect(self) -> None:
        """
        Connect again after the usual delay, whatever the connection ends with.

        One that is open is closed first. In ``on_close`` it overrules a final code.
        """
        if self._task is None or self._task.done():
            self.open()
            return
        self._forced = True
        if self._connection is not None:
            self._connection.close()

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """
        Close for good: nothing reconnects until :meth:`open`.

        Args:
            code: Close code.
            reason: Close reason.

        Returns:
            An awaitable of the end.

        """
        if self._connection is not None:
            self._connection.close(code, reason)
        self._stopping = True
        if self._attempt is not None:
            self._attempt.cancel()
        self._tell()
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until it is closed, and no longer connects again."""
        task = self._task
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait([task])

    async def __aenter__(self) -> Reconnecting:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(1000 if exc_type is None else 1011)

    # ---- messages ----

    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> Awaitable[None]:
        """
        Send a message, or do with it what ``while_down`` says.

        What was handed to a connection that then broke may have arrived, or not.

        Args:
            message: As for :meth:`Connection.send`; only ``str`` and octets can wait.
            text: As for that.
            compress: As for that.

        Returns:
            An awaitable of the moment when the message has gone into a connection,
            and below the limits of its output. It gives None, or False if the message
            was dropped, and raises what ended the client if it waits in vain.

        Raises:
            ConnectionClosed: There is no connection; or none any more, whatever
                ``while_down`` says, after :meth:`close`.
            QueueFull: As many wait as may wait.

        """
        connection = self._connection
        if (
            connection is not None
            and connection.state is State.OPEN
            and not self._outbox
        ):
            return connection.send(message, text, compress=compress)
        if self._stopping or (self._task is not None and self._task.done()):
            raise self._no_connection()
        if self.while_down == "queue":
            return self._outbox.add(message, text=text, compress=compress)
        if self.while_down == "drop":
            self.dropped += 1
            return DROPPED
        raise self._no_connection()

    def json(self, value: object) -> Awaitable[None]:
        """Send a value as JSON, as :meth:`send` does."""
        return self.send(json.dumps(value))

    async def recv(self) -> str | bytes:
        """
        Receive a message, of whatever connection it comes by.

        Raises:
            ConnectionClosed: It was closed, by us or with a final code.
            Exception: What connecting failed with, after ``max_attempts`` or for good.
            RuntimeError: There is ``on_message``, which takes them.

        """
        if self.on_message is not None:
            raise RuntimeError("on_message takes the messages")
        while True:
            if self._unread:
                connection = self._unread[0]
                try:
                    return cast("str | bytes", await connection.recv())
                except ConnectionClosed:
                    if self._unread and self._unread[0] is connection:
                        self._unread.popleft()
                    self._tell()
            elif self.state == "closed" or self._task is None:
                raise self._cause
            else:
                await self._change()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Receive until it is closed; raises unless that was in an orderly way."""
        if self._task is None:
            self.open()
        while True:
            try:
                message = await self.recv()
            except ConnectionClosedOK:
                return
            except Exception:
                if self._stopping:
                    return
                raise
            yield message

    # ---- inside ----

    def _no_connection(self) -> ConnectionClosed:
        failure = ConnectionClosedError(None, None)
        failure.__cause__ = self._cause
        return failure

    async def _change(self) -> None:
        """Wait until something has changed."""
        future = asyncio.get_running_loop().create_future()
        self._changed.append(future)
        await future

    def _tell(self) -> None:
        """Wake up everybody who waits for a change."""
        changed, self._changed = self._changed, []
        for future in changed:
            if not future.done():
                future.set_result(None)

    def _call(self, name: str, *args: object) -> bool:
        """Call a callback; return whether that went well."""
        callback = getattr(self, name)
        if callback is None:
            return True
        try:
            callback(self, *args)
        except Exception as exc:
            self.logger.error("%s failed", name, exc_info=exc)
            return False
        return True

    async def _run(self) -> None:
        """Connect again and again."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                self.state = "connecting"
                connection = await self._open_one()
                if connection is not None:
                    opened_at = loop.time()
                    await self._serve(connection)
                    if loop.time() - opened_at >= self.healthy:
                        failures = 0
                if not self._ended(connection):
                    return
                self.delay = self._next_delay(failures)
                failures += 1
                self.logger.info(
                    "reconnecting in %.1f seconds: %s", self.delay, self._cause
                )
                await self._sleep(self.delay)
                if not self._stopping:
                    self._call("on_reconnect", self._cause)
                if self._stopping:
                    return
        finally:
            self._finish()

    async def _open_one(self) -> ClientConnection | None:
        """Make one attempt; None if it failed, or :meth:`close` has ended it."""
        loop = asyncio.get_running_loop()
        self._attempt = attempt = loop.create_task(self._connect())
        try:
            await asyncio.wait([attempt])
        except asyncio.CancelledError:
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            raise
        finally:
            self._attempt = None
        if attempt.cancelled():
            self._cause = ConnectionClosedOK(None, Close(1000, ""))
            return None
        error = attempt.exception()
        if error is None:
            return attempt.result()
        self._cause = error
        self._call("on_error", error)
        return None

    async def _connect(self) -> ClientConnection:
        connection = await self._connector()
        if self.resume is not None:
            try:
                async with time_limit(self._open_timeout):
                    resumed = self.resume(connection)
                    if inspect.isawaitable(resumed):
                        await resumed
            except BaseException:
                connection.close(1011)
                raise
        return connection

    async def _serve(self, connection: ClientConnection) -> None:
        """Be open until the connection has ended."""
        self._connection = connection
        self.state = "open"
        flushing: asyncio.Task[None] | None = None
        if self._outbox:
            loop = asyncio.get_running_loop()
            flushing = loop.create_task(self._flush(connection))
        if self.on_message is None:
            self._unread.append(connection)
        if not self._call("on_open"):
            connection.close(1011)
        self.attempts = 0
        if self._stopping:
            connection.close()
        self._tell()
        try:
            if self.on_message is not None:
                await self._pass_on(connection)
            await connection.wait_closed()
        except BaseException:
            connection.abort()
            raise
        finally:
            self._connection = None
            if flushing is not None:
                flushing.cancel()
                await asyncio.wait([flushing])
        if not connection.queue_length() and connection in self._unread:
            self._unread.remove(connection)
        self._cause = error = connection.closed_error()
        broken = error if error.__cause__ is None else error.__cause__
        if isinstance(broken, WebSocketException) and not isinstance(
            broken, ConnectionClosed
        ):
            self._call("on_error", broken)

    async def _flush(self, connection: ClientConnection) -> None:
        try:
            await self._outbox.flush(connection)
        except ConnectionClosed:
            return

    async def _pass_on(self, connection: ClientConnection) -> None:
        """Call ``on_message`` for each message of a connection."""
        try:
            while True:
                message = await connection.recv()
                if not self._call("on_message", message):
                    connection.close(1011)
        except ConnectionClosed:
            return

    def _ended(self, connection: ClientConnection | None) -> bool:
        """Tell of the end of a connection or attempt; return whether to go on."""
        code, reason = 1006, ""
        if connection is not None:
            code, reason = connection.close_code or 1006, connection.close_reason or ""
            going_on = code not in self.final_codes
        else:
            going_on = may_go_away(self._cause) and code not in self.final_codes
            if not (going_on or self._stopping):
                self.logger.error("gave up: %r", self._cause)
        going_on = (going_on or self._forced) and not self._stopping
        self._forced = False
        most = self.max_attempts
        if going_on and most is not None and self.attempts >= most:
            going_on = False
            self._call("on_maximum", self._cause)
        else:
            self.attempts += going_on
        self.state = "waiting" if going_on else "closed"
        self._call("on_close", code, reason)
        self._tell()
        return (going_on or self._forced) and not self._stopping

    def _next_delay(self, failures: int) -> float:
        """Return how long to wait: random between the least and a growing bound."""
        try:
            bound = self.min_timeout + self.timeout * self.backoff**failures
        except OverflowError:
            bound = self.max_timeout
        bound = min(bound, self.max_timeout)
        return bound - random.random() * self.jitter * (bound - self.min_timeout)

    async def _sleep(self, delay: float) -> None:
        """Wait, unless it is closed before; and for a reader who is far behind."""
        self.state, self._forced = "waiting", False
        due = asyncio.Event()

        def end() -> None:
            due.set()
            self._tell()

        timer = asyncio.get_running_loop().call_later(delay, end)
        try:
            while not self._stopping and (
                not due.is_set() or len(self._unread) >= MAX_UNREAD
            ):
                await self._change()
        finally:
            timer.cancel()

    def _finish(self) -> None:
        """Tell everybody that there will be no more connections."""
        self.state = "closed"
        if isinstance(self._cause, ConnectionClosed) or self._stopping:
            error: BaseException = self._no_connection()
        else:
            error = self._cause
        self._outbox.fail(error)
        if self._outbox:
            self.logger.warning(
                "%d messages wait for a connection that will not come",
                len(self._outbox),
            )
        self._tell()
