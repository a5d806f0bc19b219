"""Where a response goes: one small class for each kind of server, for event loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ._requests import head_octets

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASGIHost", "AiohttpHost", "Host", "StreamHost"]

Fields = list[tuple[str, str]]
Message = MutableMapping[str, Any]


class Host:
    """The way to one client (abstract)."""

    def watch(self) -> asyncio.Future[Any]:
        """Begin to watch the client; return what is done once it has gone."""
        raise NotImplementedError

    async def start(self, fields: Fields) -> None:
        """Send the head of the response."""
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        """Send octets; wait while the client does not take them."""
        raise NotImplementedError

    async def finish(self) -> None:
        """End the response."""
        raise NotImplementedError

    def release(self, cut: bool) -> None:
        """Watch no longer; with ``cut``, end the connection at once if that can be."""
        raise NotImplementedError


class ASGIHost(Host):
    """
    An ASGI server.

    Args:
        receive: As the application got it.
        send: As the application got it.

    """

    def __init__(
        self,
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._send = send
        self._watching: asyncio.Task[None] | None = None

    def watch(self) -> asyncio.Future[Any]:
        self._watching = asyncio.get_running_loop().create_task(self._until_gone())
        return self._watching

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the body of the request, which has none

    async def start(self, fields: Fields) -> None:
        pairs = [(n.lower().encode(), v.encode("latin-1")) for n, v in fields]
        await self._send(
            {"type": "http.response.start", "status": 200, "headers": pairs}
        )

    async def write(self, data: bytes) -> None:
        await self._send(
            {"type": "http.response.body", "body": data, "more_body": True}
        )

    async def finish(self) -> None:
        await self._send(
            {"type": "http.response.body", "body": b"", "more_body": False}
        )

    def release(self, cut: bool) -> None:
        if self._watching is not None:
            self._watching.cancel()


class _Watch(asyncio.Protocol):
    """
    Stands between a transport and its protocol, to hear of the end at once.

    Args:
        transport: The transport; its protocol gets it back by :meth:`release`.

    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.owner: Any = transport.get_protocol()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if transport.is_closing():
            self._is_gone()
        else:
            transport.set_protocol(self)

    def _is_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.owner.data_received(data)

    def eof_received(self) -> bool | None:
        self._is_gone()
        keep: bool | None = self.owner.eof_received()
        return keep

    def pause_writing(self) -> None:
        self.owner.pause_writing()

    def resume_writing(self) -> None:
        self.owner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_gone()
        self.owner.connection_lost(exc)

    def release(self) -> None:
        """Give the transport back."""
        self.gone.cancel()
        if self.transport.get_protocol() is self:
            self.transport.set_protocol(self.owner)


class AiohttpHost(Host):
    """
    aiohttp's server.

    Args:
        request: The request that a handler got.
        response: A stream response, which the handler returns.

    """

    def __init__(self, request: Any, response: Any) -> None:
        self._request = request
        self._watch: _Watch | None = None
        self.response = response

    def watch(self) -> asyncio.Future[Any]:
        transport = self._request.transport
        if transport is None:  # it has gone already
            gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            gone.set_result(None)
            return gone
        self._watch = _Watch(transport)
        return self._watch.gone

    async def start(self, fields: Fields) -> None:
        self.response.headers.extend(fields)
        await self.response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        await self.response.write(data)

    async def finish(self) -> None:
        await self.response.write_eof()

    def release(self, cut: bool) -> None:
        if self._watch is not None:
            self._watch.release()
            if cut:
                self._watch.transport.abort()


class StreamHost(Host):
    """
    Streams of asyncio, or of whoever else has accepted the connection.

    Args:
        reader: Reader of the connection, from which the request has been read.
        writer: Its writer; it is closed with the event stream.

    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._watching: asyncio.Task[None] | None = None

    def watch(self) -> asyncio.Future[Any]:
        # The reader pauses the transport when nobody reads; then nobody would hear.
        self._watching = asyncio.get_running_loop().create_task(self._until_gone())
        return self._watching

    async def _until_gone(self) -> None:
        with contextlib.suppress(OSError):
            while await self._reader.read(65536):
                pass  # there is nothing for the client to say

    async def start(self, fields: Fields) -> None:
        self._writer.write(head_octets(fields))
        await self._writer.drain()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def release(self, cut: bool) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if cut:
            self._writer.transport.abort()
