"""Reading a request from a stream of asyncio, before anybody knows what it is for."""

from __future__ import annotations

import asyncio

from ..asyncio._timeout import timeout as time_limit
from ..protocol.heads import DEFAULT_LIMITS, HeadReader, Limits, parse_request
from ..protocol.http import Request

__all__ = ["read_request"]


async def read_request(
    reader: asyncio.StreamReader,
    *,
    open_timeout: float | None = 10,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Request, bytes]:
    """
    Read a request, to see what it is for.

    Args:
        reader: Reader of a connection that was accepted just now.
        open_timeout: Seconds that it may take.
        limits: Limits of its head.

    Returns:
        The request, and octets that came behind it.

    Raises:
        InvalidHandshake: It is malformed, or has a body.
        TimeoutError: It takes too long.
        ConnectionResetError: The client has gone.

    """
    head = HeadReader(limits)
    try:
        async with time_limit(open_timeout):
            while True:
                data = await reader.read(65536)
                if not data:
                    raise ConnectionResetError("the client has gone")
                if head.feed(data):
                    return parse_request(head.head), head.rest
    except asyncio.TimeoutError as exc:
        raise TimeoutError("timed out waiting for the request") from exc
