"""
The WebSockets of python-engineio on wsfast: ``async_mode="wsfast"``.

:class:`AsyncServer` is python-engineio's, with one mode more; its driver is this
module, known as ``engineio.async_drivers.wsfast``. Where a connection is ours, a packet
is read without a task and a timer, and written without a queue and a second task; under
other servers, and with HTTP polling, everything is as in the mode ``"asgi"``.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ..asyncio.connection import Connection
from ..exceptions import ConnectionClosed
from ._needs import need

with need("wsfast.asgi.engineio", "python-engineio", "4.15", below="4.16"):
    import engineio
    from engineio.async_drivers import asgi
    from engineio.async_socket import AsyncSocket
    from engineio.packet import CLOSE, NOOP, PING, PONG, UPGRADE, Packet

__all__ = ["AsyncServer", "Outgoing", "WebSocket"]

#: The reader of packets in whose place ours is; one that somebody has put there to look
#: on, as python-socketio's ``instrument()`` does, stays where it is.
_HANDLER = AsyncSocket._websocket_handler

#: Octets of a close reason (RFC 6455 §5.5).
_MAX_REASON = 123


class AsyncServer(engineio.AsyncServer):  # type: ignore[misc]
    """
    python-engineio's server, with the mode ``"wsfast"``, which is its default.

    It takes the arguments of ``engineio.AsyncServer``, and all its other modes. Serve
    ``engineio.ASGIApp(server)`` by uvicorn, best with ``--ws
    wsfast.asgi.uvicorn:WebSocketProtocol``; or, for WebSockets alone, give
    ``handle_request`` to :func:`wsfast.serve` as the handler.
    """

    def async_modes(self) -> list[str]:
        """Return the names of the modes, the default first."""
        return ["wsfast", *super().async_modes()]

    def create_queue(self, *args: Any, **kwargs: Any) -> asyncio.Queue[Any]:
        """Return the queue of what is sent to a client."""
        if self.async_mode == "wsfast":
            return Outgoing(*args, **kwargs)
        queue: asyncio.Queue[Any] = super().create_queue(*args, **kwargs)
        return queue


class Outgoing(asyncio.Queue[Any]):
    """
    Packets for a client: a queue while it polls, none once it has a WebSocket.

    Then packets go to the connection as they are put; only what it has no room for
    waits here, and a task empties the queue. Who puts never waits.
    """

    _connection: Connection | None = None
    _task: asyncio.Task[None] | None = None
    _ended = False
    _pollers = 0

    async def put(self, item: Any) -> None:
        """Send a packet, or queue it."""
        if self._connection is None:
            if not self._ended:
                await super().put(item)
        elif item is None:
            pass  # it would end a poll
        elif self._task is not None:
            item.encode()  # an error is that of whoever sends
            self.put_nowait(item)
        elif not self._send(self._connection, item):
            self.put_nowait(item)
            self._task = asyncio.ensure_future(self._empty(self._connection))

    async def get(self) -> Any:
        """Take a packet, for a poll."""
        self._pollers += 1
        try:
            return await super().get()
        finally:
            self._pollers -= 1

    def attach(self, connection: Connection) -> None:
        """Send over a connection from now on; first, what has waited for it."""
        self._connection = connection
        waiting = []
        while not self.empty():
            waiting.append(self.get_nowait())
            self.task_done()
        for _ in range(self._pollers):  # whoever polls yet is let go
            self.put_nowait(Packet(NOOP))
        for position, packet in enumerate(waiting):
            if packet is not None and not self._send(connection, packet):
                for later in waiting[position:]:
                    self.put_nowait(later)
                self._task = asyncio.ensure_future(self._empty(connection))
                break

    def end(self) -> None:
        """Forget what waits, and all that is put in the future."""
        self._ended = True
        self._connection = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        while not self.empty():
            self.get_nowait()
            self.task_done()  # somebody may wait in join()

    def _send(self, connection: Connection, packet: Packet) -> bool:
        """Send a packet if there is room for it; if the connection is over, drop it."""
        encoded = packet.encode()
        try:
            if not connection.send_nowait(encoded):
                return False
            if packet.packet_type == CLOSE:
                connection.close()
        except ConnectionClosed:
            pass  # the reader sees it, too, and tells the application
        return True

    async def _empty(self, connection: Connection) -> None:
        """Send what is queued, as fast as the client takes it."""
        try:
            while not self.empty():
                packet = self.get_nowait()
                self.task_done()
                if packet is not None:
                    await connection.send(packet.encode())
                    if packet.packet_type == CLOSE:
                        connection.close()
        except ConnectionClosed:
            pass
        finally:
            if self._task is asyncio.current_task():
                self._task = None


class WebSocket(asgi.WebSocket):  # type: ignore[misc]
    """
    A client's WebSocket, as python-engineio's drivers have it.

    Args:
        handler: python-engineio's reader of packets.
        server: The server.

    Attributes:
        connection: The connection, where it is ours; None under other servers.

    """

    def __init__(self, handler: Any, server: Any) -> None:
        super().__init__(handler, server)
        self.server = server
        self.connection: Connection | None = None

    async def __call__(self, environ: dict[str, Any]) -> str:
        """Accept the connection, and serve it to its end."""
        self.connection = environ.get("wsfast.connection")
        if self.connection is None:
            await self._accept(environ)
        else:
            self._limit(self.connection)
        handler, connection = self.handler, self.connection
        if connection is not None and getattr(handler, "__func__", None) is _HANDLER:
            await _Session(handler.__self__, connection).run()
        else:
            await handler(self)
        return ""

    def _limit(self, connection: Connection) -> None:
        """Have the parser of a connection that is open already know the limit."""
        limit, given = self.server.max_http_buffer_size, connection.options.max_size
        if given < 0 or given > limit:
            connection.parser.max_size = limit

    async def _accept(self, environ: dict[str, Any]) -> None:
        """Accept as an ASGI application does."""
        self.asgi_receive = environ["asgi.receive"]
        self.asgi_send = environ["asgi.send"]
        known = environ["asgi.scope"].get("extensions") or {}
        message: dict[str, Any] = {"type": "websocket.accept"}
        if "wsfast" not in known:
            await self.asgi_send(message)
            return
        message["max_size"] = self.server.max_http_buffer_size
        await self.asgi_send(message)
        self.connection = known["wsfast"]["connection"].connection
        if self.connection is None:
            raise OSError("the client left during its handshake")

    async def close(self) -> None:
        """Close the connection."""
        if self.connection is None:
            await super().close()
        else:
            await self.connection.close()

    async def send(self, message: str | bytes) -> None:
        """
        Send a message.

        Raises:
            OSError: The connection has ended.

        """
        if self.connection is None:
            await super().send(message)
            return
        try:
            await self.connection.send(message)
        except ConnectionClosed as exc:
            raise OSError from exc

    async def wait(self) -> Any:
        """
        Receive a message.

        Raises:
            OSError: The connection has ended.

        """
        if self.connection is None:
            return await super().wait()
        try:
            return await self.connection.recv()
        except ConnectionClosed as exc:
            raise OSError from exc


class _Session:
    """
    The packets of one client over its WebSocket; one task reads them, and no other.

    Args:
        socket: python-engineio's side of the client.
        connection: The connection.

    """

    def __init__(self, socket: AsyncSocket, connection: Connection) -> None:
        self.socket = socket
        self.server = socket.server
        self.connection = connection
        self.loop = asyncio.get_running_loop()
        self.heard = self.loop.time()
        self.timeout = self.server.ping_interval + self.server.ping_timeout
        self.timer = self.loop.call_later(self.timeout, self._look)
        self.reason = self.server.reason.TRANSPORT_CLOSE

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        try:
            if self.socket.connected:
                self.socket.upgrading = True
                try:
                    upgraded = await self._upgrade()
                finally:
                    self.socket.upgrading = False
                if not upgraded:
                    return  # it goes on polling
            self.socket.connected = self.socket.upgraded = True
        except BaseException:
            self.timer.cancel()
            raise
        try:
            self.socket.queue.attach(self.connection)
            await self._read()
        finally:
            self.timer.cancel()
            self.socket.queue.end()
            await self.socket.close(wait=False, abort=True, reason=self.reason)

    async def _upgrade(self) -> bool:
        """Take over from HTTP polling; return whether the client went on with it."""
        probe = await self._next()
        if probe is None or probe.packet_type != PING or probe.data != "probe":
            return self._not_upgraded()
        try:
            await self.connection.send(Packet(PONG, data="probe").encode())
        except ConnectionClosed:
            return self._not_upgraded()
        await self.socket.queue.put(Packet(NOOP))  # ends its poll
        packet = await self._next()
        if packet is None or packet.packet_type != UPGRADE or self.socket.upgraded:
            return self._not_upgraded()
        return True

    def _not_upgraded(self) -> bool:
        self.timer.cancel()
        self.server.logger.info("%s: Failed websocket upgrade", self.socket.sid)
        self.connection.close(1008, "not an upgrade")
        return False

    async def _read(self) -> None:
        """Hand packets to python-engineio until the end."""
        socket, server = self.socket, self.server
        while (packet := await self._next()) is not None:
            if socket.closed:
                continue  # told already; its close frame is to come
            try:
                await socket.receive(packet)
            except engineio.exceptions.UnknownPacketError:
                pass  # one that only servers send
            except engineio.exceptions.SocketIsClosedError:
                break
            except Exception:
                server.logger.exception("Unknown receive error")
            if packet.packet_type == CLOSE:
                self.connection.close()
                break

    async def _next(self) -> Packet | None:
        """Return the next packet; None at the end, and for what is none."""
        try:
            data = await self.connection.recv()
        except ConnectionClosed:
            return None
        self.heard = self.loop.time()
        limit = self.server.max_http_buffer_size
        if len(data) > limit:
            self._fail(1009, f"over {limit} octets")
            return None
        try:
            packet = Packet(encoded_packet=data)
        except Exception:  # of whatever JSON module; RecursionError, too
            self._fail(1008, "not an Engine.IO packet")
            return None
        if packet.packet_type > NOOP:
            self._fail(1008, "unknown Engine.IO packet")
            return None
        return packet

    def _fail(self, code: int, reason: str) -> None:
        """End the connection for what the client has sent."""
        self.server.logger.info("%s: %s", self.socket.sid, reason)
        self.reason = self.server.reason.TRANSPORT_ERROR
        self.connection.close(code, reason)

    def _look(self) -> None:
        """End the connection if the client has been silent for too long."""
        left = self.heard + self.timeout - self.loop.time()
        if left > 0:
            self.timer = self.loop.call_later(left, self._look)
        else:
            self.reason = self.server.reason.PING_TIMEOUT
            self.connection.close(1011, "ping timeout")


async def translate_request(*args: Any) -> dict[str, Any]:
    """
    Return the environment of a request, in the manner of WSGI.

    Args:
        args: The three of an ASGI application, or a connection of :func:`wsfast.serve`.

    """
    if len(args) == 1:
        return _environ_of(args[0])
    environ: dict[str, Any] = await asgi.translate_request(*args)
    return environ


def _environ_of(connection: Connection) -> dict[str, Any]:
    """Return the environment of a request that :func:`wsfast.serve` has accepted."""
    request = connection.request
    assert request is not None
    path, _, query = request.path.partition("?")
    client, server = map(
        _host_and_port, (connection.remote_address, connection.local_address)
    )
    secure = connection.transport.get_extra_info("ssl_object") is not None
    environ: dict[str, Any] = {
        "wsfast.connection": connection,
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.async": True,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "SERVER_SOFTWARE": "wsfast",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": request.path,
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
    }
    for name, value in request.headers.raw_items():
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ["wsgi.url_scheme"] = environ.get(
        "HTTP_X_FORWARDED_PROTO", "https" if secure else "http"
    )
    return environ


def _host_and_port(address: Any) -> tuple[str, int]:
    return address[:2] if isinstance(address, tuple) else ("", 0)


async def make_response(
    status: str,
    headers: list[tuple[str, str]],
    payload: bytes | str,
    environ: dict[str, Any],
) -> None:
    """
    Answer a request.

    A connection of :func:`wsfast.serve` is open already: one that is refused is closed
    with code 1008, and the payload is its reason.
    """
    connection = environ.get("wsfast.connection")
    if connection is None:
        await asgi.make_response(status, headers, payload, environ)
        return
    octets = payload.encode() if isinstance(payload, str) else payload
    reason = octets[:_MAX_REASON].decode(errors="ignore")
    await connection.close(1008, reason or status)


#: What python-engineio asks a driver for.
_async = {
    "asyncio": True,
    "translate_request": translate_request,
    "make_response": make_response,
    "websocket": WebSocket,
}

# Where python-engineio looks for the driver of a mode.
sys.modules.setdefault("engineio.async_drivers.wsfast", sys.modules[__name__])
