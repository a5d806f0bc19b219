"""WebSocket servers for threads: :func:`serve` and what it returns."""

from __future__ import annotations

import errno
import logging
import math
import os
import re
import selectors
import socket
import ssl as ssl_module
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..protocol.arguments import Compression, MaxSize, compression_of
from ..protocol.closing import CloseCode
from ..protocol.headers import validate_subprotocols
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import SERVER, Request, Response
from ..protocol.options import Options
from ..protocol.refusals import HandshakeErrorHook
from ..protocol.server import ServerHandshake
from ._accepted import ServerConnection
from ._accepting import handle
from ._broadcast import broadcast
from .auth import basic_auth

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._stream import Stream

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"

#: Errors of accept() that mean that the system is out of something.
_OUT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

#: How long to accept nobody then, in seconds.
_BACK_OFF_S = 0.2

#: How long a signal may go unnoticed, in seconds.
_LOOK_S = 0.2


Handler = Callable[[ServerConnection], object]


class Server:
    """
    A WebSocket server with a thread per connection; made by :func:`serve`.

    Args:
        handler: As for :func:`serve`.
        sock: Socket that listens; it belongs to the server from now on.
        path: Serve only requests for this path; others get status 404.
        ssl: Serve over TLS with this context.
        origins: Origins allowed, as text or compiled pattern, None among them for
            requests without one; others get status 403. None allows all.
        extensions: Extension factories, best first, as the websockets library has them;
            see :class:`~wsfast.protocol.Extension`.
        subprotocols: Subprotocols supported, best first.
        select_subprotocol: A function of the connection and the subprotocols that its
            client offers, that returns one of them or None.
        compression: ``"deflate"``, :class:`DeflateOptions` for other parameters, or
            None.
        process_request: A function of connection and request, before the handshake; it
            may return a response to send instead.
        process_response: The same with the response in addition, before that is sent.
        on_handshake_error: A function of the error and the request, or None where that
            could not be read, of each client that is refused for another reason than
            that a hook said so; it may return a response to send instead.
        server_header: Value of the Server header, or None.
        open_timeout: Seconds that an opening handshake may take, TLS included.
        drain_timeout: Seconds from :meth:`shutdown` until connections that are left are
            cut; None to wait for ever.
        ping_interval: See :class:`~wsfast.protocol.options.Options`, as for all limits
            not described here.
        max_connections: Connections at one time; further clients get status 503. None
            for no limit.
        max_pending_handshakes: Handshakes at one time; when there are more, the one
            that waits longest for its request gets status 503. None for no limit.
        limits: Limits of the head of a request.
        logger: Logger; by default ``wsfast.server``.
        create_connection: Subclass of :class:`ServerConnection` to use.

    Attributes:
        socket: The socket that listens.

    """

    def __init__(
        self,
        handler: Handler,
        sock: socket.socket,
        *,
        path: str | None = None,
        ssl: ssl_module.SSLContext | None = None,
        origins: Sequence[str | re.Pattern[str] | None] | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: (
            Callable[[ServerConnection, Sequence[str]], str | None] | None
        ) = None,
        compression: Compression = "deflate",
        process_request: (
            Callable[[ServerConnection, Request], Response | None] | None
        ) = None,
        process_response: (
            Callable[[ServerConnection, Request, Response], Response | None] | None
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
        auto_pong: bool = True,
        text: Literal["str", "bytes"] = "str",
        validate_utf8: bool = True,
        binary: Literal["bytes", "memoryview"] = "bytes",
        max_connections: int | None = None,
        max_pending_handshakes: int | None = 1000,
        limits: Limits | None = None,
        logger: Logger | None = None,
        create_connection: type[ServerConnection] | None = None,
    ) -> None:
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        self.handler = handler
        self.socket = sock
        self.path = path
        self.ssl = ssl
        self.options = Options(
            max_size=max_size,
            max_fragments=max_fragments,
            max_control_rate=max_control_rate,
            max_queue=max_queue,
            max_queue_size=max_queue_size,
            overflow="wait",  # send() does
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            auto_pong=auto_pong,
            text=text,
            validate_utf8=validate_utf8,
            binary=binary,
        )
        self.select_subprotocol = select_subprotocol
        self.process_request = process_request
        self.process_response = process_response
        self.on_handshake_error = on_handshake_error
        self.server_header = server_header
        self.open_timeout = open_timeout
        self.drain_timeout = drain_timeout
        self.max_connections = max_connections
        self.max_pending_handshakes = max_pending_handshakes
        self.limits = DEFAULT_LIMITS if limits is None else limits
        self.logger = logging.getLogger("wsfast.server") if logger is None else logger
        self.create_connection = create_connection or ServerConnection
        self.closing = False
        self._handshake_arguments: dict[str, Any] = {
            "origins": origins,
            "subprotocols": subprotocols,
            "deflate": compression_of(compression),
            "extensions": extensions,
            "server_header": server_header,
        }
        self.make_handshake(None)  # whatever is wrong with these is the caller's error
        self._lock = threading.Lock()
        self._connections: set[ServerConnection] = set()
        self._opening: set[Stream] = set()
        self._waiting: dict[Stream, None] = {}  # of these, for the request
        self._places: set[object] = set()
        self._threads: set[threading.Thread] = set()
        self._serving = False
        self._within: set[int] = set()  # threads in serve_forever() or shutdown()
        self._signalled: tuple[bool, int, str] | None = None
        self._in_haste = False
        self._end: tuple[int, str] | None = None
        self._stopped = threading.Event()
        self._watcher, self._notifier = socket.socketpair()

    # ---- what an application uses ----

    @property
    def connections(self) -> set[ServerConnection]:
        """Connections that are open, in a new set; see also :func:`broadcast`."""
        with self._lock:
            return {c for c in self._connections if c.ready_state == 1}

    def fileno(self) -> int:
        """Return the descriptor of the socket that listens."""
        return self.socket.fileno()

    def should_handle(self, request: Request) -> bool:
        """Tell whether to answer this request; for a subclass to override."""
        return self.path is None or request.path.partition("?")[0] == self.path

    def serve_forever(self) -> None:
        """
        Accept clients, until :meth:`shutdown` is called from another thread.

        Or by a signal handler, in this one: then it shuts down before it returns.
        """
        me = threading.get_ident()
        self._within.add(me)
        try:
            self._serve()
        finally:
            self._within.discard(me)
        if self._signalled is not None:
            self.shutdown(*self._signalled)

    def _serve(self) -> None:
        with self._lock:
            if self.closing:
                return
            self._serving = True
            name = self.socket.getsockname()
        self.logger.info("server listening on %s", name)
        self.socket.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ)
                selector.register(self._watcher, selectors.EVENT_READ)
                while not self._is_stopping():
                    # A signal that comes just before it waits does not interrupt it.
                    if selector.select(_LOOK_S) and not self._is_stopping():
                        self._accept()
        finally:
            self._stopped.set()

    def _is_stopping(self) -> bool:
        return self.closing or self._signalled is not None

    def _accept(self) -> None:
        try:
            sock, _ = self.socket.accept()
        except OSError as exc:
            if exc.errno in _OUT:
                self.logger.error("cannot accept: %s", exc)
                time.sleep(_BACK_OFF_S)
            return
        thread = threading.Thread(target=self._run, args=(sock,))
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no more threads
            self.logger.error("cannot serve: %s", exc)
            with self._lock:
                self._threads.discard(thread)
            sock.close()

    def _run(self, sock: socket.socket) -> None:
        try:
            handle(self, sock)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def shutdown(
        self,
        close_connections: bool = True,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """
        Accept no more clients, close the connections, and wait for their handlers.

        May be called again, and from any thread. In a signal handler that interrupts
        :meth:`serve_forever` it returns at once, and that does the work. One that
        interrupts this method itself has it cut the connections that are left.

        Args:
            close_connections: Send every client a close frame; otherwise wait until
                they leave. What is not gone after ``drain_timeout`` is cut.
            code: Close code.
            reason: Close reason.

        """
        me = threading.get_ident()
        if me in self._within:  # and may hold the lock
            if self._signalled is not None or self.closing:
                self._in_haste = True
            else:
                self._signalled = close_connections, code, reason
                self._notifier.send(b"\0")
            return
        self._within.add(me)
        try:
            self._shut_down(close_connections, code, reason)
        finally:
            self._within.discard(me)

    def _shut_down(self, close_connections: bool, code: int, reason: str) -> None:
        with self._lock:
            first, self.closing = not self.closing, True
            serving = self._serving
        if first:
            self.logger.info("server closing")
            self._notifier.send(b"\0")
        if serving:
            self._stopped.wait()
        with self._lock:
            if close_connections and self._end is None:
                self._end = code, reason
            waiting, self._waiting = self._waiting, {}
            connections = list(self._connections)
            threads = list(self._threads)
        if first:
            self._close_sockets()
        if close_connections:
            for stream in waiting:
                stream.stop_reading()
            for connection in connections:
                connection.start_closing(code, reason)
        self._await(threads, self.drain_timeout if close_connections else None)
        if close_connections or self._in_haste:
            with self._lock:
                opening = list(self._opening)
                connections = list(self._connections)
            for stream in opening:
                stream.cut()
            for connection in connections:
                connection.abort()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        self.logger.info("server closed")

    def _await(self, threads: list[threading.Thread], timeout: float | None) -> None:
        """Wait for the end of threads, except the one that we are in; not in haste."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        for thread in threads:
            while thread.is_alive() and thread is not threading.current_thread():
                left = until - time.monotonic()
                if left <= 0 or self._in_haste:
                    return
                thread.join(min(left, _LOOK_S))

    def _close_sockets(self) -> None:
        unix = self.socket.family == getattr(socket, "AF_UNIX", None)
        name = self.socket.getsockname() if unix else ""
        self.socket.close()
        self._watcher.close()
        self._notifier.close()
        if isinstance(name, str) and name and os.path.exists(name):  # noqa: PTH110
            os.unlink(name)  # noqa: PTH108

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    # ---- what its handshakes and connections call ----

    def make_handshake(
        self, select: Callable[[Sequence[str]], str | None] | None
    ) -> ServerHandshake:
        """Return the server's side of one handshake."""
        return ServerHandshake(
            select_subprotocol=select if self.select_subprotocol is not None else None,
            **self._handshake_arguments,
        )

    def take_place(self, opening: object) -> bool:
        """
        Count a client against ``max_connections`` from before it is answered.

        Args:
            opening: Its handshake, which gives the place back, or to its connection.

        Returns:
            False if there is no place.

        """
        limit = self.max_connections
        with self._lock:
            taken = len(self._connections) + len(self._places)
            if limit is not None and taken >= limit:
                return False
            self._places.add(opening)
            return True

    def leave_place(self, opening: object) -> None:
        """Give back the place of a handshake that did not become a connection."""
        with self._lock:
            self._places.discard(opening)

    def opening_begins(self, stream: Stream) -> None:
        """Note a handshake that is in progress; end the longest if there are many."""
        limit = self.max_pending_handshakes
        with self._lock:
            self._opening.add(stream)
            if self.closing:
                stream.stop_reading()
                return
            self._waiting[stream] = None
            if limit is not None and len(self._opening) > limit:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
                longest.stop_reading()

    def opening_decides(self, stream: Stream) -> bool:
        """Note that a request is there; False if the client is to be refused."""
        with self._lock:
            waited = stream in self._waiting
            self._waiting.pop(stream, None)
            return waited

    def opening_ends(self, stream: Stream) -> None:
        """Note that a handshake is done."""
        with self._lock:
            self._opening.discard(stream)
            self._waiting.pop(stream, None)

    def opened(self, connection: ServerConnection, opening: object) -> None:
        """Note a connection; it has the place of its handshake."""
        with self._lock:
            self._places.discard(opening)
            self._connections.add(connection)

    def close_if_late(self, connection: ServerConnection) -> None:
        """Close a connection that was opened while the others were being closed."""
        with self._lock:
            end = self._end
        if end is not None:
            connection.start_closing(*end)

    def connection_lost(self, connection: ServerConnection) -> None:
        """Note that a connection has ended."""
        with self._lock:
            self._connections.discard(connection)


def serve(
    handler: Handler,
    host: str | None = None,
    port: int | None = None,
    *,
    sock: socket.socket | None = None,
    unix_path: str | os.PathLike[str] | None = None,
    family: int = socket.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
    **kwargs: Any,
) -> Server:
    """
    Listen, and return a server; its ``serve_forever()`` accepts clients.

    Args:
        handler: A function that takes a :class:`ServerConnection`; it is called in a
            thread of its own for each. When it returns, the connection is closed; when
            it fails, that is logged and the close code is 1011.
        host: Name or address to listen on; None for all interfaces.
        port: Port; 0 for one that the system picks, see ``server.socket``.
        sock: Listen on this socket instead. It is closed with the server.
        unix_path: Listen on a UNIX socket at this path instead.
        family: As for :func:`socket.create_server`.
        backlog: As for :func:`socket.create_server`.
        reuse_port: As for :func:`socket.create_server`.
        dualstack_ipv6: As for :func:`socket.create_server`.
        kwargs: As of :class:`Server`.

    Raises:
        OSError: The address cannot be bound.

    """
    given = [host is not None or port is not None, unix_path is not None]
    if sum((*given, sock is not None)) != 1:
        raise ValueError("give one of: host and port, a UNIX path, a socket")
    if unix_path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(os.fspath(unix_path))
            sock.listen(128 if backlog is None else backlog)
        except BaseException:
            sock.close()
            raise
    elif sock is None:
        sock = socket.create_server(
            (host or "", port or 0),
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
            dualstack_ipv6=dualstack_ipv6,
        )
    try:
        return Server(handler, sock, **kwargs)
    except BaseException:
        sock.close()
        raise


def unix_serve(handler: Handler, path: str | os.PathLike[str], **kwargs: Any) -> Server:
    """
    Return a server that listens on a UNIX socket; otherwise like :func:`serve`.

    Args:
        handler: Function to call for each connection.
        path: Path of the socket.
        kwargs: See :func:`serve`.

    """
    return serve(handler, unix_path=path, **kwargs)
