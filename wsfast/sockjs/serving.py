"""A server of its own for SockJS: HTTP and WebSockets on one port, nothing between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..asgi.exchange import origin_allowed
from ..asgi.http import scope_of
from ..asyncio.server import Server as WebSocketServer
from ..engine import decode_sockjs
from ..exceptions import InvalidHeaderFormat
from ..protocol.closing import CloseCode
from ..protocol.headers import parse_connection
from . import _pages as pages
from ._http import Client, DirectExchange, date_line, encode_head, joined

if TYPE_CHECKING:
    from ..asyncio._accepted import ServerConnection
    from ..asyncio.link import Link
    from ..protocol.http import Request
    from ._polled import PolledSession
    from .server import SockJS

__all__ = ["Server", "serve"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(?=[0-9])", re.IGNORECASE)


class Server(WebSocketServer):
    """
    A server of one SockJS service, or of several; :func:`serve` is its other name.

    It speaks HTTP/1.1 and WebSocket on one port, on the reactor where that is possible:
    a frame that streams goes from ``send()`` to the socket without an ASGI server, a
    task or a queue between. What is not SockJS is answered with 404.

    Args:
        services: A :class:`SockJS`, or several with prefixes of their own.
        args: Host and port.
        keep_alive: Seconds for which a connection is kept between two requests.
        request_timeout: Seconds that the body of a request may take to come; None for
            ever. Its head has ``open_timeout``.
        kwargs: Arguments of :func:`wsfast.serve`, but hooks of the opening handshake,
            ``path`` and ``origins``: a service has them. ``max_size`` is the services'.

    """

    def __init__(
        self,
        services: SockJS | Iterable[SockJS],
        *args: Any,
        keep_alive: float = 20.0,
        request_timeout: float | None = 60.0,
        **kwargs: Any,
    ) -> None:
        several = services if isinstance(services, Iterable) else (services,)
        # The longest prefix first: one may be within another.
        self.services: Sequence[SockJS] = sorted(
            several, key=lambda each: len(each.options.prefix), reverse=True
        )
        if not self.services:
            raise ValueError("there is no service to serve")
        self.max_body = max(each.options.max_size for each in self.services)
        kwargs.setdefault("max_size", self.max_body)
        super().__init__(self._serve_socket, *args, **kwargs)
        if self.has_hooks or self.path is not None:
            raise ValueError("services of SockJS have no hooks and no other path")
        self.keep_alive = keep_alive
        self.request_timeout = request_timeout
        timeout = self.options.close_timeout
        self.linger = timeout if timeout >= 0 else 60.0
        self.scheme = "http" if self._listening.where.ssl is None else "https"
        self.fresh: dict[Client, None] = {}
        self._clients: set[Client] = set()

    # ---- clients ----

    def _accepted(self, link: Link, since: float, data: bytes) -> None:
        """Serve a client that was accepted, and has sent ``data``."""
        most = self.max_connections
        count = self._pending() + len(self._connections) + len(self._clients)
        ledger = self.options.ledger
        crowded = ledger is not None and ledger.is_full()
        if self.closing or crowded or (most is not None and count >= most):
            self._refuse_link(link, since)
            return
        client = Client(self, link, since)
        link.receiver = client
        self._clients.add(client)
        self.fresh[client] = None
        if data:
            client.data_received(data)
        most = self.max_pending_handshakes
        if most is not None and self._pending() + len(self.fresh) > most:
            oldest = next(iter(self.fresh), None)
            if oldest is not None:
                oldest.refuse(503, "Too many clients without a request.\n")

    def _refuse_link(self, link: Link, since: float) -> None:
        opening = self._begin(link)
        if self.open_timeout is not None:
            link.driver.schedule(opening, since + self.open_timeout)
        opening.refuse(503, "Too many connections.\n")

    def client_lost(self, client: Client) -> None:
        """Note that a client is gone."""
        self._clients.discard(client)
        self.fresh.pop(client, None)
        if self.closing:
            self._check_closed()

    def _is_empty(self) -> bool:
        return not self._clients and super()._is_empty()

    def close(
        self,
        close_connections: bool = True,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Accept no more clients, and end the sessions; see :func:`wsfast.serve`."""
        if self.closing:
            return
        if close_connections:
            for service in self.services:
                service.end_sessions()
        super().close(close_connections, code, reason)
        for client in [*self._clients]:
            if client.exchange is None:
                client.close()

    def abort(self) -> None:
        """Close without waiting; see :func:`wsfast.serve`."""
        super().abort()
        for client in [*self._clients]:
            client.link.abort()

    async def wait_closed(self) -> None:
        """Wait until every client is gone, and every handler done."""
        await super().wait_closed()
        await asyncio.gather(*(service.close() for service in self.services))
        for service in self.services:  # nobody can come and ask any more
            service.forget_sessions()

    # ---- requests ----

    def service_of(self, path: str) -> SockJS | None:
        """Return the service that a path, decoded, belongs to."""
        for service in self.services:
            prefix = service.options.prefix
            if path.startswith(prefix) and path[len(prefix) :][:1] in ("", "/"):
                return service
        return None

    def is_opening(self, request: Request) -> bool:
        """Tell whether a request is the opening handshake of a WebSocket of ours."""
        fields = request._fields or {}
        if request.method != "GET" or not _is_upgrade(fields):
            return False
        return self._refusal(request) == 0

    def _refusal(self, request: Request) -> int:
        """Return the status that refuses a WebSocket, 0 for none."""
        scope = scope_of(request, "")
        service = self.service_of(scope["path"])
        if service is None or service.kind_of_socket(scope) is None:
            return 404
        if service.closing or self.closing:
            return 503
        return 0 if origin_allowed(scope, service.options.cors) else 403

    def upgrade(self, client: Client, data: bytes, since: float) -> None:
        """Have a client's handshake, which has come, answered as every other is."""
        self._clients.discard(client)
        self.fresh.pop(client, None)
        client.link.receiver = None
        super()._accepted(client.link, since, data)

    def take(self, client: Client, data: bytes) -> bool:
        """Take a request that is as the client's last one; False if it is not."""
        known: Known | None = client.known
        return known is not None and not self.closing and known.take(client, data)

    def requested(self, client: Client, request: Request, body: bytes) -> None:
        """Answer a request that is complete."""
        scope = client.scope_of(request)
        if scope is None:
            client.refuse(400, "Malformed request target.\n")
            return
        exchange = DirectExchange(client, scope, body)
        client.exchange = exchange
        service = self.service_of(scope["path"])
        refused = 0
        if request.method == "GET" and _is_upgrade(request._fields or {}):
            refused = self._refusal(request)
        if service is None or (refused and refused != 404):
            answering = exchange.respond(
                refused or 404,
                pages.NOT_FOUND if service is None else b"",
                [pages.PLAIN],
            )
        else:
            client.known = Known.of(self, service, exchange, request.original_head())
            answering = service.answer(exchange)
        self._spawn(self._answer(exchange, answering))

    def _spawn(self, running: Coroutine[Any, Any, Any]) -> None:
        task = self.get_loop().create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self.handler_done)

    async def _answer(
        self, exchange: DirectExchange, answering: Coroutine[Any, Any, None]
    ) -> None:
        """Have a request answered; whatever fails, its client learns of it."""
        client = exchange.client
        try:
            await answering
        except Exception as exc:
            self.logger.error("request failed", exc_info=exc)
            if client.exchange is exchange and not exchange.started:
                await exchange.respond(500, b"Internal server error.\n", [pages.PLAIN])
        finally:
            if client.exchange is exchange and client.streaming is None:
                client.link.abort()  # half a response

    # ---- WebSockets ----

    def make_connection(self, link: Link, request: Request, *rest: Any) -> Any:
        """Return the connection of a client, with the limit of its service."""
        connection = super().make_connection(link, request, *rest)
        service = self.service_of(scope_of(request, "")["path"])
        if service is not None:
            limit, given = service.options.max_size, connection.options.max_size
            if given < 0 or given > limit:
                connection.parser.max_size = limit
        return connection

    async def _serve_socket(self, connection: ServerConnection) -> None:
        """Serve the session that a WebSocket is."""
        assert connection.request is not None
        scope = scope_of(connection.request, "")
        scope["scheme"] = "wss" if self.scheme == "https" else "ws"
        scope["client"], scope["server"] = (
            address[:2] if isinstance(address, tuple) else None
            for address in (connection.remote_address, connection.local_address)
        )
        service = self.service_of(scope["path"])
        kind = None if service is None else service.kind_of_socket(scope)
        if service is not None and kind is not None:
            await service.serve_socket(kind, scope, connection)


class Known:
    """
    What is known of a client that sends its messages by the same request each time.

    All that differs from one to the next is the body, and its length in the head.

    Args:
        server: The server.
        service: The service that it uses.
        key: Identifier of the session.
        head: Of the request.
        length: Where in it the length is.
        fields: Header fields of the answer.

    """

    __slots__ = ("_after", "_before", "_head", "_key", "_server", "_service")

    #: As of a request, for :class:`Client`.
    http_version = "1.1"

    def __init__(
        self,
        server: Server,
        service: SockJS,
        key: str,
        head: bytes,
        length: tuple[int, int],
        fields: list[tuple[str, str]],
    ) -> None:
        self._server = server
        self._service = service
        self._key = key
        self._before = head[: length[0]]
        self._after = head[length[1] :]
        self._head = encode_head(204, fields)

    @classmethod
    def of(
        cls, server: Server, service: SockJS, exchange: DirectExchange, head: bytes
    ) -> Known | None:
        """Return what is known from a request on; None if the next may be different."""
        options = service.options
        if (
            exchange.method != "POST"
            or exchange.http_version != "1.1"
            or callable(options.cors)
            or callable(options.jsessionid)
            or not origin_allowed(exchange.scope, options.cors)
            or exchange.field("expect")
            or "close" in exchange.field("connection").lower()
        ):
            return None
        key = service.session_brought_to(exchange)
        found = _LENGTH.search(head)
        if key is None or found is None:
            return None
        fields = [pages.PLAIN, *service.fields_of(exchange, True)]
        length = found.end(), head.index(b"\r\n", found.end())
        return cls(server, service, key, head, length, fields)

    def take(self, client: Client, data: bytes) -> bool:
        """Take a request if it is one of these, whole, and nothing is wrong with it."""
        before = self._before
        if not data.startswith(before):
            return False
        start = len(before)
        end = data.find(b"\r\n", start, start + 20)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(self._after, end):
            return False
        start = end + len(self._after)
        size = int(length)
        if len(data) != start + size or size > self._service.options.max_size:
            return False
        session = self._service.polled(self._key)
        if session is None:
            return False
        full = session.is_full
        if full:
            return False
        try:
            found = decode_sockjs(data[start:])
        except ValueError:
            return False
        client.exchange = self
        session.feed(found)
        if session.is_full:
            self._server._spawn(self._wait(client, session))
        else:
            self._confirm(client)
        return True

    async def _wait(self, client: Client, session: PolledSession) -> None:
        """Answer when there is room for more messages."""
        await session.room()
        if client.exchange is self:
            self._confirm(client)

    def _confirm(self, client: Client) -> None:
        client.write(self._head + date_line() + b"\r\n")
        client.exchange = None
        client.done()


def serve(services: SockJS | Iterable[SockJS], *args: Any, **kwargs: Any) -> Server:
    """Return a server for services of SockJS; see :class:`Server`."""
    return Server(services, *args, **kwargs)


def _is_upgrade(fields: dict[bytes, Any]) -> bool:
    """Tell whether header fields ask for a WebSocket (RFC 6455 §4.2.1)."""
    if joined(fields.get(b"upgrade")).strip() != b"websocket":
        return False
    try:
        options = parse_connection(joined(fields.get(b"connection")).decode("latin-1"))
    except InvalidHeaderFormat:
        return False
    return "upgrade" in options
