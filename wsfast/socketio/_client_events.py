"""What a client has to send: events that wait for a connection, or for a reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .handlers import logger
from .packet import Packet

__all__ = ["Queued", "Written", "told"]


class Written:
    """An event as it is sent, whatever becomes of the objects in it."""

    __slots__ = ("compress", "data", "id", "messages")

    def __init__(
        self, packet: Packet, messages: list[str | bytes], compress: bool | None
    ) -> None:
        self.id = packet.id
        self.data = packet.data
        self.messages = messages
        self.compress = compress


class Queued:
    """An event that is sent until it is acknowledged, under the same number."""

    __slots__ = ("event", "future", "tries")

    def __init__(self, event: Written, future: asyncio.Future[Any]) -> None:
        self.event = event
        self.future = future
        self.tries = 0


def told(
    callback: Callable[..., Any] | None,
    event: str,
    call: Callable[..., None],
    future: asyncio.Future[Any],
) -> None:
    """Hand the reply to an event with retries to its callback, by `call`."""
    if future.cancelled():
        return
    exc = future.exception()
    if exc is not None:
        logger.warning("%r was given up: %s", event, exc)
    elif callback is not None:
        result = future.result()
        if type(result) is tuple:
            call(callback, *result)
        elif result is None:
            call(callback)
        else:
            call(callback, result)
