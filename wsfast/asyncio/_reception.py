"""
What a server does for its clients: opening handshakes, connections, their end.

:class:`Reception` is the half of a server that its clients meet; the other half, which
an application meets, is :class:`~wsfast.asyncio.server.Server`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import InvalidHandshake
from ..protocol.heads import Limits, parse_request
from ..protocol.http import Request, Response
from ..protocol.refusals import (
    FULL,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_HANDSHAKES,
    HandshakeErrorHook,
)
from ..protocol.server import ServerHandshake
from ._accepted import ServerConnection
from ._members import Members
from ._opening import Opening, open_at_once
from ._options import Logger

if TYPE_CHECKING:
    from ..protocol.extension_frames import Agreed
    from ..protocol.options import Options
    from ._serving import Listening
    from .link import Link
    from .listener import Listener
    from .server import Server

__all__ = ["Hook", "Reception"]

Hook = Awaitable["Response | None"] | Response | None


class Reception:
    """The half of a server that its clients meet; see ``Server``, its subclass."""

    handler: Any
    options: Options
    process_request: Callable[[ServerConnection, Request], Hook] | None
    process_response: Callable[[ServerConnection, Request, Response], Hook] | None
    on_handshake_error: HandshakeErrorHook | None
    has_hooks: bool
    server_header: str | None
    open_timeout: float | None
    max_connections: int | None
    max_pending_handshakes: int | None
    limits: Limits
    logger: Logger
    create_connection: type[ServerConnection]
    handshake: ServerHandshake
    _listening: Listening
    _listener_factory: Callable[[], Listener] | None
    _select_subprotocol: Callable[[ServerConnection, Sequence[str]], str | None] | None

    def __init__(self) -> None:
        self.closing = False
        self._asking: ServerConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections = Members()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reading: dict[Opening, None] = {}
        self._deciding: set[Opening] = set()
        self._refused: set[Opening] = set()
        self._closed: asyncio.Future[None] | None = None
        self._drain_timer: asyncio.TimerHandle | None = None

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that the server runs on."""
        return self._loop or asyncio.get_running_loop()

    def should_handle(self, request: Request) -> bool:
        """Tell whether to answer this request; for a subclass to override."""
        raise NotImplementedError

    # ---- opening handshakes ----

    def _begin(self, link: Link) -> Opening:
        opening = Opening(self, link)
        link.receiver = opening
        self._reading[opening] = None
        return opening

    def _accepted(self, link: Link, since: float, data: bytes) -> None:
        """Begin the handshake of a client that was accepted, and has sent ``data``."""
        most = self.max_connections
        full = most is not None and self._pending() + len(self._connections) >= most
        ledger = self.options.ledger
        crowded = ledger is not None and ledger.is_full()
        waits = not data or full or crowded or self.closing or self.has_hooks
        if not waits and open_at_once(self, link, data):
            return
        opening = self._begin(link)
        if self.open_timeout is not None:
            link.driver.schedule(opening, since + self.open_timeout)
        if full or crowded:
            opening.refuse(503, TOO_MANY_CONNECTIONS if full else FULL)
            return
        if data:
            opening.data_received(data)
        if self._too_many_handshakes():
            oldest = next(iter(self._reading), opening)  # or all wait for a hook
            oldest.refuse(503, TOO_MANY_HANDSHAKES)

    def _pending(self) -> int:
        """Return how many handshakes there are, those of TLS included."""
        listening = self._listening
        return len(self._reading) + len(self._deciding) + len(listening.shaking)

    def _too_many_handshakes(self) -> bool:
        most = self.max_pending_handshakes
        return most is not None and self._pending() > most

    def opening_decides(self, opening: Opening) -> None:
        """Note that the request is there, and that hooks decide about it."""
        self._reading.pop(opening, None)
        self._deciding.add(opening)

    def opening_done(self, opening: Opening, refused: bool) -> None:
        """Note that a handshake has ended; a refused client is still there."""
        self._reading.pop(opening, None)
        self._deciding.discard(opening)
        if refused:
            self._refused.add(opening)

    def opening_lost(self, opening: Opening) -> None:
        """Note that a client is gone that had no connection."""
        self._refused.discard(opening)
        if self.closing:
            self._check_closed()

    def make_connection(
        self,
        link: Link,
        request: Request,
        response: Response | None = None,
        subprotocol: str | None = None,
        deflate: Agreed = None,
    ) -> ServerConnection:
        """
        Return the connection of a client.

        Args:
            link: The way to the client.
            request: Its request.
            response: What it is answered, if that is known yet.
            subprotocol: The negotiated subprotocol, or None.
            deflate: The negotiated permessage-deflate, a `Chain`, or None.

        """
        make = self._listener_factory
        return self.create_connection(
            link,
            self.options,
            server=cast("Server", self),
            request=request,
            response=response,
            subprotocol=subprotocol,
            deflate=deflate,
            listener=None if make is None else make(),
        )

    def accept(self, connection: ServerConnection | None, request: Request) -> Response:
        """Return the response to a request; the handshake has what is agreed upon."""
        self._asking = connection
        response = self.handshake.accept(request)
        self._asking = None
        exc = self.handshake.exception
        if exc is not None and not isinstance(exc, InvalidHandshake):
            self.logger.error("select_subprotocol failed", exc_info=exc)
        return response

    def answer(self, request: Request) -> Response:
        """
        Return the response that a request got, made again.

        Without hooks it depends on the request alone, so no connection has to keep it.
        """
        handshake = self.handshake
        response = handshake.accept(parse_request(request.original_head()))
        handshake.forget()
        return response

    def _select(self, offered: Sequence[str]) -> str | None:
        assert self._select_subprotocol is not None
        assert self._asking is not None
        return self._select_subprotocol(self._asking, offered)

    def reject(self, status: int, text: str) -> Response:
        """Return a response in plain text that refuses a client."""
        return self.handshake.reject(status, text)

    def log_refusal(self, link: Link, response: Response) -> None:
        """Log in one line that a client was refused, and why."""
        text = bytes(response.body).partition(b"\n")[0].decode("utf-8", "replace")
        peer = link.get_extra_info("peername")
        self.logger.info("%s refused with %d: %s", peer, response.status_code, text)

    # ---- connections ----

    def opened(self, connection: ServerConnection, rest: bytes) -> None:
        """Run a connection that is open; ``rest`` came behind its request."""
        self._connections.add(connection)
        connection.opened()
        connection.link.start(connection, rest)
        if self._listener_factory is not None:
            return
        try:
            handler: Any = self.handler
            running = handler(connection)
            task = asyncio.ensure_future(running, loop=self._loop)
        except Exception as exc:
            connection.handler_failed(exc)
            return
        self._tasks.add(task)
        if self.options.ledger is not None:
            connection.keep_counting()
        task.add_done_callback(connection.handler_done)

    def connection_lost(self, connection: ServerConnection) -> None:
        """Note that a connection is gone."""
        self._connections.discard(connection)
        if self.closing:
            self._check_closed()

    def handler_done(self, task: asyncio.Task[Any]) -> None:
        """Note that a handler has returned."""
        self._tasks.discard(task)
        if self.closing:
            self._check_closed()

    def _is_empty(self) -> bool:
        return not (
            self._connections
            or self._tasks
            or self._reading
            or self._deciding
            or self._refused
        )

    def _check_closed(self) -> None:
        if not self.closing or not self._is_empty():
            return
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
            self.logger.info("server closed")
