"""
The opening handshake of one client, as a server sees it (RFC 6455 §4.2).

It lives from the accepted connection to the response, on whatever link the octets come:
it reads a bounded head, asks the hooks of the server, and answers. Unless a hook is a
coroutine, that takes neither a task nor a future.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..protocol.heads import HeadError, HeadReader, parse_request, whole_head
from ..protocol.refusals import (
    FAILED,
    NO_WEBSOCKET,
    SHUTTING_DOWN,
    TIMED_OUT,
    ask_about,
    checked,
    name_of,
    refused,
    timed_out,
)

if TYPE_CHECKING:
    from ..protocol.extension_frames import Agreed
    from ..protocol.http import Request, Response
    from ._accepted import ServerConnection
    from ._reception import Reception
    from .link import Link

__all__ = ["Opening", "open_at_once"]

#: Octets that a client may send behind its request before it is answered.
MAX_REST = 64 * 1024

TOO_EARLY = "Too many octets before the response.\n"


def open_at_once(server: Reception, link: Link, data: bytes) -> bool:
    """
    Open the connection of a client whose request is here already, if all is well.

    Args:
        server: What is connected to; it has no hooks, and room for the client.
        link: The way to the client.
        data: What it has sent so far.

    Returns:
        False, with nothing done, for a handshake that has to take its course.

    """
    end = whole_head(data, server.limits)
    if end == 0:
        return False
    try:
        request = parse_request(data[:end])
    except HeadError:
        return False
    if not server.should_handle(request):
        return False
    response = server.accept(None, request)
    if response.status_code != 101:
        return False
    agreed = server.handshake
    try:
        connection = server.make_connection(
            link, request, response, agreed.subprotocol, agreed.deflate
        )
    except Exception as exc:
        Opening(server, link).fail("create_connection", exc)
        return True
    link.write(response.serialize())
    server.opened(connection, data[end:])
    return True


class Opening:
    """
    The handshake of one client.

    Args:
        server: What is connected to.
        link: The way to the client.

    """

    __slots__ = (
        "connection",
        "deflate",
        "done",
        "link",
        "reader",
        "request",
        "response",
        "rest",
        "server",
        "subprotocol",
        "task",
        "timer_index",
        "timer_slot",
    )

    def __init__(self, server: Reception, link: Link) -> None:
        self.timer_slot = 0
        self.timer_index = 0
        self.server = server
        self.link = link
        self.reader: HeadReader | None = HeadReader(server.limits)
        self.request: Request | None = None
        self.connection: ServerConnection | None = None
        self.response: Response | None = None
        self.subprotocol: str | None = None
        self.deflate: Agreed = None
        self.rest = b""
        self.task: asyncio.Task[None] | None = None
        self.done = False

    # ---- what the link and the driver call ----

    def data_received(self, data: bytes) -> None:
        """Take the next octets of the client."""
        reader = self.reader
        if self.done:
            return
        if reader is None:  # a hook is at work
            self.rest += data
            if len(self.rest) > MAX_REST:
                self.refuse(400, TOO_EARLY)
            return
        try:
            if not reader.feed(data):
                return
            request = parse_request(reader.head)
        except HeadError as exc:
            self.refuse(exc.code, f"{exc}.\n", exc)
            return
        self.request_received(request, reader.rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, who has gone."""
        if not self.done:
            self._finish(refused=False)
        self.link.driver.cancel(self)
        self.server.opening_lost(self)

    def on_timer(self, now: float) -> float:
        """Refuse a client that takes too long, or whose hook does."""
        if not self.done:
            if self.task is not None:
                self.task.cancel()
                self._time_out(503)
            else:
                self._time_out(408)
        else:  # it was refused, and does not read why
            self.link.abort()
        return 0.0

    # ---- the steps ----

    def request_received(self, request: Request, rest: bytes) -> None:
        """
        Answer a request.

        Args:
            request: A request whose head is well formed.
            rest: Octets that came behind it.

        """
        server = self.server
        self.reader = None
        self.request = request
        self.rest = rest
        if not server.should_handle(request):
            self.refuse(404, NO_WEBSOCKET)
        elif not server.has_hooks:
            self._respond(None)
        elif len(rest) > MAX_REST:
            self.refuse(400, TOO_EARLY)
        else:
            server.opening_decides(self)
            try:
                self.connection = server.make_connection(self.link, request)
            except Exception as exc:
                self.fail("create_connection", exc)
                return
            if server.process_request is None:
                self._respond(None)
            else:
                self._ask(
                    self._respond, server.process_request, self.connection, request
                )

    def _respond(self, response: Response | None) -> None:
        """Go on with the response that ``process_request`` gave, if any."""
        server = self.server
        request = self.request
        assert request is not None
        if response is None:
            response = server.accept(self.connection, request)
            agreed = server.handshake
            self.subprotocol = agreed.subprotocol
            self.deflate = agreed.deflate
            if agreed.exception is not None:
                response = self._ask_about(agreed.exception, response)
        elif server.server_header is not None:
            response.headers["Server"] = server.server_header
        if server.process_response is None:
            self._answer(response)
            return
        self.response = response
        self._ask(
            self._process, server.process_response, self.connection, request, response
        )

    def _process(self, response: Response | None) -> None:
        """Go on with the response that ``process_response`` gave, if any."""
        assert self.response is not None
        self._answer(self.response if response is None else response)

    def _answer(self, response: Response) -> None:
        """Send the response, and open the connection if it says so."""
        if self.done:
            return
        server = self.server
        if response.status_code != 101:
            self._refuse(response)
        elif server.closing:
            self.refuse(503, SHUTTING_DOWN)
        else:
            self._open(response)

    def _open(self, response: Response) -> None:
        server = self.server
        request = self.request
        assert request is not None
        try:
            octets = response.serialize()
            connection = self.connection
            if connection is not None:
                connection.accepted(response, self.subprotocol, self.deflate)
            else:
                connection = server.make_connection(
                    self.link, request, response, self.subprotocol, self.deflate
                )
        except Exception as exc:
            self.fail("create_connection", exc)
            return
        self._finish(refused=False)
        self.link.write(octets)
        server.opened(connection, self.rest)

    # ---- hooks ----

    def _ask(
        self,
        then: Callable[[Response | None], None],
        hook: Callable[..., Any],
        *args: Any,
    ) -> None:
        """Call a hook; go on with what it returns, at once or from a task."""
        try:
            result = hook(*args)
            waits = isinstance(result, Awaitable)
            response = None if waits else checked(result)
        except Exception as exc:
            waits, response = False, self._failure(name_of(hook), exc)
        if waits:
            self.task = self.server.get_loop().create_task(
                self._wait(then, result, name_of(hook))
            )
        else:
            then(response)

    async def _wait(
        self,
        then: Callable[[Response | None], None],
        result: Awaitable[Response | None],
        name: str,
    ) -> None:
        response: Response | None
        try:
            response = checked(await result)
        except Exception as exc:
            response = self._failure(name, exc)
        self.task = None
        if not self.done:
            then(response)

    def _failure(self, name: str, exc: Exception) -> Response:
        self.server.logger.error("%s failed", name, exc_info=exc)
        return self._ask_about(exc, self.server.reject(500, FAILED))

    # ---- refusing ----

    def fail(self, name: str, exc: Exception) -> None:
        """Answer with status 500, because what is named here raised, and log it."""
        self.link.receiver = self
        self._refuse(self._failure(name, exc))

    def refuse(self, status: int, text: str, error: Exception | None = None) -> None:
        """
        Answer with an error of ours, and end the stream.

        Args:
            status: HTTP status.
            text: Body of the response.
            error: Why, if more is known than that.

        """
        if self.done:
            return
        if error is None:
            error = refused(status, text)
        self._refuse(self._ask_about(error, self.server.reject(status, text)))

    def _time_out(self, status: int) -> None:
        self.refuse(status, TIMED_OUT, timed_out(status))

    def _ask_about(self, error: Exception, response: Response) -> Response:
        """Have ``on_handshake_error`` replace a response that refuses, if it wants."""
        server = self.server
        return ask_about(
            server.on_handshake_error, error, self.request, response, server.logger
        )

    def _refuse(self, response: Response) -> None:
        if self.done:
            return
        try:
            octets = response.serialize()
        except Exception as exc:  # what the application gave cannot be sent
            response = self._failure("response", exc)
            octets = response.serialize()
        self._finish(refused=True)
        self.server.log_refusal(self.link, response)
        self.link.write(octets)
        self.link.close()

    def abort(self) -> None:
        """End the stream at once, without an answer."""
        if self.task is not None:
            self.task.cancel()
        self.link.abort()

    def _finish(self, *, refused: bool) -> None:
        self.done = True
        self.reader = None
        driver = self.link.driver
        driver.cancel(self)
        timeout = self.server.options.close_timeout
        if refused and timeout >= 0:
            driver.schedule(self, driver.time() + timeout)
        self.server.opening_done(self, refused)
