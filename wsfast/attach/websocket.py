"""A WebSocket for coroutines, wherever it comes from."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Generator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..asyncio.client import connect
from ..asyncio.prepared import GONE, QUEUED, SLOW, Prepared
from ..asyncio.waiter import DONE, Later
from ..exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedError
from ..protocol.headers import HeadersLike
from .adopted import AiohttpHost, SocketHost, StreamsHost
from .asgi import WRITE_LIMIT, AsgiHost
from .events import OPEN, TAKEN, Target
from .terms import Terms, names_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from typing_extensions import Self

    from .threads import SyncWebSocket

__all__ = ["WebSocket"]


class WebSocket(Target):
    """
    A WebSocket of an ASGI application; of other hosts by its class methods.

    It is opened by whatever waits for it first: ``await ws``, which calls the callbacks
    until the end; ``async for message in ws``, which ends with the connection, however
    that ends; ``async with ws``, which closes it, too; or ``open()`` and ``recv()``.
    Callbacks may be coroutine functions. What is sent before that waits, and goes out
    in order. It belongs to the task that opens it.

    Args:
        scope: What the server calls the application with.
        receive: The same.
        send: The same.
        protocols: Subprotocols supported, best first; or one.
        headers: Header fields to add to the response.
        max_size: Largest message accepted, in octets; a server may have a lower limit.
        logger: Logger; by default ``wsfast.server``.
        server_options: None: other options of connections are the ASGI server's.

    Attributes:
        response: With aiohttp, what the handler returns.

    Raises:
        ValueError: It is not the scope of a WebSocket; or a header cannot be sent.
        TypeError: There is another option.

    """

    def __init__(
        self,
        scope: Any,
        receive: Any,
        send: Any,
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        max_size: int | None = 1 << 20,
        logger: Any = None,
        **server_options: Any,
    ) -> None:
        if server_options:
            names = ", ".join(sorted(server_options))
            raise TypeError(f"that is for the ASGI server to be told: {names}")
        self._begin(
            AsgiHost(scope, receive, send, protocols, headers, max_size, logger)
        )

    @classmethod
    def _of(cls, host: Any) -> Self:
        self = cls.__new__(cls)
        self._begin(host)
        return self

    def _begin(self, host: Any) -> None:
        Target.__init__(self, host.url, host.logger, host.client)
        self._host = host
        self._opening = False
        self.response: Any = None
        self._drainers: list[Callable[[], object]] = []
        self._closers: list[Callable[[], object]] = []

    @classmethod
    def from_aiohttp(
        cls,
        request: Any,
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return the WebSocket of a handler of aiohttp, which has to return ``response``.

        Args:
            request: What the handler is called with.
            protocols: Subprotocols supported, best first; or one.
            headers: Header fields to add to the response.
            options: Those of :func:`wsfast.asgi.aiohttp.setup`.

        Raises:
            TypeError: There is no such option.

        """
        from ..protocol.headers import Headers

        fields = list(Headers(headers or ()).raw_items())
        if protocols is not None:
            options["subprotocols"] = names_of(protocols)
        return cls._of(AiohttpHost(request, fields, options))

    @classmethod
    def from_asyncio(
        cls,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: bytes = b"",
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return the WebSocket of a client of :func:`asyncio.start_server`.

        Args:
            reader: What the client sends; not to be read any more.
            writer: What the client receives; not to be written to any more.
            head: What was read of it already, from the request's first octet.
            protocols: Subprotocols supported, best first; or one.
            headers: Header fields to add to the response.
            options: ``origins``, ``compression``, ``extensions``, ``server_header``,
                ``open_timeout``, ``limits`` and ``logger``, as for
                :func:`~wsfast.serve`, and those of
                :class:`~wsfast.protocol.options.Options`, such as ``max_size`` and
                ``ping_interval``.

        Raises:
            TypeError, ValueError: There is no such option, or not with that value.

        """
        terms = Terms(protocols, headers, **options)
        return cls._of(StreamsHost(reader, writer, head, terms))

    @classmethod
    def from_socket(
        cls,
        sock: socket.socket,
        head: bytes = b"",
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return the WebSocket of a client who has connected to a socket.

        Args:
            sock: The connected socket, without TLS; it is ours from now on.
            head: What was read of it already, from the request's first octet.
            protocols: Subprotocols supported, best first; or one.
            headers: Header fields to add to the response.
            options: As for :meth:`from_asyncio`.

        Raises:
            TypeError, ValueError: As for that.

        """
        return cls._of(SocketHost(sock, head, Terms(protocols, headers, **options)))

    @staticmethod
    def from_wsgi(
        environ: Mapping[str, Any], *args: Any, **options: Any
    ) -> SyncWebSocket:
        """Return a :class:`SyncWebSocket`, whose method of this name it is."""
        from .threads import SyncWebSocket

        return SyncWebSocket.from_wsgi(environ, *args, **options)

    @classmethod
    def client(
        cls,
        url: str,
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return a WebSocket that connects to a server.

        Args:
            url: With scheme ws, wss, http or https.
            protocols: Subprotocols to offer, best first; or one.
            headers: Header fields to add to the request.
            options: Those of :func:`~wsfast.connect`: ``proxy``, ``ssl``,
                ``extensions``, ``max_size``, ``ping_interval`` and so on.

        Raises:
            InvalidURI: ``url`` is not one of a WebSocket.
            TypeError, ValueError: There is no such option, or not with that value.

        """
        if protocols is not None:
            options["subprotocols"] = names_of(protocols)
        return cls._of(_ClientHost(url, headers, options))

    # ---- opening ----

    async def open(self) -> None:
        """
        Open it, unless it has been opened.

        Raises:
            InvalidHandshake: The client is refused, or the server refuses; with an
                answer, if one is due, of which there is nothing left to do.
            aiohttp.web.HTTPException: The same in a handler of aiohttp; it sends this.
            OSError: The other side cannot be reached, or is gone.
            ConcurrencyError: Another task is opening it.

        """
        if self._connection is not None:
            return
        if self._failure is not None:
            raise ConnectionClosedError(None, None) from self._failure
        if self._opening:
            raise ConcurrencyError("another task is opening this WebSocket")
        self._opening = True
        try:
            connection = await self._host.open(self)
        except BaseException as exc:
            self._ended(exc)
            raise
        finally:
            self._opening = False
        await self._opened(connection)

    async def _opened(self, connection: Any) -> None:
        """Send what has waited, then tell that it is open."""
        self._connection = connection
        waiting = self._waiting
        try:
            while waiting:
                message, text, compress = waiting.popleft()
                await connection.send(message, text, compress=compress)
            self._waiting_size = 0
        except ConnectionClosed as exc:
            self._ended(exc)
            return
        drainers, self._drainers = self._drainers, []
        for callback in drainers:
            connection.when_drained(callback)
        if self._end is not None:
            connection.close(*self._end)
        await self._answer("on_open")

    async def _answer(self, name: str, *arguments: Any) -> None:
        """Call a callback, wait for it, and end the connection if it fails."""
        callback = getattr(self, name)
        if callback is None:
            return
        try:
            result = callback(self, *arguments)
            if inspect.isawaitable(result):
                await result
        except ConnectionClosed:
            pass  # it ended meanwhile
        except Exception as exc:
            self.logger.error("connection handler failed", exc_info=exc)
            self._connection.close(1011)

    def refused(self, response: Any) -> None:
        """Note how a client was refused; for the host."""
        self._response = response

    # ---- messages ----

    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> Awaitable[None]:
        """
        Send a message, or have it wait until the WebSocket is open.

        Args:
            message: ``str`` for a text message, octets for a binary one.
            text: True to send octets as text, False to send ``str`` as binary.
            compress: Whether to compress it, if that was negotiated.

        Returns:
            An awaitable, for back-pressure; it need not be awaited.

        Raises:
            ConnectionClosed: It was closed.
            OverflowError: Too much waits for it to open.

        """
        if self._connection is not None and not self._waiting:
            sending: Awaitable[None] = self._connection.send(
                message, text, compress=compress
            )
            return sending
        self._wait(message, text, compress)
        return DONE

    async def recv(self) -> str | bytes:
        """
        Receive a message.

        Raises:
            ConnectionClosed: It has ended.
            RuntimeError: There is ``on_message``, which takes the messages.

        """
        if self.on_message is not None:
            raise RuntimeError(TAKEN)
        return await self._next()

    async def _next(self) -> str | bytes:
        if self._connection is None:
            await self.open()
        try:
            message: str | bytes = await self._connection.recv()
        except ConnectionClosed as exc:
            await self._connection.wait_closed()
            self._ended(exc)
            raise
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        if self._connection is None:
            await self.open()
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def run(self) -> None:
        """
        Call the callbacks until the end; ``await ws`` is the same.

        Raises:
            InvalidHandshake, OSError: As :meth:`open`.

        """
        await self.open()
        try:
            while True:
                message = await self._next()
                await self._answer("on_message", message)
        except ConnectionClosed:
            return
        except asyncio.CancelledError:
            self._connection.close(1001)
            raise

    def __await__(self) -> Generator[Any, Any, None]:
        return self.run().__await__()

    def ping(
        self,
        data: str | bytes | None = None,
        callback: Callable[[], object] | None = None,
    ) -> bool:
        """
        Send a ping (RFC 6455 §5.5.2).

        Args:
            data: Payload, at most 125 octets; random by default.
            callback: Called when its pong has arrived.

        Returns:
            False if none can be sent: it is not open, or the ASGI server has no pings.

        Raises:
            ConcurrencyError: A ping with this payload waits for its pong.

        """
        connection = self._connection
        if connection is None or connection.ready_state != OPEN:
            return False
        if not hasattr(connection, "ping"):
            return False
        try:
            connection.ping(data).send(None)  # done already, as an awaitable
        except ConnectionClosed:
            return False
        except StopIteration as done:
            if callback is not None:
                done.value.add_done_callback(_when_answered(callback))
        return True

    # ---- as a member of a topic, see wsfast.hub ----

    def offer(self, message: Prepared, limit: int = -1) -> int:
        """Queue a message that many get; see :class:`wsfast.hub.Member`."""
        connection = self._connection
        if connection is not None and not self._waiting:
            taken: int = connection.offer(message, limit)
            return taken
        if self._failure is not None or self._end is not None:
            return GONE
        if self._waiting_size > (WRITE_LIMIT if limit < 0 else limit):
            return SLOW
        self._wait(message.payload, message.opcode == 1, None)
        return QUEUED

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when there is room in the output."""
        if self._connection is not None:
            self._connection.when_drained(callback)
        else:
            self._drainers.append(callback)

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when it has ended."""
        if self._told:
            asyncio.get_running_loop().call_soon(callback)
        else:
            self._closers.append(callback)

    def _ended(self, exc: BaseException) -> None:
        Target._ended(self, exc)
        callbacks = self._drainers + self._closers
        self._drainers, self._closers = [], []
        for callback in callbacks:
            asyncio.get_running_loop().call_soon(callback)

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """
        Start the closing handshake, at once; before it is open, as soon as it is.

        Args:
            code: Close code.
            reason: Close reason, at most 123 octets of UTF-8.

        Returns:
            An awaitable of the end.

        """
        if self._connection is None:
            if self._end is None:
                self._end = code, reason
            return DONE
        self._connection.close(code, reason)
        return Later(self.wait_closed)

    async def wait_closed(self) -> None:
        """Wait until it has ended, and the callbacks have been told."""
        if self._connection is not None:
            await self._connection.wait_closed()
            self._ended(self._connection.closed_error())

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        gone = isinstance(exc_value, ConnectionClosed)
        await self.close(1000 if exc_type is None or gone else 1011)
        return gone


class _ClientHost:
    """
    Where a client connects to.

    Args:
        url: The server's.
        headers: Header fields to add to the request.
        options: Arguments of ``connect()``.

    """

    client = True

    def __init__(
        self, url: str, headers: HeadersLike | None, options: dict[str, Any]
    ) -> None:
        self.url = url
        self._connect = connect(url, additional_headers=headers, **options)
        self.logger = self._connect.logger

    async def open(self, ws: WebSocket) -> Any:
        """Connect."""
        return await self._connect


def _when_answered(callback: Callable[[], object]) -> Callable[[Any], None]:
    def done(pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            callback()

    return done
