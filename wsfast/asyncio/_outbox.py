"""Messages that wait for a connection, in order and bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Outbox", "Queued"]


class Queued:
    """
    A message that waits for a connection.

    Awaiting it waits until the message has gone into one, and gives None then; it
    raises what ended the client if it ends before. It need not be awaited.
    """

    __slots__ = ("_error", "_future", "arguments", "done", "message", "size")

    def __init__(self, message: str | bytes, size: int, arguments: dict[str, Any]):
        self.message = message
        self.size = size
        self.arguments = arguments
        self.done = False
        self._error: BaseException | None = None
        self._future: asyncio.Future[None] | None = None

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for it."""
        return self._future is not None and not self._future.done()

    def settle(self, error: BaseException | None = None) -> None:
        """Note that the message has gone into a connection, or never will."""
        self.done = True
        self._error = error
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def __await__(self) -> Generator[Any, None, None]:
        while not self.done:
            if self._future is None or self._future.done():
                self._future = asyncio.get_running_loop().create_future()
            yield from asyncio.shield(self._future).__await__()
        if self._error is not None:
            raise self._error


class Outbox:
    """
    Messages that wait for a connection.

    Args:
        max_messages: Most messages.
        max_size: Most octets of all of them.

    Attributes:
        size: Octets of those that wait.

    """

    def __init__(self, max_messages: int, max_size: int) -> None:
        self.max_messages = max_messages
        self.max_size = max_size
        self.size = 0
        self._queue: deque[Queued] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, message: Any, **arguments: Any) -> Queued:
        """
        Queue a message.

        Args:
            message: ``str`` or octets.
            arguments: Further arguments of :meth:`Connection.send`.

        Raises:
            QueueFull: There are too many, or too many octets of them.
            TypeError: ``message`` is neither.

        """
        if isinstance(message, str):
            size = len(message if message.isascii() else message.encode())
        elif isinstance(message, (bytes, bytearray, memoryview)):
            message = bytes(message)  # what the caller changes later is not meant
            size = len(message)
        else:
            raise TypeError("only str and octets can wait for a connection")
        if len(self._queue) >= self.max_messages:
            raise asyncio.QueueFull(
                f"{len(self._queue)} messages wait for a connection already"
            )
        if self.size + size > self.max_size:
            raise asyncio.QueueFull(
                f"messages that wait for a connection would exceed "
                f"{self.max_size} octets"
            )
        queued = Queued(message, size, arguments)
        self._queue.append(queued)
        self.size += size
        return queued

    async def flush(self, connection: Connection) -> None:
        """
        Send what waits, in order and no faster than the connection takes it.

        Raises:
            ConnectionClosed: The connection has ended; what it has not taken waits.

        """
        while self._queue:
            queued = self._queue[0]
            try:
                taken = connection.send(queued.message, **queued.arguments)
            except (TypeError, ValueError) as exc:  # it can never be sent
                self._pop().settle(exc)
                continue
            self._pop().settle()
            await taken

    def _pop(self) -> Queued:
        queued = self._queue.popleft()
        self.size -= queued.size
        return queued

    def fail(self, error: BaseException) -> None:
        """Tell those who wait that there will be no connection; the others are kept."""
        awaited = [queued for queued in self._queue if queued.awaited]
        self._queue = deque(queued for queued in self._queue if not queued.awaited)
        for queued in awaited:
            self.size -= queued.size
            queued.settle(error)
