"""
A connection whose peer is a plain socket: each octet, and each read, is up to the test.

No handshake takes place: the connection is open from its first octet on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from wsfast import engine
from wsfast.asyncio import Connection
from wsfast.asyncio._options import reactor_for
from wsfast.asyncio._stream import StreamLink, stream_driver_for
from wsfast.protocol.options import Options

WAIT_S = 10

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WireConnection(Connection):
    """A connection as an application has it: with attributes, and weak references."""


class Peer:
    """
    The other end of a connection.

    Args:
        sock: A connected socket that does not block.
        client: Whether the peer is the client, which masks.

    """

    def __init__(self, sock: socket.socket, client: bool = True) -> None:
        self.sock = sock
        self.client = client
        self.octets = bytearray()
        self._parser = engine.FrameParser(client=client, max_size=None, rsv1=True)
        self._frames: list[engine.Frame] = []

    def frame(self, opcode: int, payload: Any = b"", **kwargs: Any) -> bytes:
        """Return a frame of ours."""
        return engine.encode_frame(opcode, payload, mask=self.client, **kwargs)

    def texts(self, *messages: str) -> bytes:
        """Return text messages."""
        return b"".join(self.frame(TEXT, message) for message in messages)

    def send(self, octets: bytes) -> None:
        """Send octets that fit into the system's buffers, in one piece."""
        assert self.sock.send(octets) == len(octets)

    async def send_all(self, octets: bytes) -> None:
        """Send octets, however long the connection takes to read them."""
        await asyncio.wait_for(
            asyncio.get_running_loop().sock_sendall(self.sock, octets), WAIT_S
        )

    def send_texts(self, *messages: str) -> None:
        """Send text messages, in one piece."""
        self.send(self.texts(*messages))

    async def read(self) -> bytes:
        """Return octets that come next; none at the end of the stream."""
        data = await asyncio.wait_for(
            asyncio.get_running_loop().sock_recv(self.sock, 1 << 20), WAIT_S
        )
        self.octets += data
        return data

    async def frames(self, count: int) -> list[engine.Frame]:
        """Return the next frames, of which there are at least ``count``."""
        while len(self._frames) < count:
            data = await self.read()
            if not data:
                raise EOFError(f"{len(self._frames)} frames, not {count}")
            self._frames += self._parser.feed(data)
        frames, self._frames = self._frames[:count], self._frames[count:]
        return frames

    async def messages(self, count: int) -> list[str]:
        """Return the next text messages."""
        return [frame.payload.decode() for frame in await self.frames(count)]

    async def rest(self) -> list[engine.Frame]:
        """Return the frames up to the end of the stream."""
        with contextlib.suppress(ConnectionError):
            while data := await self.read():
                self._frames += self._parser.feed(data)
        frames, self._frames = self._frames, []
        return frames

    def close(self) -> None:
        """End the stream, in good order."""
        self.sock.close()

    def reset(self) -> None:
        """End the stream by a reset."""
        linger_zero(self.sock)
        self.sock.close()


def linger_zero(sock: socket.socket) -> None:
    """Have ``sock.close()`` reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected TCP sockets that do not block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        there = socket.socket()
        there.connect(listener.getsockname())
        here, _ = listener.accept()
    for sock in (here, there):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return here, there


def thin_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets between which the system keeps few octets."""
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return pair


class Wires:
    """
    A maker of connections on one path.

    Args:
        reactor: Whether that is the reactor.

    """

    def __init__(self, reactor: bool) -> None:
        self.reactor = reactor
        self._made: list[tuple[Connection, Peer]] = []

    @property
    def driver(self) -> Any:
        """Driver of the connections."""
        loop = asyncio.get_running_loop()
        return reactor_for(loop) if self.reactor else stream_driver_for(loop)

    async def __call__(
        self,
        listener: Any = None,
        *,
        client: bool = False,
        thin: bool = False,
        make: type[Connection] = WireConnection,
        **options: Any,
    ) -> tuple[Any, Peer]:
        """
        Return a connection, and its peer.

        Args:
            listener: Listener of the connection.
            client: Whether the connection is the client.
            thin: Have the system take few octets at a time.
            make: Class of the connection.
            options: Options of the connection.

        """
        options.setdefault("ping_interval", None)
        here, there = thin_pair() if thin else tcp_pair()
        connection = await self.on(
            here, Options(**options), client=client, listener=listener, make=make
        )
        peer = Peer(there, client=not client)
        self._made.append((connection, peer))
        return connection, peer

    async def on(
        self,
        sock: socket.socket,
        options: Options,
        *,
        make: type[Connection] = WireConnection,
        **kwargs: Any,
    ) -> Any:
        """
        Return a connection over a socket.

        Args:
            sock: A connected socket; it belongs to the connection from now on.
            options: Options of the connection.
            make: Class of the connection.
            kwargs: Other arguments of the connection.

        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Connection] = loop.create_future()

        def start(link: Any) -> None:
            connection = make(link, options, **kwargs)
            connection.opened()
            link.start(connection, b"")
            opened.set_result(connection)

        create: Any = loop.create_connection
        if sock.family != socket.AF_INET:
            create = loop.create_unix_connection
        driver = self.driver
        if self.reactor:
            transport, _ = await create(asyncio.Protocol, sock=sock)
            start(driver.adopt(transport))
        else:
            await create(lambda: StreamLink(driver, start), sock=sock)
        return await opened

    def forget(self) -> None:
        """Leave what was made to the test."""
        self._made.clear()

    async def close(self) -> None:
        """Close whatever is open."""
        made, self._made = self._made, []
        for connection, peer in made:
            peer.sock.close()
            connection.abort()
        del made
        await asyncio.sleep(0)


async def turn(times: int = 1) -> None:
    """Let the event loop go round, with a look at its descriptors each time."""
    for _ in range(times):
        await asyncio.sleep(0)


async def until(condition: Any, seconds: float = WAIT_S) -> None:
    """Wait until a condition holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it does not come about"
        await asyncio.sleep(0.002)
