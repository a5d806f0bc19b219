"""The opening handshake of one client, in the thread of that client (RFC 6455 §4.2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosed, InvalidHandshake
from ..protocol.heads import HeadError, HeadReader, parse_request
from ..protocol.refusals import (
    FAILED,
    NO_WEBSOCKET,
    SHUTTING_DOWN,
    TIMED_OUT,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_HANDSHAKES,
    ask_about,
    checked,
    refused,
    timed_out,
)
from ._sockets import Deadline
from ._stream import SocketStream, Stream, TLSStream

if TYPE_CHECKING:
    from socket import socket

    from ..protocol.http import Request, Response
    from .server import Server, ServerConnection

__all__ = ["handle"]


def handle(server: Server, sock: socket) -> None:
    """
    Serve one client to its end: handshake, handler, closing handshake.

    Args:
        server: The server that has accepted it.
        sock: Its socket.

    """
    deadline = Deadline(server.open_timeout)
    try:
        connection = _open(server, sock, deadline)
    except (OSError, EOFError) as exc:  # gone, too late, or TLS has failed
        server.logger.info("opening handshake failed: %s", exc)
        return
    except Exception as exc:
        server.logger.error("opening handshake failed", exc_info=exc)
        return
    if connection is None:
        return
    code = 1000
    try:
        server.handler(connection)
    except ConnectionClosed:
        code = 1011
    except Exception as exc:
        code = 1011
        connection.logger.error("connection handler failed", exc_info=exc)
    except BaseException:
        connection.start_closing(1011)
        raise
    connection.close(code)


def _open(server: Server, sock: socket, deadline: Deadline) -> ServerConnection | None:
    """Return the open connection; None if the client was refused."""
    try:
        below = SocketStream(sock)
    except BaseException:
        sock.close()
        raise
    server.opening_begins(below)
    try:
        stream: Stream = below
        stream.settimeout(deadline.left())
        if server.ssl is not None:
            stream = tls = TLSStream(below, server.ssl, server_side=True)
            tls.do_handshake(deadline.left)
        return _Opening(server, below, stream, deadline).run()
    except BaseException:
        sock.close()
        raise
    finally:
        server.opening_ends(below)


class _Opening:
    """
    A handshake.

    Args:
        server: What is connected to.
        below: The way to the client, without TLS.
        stream: The same, with TLS if there is any.
        deadline: When it has to be done.

    """

    def __init__(
        self, server: Server, below: Stream, stream: Stream, deadline: Deadline
    ) -> None:
        self.server = server
        self.below = below
        self.stream = stream
        self.deadline = deadline
        self.handshake = server.make_handshake(self._select)
        self.request: Request | None = None
        self.connection: ServerConnection

    def _select(self, offered: Sequence[str]) -> str | None:
        assert self.server.select_subprotocol is not None
        return self.server.select_subprotocol(self.connection, offered)

    def run(self) -> ServerConnection | None:
        """Read the request and answer it; return the connection if it is accepted."""
        reader = HeadReader(self.server.limits)
        try:
            if not self._read_request(reader):
                closing = self.server.closing
                text = SHUTTING_DOWN if closing else TOO_MANY_HANDSHAKES
                return self._refuse(self._no(503, text))
            self.request = request = parse_request(reader.head)
        except HeadError as exc:
            return self._refuse(self._no(exc.code, f"{exc}.\n", exc))
        except TimeoutError:
            return self._refuse(self._no(408, TIMED_OUT, timed_out()))
        try:
            response = self._response(request)
            if response.status_code != 101:
                return self._refuse(response)
            return self._accept(response, reader.rest)
        finally:
            self.server.leave_place(self)

    def _read_request(self, reader: HeadReader) -> bool:
        """Read the head of the request; False if the server does not wait for it."""
        while True:
            self.stream.settimeout(self.deadline.left())
            data = self.stream.recv()
            if data and not reader.feed(data):
                continue
            if data is not None:
                waited = self.server.opening_decides(self.below)
                if waited and not data:
                    raise EOFError("connection closed before the request")
                return waited

    def _response(self, request: Request) -> Response:
        """Return what to answer, having asked the hooks of the application."""
        server, handshake = self.server, self.handshake
        if not server.should_handle(request):
            return self._no(404, NO_WEBSOCKET)
        if not server.take_place(self):
            return self._no(503, TOO_MANY_CONNECTIONS)
        try:
            connection = server.create_connection(self.stream, server, request)
        except Exception as exc:
            return self._failed("create_connection", exc)
        self.connection = connection
        response: Response | None = None
        if server.process_request is not None:
            response = self._ask("process_request", connection, request)
        if response is None:
            response = handshake.accept(request)
            why = handshake.exception
            if why is not None:
                if not isinstance(why, InvalidHandshake):
                    server.logger.error("select_subprotocol failed", exc_info=why)
                response = self._ask_about(why, response)
        elif server.server_header is not None:
            response.headers["Server"] = server.server_header
        if server.process_response is not None:
            other = self._ask("process_response", connection, request, response)
            response = other or response
        if response.status_code == 101 and server.closing:
            return self._no(503, SHUTTING_DOWN)
        return response

    def _ask(self, name: str, *args: Any) -> Response | None:
        hook: Callable[..., Response | None] = getattr(self.server, name)
        try:
            return checked(hook(*args))
        except Exception as exc:
            return self._failed(name, exc)

    def _failed(self, name: str, exc: Exception) -> Response:
        self.server.logger.error("%s failed", name, exc_info=exc)
        return self._ask_about(exc, self.handshake.reject(500, FAILED))

    def _no(self, status: int, text: str, error: Exception | None = None) -> Response:
        """Return the response that refuses the client, for a reason of ours."""
        if error is None:
            error = refused(status, text)
        return self._ask_about(error, self.handshake.reject(status, text))

    def _ask_about(self, error: Exception, response: Response) -> Response:
        server = self.server
        return ask_about(
            server.on_handshake_error, error, self.request, response, server.logger
        )

    def _accept(self, response: Response, rest: bytes) -> ServerConnection | None:
        connection, handshake = self.connection, self.handshake
        try:
            octets = response.serialize()
        except Exception as exc:  # what the application gave cannot be sent
            return self._refuse(self._failed("response", exc))
        self.stream.settimeout(self.deadline.left())
        self.stream.send(octets)
        self.stream.settimeout(None)
        connection.accepted(response, handshake.subprotocol, handshake.deflate)
        self.server.opened(connection, self)
        connection.opened(rest)
        self.server.close_if_late(connection)
        return connection

    def _refuse(self, response: Response) -> ServerConnection | None:
        """Answer with a refusal, and end the stream so that it can be read."""
        try:
            octets = response.serialize()
        except Exception as exc:
            response = self._failed("response", exc)
            octets = response.serialize()
        text = bytes(response.body).partition(b"\n")[0].decode("utf-8", "replace")
        self.server.logger.info("refused with %d: %s", response.status_code, text)
        stream = self.stream
        with contextlib.suppress(OSError):
            deadline = Deadline(1.0)
            stream.settimeout(1.0)
            stream.send(octets)
            stream.end()
            while stream.recv() != b"":  # or the answer would be cut off with it
                stream.settimeout(deadline.left())
        stream.close()
        return None
