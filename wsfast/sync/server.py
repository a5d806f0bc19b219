"""WebSocket servers for threads: :func:`serve` and what it returns."""

from __future__ import annotations

import errno
import logging
import os
import re
import selectors
import socket
import ssl as ssl_module
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..protocol.arguments import Compression, MaxSize, compression_of
from ..protocol.auth import BasicAuth
from ..protocol.closing import CloseCode
from ..protocol.headers import validate_subprotocols
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import SERVER, Request, Response, build_response
from ..protocol.options import Options
from ..protocol.server import ServerHandshake
from ._accepting import handle
from ._broadcast import broadcast
from .connection import Connection

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..protocol.extension_frames import Agreed
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


class ServerConnection(Connection):
    """
    A connection that a client has opened to a :class:`Server`.

    Args:
        stream: The way to the client.
        server: The server.
        request: The client's request.

    Attributes:
        server: The server.
        username: Who the client is, if :func:`basic_auth` let it in.

    """

    username: str

    def __init__(self, stream: Stream, server: Server, request: Request) -> None:
        Connection.__init__(
            self,
            stream,
            server.options,
            client=False,
            request=request,
            logger=server.logger,
        )
        self.server = server
        self.ready_state = 0  # CONNECTING

    def accepted(
        self, response: Response, subprotocol: str | None, deflate: Agreed
    ) -> None:
        """Take the outcome of the opening handshake."""
        self.response = response
        self.subprotocol = subprotocol
        self.negotiated(deflate)
        self.ready_state = 1  # OPEN

    def respond(self, status: int, text: str) -> Response:
        """
        Return a response in plain text, for the hooks of the handshake.

        Args:
            status: HTTP status.
            text: Body.

        """
        return build_response(status, text, self.server.server_header)

    def lost(self) -> None:
        """Take the news that the connection has ended."""
        self.server.connection_lost(self)


Handler = Callable[[ServerConnection], object]


class Server:
    """
    A WebSocket server with a thread per connection; made by :func:`serve`.

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
        self.server_header = server_header
        self.open_timeout = open_timeout
        self.drain_timeout = drain_timeout
        self.max_connections = max_connections
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
        self._places: set[object] = set()
        self._threads: set[threading.Thread] = set()
        self._serving = False
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
        """Accept clients, until :meth:`shutdown` is called from another thread."""
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
                while not self.closing:
                    selector.select()
                    if not self.closing:
                        self._accept()
        finally:
            self._stopped.set()

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

        Args:
            close_connections: Send every client a close frame; otherwise wait until
                they leave. What is not gone after ``drain_timeout`` is cut.
            code: Close code.
            reason: Close reason.

        """
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
            opening = list(self._opening)
            connections = list(self._connections)
            threads = list(self._threads)
        if first:
            self._close_sockets()
        if close_connections:
            for stream in opening:
                stream.cut()
            for connection in connections:
                connection.start_closing(code, reason)
        self._join(threads, self.drain_timeout if close_connections else None)
        if close_connections:
            with self._lock:
                connections = list(self._connections)
            for connection in connections:
                connection.abort()
        self._join(threads, None)
        self.logger.info("server closed")

    def _join(self, threads: list[threading.Thread], timeout: float | None) -> None:
        """Wait for threads, except the one that we are in."""
        until = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                left = None if until is None else max(until - time.monotonic(), 0.0)
                thread.join(left)

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
        """Note a handshake that is in progress."""
        with self._lock:
            self._opening.add(stream)
            if self.closing:
                stream.cut()

    def opening_ends(self, stream: Stream) -> None:
        """Note that a handshake is done."""
        with self._lock:
            self._opening.discard(stream)

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
        kwargs: ``path``: serve only requests for this path; others get status 404.
            ``ssl``: serve over TLS with this context. ``origins``: origins allowed, as
            text or compiled pattern, None among them for requests without one.
            ``subprotocols``: subprotocols supported, best first.
            ``select_subprotocol``: a function of the connection and the subprotocols
            offered that returns one of them or None. ``compression``: ``"deflate"``,
            :class:`DeflateOptions` or None. ``extensions``: extension factories,
            as the websockets library has them.
            ``process_request``: a function of connection and request that may return a
            response to send instead. ``process_response``: the same with the response
            in addition. ``server_header``: value of the Server header, or None.
            ``open_timeout``: seconds that an opening handshake may take, TLS included.
            ``drain_timeout``: seconds from ``shutdown()`` until connections that are
            left are cut. ``max_connections``: further clients get status 503.
            ``limits``: limits of the head of a request. ``logger``: by default
            ``wsfast.server``. ``create_connection``: subclass of
            :class:`ServerConnection`. And the limits of
            :class:`~wsfast.protocol.options.Options`.

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


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
    """
    Return a ``process_request`` that lets only clients in whose password is right.

    The user name is then in the connection's ``username``; others get status 401.

    Args:
        realm: What the credentials are for; ASCII.
        credentials: A pair of user name and password, or several such pairs.
        check_credentials: Instead, a function that takes user name and password and
            tells whether they are right.

    Raises:
        ValueError: Neither or both of ``credentials`` and ``check_credentials`` are
            given.
        TypeError: ``credentials`` are not pairs of ``str``.

    """
    auth = BasicAuth(realm, credentials, check_credentials)

    def process_request(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        found = auth.credentials(request)
        if isinstance(found, Response):
            return found
        if not auth.check(*found):
            return auth.refuse()
        connection.username = found[0]
        return None

    return process_request
