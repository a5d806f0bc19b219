"""WebSocket clients for threads: :func:`connect` and :class:`reconnect`."""

from __future__ import annotations

import logging
import os
import socket
import ssl as ssl_module
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias

from ..exceptions import (
    HandshakeTimeout,
    InvalidMessage,
    InvalidStatus,
    SecurityError,
)
from ..protocol.arguments import Compression, MaxSize, compression_of, takes
from ..protocol.client import ClientHandshake
from ..protocol.headers import HeadersLike, validate_subprotocols
from ..protocol.heads import DEFAULT_LIMITS, Limits, parse_response
from ..protocol.http import USER_AGENT, Request, Response
from ..protocol.options import Options
from ..protocol.retrying import Retrying, backoff, process_exception
from ..protocol.uri import (
    MAX_REDIRECTS,
    default_uri,
    parse_uri,
    redirect_target,
    redirected,
    requests,
)
from ._dialing import Way, read_body, read_head
from ._sockets import Deadline
from ._stream import Stream
from .connection import Connection

__all__ = [
    "ClientConnection",
    "backoff",
    "connect",
    "process_exception",
    "reconnect",
    "unix_connect",
    "unix_reconnect",
]

Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"

OnRequest = Callable[[Request], "Request | None"]


class ClientConnection(Connection):
    """A connection that :func:`connect` has opened."""


class reconnect:  # noqa: N801 - it is used like a function
    """
    Open connections to a WebSocket server, one after another.

    ``for ws in reconnect(uri)`` gives a :class:`ClientConnection`, and another one
    whenever the body of the loop is through with it or it fails with an error that may
    go away, with growing delays while that is so. ``with reconnect(uri) as ws`` gives
    one.

    Args:
        uri: With scheme ws, wss, http or https; or ``ws+unix:/path/of/socket:/path``.
        process_exception: Tells whether to try again after an error.
        reconnect_delays: Makes the delays.

    The remaining arguments are those of :func:`connect`.

    """

    def __init__(
        self,
        uri: str,
        *,
        sock: socket.socket | None = None,
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        origin: str | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: Compression = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        on_request: OnRequest | None = None,
        proxy: str | Literal[True] | None = True,
        proxy_ssl: ssl_module.SSLContext | None = None,
        proxy_server_hostname: str | None = None,
        proxy_headers: HeadersLike | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        max_redirects: int | None = MAX_REDIRECTS,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Generator[float, None, None]] = backoff,
        max_size: MaxSize = 1 << 20,
        max_fragments: int | None = 4096,
        max_control_rate: int | None = 10_000,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        max_queue_size: int | None = 1 << 20,
        auto_pong: bool = True,
        text: Literal["str", "bytes"] = "str",
        validate_utf8: bool = True,
        binary: Literal["bytes", "memoryview"] = "bytes",
        mask: Literal["random", "zero"] | Callable[[], bytes] = "random",
        limits: Limits | None = None,
        logger: Logger | None = None,
        create_connection: type[ClientConnection] | None = None,
        unix_path: str | os.PathLike[str] | None = None,
        address: tuple[str, int] | None = None,
        source_address: tuple[str, int] | None = None,
    ) -> None:
        self.uri = uri
        self.ws_uri = parse_uri(uri)
        if not self.ws_uri.secure and ssl is not None:
            raise ValueError("ssl argument is incompatible with a ws:// URI")
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        self.logger = logging.getLogger("wsfast.client") if logger is None else logger
        self.additional_headers = additional_headers
        self.on_request = on_request
        self.process_exception = process_exception
        self.open_timeout = open_timeout
        self.max_redirects = max_redirects
        self.reconnect_delays = reconnect_delays
        self.connection: ClientConnection
        self._limits = DEFAULT_LIMITS if limits is None else limits
        self._way = Way(
            sock,
            unix_path,
            address,
            source_address,
            ssl,
            server_hostname,
            proxy,
            proxy_ssl,
            proxy_server_hostname,
            proxy_headers,
            user_agent_header,
            self._limits,
        )
        self._options = Options(
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
            mask=mask,
        )
        self._handshake_arguments: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "deflate": compression_of(compression),
            "extensions": extensions,
            "user_agent_header": user_agent_header,
        }
        self._create_connection = create_connection or ClientConnection

    # ---- one attempt ----

    def connect(self) -> ClientConnection:
        """Open a connection."""
        deadline = Deadline(self.open_timeout)
        try:
            for _ in requests(self.max_redirects):
                try:
                    return self._open(deadline)
                except InvalidStatus as exc:  # noqa: PERF203 - a redirect
                    target = redirect_target(self.uri, exc.response)
                    if target is None:
                        raise
                    self._redirect(target)
        except TimeoutError as exc:
            if exc.errno is not None:  # the system's, not ours
                raise
            raise HandshakeTimeout("timed out during opening handshake") from exc
        raise SecurityError(f"more than {self.max_redirects} redirects")

    def _open(self, deadline: Deadline) -> ClientConnection:
        handshake = ClientHandshake(
            self.ws_uri,
            additional_headers=self.additional_headers,
            **self._handshake_arguments,
        )
        if self.on_request is not None:
            request = self.on_request(handshake.request)
            handshake.replace(handshake.request if request is None else request)
        stream = self._way.open(self.ws_uri, deadline)
        try:
            stream.settimeout(deadline.left())
            stream.send(handshake.request.serialize())
            response, rest = self._read_response(stream, handshake, deadline)
            stream.settimeout(None)
            connection = self._create_connection(
                stream,
                self._options,
                client=True,
                deflate=handshake.deflate,
                request=handshake.request,
                response=response,
                subprotocol=handshake.subprotocol,
                logger=self.logger,
            )
        except BaseException:
            stream.close()
            raise
        connection.opened(rest)
        return connection

    def _read_response(
        self, stream: Stream, handshake: ClientHandshake, deadline: Deadline
    ) -> tuple[Response, bytes]:
        """Read the response, check it, and return it with the octets behind it."""
        try:
            reader = read_head(stream, self._limits, deadline)
            response = parse_response(reader.head)
        except (InvalidMessage, EOFError, ConnectionError) as exc:
            raise InvalidMessage("did not receive a valid HTTP response") from exc
        try:
            handshake.accept(response)
        except InvalidStatus:
            response.body = read_body(stream, reader, self._limits)
            raise
        return response, reader.rest

    def _redirect(self, target: str) -> None:
        """Turn to another URI, and forget what only the first one may see."""
        way = self._way
        given = {"sock": way.sock, "unix_path": way.unix_path, "address": way.address}
        self.ws_uri, self.additional_headers = redirected(
            self.ws_uri, target, self.additional_headers, given
        )
        self.uri = target

    # ---- with, for ----

    def __enter__(self) -> ClientConnection:
        if hasattr(self, "connection"):
            raise RuntimeError("connect() isn't reentrant")
        self.connection = self.connect()
        return self.connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self.connection
        del self.connection
        connection.__exit__(exc_type, exc_value, traceback)

    def __iter__(self) -> Iterator[ClientConnection]:
        retrying = Retrying(self.process_exception, self.reconnect_delays, self.logger)
        while True:
            opened_at: float | None = None
            try:
                with self as connection:
                    opened_at = time.monotonic()
                    yield connection
                why = "connection ended"
            except Exception as exc:
                why = retrying.failed(exc)
            lasted_s = 0.0 if opened_at is None else time.monotonic() - opened_at
            time.sleep(retrying.delay(why, lasted_s))


@takes(reconnect)
def connect(*args: Any, **kwargs: Any) -> ClientConnection:  # noqa: D417
    """
    Open a connection to a WebSocket server.

    Used as ``with connect(uri) as ws``, it is closed at the end.

    Args:
        uri: With scheme ws, wss, http or https; or ``ws+unix:/path/of/socket:/path``.
        sock: Connected socket to use instead of opening one.
        ssl: Settings of TLS, for wss; the system's certificates by default.
        server_hostname: Name that the server's certificate must have; by default that
            of the URI.
        origin: Value of the Origin header.
        extensions: Extension factories, best first, as the websockets library has them;
            see :class:`~wsfast.protocol.Extension`.
        subprotocols: Subprotocols to offer, best first.
        compression: ``"deflate"``, :class:`DeflateOptions` for other parameters, or
            None.
        additional_headers: Header fields to add to the request.
        user_agent_header: Value of the User-Agent header, or None.
        on_request: A function that takes each request before it is sent, those after
            redirects too, and may change it or return another.
        proxy: URL of a proxy, with scheme http, https, socks4, socks4a, socks5 or
            socks5h; True for the one that the environment asks for, None for none.
        proxy_ssl: Settings of TLS to an HTTPS proxy.
        proxy_server_hostname: Name that the proxy's certificate must have; by default
            that of its URL.
        proxy_headers: Header fields for an HTTP proxy alone.
        open_timeout: Seconds that opening may take, everything included: name, TCP,
            TLS, handshake, redirects.
        max_redirects: Redirects to follow; None for any number within ``open_timeout``.
        ping_interval: See :class:`~wsfast.protocol.options.Options`, as for all limits
            not described here.
        limits: Limits of the response's head and body.
        logger: Logger; by default ``wsfast.client``.
        create_connection: Subclass of :class:`ClientConnection` to use.
        unix_path: Path of a UNIX socket to connect to.
        address: Host and port to connect to instead of those of ``uri``.
        source_address: Address to connect from.

    Raises:
        InvalidURI: ``uri`` is not one of a WebSocket.
        InvalidProxy: ``proxy``, or that of the environment, is not one.
        OSError: The connection fails.
        ProxyError: The proxy does not connect us.
        ImportError: It takes python-socks, which is not installed.
        InvalidHandshake: The server refuses, or is no WebSocket server.
        HandshakeTimeout: Opening took too long; it is a TimeoutError as well.

    """
    return reconnect(*args, **kwargs).connect()


def unix_connect(
    path: str | os.PathLike[str], uri: str | None = None, **kwargs: Any
) -> ClientConnection:
    """
    Connect to a server that listens on a UNIX socket; otherwise like :func:`connect`.

    Args:
        path: Path of the socket.
        uri: URI of the server; by default ``ws://localhost/``, or ``wss://localhost/``
            with ``ssl``.
        kwargs: See :func:`connect`.

    """
    uri = default_uri(uri, kwargs.get("ssl") is not None)
    return connect(uri, unix_path=path, **kwargs)


def unix_reconnect(
    path: str | os.PathLike[str], uri: str | None = None, **kwargs: Any
) -> reconnect:
    """Return a :class:`reconnect` for a UNIX socket; see :func:`unix_connect`."""
    uri = default_uri(uri, kwargs.get("ssl") is not None)
    return reconnect(uri, unix_path=path, **kwargs)
