"""
The stream to a server: directly, by a UNIX socket, by a proxy, with TLS or without.

All of it ends in a link on which nothing has been said yet: a :class:`StreamLink`, or
one in the reactor if the stream has TLS, and begins with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl as ssl_module
import sys
from typing import Any, Literal

from ..protocol.headers import HeadersLike
from ..protocol.heads import Limits
from ..protocol.proxy import (
    Proxy,
    connect_request,
    environment_proxy,
    parse_proxy,
    raise_socks_error,
    socks_proxy,
)
from ..protocol.uri import WebSocketURI
from ._connecting import Tunneling
from ._racing import open_tcp
from ._stream import StreamLink, stream_driver_for

__all__ = ["dial"]

#: Arguments about TLS; with ``proxy_`` before them, about that to an HTTPS proxy.
_TLS = ("ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")

#: For python-socks, which has no "for ever": ``open_timeout`` bounds us. In seconds.
_SOCKS_S = 24 * 3600.0


async def dial(
    uri: WebSocketURI,
    proxy: str | Literal[True] | None,
    arguments: dict[str, Any],
    *,
    limits: Limits,
    user_agent_header: str | None,
    proxy_headers: HeadersLike | None,
    reactor: Any = None,
) -> Any:
    """
    Open the stream to a server.

    Args:
        uri: What to connect to.
        proxy: URL of a proxy, True for that of the environment, or None.
        arguments: ``ssl`` and others about TLS, ``sock``, ``unix_path``, ``host`` and
            ``port``, and those of :func:`open_tcp`.
        limits: Limits of the response of an HTTP proxy.
        user_agent_header: User-Agent for an HTTP proxy.
        proxy_headers: Header fields for an HTTP proxy.
        reactor: The reactor that TLS may run in, if any.

    Raises:
        OSError: The server, or the proxy, is not reached.
        InvalidProxy: ``proxy`` is not one.
        ProxyError: The proxy gives no tunnel.
        ImportError: It is a SOCKS proxy, and python-socks is not installed.

    """
    arguments = dict(arguments)
    tls = _take_tls(arguments, "")
    proxy_tls = _take_tls(arguments, "proxy_")
    if uri.secure:
        if tls.setdefault("ssl", True) is None:
            raise ValueError("ssl=None is incompatible with a wss:// URI")
        tls.setdefault("server_hostname", uri.host)

    unix_path = arguments.pop("unix_path", None) or uri.unix_path
    if unix_path is not None:
        return await _make_link("create_unix_connection", path=unix_path, **tls)
    sock = arguments.pop("sock", None)
    if sock is not None:
        return await _make_over(sock, reactor, tls)

    host = arguments.pop("host", None) or uri.host
    port = arguments.pop("port", None) or uri.port
    address = environment_proxy(uri) if proxy is True else proxy
    if address is None:
        sock = await open_tcp(host, port, **arguments)
        return await _make_over(sock, reactor, tls)

    by = parse_proxy(address)
    if by.scheme == "https":
        if proxy_tls.setdefault("ssl", True) is None:
            raise ValueError("proxy_ssl=None is incompatible with an https:// proxy")
        proxy_tls.setdefault("server_hostname", by.host)
    elif proxy_tls.get("ssl") is not None:
        raise ValueError(
            f"proxy_ssl argument is incompatible with a {by.scheme}:// proxy"
        )
    else:
        proxy_tls.clear()

    if by.is_socks:
        sock = await _open_socks(by, host, port, arguments)
        return await _make_over(sock, reactor, tls)
    request = connect_request(
        by,
        host,
        port,
        user_agent_header=user_agent_header,
        additional_headers=proxy_headers,
    )
    sock = await open_tcp(by.host, by.port, **arguments)
    link = await _make_link("create_connection", sock=sock, **proxy_tls)
    tunneling = Tunneling(link, request, limits)
    link.replay(tunneling)
    await tunneling.run()
    if tls.get("ssl") is not None:
        await _start_tls(link, **tls)
    return link


def _take_tls(arguments: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Take the arguments about TLS out of others."""
    return {
        name: arguments.pop(prefix + name)
        for name in _TLS
        if prefix + name in arguments
    }


async def _make_link(create: str, **arguments: Any) -> StreamLink:
    """Return a link over a transport that the event loop makes."""
    loop = asyncio.get_running_loop()
    driver = stream_driver_for(loop)
    _, link = await getattr(loop, create)(lambda: StreamLink(driver), **arguments)
    assert isinstance(link, StreamLink)
    return link


async def _make_over(sock: socket.socket, reactor: Any, tls: dict[str, Any]) -> Any:
    """Return a link over a connected socket."""
    context = tls.get("ssl")
    if reactor is None or context is None or sock.type != socket.SOCK_STREAM:
        return await _make_link("create_connection", sock=sock, **tls)
    timeout = tls.get("ssl_handshake_timeout")
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def told(link: Any, exc: Exception | None) -> None:
        if done.done():
            return
        if exc is None:
            done.set_result(link)
        else:
            done.set_exception(exc)

    try:
        if timeout is not None and timeout <= 0:
            raise ValueError(
                f"ssl_handshake_timeout should be a positive number, got {timeout}"
            )
        link = reactor.secure(
            sock,
            told,
            context=ssl_module.create_default_context() if context is True else context,
            server_side=False,
            server_hostname=tls.get("server_hostname") or None,
            handshake_timeout=timeout,
            shutdown_timeout=tls.get("ssl_shutdown_timeout"),
        )
    except BaseException:
        sock.close()
        raise
    try:
        return await done
    except BaseException:
        link.abort()
        raise


async def _start_tls(
    link: StreamLink, ssl: ssl_module.SSLContext | bool, **arguments: Any
) -> None:
    """Do the TLS handshake with the server at the end of a tunnel."""
    loop = asyncio.get_running_loop()
    context = ssl_module.create_default_context() if ssl is True else ssl
    below: Any = link.transport
    if sys.version_info < (3, 11) and below.get_extra_info("sslcontext") is not None:
        # TLS in TLS works there as well, but for asyncio's saying that it does not.
        with contextlib.suppress(AttributeError):
            below._start_tls_compatible = True
    try:
        transport = await loop.start_tls(below, link, context, **arguments)  # type: ignore[arg-type]
    except BaseException:
        below.abort()
        raise
    if transport is None:
        raise ConnectionResetError("connection lost during the TLS handshake")
    link.connection_made(transport)


class _Opener:
    """Opens the connection to a SOCKS proxy in the place of python-socks."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    async def connect(
        self, dest_host: str, dest_port: int, timeout: float | None = None
    ) -> socket.socket:
        return await open_tcp(dest_host, dest_port, **self._arguments)


async def _open_socks(
    proxy: Proxy, host: str, port: int, arguments: dict[str, Any]
) -> socket.socket:
    """Return a socket that leads to a server through a SOCKS proxy."""
    socks = socks_proxy(proxy, "async_.asyncio", _Opener(arguments))
    try:
        sock: socket.socket = await socks.connect(host, port, timeout=_SOCKS_S)
    except OSError:
        raise
    except Exception as exc:
        raise_socks_error(proxy, exc)
    return sock
