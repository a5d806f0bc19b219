"""One connection of a client: a request, and the stream that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..asyncio._streaming import Streaming
from ._subscription import check_response

if TYPE_CHECKING:
    from ..asyncio.link import Link
    from ..protocol.heads import Limits
    from ..protocol.http import Response
    from .client import EventSourceClient

__all__ = ["Subscribing"]


class Subscribing(Streaming):
    """
    A request for an event stream, and then the stream; it ends with an exception.

    Args:
        link: The way to the server.
        limits: Limits of the response's head.
        request: Octets of the request.
        client: Takes the stream: its ``_opened(response)``, ``_received(data)``.
        idle_timeout: Seconds without any octet until the stream is given up, or None.

    """

    _broke_off = "the event stream broke off"

    def __init__(
        self,
        link: Link,
        limits: Limits,
        request: bytes,
        client: EventSourceClient,
        idle_timeout: float | None,
    ) -> None:
        super().__init__(link, limits, request, idle_timeout)
        self._client = client

    def _check(self, response: Response) -> None:
        check_response(response)

    def _begin(self, response: Response) -> bool:
        if response.status_code != 200:
            return False
        self.watch()
        self._client._opened(response, self.link)
        return True

    def _received(self, data: bytes) -> None:
        self._client._received(data)

    def _complete(self, whole: bool) -> None:
        self.end(EOFError("the server has ended the event stream"))
