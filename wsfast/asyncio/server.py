"""WebSocket servers: :func:`serve` and what it returns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import ssl as ssl_module
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ..protocol.closing import CloseCode
from ..protocol.headers import validate_subprotocols
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import SERVER, Request, Response
from ..protocol.options import Options
from ..protocol.refusals import SHUTTING_DOWN, HandshakeErrorHook
from ..protocol.server import ServerHandshake
from ._accepted import ServerConnection
from ._broadcast import broadcast
from ._options import (
    Compression,
    ListenerLike,
    Logger,
    MaxSize,
    compression_of,
    listener_factory,
)
from ._reception import Hook, Reception
from ._serving import Listening, Where
from ._stream import link_for
from .auth import basic_auth
from .ledger import ledger_of

if TYPE_CHECKING:
    from typing_extensions import Self


__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Handler = Callable[["ServerConnection"], Awaitable[object]]


class Server(Reception):
    """
    A WebSocket server; :func:`serve` is another name for this class.

    Args:
        handler: A coroutine function that takes a :class:`ServerConnection`; or a
            subclass of :class:`Listener`, of which each connection gets an instance.
            When the handler returns, the connection is closed; when it fails, that is
            logged and the close code is 1011.
        host: Name or address to listen on, or several; None for all interfaces.
        port: Port; 0 for one that the system picks, see :attr:`sockets`.
        path: Serve only requests for this path; others get status 404.
        unix_path: Listen on a UNIX socket at this path instead.
        sock: Listen on this socket instead. It is closed with the server.
        ssl: Serve over TLS with this context.
        origins: Origins allowed, as text or compiled pattern, None among them for
            requests without one; others get status 403. None allows all.
        subprotocols: Subprotocols supported, best first.
        select_subprotocol: A function that takes the connection and the subprotocols
            that its client offers, and returns one of them or None.
        compression: ``"deflate"``, :class:`DeflateOptions` for other parameters, or
            None.
        extensions: Extension factories, best first, as the websockets library has them;
            see :class:`~wsfast.protocol.Extension`.
        process_request: A function, or coroutine function, that takes connection and
            request before the handshake; it may return a response to send instead.
        process_response: The same with the response in addition, before that is sent.
        on_handshake_error: A function that takes the error and the request, or None
            where that could not be read, of each client that is refused for another
            reason than that a hook said so; it may return a response to send instead.
        server_header: Value of the Server header, or None.
        open_timeout: Seconds that an opening handshake may take, TLS included.
        drain_timeout: Seconds from :meth:`close` until connections that are left are
            cut and their handlers cancelled; None to wait for ever.
        ping_interval: See :class:`~wsfast.protocol.options.Options`, as for all limits
            not described here.
        overflow: What becomes of one more message above ``max_send_buffer``: see
            :class:`~wsfast.protocol.Options`.
        max_connections: Connections and handshakes at one time; further clients get
            status 503. None for no limit.
        max_pending_handshakes: Handshakes at one time; when there are more, the one
            that waits longest for its request gets status 503.
        max_buffered: Octets that all connections together may hold, of messages that
            are incomplete, that wait for the application, or that wait to be sent; see
            the page "Limits". None for no limit.
        limits: Limits of the head of a request.
        logger: Logger; by default ``wsfast.server``.
        create_connection: Subclass of :class:`ServerConnection` to use.
        reactor: Serve from the event loop's own readiness set where that is possible,
            rather than over its transports.
        busy_poll: Seconds for which the reactor polls for more messages, without
            sleeping, before the event loop goes on: some 50e-6 shortens the round trip
            of a lone connection, for CPU time while there is nothing to do.
        start_serving: Listen as soon as the server is awaited.
        backlog, family, flags, reuse_address, reuse_port: As for
            :meth:`asyncio.loop.create_server`.
        ssl_handshake_timeout, ssl_shutdown_timeout: The same.

    """

    def __init__(
        self,
        handler: Handler | ListenerLike,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        path: str | None = None,
        unix_path: str | os.PathLike[str] | None = None,
        sock: socket.socket | None = None,
        ssl: ssl_module.SSLContext | None = None,
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: (
            Callable[[ServerConnection, Sequence[str]], str | None] | None
        ) = None,
        compression: Compression = "deflate",
        process_request: Callable[[ServerConnection, Request], Hook] | None = None,
        process_response: (
            Callable[[ServerConnection, Request, Response], Hook] | None
        ) = None,
        on_handshake_error: HandshakeErrorHook | None = None,
        server_header: str | None = SERVER,
        open_timeout: float | None = 10,
        drain_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: MaxSize = 1 << 20,
        max_fragments: int | None = 4096,
        max_control_rate: int | None = 10_000,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        max_queue_size: int | None = 1 << 20,
        write_limit: int | tuple[int, int | None] = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: Literal["close", "drop", "wait"] = "close",
        auto_pong: bool = True,
        text: Literal["str", "bytes"] = "str",
        validate_utf8: bool = True,
        binary: Literal["bytes", "memoryview"] = "bytes",
        max_connections: int | None = None,
        max_pending_handshakes: int | None = 1000,
        max_buffered: int | None = None,
        limits: Limits | None = None,
        logger: Logger | None = None,
        create_connection: type[ServerConnection] | None = None,
        reactor: bool = True,
        busy_poll: float = 0.0,
        start_serving: bool = True,
        backlog: int = 4096,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        reuse_address: bool | None = None,
        reuse_port: bool = False,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        if ssl is not None and ssl_handshake_timeout is None:
            ssl_handshake_timeout = open_timeout
        if ssl is not None and ssl_shutdown_timeout is None:
            ssl_shutdown_timeout = close_timeout
        super().__init__()
        self.handler = handler
        self.path = path
        self.options = Options(
            max_size=max_size,
            max_fragments=max_fragments,
            max_control_rate=max_control_rate,
            max_queue=max_queue,
            max_queue_size=max_queue_size,
            write_limit=write_limit,
            max_send_buffer=max_send_buffer,
            overflow=overflow,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            auto_pong=auto_pong,
            text=text,
            validate_utf8=validate_utf8,
            binary=binary,
            ledger=ledger_of(max_buffered),
        )
        self.process_request = process_request
        self.process_response = process_response
        self.on_handshake_error = on_handshake_error
        self.has_hooks = any(
            hook is not None
            for hook in (process_request, process_response, select_subprotocol)
        )
        self.server_header = server_header
        self.open_timeout = open_timeout
        self.drain_timeout = drain_timeout
        self.max_connections = max_connections
        self.max_pending_handshakes = max_pending_handshakes
        self.limits = DEFAULT_LIMITS if limits is None else limits
        self.logger = logging.getLogger("wsfast.server") if logger is None else logger
        self.create_connection = create_connection or ServerConnection
        self._listener_factory = listener_factory(handler)
        self._select_subprotocol = select_subprotocol
        self.handshake = ServerHandshake(
            origins=origins,
            subprotocols=subprotocols,
            select_subprotocol=self._select if select_subprotocol is not None else None,
            deflate=compression_of(compression),
            extensions=extensions,
            server_header=server_header,
        )
        if self.handshake.has_factories:
            self.has_hooks = True  # what an application agrees to is not made again
        self._listening = Listening(
            Where(
                host,
                port,
                unix_path,
                sock,
                backlog,
                family,
                flags,
                reuse_address,
                reuse_port,
                ssl,
                ssl_handshake_timeout,
                ssl_shutdown_timeout,
                reactor,
                busy_poll,
            ),
            self._accepted,
            self._too_many_handshakes,
        )
        self._start_serving = start_serving

    # ---- what an application uses ----

    @property
    def connections(self) -> set[ServerConnection]:
        """Connections that are open, in a new set; see also :func:`broadcast`."""
        return self._connections.open()

    @property
    def buffered(self) -> int | None:
        """Octets that ``max_buffered`` limits; None without it."""
        ledger = self.options.ledger
        return None if ledger is None else int(ledger.total)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Sockets that the server listens on; see ``getsockname()`` for the port."""
        return tuple(self._listening.sockets)

    def is_serving(self) -> bool:
        """Tell whether clients are accepted."""
        return self._listening.active

    async def start_serving(self) -> None:
        """Accept clients; only needed after ``start_serving=False``."""
        if self.closing:
            raise RuntimeError("the server has been closed")
        await self._bind()
        if not self._listening.active:
            await self._listening.start()
            for sock in self._listening.sockets:
                self.logger.info("server listening on %s", sock.getsockname())

    async def serve_forever(
        self, *, signals: Sequence[signal.Signals] = (signal.SIGTERM,)
    ) -> None:
        """
        Serve until :meth:`close`, a signal, or until cancelled; then close gracefully.

        Args:
            signals: Signals at which to close; a second one cuts all connections. Only
                in the main thread, and only those that nothing else handles.

        """
        await self.start_serving()
        caught = self._catch(signals)
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        finally:
            for number in caught:
                self.get_loop().remove_signal_handler(number)

    def close(
        self,
        close_connections: bool = True,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """
        Accept no more clients, and close the connections; see :meth:`wait_closed`.

        Args:
            close_connections: Send every client a close frame; otherwise wait until
                they leave. What is not gone after ``drain_timeout`` is cut.
            code: Close code.
            reason: Close reason.

        """
        if self.closing:
            return
        self.closing = True
        self.logger.info("server closing")
        self._listening.stop()
        for opening in list(self._reading):
            opening.refuse(503, SHUTTING_DOWN)
        if close_connections:
            for connection in self._connections:
                connection.close(code, reason)
            if self.drain_timeout is not None and not self._is_empty():
                self._drain_timer = self.get_loop().call_later(
                    self.drain_timeout, self.abort
                )
        self._check_closed()

    def abort(self) -> None:
        """Close without waiting: cut every connection, cancel every handler."""
        self.close(close_connections=False)
        for opening in (*self._reading, *self._deciding, *self._refused):
            opening.abort()
        for connection in self._connections:
            connection.abort()
        for task in list(self._tasks):
            task.cancel()
        self._check_closed()

    async def wait_closed(self) -> None:
        """Wait until every connection is gone and every handler done."""
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
            self._check_closed()
        await asyncio.shield(self._closed)

    def should_handle(self, request: Request) -> bool:
        """Tell whether to answer this request; for a subclass to override."""
        return self.path is None or request.path.partition("?")[0] == self.path

    def handle_upgrade(
        self, request: Request, transport: asyncio.Transport, head: bytes = b""
    ) -> None:
        """
        Serve a client whose request another server has read.

        Args:
            request: The request.
            transport: Transport of the client; it is ours from now on.
            head: Octets that came behind the request.

        """
        opening = self._begin(link_for(transport, self._listening.where.reactor))
        opening.request_received(request, head)

    async def _bind(self) -> None:
        if self._loop is None:
            await self._listening.open()
            self._loop = asyncio.get_running_loop()

    async def _run(self) -> Self:
        await self._bind()
        if self._start_serving:
            await self.start_serving()
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._run().__await__()

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    def _catch(self, signals: Sequence[signal.Signals]) -> list[signal.Signals]:
        """Have signals close the server; return those that now do."""
        caught: list[signal.Signals] = []
        if threading.current_thread() is not threading.main_thread():
            return caught
        for number in signals:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                with contextlib.suppress(NotImplementedError):  # Windows
                    self.get_loop().add_signal_handler(number, self._signalled)
                    caught.append(number)
        return caught

    def _signalled(self) -> None:
        if self.closing:
            self.abort()
        else:
            self.close()


serve = Server


def unix_serve(
    handler: Handler | ListenerLike,
    path: str | os.PathLike[str],
    **kwargs: Any,
) -> Server:
    """
    Return a server that listens on a UNIX socket; otherwise like :func:`serve`.

    Args:
        handler: Coroutine function or listener, for each connection.
        path: Path of the socket.
        kwargs: See :class:`Server`.

    """
    return Server(handler, unix_path=path, **kwargs)
