"""Hosts whose stream is taken over: streams of asyncio, sockets, aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from ..asyncio._stream import StreamLink, link_for
from ..asyncio._timeout import timeout
from ..asyncio.connection import Connection
from ..exceptions import ConnectionClosed, HandshakeTimeout, InvalidMessage
from ..protocol.heads import HeadError, HeadReader, parse_request
from .terms import Terms

if TYPE_CHECKING:
    from ..protocol.http import Request, Response
    from .websocket import WebSocket

__all__ = ["AiohttpHost", "Attached", "SocketHost", "StreamsHost"]

RECV_SIZE = 64 * 1024


class Attached(Connection):
    """
    A connection over what was a stream of asyncio.

    It belongs to the task that has opened it: when that returns, it is closed with code
    1000, and with 1011 if it fails; with 1001 if it is cancelled.

    Attributes:
        owner: The stream's protocol, which waits for the end of the transport.
        stream: The stream's writer, which would close the transport when it goes.

    """

    owner: Any = None
    stream: Any = None

    def lost(self, exc: BaseException | None) -> None:
        """Take the news that the stream has ended, and pass it on."""
        super().lost(exc)
        owner, self.owner, self.stream = self.owner, None, None
        if owner is not None:
            owner.connection_lost(exc)

    def task_done(self, task: asyncio.Task[Any]) -> None:
        """End the connection with the task; whoever has the task reports an error."""
        code = 1000
        if task.cancelled():
            code = 1001
        else:
            # Not exception(): that would count as a report.
            exc = getattr(task, "_exception", None)
            if exc is not None and not isinstance(exc, ConnectionClosed):
                code = 1011
        self.close(code)
        self.link.flush()  # asyncio closes the transport of a task that has failed


class StreamsHost:
    """
    A pair of streams.

    Args:
        reader: What reads.
        writer: What writes.
        head: Octets that were read already.
        terms: What is agreed to.

    """

    client = False

    def __init__(
        self,
        reader: asyncio.StreamReader | None,
        writer: asyncio.StreamWriter | None,
        head: bytes,
        terms: Terms,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._head = head
        self._terms = terms
        self.logger = terms.logger
        self.url = ""

    async def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._reader is not None
        assert self._writer is not None
        return self._reader, self._writer

    async def open(self, ws: WebSocket) -> Connection:
        """Read the request, answer it, and take over the transport."""
        reader, writer = await self._streams()
        terms = self._terms
        head = HeadReader(terms.limits)
        try:
            async with timeout(terms.open_timeout):
                data = self._head
                while not (data and head.feed(data)):
                    data = await reader.read(RECV_SIZE)
                    if not data:
                        raise EOFError("the client left before its request")
            request = parse_request(head.head)
        except HeadError as exc:
            await self._refuse(ws, writer, terms.refuse(exc))
            raise
        except (TimeoutError, asyncio.TimeoutError) as exc:
            await self._refuse(ws, writer, terms.refuse(exc))
            raise HandshakeTimeout("timed out during opening handshake") from exc
        except (EOFError, OSError) as exc:
            writer.close()
            raise InvalidMessage("did not receive a valid HTTP request") from exc
        response = terms.answer(request)
        secure = writer.get_extra_info("sslcontext") is not None
        ws.url = _url_of(request, "wss" if secure else "ws")
        if response.status_code != 101:
            await self._refuse(ws, writer, response)
            raise terms.why()
        octets = response.serialize()
        # Nobody reads for these streams any more; nothing can arrive in between.
        reader.feed_eof()
        rest = head.rest + await reader.read()
        return self._attach(writer, request, response, octets, rest)

    def _attach(
        self,
        writer: asyncio.StreamWriter,
        request: Request,
        response: Response,
        octets: bytes,
        rest: bytes,
    ) -> Connection:
        transport: Any = writer.transport
        if transport.is_closing():
            raise ConnectionResetError("Connection lost")
        owner = transport.get_protocol()
        link = link_for(transport, reactor=True)
        connection = Attached(
            link,
            self._terms.options,
            **self._terms.connection_arguments(request, response),
        )
        connection.stream = writer
        if isinstance(link, StreamLink):  # the reactor's tells the owner by itself
            connection.owner = owner
        link.write(octets)
        connection.opened()
        link.start(connection, rest)
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(connection.task_done)
        return connection

    async def _refuse(
        self, ws: WebSocket, writer: asyncio.StreamWriter, response: Response
    ) -> None:
        ws.refused(response)
        with contextlib.suppress(OSError):
            writer.write(response.serialize())
            writer.close()
            await writer.wait_closed()


class SocketHost(StreamsHost):
    """
    A connected socket.

    Args:
        sock: The socket; it belongs to the WebSocket from now on.
        head: Octets that were read from it already.
        terms: What is agreed to.

    """

    def __init__(self, sock: socket.socket, head: bytes, terms: Terms) -> None:
        super().__init__(None, None, head, terms)
        self._socket = sock

    async def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._socket.setblocking(False)
        return await asyncio.open_connection(sock=self._socket)


class AiohttpHost:
    """
    A handler of aiohttp's server.

    Args:
        request: The handler's request.
        arguments: Those of ``wsfast.asgi.aiohttp.setup()``.
        headers: Header fields to add to the response.

    """

    client = False

    def __init__(self, request: Any, headers: Any, arguments: dict[str, Any]) -> None:
        from ..asgi.aiohttp import Upgrades

        self._request = request
        self._headers = headers
        self._upgrades = Upgrades(arguments)
        self.logger = self._upgrades.logger
        scheme = "wss" if request.secure else "ws"
        self.url = f"{scheme}://{request.host}{request.raw_path}"

    async def open(self, ws: WebSocket) -> Connection:
        """Answer the request; raise what aiohttp answers it with otherwise."""
        connection = self._upgrades.upgrade(self._request, self._headers)
        ws.response = connection.upgraded
        return connection


def _url_of(request: Request, scheme: str) -> str:
    return f"{scheme}://{request.headers.get('Host', '')}{request.path}"
