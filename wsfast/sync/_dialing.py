"""
The stream to a server: directly, by a UNIX socket, by a proxy, with TLS or without.

All of it has to be done by one deadline.
"""

from __future__ import annotations

import os
import socket
import ssl as ssl_module
from dataclasses import dataclass
from typing import Literal

from ..exceptions import (
    HandshakeError,
    InvalidMessage,
    InvalidProxyMessage,
    InvalidProxyStatus,
)
from ..protocol.headers import HeadersLike
from ..protocol.heads import BodyReader, HeadReader, Limits, parse_response
from ..protocol.http import Response
from ..protocol.proxy import (
    Proxy,
    check_connect_response,
    connect_request,
    environment_proxy,
    parse_proxy,
    raise_socks_error,
    socks_proxy,
)
from ..protocol.uri import WebSocketURI
from ._sockets import Deadline, open_tcp, open_unix
from ._stream import SocketStream, Stream, TLSStream

__all__ = ["Way", "read_body", "read_head"]

#: How long the body of a response that refuses may take, in seconds.
BODY_S = 2.0

#: For python-socks, which has no "for ever": the deadline bounds us. In seconds.
_SOCKS_S = 24 * 3600.0


def read_head(stream: Stream, limits: Limits, deadline: Deadline) -> HeadReader:
    """
    Read the head of a response.

    Raises:
        EOFError: The stream has ended before.
        HandshakeError: It is no head, or one beyond a limit.

    """
    reader = HeadReader(limits, kind="response")
    while True:
        stream.settimeout(deadline.left())
        data = stream.recv()
        if data == b"":
            raise EOFError("connection closed before the response")
        if data is not None and reader.feed(data):
            return reader


def read_body(stream: Stream, reader: HeadReader, limits: Limits) -> bytes:
    """Return the body of a response that refuses, as far as it comes, to show it."""
    body = BodyReader(reader.head, limits)
    deadline = Deadline(BODY_S)
    done = body.complete or body.feed(reader.rest)
    try:
        while not done:
            stream.settimeout(deadline.left())
            data = stream.recv()
            done = data == b"" or (data is not None and body.feed(data))
    except OSError:
        pass
    return bytes(body.body)


@dataclass
class Way:
    """
    How to get to servers.

    Attributes:
        sock: Socket that is connected already.
        unix_path: Path of a UNIX socket.
        address: Host and port to connect to, rather than those of the URI.
        source_address: Address to connect from.
        ssl: Context for TLS.
        server_hostname: Name that the server's certificate must have.
        proxy: URL of a proxy, True for that of the environment, or None.
        proxy_ssl: Context for TLS to an HTTPS proxy.
        proxy_server_hostname: Name that the proxy's certificate must have.
        proxy_headers: Header fields for an HTTP proxy.
        user_agent_header: User-Agent for an HTTP proxy.
        limits: Limits of the response of an HTTP proxy.

    """

    sock: socket.socket | None
    unix_path: str | os.PathLike[str] | None
    address: tuple[str, int] | None
    source_address: tuple[str, int] | None
    ssl: ssl_module.SSLContext | None
    server_hostname: str | None
    proxy: str | Literal[True] | None
    proxy_ssl: ssl_module.SSLContext | None
    proxy_server_hostname: str | None
    proxy_headers: HeadersLike | None
    user_agent_header: str | None
    limits: Limits

    def open(self, uri: WebSocketURI, deadline: Deadline) -> Stream:
        """
        Open the stream to a server.

        Raises:
            OSError: The server, or the proxy, is not reached.
            InvalidProxy: ``proxy`` is not one.
            ProxyError: The proxy gives no tunnel.
            ImportError: It is a SOCKS proxy, and python-socks is not installed.

        """
        stream = self._open_below(uri, deadline)
        if not uri.secure:
            return stream
        return _with_tls(stream, self.ssl, self.server_hostname or uri.host, deadline)

    def _open_below(self, uri: WebSocketURI, deadline: Deadline) -> Stream:
        if self.sock is not None:
            return _stream_of(self.sock)
        unix_path = self.unix_path or uri.unix_path
        if unix_path is not None:
            return _stream_of(open_unix(unix_path, deadline))
        host, port = self.address or (uri.host, uri.port)
        proxy = environment_proxy(uri) if self.proxy is True else self.proxy
        if proxy is None:
            return self._open_tcp(host, port, deadline)
        by = parse_proxy(proxy)
        if by.scheme != "https" and self.proxy_ssl is not None:
            raise ValueError(
                f"proxy_ssl argument is incompatible with a {by.scheme}:// proxy"
            )
        if by.is_socks:
            return self._open_socks(by, host, port, deadline)
        return self._open_tunnel(by, host, port, deadline)

    def _open_tcp(self, host: str, port: int, deadline: Deadline) -> Stream:
        return _stream_of(open_tcp(host, port, deadline, self.source_address))

    def _open_tunnel(
        self, by: Proxy, host: str, port: int, deadline: Deadline
    ) -> Stream:
        """Have an HTTP proxy open a tunnel (RFC 9110 §9.3.6)."""
        request = connect_request(
            by,
            host,
            port,
            user_agent_header=self.user_agent_header,
            additional_headers=self.proxy_headers,
        )
        stream = self._open_tcp(by.host, by.port, deadline)
        if by.scheme == "https":
            name = self.proxy_server_hostname or by.host
            stream = _with_tls(stream, self.proxy_ssl, name, deadline)
        try:
            stream.settimeout(deadline.left())
            stream.send(request)
            reader = read_head(stream, self.limits, deadline)
            response = parse_response(reader.head)
            self._check_tunnel(stream, reader, response)
        except BaseException as exc:
            stream.close()
            malformed = isinstance(exc, (HandshakeError, EOFError, ConnectionError))
            if malformed and not isinstance(exc, InvalidProxyStatus):
                raise InvalidProxyMessage(
                    "did not receive a valid HTTP response from proxy"
                ) from exc
            raise
        return stream

    def _check_tunnel(
        self, stream: Stream, reader: HeadReader, response: Response
    ) -> None:
        try:
            check_connect_response(response)
        except InvalidProxyStatus:
            response.body = read_body(stream, reader, self.limits)
            raise
        if reader.rest:
            # A server of HTTP or TLS says nothing before it is spoken to.
            raise InvalidMessage("octets behind the response")

    def _open_socks(
        self, by: Proxy, host: str, port: int, deadline: Deadline
    ) -> Stream:
        """Have a SOCKS proxy connect."""
        opener = _Opener(self.source_address, deadline)
        socks = socks_proxy(by, "sync", opener)
        try:
            socks.connect(host, port, timeout=_SOCKS_S)
        except OSError:
            raise
        except Exception as exc:
            raise_socks_error(by, exc)
        return _stream_of(opener.sock)


class _Opener:
    """
    Opens the connection to a SOCKS proxy in the place of python-socks.

    It is also what python-socks takes for the socket, so that it ends at the deadline.
    """

    sock: socket.socket

    def __init__(
        self, source_address: tuple[str, int] | None, deadline: Deadline
    ) -> None:
        self._source_address = source_address
        self._deadline = deadline

    def connect(self, dest_host: str, dest_port: int, timeout: float) -> _Opener:
        self.sock = open_tcp(dest_host, dest_port, self._deadline, self._source_address)
        return self

    def recv(self, size: int) -> bytes:
        self.sock.settimeout(self._deadline.left())
        return self.sock.recv(size)

    def sendall(self, data: bytes) -> None:
        self.sock.settimeout(self._deadline.left())
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


def _stream_of(sock: socket.socket) -> Stream:
    try:
        return SocketStream(sock)
    except BaseException:
        sock.close()
        raise


def _with_tls(
    below: Stream, context: ssl_module.SSLContext | None, name: str, deadline: Deadline
) -> Stream:
    """Do the TLS handshake over a stream."""
    try:
        stream = TLSStream(
            below,
            context or ssl_module.create_default_context(),
            server_hostname=name,
        )
        stream.do_handshake(deadline.left)
    except BaseException:
        below.close()
        raise
    return stream
