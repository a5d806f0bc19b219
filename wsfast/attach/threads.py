"""A WebSocket for threads, and greenlets: WSGI, sockets, clients."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosed, ConnectionClosedError, HandshakeTimeout
from ..protocol.headers import HeadersLike
from ..protocol.heads import HeadError, HeadReader, parse_request
from ..sync._sockets import Deadline
from ..sync.client import connect
from ..sync.connection import Connection
from ._streams import stream_of
from .events import OPEN, TAKEN, Target
from .requests import request_of, url_of_environ
from .terms import Terms, names_of
from .wsgi import Taken, socket_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..protocol.http import Request, Response
    from ..sync._stream import Stream

__all__ = ["SyncWebSocket"]


class SyncWebSocket(Target):
    """
    A WebSocket for threads; made by its class methods.

    It has what :class:`WebSocket` has, and waits where that is awaited: ``run()`` calls
    the callbacks until the end, ``for message in ws`` ends with the connection, however
    that ends, ``with ws`` closes it. Any number of threads may send.
    """

    def __init__(self, host: Any) -> None:
        Target.__init__(self, host.url, host.logger, host.client)
        self._host = host
        self._opening = threading.RLock()

    @classmethod
    def from_wsgi(
        cls,
        environ: Mapping[str, Any],
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return the WebSocket of a WSGI application.

        The application has to return what :meth:`response` does.

        Args:
            environ: What the server calls the application with.
            protocols: Subprotocols supported, best first; or one.
            headers: Header fields to add to the response.
            options: As for :meth:`WebSocket.from_asyncio`.

        Raises:
            TypeError, ValueError: As for that.

        """
        return cls(_WsgiHost(environ, Terms(protocols, headers, **_patient(options))))

    @classmethod
    def from_socket(
        cls,
        sock: socket.socket,
        head: bytes = b"",
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return the WebSocket of a client who has connected to a socket.

        Args:
            sock: The connected socket; TLS may be on it. It is ours from now on.
            head: What was read of it already, from the request's first octet.
            protocols: Subprotocols supported, best first; or one.
            headers: Header fields to add to the response.
            options: As for :meth:`WebSocket.from_asyncio`.

        Raises:
            TypeError, ValueError: As for that.

        """
        terms = Terms(protocols, headers, **_patient(options))
        return cls(_SocketHost(sock, head, terms))

    @classmethod
    def client(
        cls,
        url: str,
        protocols: str | Iterable[str] | None = None,
        *,
        headers: HeadersLike | None = None,
        **options: Any,
    ) -> Self:
        """
        Return a WebSocket that connects to a server.

        Args:
            url: With scheme ws, wss, http or https.
            protocols: Subprotocols to offer, best first; or one.
            headers: Header fields to add to the request.
            options: Those of :func:`wsfast.sync.connect`.

        """
        if protocols is not None:
            options["subprotocols"] = names_of(protocols)
        return cls(_ClientHost(url, headers, options))

    # ---- opening ----

    def open(self) -> None:
        """
        Open it, unless it has been opened.

        Raises:
            InvalidHandshake: The client is refused, or the server refuses.
            OSError: The other side cannot be reached, or is gone.
            RuntimeError: The WSGI server does not let us have its socket.

        """
        with self._opening:
            if self._connection is not None:
                return
            if self._failure is not None:
                raise ConnectionClosedError(None, None) from self._failure
            try:
                connection = self._host.open(self)
            except BaseException as exc:
                self._ended(exc)
                raise
            try:
                while self._waiting:
                    message, text, compress = self._waiting.popleft()
                    connection.send(message, text, compress=compress)
            except ConnectionClosed as exc:
                self._connection = connection
                self._ended(exc)
                return
            self._waiting_size = 0
            self._connection = connection
        if self._end is not None:
            connection.start_closing(*self._end)
        self._answer("on_open")

    def _answer(self, name: str, *arguments: Any) -> None:
        """Call a callback, and end the connection if it fails."""
        callback = getattr(self, name)
        if callback is None:
            return
        try:
            callback(self, *arguments)
        except ConnectionClosed:
            pass  # it ended meanwhile
        except Exception as exc:
            self.logger.error("connection handler failed", exc_info=exc)
            self._connection.start_closing(1011)

    def refused(self, response: Response) -> None:
        """Note how a client was refused; for the host."""
        self._response = response

    # ---- messages ----

    def send(
        self, message: Any, text: bool | None = None, *, compress: bool | None = None
    ) -> None:
        """
        Send a message, or have it wait until the WebSocket is open.

        Args:
            message: ``str`` for a text message, octets for a binary one.
            text: True to send octets as text, False to send ``str`` as binary.
            compress: Whether to compress it, if that was negotiated.

        Raises:
            ConnectionClosed: It was closed.
            OverflowError: Too much waits for it to open.

        """
        if self._connection is None:
            with self._opening:
                if self._connection is None:
                    self._wait(message, text, compress)
                    return
        self._connection.send(message, text, compress=compress)

    def recv(self, timeout: float | None = None) -> str | bytes:
        """
        Receive a message.

        Args:
            timeout: Seconds to wait for it; None to wait for ever.

        Raises:
            TimeoutError: There is none yet.
            ConnectionClosed: It has ended.
            RuntimeError: There is ``on_message``, which takes the messages.

        """
        if self.on_message is not None:
            raise RuntimeError(TAKEN)
        return self._next(timeout)

    def _next(self, timeout: float | None = None) -> str | bytes:
        if self._connection is None:
            self.open()
        try:
            message: str | bytes = self._connection.recv(timeout)
        except ConnectionClosed as exc:
            self._ended(exc)
            raise
        return message

    def __iter__(self) -> Iterator[str | bytes]:
        if self._refused():
            return
        while True:
            try:
                message = self.recv()
            except ConnectionClosed:
                return
            yield message

    def _refused(self) -> bool:
        """Open it; tell whether that is refused in a way that the host answers."""
        try:
            self.open()
        except Exception:
            if self._response is None or not self._host.answers:
                raise
            return True
        return False

    def run(self) -> None:
        """
        Call the callbacks until the end.

        Raises:
            InvalidHandshake, OSError: As :meth:`open`.

        """
        if self._refused():
            return
        try:
            while True:
                self._answer("on_message", self._next())
        except ConnectionClosed:
            return

    def ping(
        self,
        data: str | bytes | None = None,
        callback: Callable[[], object] | None = None,
    ) -> bool:
        """
        Send a ping (RFC 6455 §5.5.2).

        Args:
            data: Payload, at most 125 octets; random by default.
            callback: Called when its pong has arrived, in a thread of its own.

        Returns:
            False if it is not open.

        Raises:
            ConcurrencyError: A ping with this payload waits for its pong.

        """
        if self.ready_state != OPEN:
            return False
        try:
            pong = self._connection.ping(data)
        except ConnectionClosed:
            return False
        if callback is not None:
            threading.Thread(
                target=_when_answered, args=(pong, callback), daemon=True
            ).start()
        return True

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close it, and wait until it is closed; before it is open, as soon as it is.

        Args:
            code: Close code.
            reason: Close reason, at most 123 octets of UTF-8.

        """
        if self._connection is None:
            if self._end is None:
                self._end = code, reason
            return
        self._connection.close(code, reason)
        self._ended(self._connection.closed_error())

    def response(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """
        Return what the WSGI application has to return; closes the connection.

        It is a WSGI application itself: one that answers a client who was refused, and
        that otherwise ends the server's interest in its socket.

        Args:
            environ: What the server has called the application with.
            start_response: The same.

        """
        if self._connection is None and not self._refused():
            self.close()
        refusal = self._response
        if refusal is not None:
            status = f"{refusal.status_code} {refusal.reason_phrase}"
            fields = [
                field
                for field in refusal.headers.raw_items()
                if field[0].lower() not in ("connection", "server", "date")
            ]
            start_response(status, fields)
            return [bytes(refusal.body)]
        self.close()
        start_response("101 Switching Protocols", [])  # for its log; it is not sent
        return Taken()

    def __enter__(self) -> Self:
        self._refused()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        gone = isinstance(exc_value, ConnectionClosed)
        if self._connection is not None:
            self.close(1000 if exc_type is None or gone else 1011)
        return gone


def _when_answered(pong: threading.Event, callback: Callable[[], object]) -> None:
    if pong.wait():
        callback()


def _patient(options: dict[str, Any]) -> dict[str, Any]:
    """Return options for a ``send()`` that waits, as it does in threads."""
    return {"overflow": "wait", **options}


class _Host:
    """
    A host that has the stream of a client.

    Args:
        terms: What is agreed to.

    Attributes:
        answers: It answers a client who is refused.

    """

    client = False
    answers = False

    def __init__(self, url: str, terms: Terms) -> None:
        self.url = url
        self.terms = terms
        self.logger = terms.logger

    def _accept(
        self, stream: Stream, request: Request, response: Response, rest: bytes
    ) -> Connection:
        terms = self.terms
        connection = Connection(
            stream, terms.options, **terms.connection_arguments(request, response)
        )
        stream.settimeout(terms.open_timeout)
        stream.send(response.serialize())
        stream.settimeout(None)
        connection.opened(rest)
        return connection


class _WsgiHost(_Host):
    """
    A WSGI server that lets us have its socket.

    Args:
        environ: What it calls the application with.
        terms: What is agreed to.

    """

    answers = True

    def __init__(self, environ: Mapping[str, Any], terms: Terms) -> None:
        super().__init__(url_of_environ(environ), terms)
        self._environ = environ

    def open(self, ws: SyncWebSocket) -> Connection:
        """Answer the request; leave a refusal to the server."""
        try:
            request = request_of(self._environ)
        except HeadError as exc:
            ws.refused(self.terms.refuse(exc))
            raise
        response = self.terms.answer(request)
        if response.status_code != 101:
            ws.refused(response)
            raise self.terms.why()
        sock, rest = socket_of(self._environ)
        return self._accept(stream_of(sock), request, response, rest)


class _SocketHost(_Host):
    """
    A connected socket.

    Args:
        sock: The socket.
        head: Octets that were read of it.
        terms: What is agreed to.

    """

    def __init__(self, sock: socket.socket, head: bytes, terms: Terms) -> None:
        super().__init__("", terms)
        self._socket = sock
        self._head = head

    def open(self, ws: SyncWebSocket) -> Connection:
        """Read the request, and answer it."""
        stream = stream_of(self._socket, owned=True)
        try:
            return self._open(ws, stream)
        except BaseException:
            stream.close()
            raise

    def _open(self, ws: SyncWebSocket, stream: Stream) -> Connection:
        terms = self.terms
        head = HeadReader(terms.limits)
        deadline = Deadline(terms.open_timeout)
        data: bytes | None = self._head
        try:
            while not (data and head.feed(data)):
                stream.settimeout(deadline.left())
                data = stream.recv()
                if data == b"":
                    raise ConnectionResetError("the client left before its request")
            request = parse_request(head.head)
        except (HeadError, TimeoutError) as exc:
            self._refuse(ws, stream, terms.refuse(exc))
            if isinstance(exc, HeadError):
                raise
            raise HandshakeTimeout("timed out during opening handshake") from exc
        secure = "s" if hasattr(self._socket, "cipher") else ""
        ws.url = f"ws{secure}://{request.headers.get('Host', '')}{request.path}"
        response = terms.answer(request)
        if response.status_code != 101:
            self._refuse(ws, stream, response)
            raise terms.why()
        return self._accept(stream, request, response, head.rest)

    def _refuse(self, ws: SyncWebSocket, stream: Stream, response: Response) -> None:
        ws.refused(response)
        with contextlib.suppress(OSError):
            stream.settimeout(1.0)
            stream.send(response.serialize())
            stream.end()


class _ClientHost:
    """
    Where a client connects to.

    Args:
        url: The server's.
        headers: Header fields to add to the request.
        options: Arguments of ``connect()``.

    """

    client = True
    answers = False

    def __init__(
        self, url: str, headers: HeadersLike | None, options: dict[str, Any]
    ) -> None:
        self.url = url
        self.logger = options.get("logger")
        self._headers = headers
        self._options = options

    def open(self, ws: SyncWebSocket) -> Connection:
        """Connect."""
        return connect(self.url, additional_headers=self._headers, **self._options)
