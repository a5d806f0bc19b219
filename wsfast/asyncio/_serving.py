"""What a server listens with: sockets, served by the reactor or by the event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl as ssl_module
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._accepting import Acceptor
from ._options import reactor_for
from ._sockets import (
    close_socket,
    inode_of,
    open_tcp_sockets,
    open_unix_socket,
    prepare_socket,
)
from ._stream import StreamLink, stream_driver_for

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Listening", "Shaking", "Where"]

logger = logging.getLogger("wsfast.server")

Accept = Callable[["Link", float, bytes], None]


class Shaking:
    """
    Clients in their TLS handshakes, in the order in which they came.

    Args:
        too_many: Tells whether there are too many handshakes; if so, the client that
            came first is cut.

    """

    def __init__(self, too_many: Callable[[], bool]) -> None:
        self._too_many = too_many
        self._clients: dict[Any, Callable[[], object]] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Any, cut: Callable[[], object]) -> None:
        """Note that a client has begun, and how to cut it."""
        self._clients[client] = cut
        if self._too_many():
            logger.info("a client in its TLS handshake was cut: there are too many")
            next(iter(self._clients.values()))()

    def discard(self, client: Any) -> None:
        """Note that a client has done with that, or is gone."""
        self._clients.pop(client, None)

    def abort(self) -> None:
        """Cut them all."""
        for cut in list(self._clients.values()):
            cut()


@dataclass
class Where:
    """
    Where and how to listen: the arguments of ``serve()`` about that.

    Raises:
        ValueError: They contradict each other.

    """

    host: str | Sequence[str] | None
    port: int | None
    unix_path: str | os.PathLike[str] | None
    sock: socket.socket | None
    backlog: int
    family: int
    flags: int
    reuse_address: bool | None
    reuse_port: bool
    ssl: ssl_module.SSLContext | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    reactor: bool
    busy_poll: float = 0.0

    def __post_init__(self) -> None:
        given = [
            self.host is not None or self.port is not None,
            self.unix_path is not None,
            self.sock is not None,
        ]
        if sum(given) != 1:
            raise ValueError("give one of: host and port, a UNIX path, a socket")
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            timeout = getattr(self, name)
            if self.ssl is not None and timeout is not None and timeout <= 0:
                raise ValueError(f"{name} must be positive, got {timeout}")


class Listening:
    """
    The sockets of one server.

    Args:
        where: Where to listen.
        accept: Called for each client with the link to it, with the time on the loop's
            clock from which the client's opening handshake counts, and with what the
            client has sent already.
        too_many: See :class:`Shaking`.

    """

    def __init__(
        self, where: Where, accept: Accept, too_many: Callable[[], bool]
    ) -> None:
        self.sockets: list[socket.socket] = []
        self.active = False
        self.where = where
        self._accept = accept
        self._inodes: list[tuple[str, int] | None] = []
        self._reactor: Any = None
        self._servers: list[Acceptor | asyncio.Server] = []
        self.shaking = Shaking(too_many)

    async def open(self) -> None:
        """Bind the sockets; see :func:`open_tcp_sockets` for the errors."""
        where = self.where
        if where.sock is not None:
            prepare_socket(where.sock)
            self.sockets = [where.sock]
        elif where.unix_path is not None:
            self.sockets = [open_unix_socket(where.unix_path)]
        else:
            self.sockets = await open_tcp_sockets(
                where.host,
                where.port,
                family=where.family,
                flags=where.flags,
                reuse_address=where.reuse_address,
                reuse_port=where.reuse_port,
            )
        self._inodes = [inode_of(sock) for sock in self.sockets]

    async def start(self) -> None:
        """Listen, and accept clients from now on."""
        if self.active:
            return
        where = self.where
        loop = asyncio.get_running_loop()
        for sock in self.sockets:
            sock.listen(where.backlog)
        if where.reactor:
            self._reactor = reactor_for(loop, where.busy_poll)
        self.active = True
        if self._reactor is not None:
            for sock in self.sockets:
                if where.ssl is None:
                    self._reactor.listen(sock, self._accept_from_reactor)
                else:
                    self._reactor.listen(sock, self._accept_over_tls, tls=self._tls())
            return
        for sock in self.sockets:
            self._servers.append(await self._accept_by_loop(loop, sock))

    async def _accept_by_loop(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket
    ) -> Acceptor | asyncio.Server:
        """Have clients accepted for links over the loop's transports."""
        where = self.where
        extra: dict[str, Any] = {"ssl": where.ssl}
        if where.ssl is not None:
            extra["ssl_handshake_timeout"] = where.ssl_handshake_timeout
            if sys.version_info >= (3, 11):
                extra["ssl_shutdown_timeout"] = where.ssl_shutdown_timeout
        driver = stream_driver_for(loop)

        def factory() -> StreamLink:
            return StreamLink(driver, self._accept_from_stream)

        try:
            shaking = None if where.ssl is None else self.shaking
            return Acceptor(driver, sock, factory, shaking, **extra)
        except NotImplementedError:  # Windows
            extra["backlog"] = where.backlog
            return await loop.create_server(factory, sock=sock, **extra)

    def _accept_from_reactor(self, link: Any) -> None:
        self._accept(link, link.driver.time(), link.first_octets())

    def _tls(self) -> dict[str, Any]:
        """Return the arguments of a link of the reactor with TLS."""
        where = self.where
        return {
            "context": where.ssl,
            "server_side": True,
            "handshake_timeout": where.ssl_handshake_timeout,
            "shutdown_timeout": where.ssl_shutdown_timeout,
            "shaking": self.shaking,
        }

    def _accept_over_tls(self, link: Any, exc: Exception | None) -> None:
        octets = b""
        if exc is None:
            try:
                octets = link.first_octets()
            except ssl_module.SSLError as failure:
                exc = failure
                link.abort()
        if exc is not None:  # it is gone, or does not speak TLS
            logger.debug("a client failed before its request", exc_info=exc)
        else:
            self._accept(link, link.born, octets)

    def _accept_from_stream(self, link: StreamLink) -> None:
        self.shaking.discard(link)
        self._accept(link, link.born, b"")

    def stop(self) -> None:
        """Accept no more clients, and close the sockets."""
        self.active = False
        if self._reactor is not None:
            for sock in self.sockets:
                self._reactor.unlisten(sock)
            self.shaking.abort()
        for server in self._servers:
            server.close()
        for sock, inode in zip(self.sockets, self._inodes, strict=True):
            close_socket(sock, inode)
        self.sockets, self._inodes, self._servers = [], [], []
