"""Receiving a message fragment by fragment, as they arrive."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from .inbound import Inbound, Receiver

__all__ = ["Fragments"]


class Fragments:
    """
    What ``recv_streaming()`` returns: iterating gives the fragments of one message.

    Args:
        connection: Where the messages are.
        decode: See ``Connection.recv_streaming``.

    """

    def __init__(self, connection: Inbound, decode: bool | None) -> None:
        self._connection: Inbound | None = connection
        self._decode = decode

    def __aiter__(self) -> Fragments:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._next()

    async def _next(self) -> Any:
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        try:
            connection.begin_streaming(self)
            while connection.queue_length() == 0:
                connection.parser.streaming = True
                receiver = Receiver(connection)
                receiver.peek = True
                await receiver
        except BaseException:
            self.leave()
            raise
        item = connection.take_fragment()
        if item.fin:
            self.leave()
        data = item.data
        if self._decode is True and not isinstance(data, str):
            return str(data, "utf-8")
        if self._decode is False and isinstance(data, str):
            return data.encode()
        return data

    def leave(self) -> None:
        """Take no more: another may go on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end_streaming(self)

    async def aclose(self) -> None:
        """Take no more of the message, as an asynchronous generator's ``aclose``."""
        self.leave()
