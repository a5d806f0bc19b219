"""WebSocket clients: :func:`connect`, to be awaited, entered or iterated over."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Literal

from ..exceptions import (
    HandshakeTimeout,
    InvalidStatus,
    SecurityError,
)
from ..protocol.client import ClientHandshake
from ..protocol.extension_negotiation import sort_extensions
from ..protocol.headers import HeadersLike, validate_subprotocols
from ..protocol.heads import DEFAULT_LIMITS, Limits
from ..protocol.http import USER_AGENT, Request, Response
from ..protocol.options import Options
from ..protocol.retrying import backoff, process_exception
from ..protocol.uri import (
    MAX_REDIRECTS,
    default_uri,
    parse_uri,
    redirect_target,
    redirected,
    requests,
)
from ._connecting import Connecting
from ._connector import Connector
from ._dialing import dial
from ._options import (
    Compression,
    ListenerLike,
    Logger,
    MaxSize,
    compression_of,
    listener_factory,
    reactor_for,
)
from ._stream import StreamLink, link_for
from ._timeout import timeout
from .connection import Connection
from .link import Link

__all__ = [
    "ClientConnection",
    "backoff",
    "connect",
    "process_exception",
    "unix_connect",
]

OnRequest = Callable[[Request], "Awaitable[Request | None] | Request | None"]


class ClientConnection(Connection):
    """A connection that :func:`connect` has opened."""


class connect(Connector[ClientConnection]):  # noqa: N801 - it is used like a function
    """
    Open a connection to a WebSocket server.

    ``await connect(uri)`` gives a :class:`ClientConnection`; ``async with connect(uri)
    as ws`` closes it at the end; ``async for ws in connect(uri)`` opens another one
    whenever the one before has ended, for ever, with growing delays while that fails.

    Args:
        uri: With scheme ws, wss, http or https; or ``ws+unix:/path/of/socket:/path``.
        origin: Value of the Origin header.
        extensions: Extension factories, best first, as the websockets library has them;
            see :class:`~wsfast.protocol.Extension`.
        subprotocols: Subprotocols to offer, best first.
        compression: ``"deflate"``, :class:`DeflateOptions` for other parameters, or
            None.
        additional_headers: Header fields to add to the request.
        user_agent_header: Value of the User-Agent header, or None.
        on_request: A function, or coroutine function, that takes each request before it
            is sent, those after redirects too, and may change it or return another.
        proxy: URL of a proxy, with scheme http, https, socks4, socks4a, socks5 or
            socks5h; True for the one that the environment asks for, None for none.
        proxy_headers: Header fields for an HTTP proxy alone.
        process_exception: Tells the ``async for`` form whether to try again.
        open_timeout: Seconds that opening may take, everything included: name, TCP,
            proxy, TLS, handshake, redirects.
        max_redirects: Redirects to follow; None for any number within ``open_timeout``.
        reconnect_delays: Makes the delays of the ``async for`` form.
        listener: Subclass or instance of :class:`Listener` to call.
        ping_interval: See :class:`~wsfast.protocol.options.Options`, as for all limits
            not described here.
        limits: Limits of the response's head and body.
        logger: Logger; by default ``wsfast.client``.
        create_connection: Subclass of :class:`ClientConnection` to use.
        reactor: Run in the event loop's own readiness set where that is possible,
            rather than over a transport.
        busy_poll: As for :func:`serve`.
        kwargs: As of :meth:`asyncio.loop.create_connection`: ``ssl``,
            ``server_hostname``, ``ssl_handshake_timeout``, ``ssl_shutdown_timeout``,
            and the same four with ``proxy_`` before them for TLS to an HTTPS proxy;
            ``sock``; ``host`` and ``port``, to connect to instead of those of ``uri``;
            ``local_addr``, ``family``, ``proto``, ``flags``, ``interleave``,
            ``happy_eyeballs_delay``; besides ``unix_path``.

    Raises:
        InvalidURI: ``uri`` is not one of a WebSocket.
        InvalidProxy: ``proxy``, or that of the environment, is not one.
        OSError: The connection fails.
        ProxyError: The proxy does not connect us.
        ImportError: It takes python-socks, which is not installed.
        InvalidHandshake: The server refuses, or is no WebSocket server.
        HandshakeTimeout: Opening took too long; it is a TimeoutError as well.

    """

    def __init__(
        self,
        uri: str,
        *,
        origin: str | None = None,
        extensions: Sequence[Any] | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: Compression = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        on_request: OnRequest | None = None,
        proxy: str | Literal[True] | None = True,
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
        write_limit: int | tuple[int, int | None] = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: Literal["close", "drop", "wait"] = "close",
        auto_pong: bool = True,
        text: Literal["str", "bytes"] = "str",
        validate_utf8: bool = True,
        binary: Literal["bytes", "memoryview"] = "bytes",
        mask: Literal["random", "zero"] | Callable[[], bytes] = "random",
        listener: ListenerLike | None = None,
        limits: Limits | None = None,
        logger: Logger | None = None,
        create_connection: type[ClientConnection] | None = None,
        reactor: bool = True,
        busy_poll: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.uri = uri
        self.ws_uri = parse_uri(uri)
        if not self.ws_uri.secure and kwargs.get("ssl") is not None:
            raise ValueError("ssl argument is incompatible with a ws:// URI")
        if subprotocols is not None:
            validate_subprotocols(subprotocols)
        sort_extensions(extensions, None, client=True)  # is it something to offer?
        self.logger = logging.getLogger("wsfast.client") if logger is None else logger
        self.additional_headers = additional_headers
        self.on_request = on_request
        self.proxy = proxy
        self._proxy_headers = proxy_headers
        self.process_exception = process_exception
        self.open_timeout = open_timeout
        self.max_redirects = max_redirects
        self.reconnect_delays = reconnect_delays
        self._options = Options(
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
            mask=mask,
        )
        self._handshake_arguments: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "deflate": compression_of(compression),
            "extensions": extensions,
            "user_agent_header": user_agent_header,
        }
        self._limits = DEFAULT_LIMITS if limits is None else limits
        self._listener_factory = listener_factory(listener)
        if listener is not None and self._listener_factory is None:
            raise TypeError(f"listener is not a Listener: {listener!r}")
        self._create_connection = create_connection or ClientConnection
        self._reactor = reactor
        self._busy_poll = busy_poll
        self._kwargs = kwargs

    # ---- one attempt ----

    async def _open_link(self) -> tuple[Link, Any]:
        """Open the stream to the server; return its link, and the one it began with."""
        reactor = None
        if self._reactor:
            reactor = reactor_for(asyncio.get_running_loop(), self._busy_poll)
        first = await dial(
            self.ws_uri,
            self.proxy,
            self._kwargs,
            limits=self._limits,
            user_agent_header=self._handshake_arguments["user_agent_header"],
            proxy_headers=self._proxy_headers,
            reactor=reactor,
        )
        if reactor is None or not isinstance(first, StreamLink):
            return first, first
        return link_for(first.transport, reactor=True, link=first), first

    def _make_connection(
        self, link: Link, handshake: ClientHandshake, response: Response
    ) -> ClientConnection:
        make = self._listener_factory
        return self._create_connection(
            link,
            self._options,
            client=True,
            deflate=handshake.deflate,
            request=handshake.request,
            response=response,
            subprotocol=handshake.subprotocol,
            listener=None if make is None else make(),
            logger=self.logger,
        )

    async def _connect(self) -> ClientConnection:
        for _ in requests(self.max_redirects):
            handshake = ClientHandshake(
                self.ws_uri,
                additional_headers=self.additional_headers,
                **self._handshake_arguments,
            )
            if self.on_request is not None:
                await self._ask(self.on_request, handshake)
            link, first = await self._open_link()
            connecting = Connecting(
                link, handshake, self._limits, self._make_connection
            )
            first.replay(connecting)
            try:
                return await connecting.run()
            except InvalidStatus as exc:
                target = redirect_target(self.uri, exc.response)
                if target is None:
                    raise
                self._redirect(target)
        raise SecurityError(f"more than {self.max_redirects} redirects")

    async def _ask(self, on_request: OnRequest, handshake: ClientHandshake) -> None:
        """Have the application change the request."""
        result = on_request(handshake.request)
        if isinstance(result, Awaitable):
            result = await result
        handshake.replace(handshake.request if result is None else result)

    def _redirect(self, target: str) -> None:
        """Turn to another URI, and forget what only the first one may see."""
        names = ("sock", "unix_path", "host", "port")
        self.ws_uri, self.additional_headers = redirected(
            self.ws_uri,
            target,
            self.additional_headers,
            {name: self._kwargs.get(name) for name in names},
        )
        self.uri = target

    async def connect(self) -> ClientConnection:
        """Open a connection; what awaiting this object does."""
        try:
            async with timeout(self.open_timeout):
                return await self._connect()
        except (TimeoutError, asyncio.TimeoutError) as exc:
            raise HandshakeTimeout("timed out during opening handshake") from exc


def unix_connect(
    path: str | os.PathLike[str], uri: str | None = None, **kwargs: Any
) -> connect:
    """
    Connect to a server that listens on a UNIX socket; otherwise like :func:`connect`.

    Args:
        path: Path of the socket.
        uri: URI of the server; by default ``ws://localhost/``, or ``wss://localhost/``
            with ``ssl``.
        kwargs: See :class:`connect`.

    """
    uri = default_uri(uri, kwargs.get("ssl") is not None)
    return connect(uri, unix_path=path, **kwargs)
