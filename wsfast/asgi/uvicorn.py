"""
WebSockets of an ASGI application in uvicorn.

``uvicorn app:app --ws wsfast.asgi.uvicorn:WebSocketProtocol``, or
``uvicorn.run(app, ws=WebSocketProtocol)``: uvicorn reads the request, and this class
does all the rest. Once the application has accepted, the reactor takes over the socket
where it can, and no transport is between the application and its messages any more.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from functools import partial
from typing import Any, cast

from ..asyncio._stream import link_for
from ..asyncio.ledger import ledger_of
from ..protocol.deflate import DeflateOptions
from ..protocol.heads import (
    DEFAULT_LIMITS,
    HeadError,
    HeadReader,
    Limits,
    parse_request,
)
from ..protocol.options import Options
from ..protocol.server import ServerHandshake
from ._needs import need
from .channel import Channel, ServedConnection
from .http import Denial, encode_fields, scope_of
from .settings import deflate_from_environment

with need("wsfast.asgi.uvicorn", "uvicorn", "0.30"):
    from uvicorn.config import Config
    from uvicorn.logging import TRACE_LOG_LEVEL
    from uvicorn.protocols.utils import (
        ClientDisconnected,
        get_client_addr,
        get_local_addr,
        get_path_with_query_string,
        get_remote_addr,
        is_ssl,
    )
    from uvicorn.server import ServerState

__all__ = ["WebSocketProtocol"]

_OPEN = 1
_CLOSED = 3

#: Octets that a client may send before its handshake is answered.
MAX_EARLY = 64 * 1024

_OPENING, _DENYING, _DONE = range(3)  # stages of the handshake


class _Settings:
    """What the connections of one uvicorn configuration share."""

    def __init__(self, protocol: type[WebSocketProtocol], config: Config) -> None:
        self.logger = logging.getLogger("uvicorn.error")
        self._max_size = config.ws_max_size
        self._make_options = partial(
            Options,
            max_queue=config.ws_max_queue,
            ping_interval=config.ws_ping_interval,
            ping_timeout=config.ws_ping_timeout,
            max_fragments=protocol.max_fragments,
            max_control_rate=protocol.max_control_rate,
            max_queue_size=protocol.max_queue_size,
            write_limit=protocol.write_limit,
            close_timeout=protocol.close_timeout,
            overflow="wait",
            ledger=ledger_of(protocol.max_buffered),
        )
        self.options = self._make_options(max_size=self._max_size)
        self._smaller = self.options  # those of the last application with a limit
        deflate = protocol.compression() if config.ws_per_message_deflate else None
        self.handshake = ServerHandshake(deflate=deflate, server_header=None)
        # In the scope of every connection; not copied for each.
        self.asgi = {"version": config.asgi_version, "spec_version": "2.4"}
        self.nothing: dict[str, Any] = {}
        self._address: Any = None

    def options_for(self, max_size: int | None) -> Options:
        """Return the options of a connection whose application has a limit, or none."""
        if max_size is None or max_size >= self._max_size:
            return self.options
        if self._smaller.max_size != max_size:
            self._smaller = self._make_options(max_size=max_size)
        return self._smaller

    def shared_address(self, address: Any) -> Any:
        """Return an address of ours: the same object as last time, if it is equal."""
        if address != self._address:
            self._address = address
        return self._address


class WebSocketProtocol(asyncio.Protocol):
    """
    uvicorn's side of one client, from the request to the end.

    What uvicorn has no option for is an attribute of the class, for a subclass to
    change; give uvicorn the subclass then.

    Args:
        config: uvicorn's configuration.
        server_state: What the connections of its server share.
        app_state: State of the application, from its lifespan.

    Attributes:
        max_fragments: As in :class:`~wsfast.protocol.Options`, as the next four.
        max_control_rate: Control frames accepted in ten seconds.
        max_queue_size: Octets that wait for the application before reading stops.
        write_limit: Octets in the output above which ``send`` waits.
        close_timeout: Seconds that the closing handshake may take.
        max_buffered: For all connections together, as in :func:`~wsfast.asyncio.serve`.
        limits: Limits of the head of a request.
        reactor: Take over the sockets of plain connections.

    """

    max_fragments: int | None = 4096
    max_control_rate: int | None = 10_000
    max_queue_size: int | None = 1 << 20
    write_limit: int | tuple[int, int | None] = 64 * 1024
    close_timeout: float | None = 10.0
    max_buffered: int | None = None
    limits: Limits = DEFAULT_LIMITS
    reactor = True

    #: The error of ``send`` after the end.
    disconnected = ClientDisconnected

    __slots__ = (
        "__weakref__",
        "_app_state",
        "_channel",
        "_config",
        "_connect_told",
        "_deflate",
        "_denial",
        "_early",
        "_link",
        "_lost",
        "_prefix",
        "_reader",
        "_response",
        "_scope",
        "_server_state",
        "_settings",
        "_stage",
        "_waiting",
        "_writable",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._config = config
        self._settings = _settings_of(type(self), config)
        self._server_state = server_state
        self._app_state = app_state
        self._channel = Channel(self)
        self._reader: HeadReader | None = HeadReader(self.limits)
        self._early = b""
        self._link: Any = None
        self._scope: dict[str, Any] | None = None
        self._response: Any = None
        self._deflate: Any = None
        self._denial: Denial | None = None
        self._stage = _OPENING
        self._connect_told = False
        self._lost = False
        self._waiting: asyncio.Future[None] | None = None
        self._writable: asyncio.Event | None = None

    @classmethod
    def compression(cls) -> DeflateOptions | None:
        """
        Return how to compress, None for not at all; called once per configuration.

        By default that is what the environment variable ``WSFAST_DEFLATE`` says.
        ``--ws-per-message-deflate false`` turns compression off in any case.
        """
        return deflate_from_environment()

    @property
    def logger(self) -> logging.Logger:
        """Where uvicorn logs."""
        return self._settings.logger

    @property
    def connection(self) -> ServedConnection | None:
        """The connection, once the application has accepted it."""
        return self._channel.connection

    # ---- what uvicorn and the transport call ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin on the transport over which uvicorn has read the request."""
        self.transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(self)
        self._prefix = ""
        if self.logger.level <= TRACE_LOG_LEVEL:
            client = get_remote_addr(self.transport)
            self._prefix = "{}:{} - ".format(*client) if client else ""
        self._trace("made")

    def data_received(self, data: bytes) -> None:
        """Take the request, and what comes behind it while nobody else does."""
        if self._link is not None:
            self._pass_on(data)
        elif self._reader is None:
            self._early += data
            if len(self._early) > MAX_EARLY and not self.transport.is_closing():
                self.transport.pause_reading()
        else:
            self._read(self._reader, data)

    def _pass_on(self, data: bytes) -> None:
        """Give octets to a link of which the transport does not know."""
        connection = self.connection
        if connection is None or connection.ended:
            self.transport.close()
            return
        for start in range(0, len(data), 65536):
            piece = data[start : start + 65536]
            self._link.get_buffer(len(piece))[: len(piece)] = piece
            self._link.buffer_updated(len(piece))

    def eof_received(self) -> bool | None:
        """Take the end of what the client sends; the transport then ends, too."""
        if self._link is not None:
            return bool(self._link.eof_received())
        return None

    def pause_writing(self) -> None:
        """Have senders wait: the transport is full."""
        if self._link is not None:
            self._link.pause_writing()
        else:
            self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Have senders go on."""
        if self._link is not None:
            self._link.resume_writing()
        self._may_write()

    def _may_write(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the news that the transport has ended."""
        link = self._link
        if link is self.transport:
            return  # the link has the socket; it tells of the end
        if link is not None:
            # Whoever the transport told before, it does no harm to hear it twice.
            lost = getattr(link, "transport_lost", None) or link.connection_lost
            lost(exc)
        self._may_write()
        self.ended()
        if exc is None:
            self.transport.close()

    def shutdown(self) -> None:
        """End the connection, because the server ends (1012)."""
        connection = self.connection
        if connection is None:
            if self._stage == _OPENING:
                self._answer(self._error())
            self.transport.close()
        elif connection.ready_state != _CLOSED:
            if connection.ready_state == _OPEN:
                self._channel.closed({"type": "websocket.disconnect", "code": 1012})
            connection.fail(
                1012
            )  # or end at once what waits for the peer's close frame
            connection.link.flush()

    # ---- the request ----

    def _read(self, reader: HeadReader, data: bytes) -> None:
        """Read the request; start the application if it is one for a WebSocket."""
        try:
            if not reader.feed(data):
                return
            self._reader = None
            self._early = reader.rest
            request = parse_request(reader.head)
        except HeadError as exc:
            self._reader = None
            self._refuse(self._settings.handshake.refuse(exc), exc)
            return
        handshake = self._settings.handshake
        response = handshake.accept(request)
        error, self._deflate = handshake.exception, handshake.deflate
        handshake.forget()
        if response.status_code != 101:
            self._refuse(response, error)
            return
        self._response = response
        config, transport = self._config, self.transport
        scope = scope_of(request, config.root_path)
        settings = self._settings
        scope["asgi"] = settings.asgi
        scope["scheme"] = "wss" if is_ssl(transport) else "ws"
        scope["server"] = settings.shared_address(get_local_addr(transport))
        scope["client"] = get_remote_addr(transport)
        scope["state"] = self._app_state.copy()
        scope["extensions"] = {
            "websocket.http.response": settings.nothing,
            "wsfast": {"connection": self._channel},
        }
        self._scope = scope
        task = asyncio.get_running_loop().create_task(self._call(scope))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._task_done)

    def _refuse(self, response: Any, error: Exception | None) -> None:
        """Answer a request that asks for no WebSocket, or not rightly."""
        self.logger.info(
            "%s - WebSocket request refused with %d: %s",
            get_client_addr(cast(Any, {"client": get_remote_addr(self.transport)})),
            response.status_code,
            error,
        )
        self._answer(response.serialize())
        self.transport.close()

    def _answer(self, octets: bytes) -> None:
        """Send the last response there will be in HTTP."""
        self._stage = _DONE
        self._server_state.total_requests += 1
        self._channel.closed({"type": "websocket.disconnect", "code": 1006})
        self._wake()
        if not self.transport.is_closing():
            self.transport.write(octets)

    # ---- the application ----

    def _call(self, scope: dict[str, Any]) -> Any:
        """Call the application; return the coroutine that its task runs."""
        app: Any = self._config.loaded_app
        try:
            call = app(scope, self._channel.receive, self._channel.send)
        except Exception as exc:
            return _failed(exc)
        return call if asyncio.iscoroutine(call) else _awaited(call)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        """Take the outcome of the application; its connection ends with it."""
        self._server_state.tasks.discard(task)
        code = 1000
        exc: BaseException | None = asyncio.CancelledError()
        if not task.cancelled():
            exc = task.exception()
        if isinstance(exc, ClientDisconnected):
            pass
        elif exc is not None:
            code = 1011
            self.logger.error("Exception in ASGI application\n", exc_info=exc)
        elif self._stage == _OPENING and not self._lost:
            self.logger.error("ASGI callable returned without completing handshake.")
        elif task.result() is not None:
            code = 1011
            self.logger.error(
                "ASGI callable should return None, but returned '%s'.", task.result()
            )
        self._app_ended(code)

    def _app_ended(self, code: int) -> None:
        """End what the application has left open."""
        connection = self.connection
        if connection is not None:
            if connection.ready_state == _OPEN:
                self._say_goodbye(connection, code, "")
            return
        if self._stage == _OPENING:
            self._answer(self._error())
        elif self._denial is not None and not self._denial.started:
            self._answer(self._denial.body(b"", False))
        self.transport.close()

    def _error(self) -> bytes:
        """Return the response for an application that failed before it answered."""
        text = [(b"content-type", b"text/plain; charset=utf-8")]
        denial = Denial(500, text, self._server_state.default_headers)
        return denial.body(b"Internal Server Error", False)

    def _say_goodbye(
        self, connection: ServedConnection, code: int, reason: str
    ) -> None:
        connection.close(code, reason)
        self._channel.closed(
            {"type": "websocket.disconnect", "code": code, "reason": reason}
        )

    def ended(self) -> None:
        """Take the news that the stream has ended; called more than once."""
        if self._lost:
            return
        self._lost = True
        self._server_state.connections.discard(self)
        if self._channel.connection is None:
            self._channel.closed({"type": "websocket.disconnect", "code": 1006})
            self._wake()
        self._trace("lost")

    def _trace(self, what: str) -> None:
        if self.logger.level <= TRACE_LOG_LEVEL:
            text = "%sWebSocket connection %s"
            self.logger.log(TRACE_LOG_LEVEL, text, self._prefix, what)

    # ---- receive() and send(), where the channel does not do it by itself ----

    async def receive_early(self) -> dict[str, Any]:
        """Receive an event before the connection was accepted."""
        channel = self._channel
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        while channel.connection is None and channel.outcome is None:
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiting)
        if channel.connection is not None:
            return await channel.receive()
        return channel.disconnected()

    def _wake(self) -> None:
        """Have those who receive look again."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.set_result(None)

    async def send_rarely(self, message: Any) -> None:
        """Send an event that is not a message on an open connection."""
        if type(message) is not dict:
            await self._channel.send(dict(message))
            return
        kind = message["type"]
        connection = self.connection
        if connection is None:
            await self._send_http(kind, message)
        elif connection.ready_state == _CLOSED:
            raise ClientDisconnected
        elif self._said_goodbye():
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close'."
            )
        elif kind == "websocket.close":
            if connection.ready_state == _OPEN:
                code = message.get("code")
                self._say_goodbye(
                    connection,
                    1000 if code is None else code,
                    message.get("reason") or "",
                )
        elif kind == "websocket.send":
            raise ClientDisconnected
        else:
            raise RuntimeError(
                "Expected ASGI message 'websocket.send' or 'websocket.close', "
                f"but got '{kind}'."
            )

    def _said_goodbye(self) -> bool:
        outcome = self._channel.outcome
        return outcome is not None and "reason" in outcome  # not that of shutdown()

    async def _send_http(self, kind: str, message: dict[str, Any]) -> None:
        """Send an event as long as HTTP is spoken."""
        if self._lost:
            raise ClientDisconnected
        if self._stage == _OPENING:
            if kind == "websocket.accept":
                self._accept(message)
            elif kind == "websocket.close":
                defaults = self._server_state.default_headers
                octets = Denial(403, (), defaults).body(b"", False)
                self._log("403")
                self._answer(octets)
                self.transport.close()
            elif kind == "websocket.http.response.start":
                self._denial = Denial(
                    message["status"],
                    message.get("headers") or (),
                    self._server_state.default_headers,
                )
                self._stage = _DENYING
                self._log(str(message["status"]))
            else:
                raise RuntimeError(
                    "Expected ASGI message 'websocket.accept', 'websocket.close' "
                    f"or 'websocket.http.response.start' but got '{kind}'."
                )
        elif self._stage == _DENYING and self._denial is not None:
            if kind != "websocket.http.response.body":
                raise RuntimeError(
                    "Expected ASGI message 'websocket.http.response.body' "
                    f"but got '{kind}'."
                )
            await self._deny(self._denial, message)
        else:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close' "
                "or response already completed."
            )

    async def _deny(self, denial: Denial, message: dict[str, Any]) -> None:
        """Send a piece of the response that the application gives instead."""
        if self._writable is not None:
            await self._writable.wait()
        if self._lost:
            raise ClientDisconnected
        octets = denial.body(message.get("body", b""), message.get("more_body", False))
        if denial.complete:
            self._answer(octets)
            self.transport.close()
        else:
            self.transport.write(octets)

    def _accept(self, message: dict[str, Any]) -> None:
        """Answer the handshake, and serve the connection from now on."""
        fields = [*self._server_state.default_headers, *(message.get("headers") or ())]
        subprotocol = message.get("subprotocol")
        if subprotocol:
            fields.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        octets = self._response.serialize()[:-2] + encode_fields(fields) + b"\r\n"
        self._log("[accepted]")
        transport = self.transport
        if transport.is_closing():
            return
        self._stage = _DONE
        self._server_state.total_requests += 1
        link: Any = link_for(transport, self.reactor, keep=False)
        self._link = link
        if link.transport is None:
            self.transport = link
        connection = ServedConnection(
            link,
            self._settings.options_for(message.get("max_size")),
            self._channel,
            self._deflate,
            subprotocol,
            message.get("listener"),
        )
        early, self._early = self._early, b""
        self._response = self._deflate = self._scope = None
        link.write(octets)
        self._channel.opened(connection)
        connection.opened()
        link.start(connection, early)
        self._wake()

    def _log(self, outcome: str) -> None:
        scope: Any = self._scope
        self.logger.info(
            '%s - "WebSocket %s" %s',
            get_client_addr(scope),
            get_path_with_query_string(scope),
            outcome,
        )


async def _awaited(call: Any) -> Any:
    return await call


async def _failed(exc: Exception) -> None:
    raise exc


_shared: weakref.WeakKeyDictionary[Config, dict[Any, _Settings]]
_shared = weakref.WeakKeyDictionary()


def _settings_of(protocol: type[WebSocketProtocol], config: Config) -> _Settings:
    """Return what the connections of this class and configuration share."""
    by_class = _shared.setdefault(config, {})
    if protocol not in by_class:
        by_class[protocol] = _Settings(protocol, config)
    return by_class[protocol]
