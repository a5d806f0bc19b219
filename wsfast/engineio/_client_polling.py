"""A client's HTTP requests: one that waits for packets, others that bring some."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..asyncio._dialing import dial
from ..asyncio._streaming import Requests
from ..exceptions import InvalidStatus, PayloadTooBig
from ..protocol.targets import Target
from ._packets import Packet, decode_payload
from .exceptions import BadReply

if TYPE_CHECKING:
    from ..protocol.http import Response

__all__ = ["Cookies", "Polling", "refusal_of"]

#: Most cookies that a server makes us keep.
MAX_COOKIES = 50


class Cookies:
    """
    What a server's load balancer wants to be told again.

    They are for the one place that a client connects to, and for as long as it does.
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def take(self, response: Response) -> None:
        """Keep what a response sets."""
        for line in response.headers.get_all("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name and (name in self._values or len(self._values) < MAX_COOKIES):
                self._values[name.strip()] = value.strip()

    def fields(self) -> list[tuple[str, str]]:
        """Return the header field for a request; none if there are no cookies."""
        pairs = [f"{name}={value}" for name, value in self._values.items()]
        return [("Cookie", "; ".join(pairs))] if pairs else []


class Polling:
    """
    The HTTP requests of a session.

    Args:
        target: Where they go.
        cookies: What is told with each.
        max_payload: Octets of a response, or None.
        way: Arguments of :func:`~wsfast.asyncio._dialing.dial`.

    """

    def __init__(
        self,
        target: Target,
        cookies: Cookies,
        max_payload: int | None,
        way: dict[str, Any],
    ) -> None:
        self._target = target
        self._cookies = cookies
        self._max_payload = max_payload
        self._way = way
        self._polls = Requests(self._open_link, way["limits"])
        self._posts = Requests(self._open_link, way["limits"])

    async def _open_link(self) -> Any:
        return await dial(self._target.uri, **self._way)

    async def get(self, resource: str) -> list[Packet]:
        """
        Wait for packets.

        Raises:
            BadReply: The server refuses.
            BadPacket: It sends what are no packets.
            PayloadTooBig: It sends more than it may.
            OSError, EOFError, InvalidHandshake: It was lost.

        """
        pieces: list[bytes] = []
        size = 0

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if self._max_payload is not None and size > self._max_payload:
                raise PayloadTooBig(f"a payload over {self._max_payload} octets")
            pieces.append(data)

        request = self._target.make_request(self._cookies.fields(), resource=resource)
        await self._send(self._polls, request.serialize(), take)
        return decode_payload(b"".join(pieces), None)

    async def post(self, resource: str, payload: bytes) -> None:
        """
        Bring packets.

        Raises:
            BadReply: The server refuses.
            OSError, EOFError, InvalidHandshake: It was lost.

        """
        fields = [
            ("Content-Type", "text/plain;charset=UTF-8"),
            ("Content-Length", str(len(payload))),
            *self._cookies.fields(),
        ]
        request = self._target.make_request(fields, method="POST", resource=resource)
        await self._send(self._posts, request.serialize() + payload, _drop)

    async def _send(
        self, requests: Requests, octets: bytes, take: Callable[[bytes], None]
    ) -> None:
        try:
            response = await requests.request(octets, take)
        except InvalidStatus as exc:
            raise refusal_of(exc) from exc
        self._cookies.take(response)

    def close(self) -> None:
        """End the connections that no request is on."""
        self._polls.close()
        self._posts.close()


def _drop(data: bytes) -> None:
    """Take the body of a response that says nothing."""


def refusal_of(exc: InvalidStatus) -> BadReply:
    """Return the error for a response that refuses, with what it tells."""
    response = exc.response
    text = bytes(response.body or b"").decode("utf-8", "replace")
    code = None
    try:
        told = json.loads(text)
        code, text = int(told["code"]), str(told["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # the reference says the message alone to a WebSocket
    text = text[:200].strip()
    message = f"refused with status {response.status_code}"
    return BadReply(f"{message}: {text}" if text else message, code)
