"""One HTTP request of an ASGI application that answers by itself (ASGI HTTP 2.4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

__all__ = [
    "Allowed",
    "BodyTooBig",
    "ClientGone",
    "Exchange",
    "Fields",
    "cookies_of",
    "cross_origin",
    "field_of",
    "origin_allowed",
    "path_of",
    "query_of",
]

#: Header fields of a response, as text.
Fields = Iterable[tuple[str, str]]

#: Who may read answers from another origin: everybody, some, whoever a function says,
#: nobody.
Allowed = str | Iterable[str] | Callable[[str], bool] | None

Message = MutableMapping[str, Any]

#: Statuses of responses that have no body (RFC 9110 §15).
_BARE = (204, 304)

#: Seconds for which a browser may remember the answer to a preflight request.
_MAX_AGE = "86400"

_DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}


class BodyTooBig(Exception):  # noqa: N818
    """The body of a request is over its limit; the answer to it is 413."""


class ClientGone(Exception):  # noqa: N818
    """The client left before its request was complete."""


def field_of(scope: MutableMapping[str, Any], name: str) -> str:
    """
    Return the value of a header field of an ASGI scope.

    Args:
        scope: Of HTTP or of a WebSocket.
        name: In lower case.

    Returns:
        ``""`` if there is none; several are joined by ``", "`` (RFC 9110 §5.3).

    """
    wanted = name.encode("latin-1")
    values = [value for key, value in scope["headers"] if key == wanted]
    return b", ".join(values).decode("latin-1")


def path_of(scope: MutableMapping[str, Any]) -> str:
    """Return the path of an ASGI scope, below where the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :] or "/"
    return path


def query_of(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Return the parameters of an ASGI scope's query; of those twice, the first."""
    query: dict[str, str] = {}
    text = scope.get("query_string", b"").decode("latin-1")
    for name, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(name, value)
    return query


def cookies_of(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Return the cookies of an ASGI scope (RFC 6265 §5.4), the first of each name."""
    cookies: dict[str, str] = {}
    for key, line in scope["headers"]:
        if key == b"cookie":
            for pair in line.decode("latin-1").split(";"):
                name, equals, value = pair.strip().partition("=")
                if equals:
                    cookies.setdefault(name, value.strip('"'))
    return cookies


class Exchange:
    """
    A request, and the response to it.

    Args:
        scope: What the server calls the application with.
        receive: The same.
        send: The same.

    Attributes:
        scope: As given.
        method: The request's method.
        path: Its path, decoded, below where the application is mounted.
        query: Parameters of its query, decoded; of those given twice, the first.
        http_version: ``"1.0"``, ``"1.1"`` or ``"2"``.
        started: The head of the response has been sent.

    """

    def __init__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path = path_of(scope)
        self.query = query_of(scope)
        self.http_version: str = scope.get("http_version", "1.1")
        self.started = False
        self._gone: asyncio.Future[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    # ---- the request ----

    def field(self, name: str) -> str:
        """Return the value of a header field, as :func:`field_of`."""
        return field_of(self.scope, name)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the request."""
        return cookies_of(self.scope)

    async def body(self, limit: int) -> bytes:
        """
        Read the body; once, and before :attr:`gone` is used.

        Args:
            limit: Octets that it may have.

        Raises:
            BodyTooBig: It says that it has more, or has.
            ClientGone: The client left before its end.

        """
        length = self.field("content-length")
        if length.isdecimal() and int(length[:20]) > limit:
            raise BodyTooBig(f"a body of {length[:20]} octets, over {limit}")
        pieces = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone("the client left before the end of its request")
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise BodyTooBig(f"a body over {limit} octets")
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done when the client has left; looked for from the first use of it on."""
        if self._gone is None:
            loop = asyncio.get_running_loop()
            self._gone = loop.create_future()
            self._watching = loop.create_task(self._watch(self._gone))
        return self._gone

    async def _watch(self, gone: asyncio.Future[None]) -> None:
        with contextlib.suppress(OSError):
            while (await self._receive())["type"] != "http.disconnect":
                pass  # what is left of the body
        if not gone.done():
            gone.set_result(None)

    # ---- the response ----

    async def respond(
        self, status: int, body: bytes = b"", fields: Fields = ()
    ) -> None:
        """
        Send a whole response, with its length; to a client that has left, nothing.

        Args:
            status: HTTP status.
            body: The body; not sent with a status that has none (204, 304).
            fields: Header fields.

        """
        sized = [*fields]
        if status in _BARE:
            body = b""
        else:
            sized.append(("content-length", str(len(body))))
        with contextlib.suppress(OSError):
            await self.start(status, sized)
            await self._end(b"" if self.method == "HEAD" else body)

    async def start(self, status: int, fields: Fields = ()) -> None:
        """
        Send the head of a response, whose body follows by :meth:`write`.

        Raises:
            OSError: The client has left. Not every server tells: see :attr:`gone`.

        """
        pairs = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in fields
        ]
        self.started = True
        await self._send(
            {"type": "http.response.start", "status": status, "headers": pairs}
        )

    async def write(self, octets: bytes) -> None:
        """
        Send a piece of the body; wait while the client does not take it.

        Raises:
            OSError: As :meth:`start`.

        """
        await self._send(
            {"type": "http.response.body", "body": octets, "more_body": True}
        )

    async def finish(self) -> None:
        """End the response, and look for the client's leaving no longer."""
        with contextlib.suppress(OSError):
            await self._end(b"")

    async def _end(self, octets: bytes) -> None:
        self.release()
        await self._send(
            {"type": "http.response.body", "body": octets, "more_body": False}
        )

    def release(self) -> None:
        """Look for the client's leaving no longer; the end of a response does it."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()


# ---- requests from other origins ----


def origin_allowed(scope: MutableMapping[str, Any], allowed: Allowed) -> bool:
    """
    Tell whether the page that a request is from may make it.

    Browsers let any page open a WebSocket, and send simple requests, to anywhere; it
    is for the server to look at their Origin (RFC 6454 §7).

    Args:
        scope: Of HTTP or of a WebSocket.
        allowed: ``"*"`` for every origin; origins such as ``"https://example.org"``;
            a function that is called with the origin; None for none. Requests without
            an Origin, and those from the origin that they go to, are always allowed.

    """
    origin = field_of(scope, "origin")
    return not origin or _is_same(scope, origin) or _is_allowed(origin, allowed)


def _is_allowed(origin: str, allowed: Allowed) -> bool:
    if allowed is None:
        return False
    if callable(allowed):
        return bool(allowed(origin))
    if isinstance(allowed, str):
        return allowed in ("*", origin)
    return any(each in ("*", origin) for each in allowed)


def _is_same(scope: MutableMapping[str, Any], origin: str) -> bool:
    """Compare hosts and ports; schemes differ behind a proxy that has ended TLS."""
    scheme, _, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme, "")
    host = field_of(scope, "host").lower()
    return bool(port and host) and (
        authority.removesuffix(port) == host.removesuffix(port)
    )


def cross_origin(
    exchange: Exchange,
    allowed: Allowed,
    *,
    credentials: bool = True,
    methods: str = "GET, POST, OPTIONS",
) -> list[tuple[str, str]]:
    """
    Return the header fields by which pages of other origins may read a response.

    Args:
        exchange: The request. If it is a preflight one (OPTIONS), fields that say what
            may be requested are among those returned; the status is up to the caller.
        allowed: As for :func:`origin_allowed`.
        credentials: Whether such pages may send cookies.
        methods: What such pages may use.

    Returns:
        None at all if the request has no Origin, or one that is not allowed.

    """
    origin = exchange.field("origin")
    if not origin:
        return []
    if not _is_allowed(origin, allowed) and not _is_same(exchange.scope, origin):
        return [("vary", "Origin")]
    if allowed == "*" and not credentials:
        fields = [("access-control-allow-origin", "*")]
    else:
        fields = [("access-control-allow-origin", origin), ("vary", "Origin")]
    if credentials:
        fields.append(("access-control-allow-credentials", "true"))
    if exchange.method == "OPTIONS":
        fields.append(("access-control-allow-methods", methods))
        asked = exchange.field("access-control-request-headers")
        if asked:
            fields.append(("access-control-allow-headers", asked))
        fields.append(("access-control-max-age", _MAX_AGE))
    return fields
