"""One client of SockJS, as its handler sees it: the same over every transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..asyncio._stream import stream_driver_for
from ..asyncio.prepared import GONE, QUEUED, SLOW
from ..asyncio.prepared import Prepared as Framed
from ..attach.requests import url_of_scope
from ..engine import encode_sockjs, quote_sockjs
from ..protocol.closing import State

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..asyncio.connection import Connection
    from ..hub.members import Message
    from ._listening import Sink
    from .options import Options

__all__ = ["HEADERS", "Prepared", "Session", "close_frame"]

#: Header fields that a handler may see. A cookie is not among them: pages of other
#: origins share the session with those of ours.
HEADERS = frozenset(
    (
        *("host", "referer", "user-agent", "accept-language", "dnt", "via", "x-ssl"),
        *("x-client-ip", "x-cluster-client-ip", "x-real-ip", "x-forwarded-for"),
        *("x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"),
    )
)

#: What the protocol says where a server says nothing.
NORMAL = "Normal closure"


class Prepared(Framed):
    """
    A message for many sessions: quoted once, and framed once for WebSocket.

    ``session.send()`` takes it, and so does ``send_to()`` of plain connections: they
    get the message as it is.

    Args:
        message: The message.

    Raises:
        TypeError: ``message`` is not a ``str``.

    """

    __slots__ = ("_chunk", "_frame", "quoted")

    def __init__(self, message: str) -> None:
        self.quoted = quote_sockjs(message)
        self._frame: Framed | None = None
        self._chunk: tuple[bytes, int] | None = None
        super().__init__(message.encode("utf-8", "replace"), text=True)

    @classmethod
    def of(cls, data: str | bytes) -> Prepared:
        """Return a message of a topic, prepared; raise TypeError if it is binary."""
        if not isinstance(data, str):
            raise TypeError("SockJS has no binary messages")
        return cls(data)

    def made(self, maker: object) -> Prepared:
        """Return itself: it is made ready already, unlike a message of a topic."""
        return self

    @property
    def frame(self) -> Framed:
        """The ``a`` frame of this message alone, as a message of WebSocket."""
        if self._frame is None:
            self._frame = Framed(b"a[%b]" % self.quoted, text=True)
        return self._frame

    @property
    def chunk(self) -> tuple[bytes, int]:
        """The same as a chunk of xhr-streaming, and its size without what HTTP adds."""
        if self._chunk is None:
            size = len(self.quoted) + 4
            self._chunk = b"%x\r\na[%b]\n\r\n" % (size, self.quoted), size
        return self._chunk

    def send_to(self, connection: Connection | Session) -> None:
        """Queue the message on a session or a connection, at once."""
        if isinstance(connection, Session):
            connection.send(self)
        else:
            super().send_to(connection)


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame that tells a client of the end (Protocol and framing, ``c``)."""
    return b"c[%d,%b]" % (code, quote_sockjs(reason))


class Session:
    """
    A session of a client (abstract): what the handler of a server is called with.

    It has the manner of a connection: ``send()`` queues at once, and gives
    back-pressure where it is awaited; ``async for`` ends when the session has ended.
    :meth:`recv` and :meth:`send` raise :exc:`~wsfast.ConnectionClosed` after that.

    Attributes:
        prefix: Path of the server, behind which the rest of the paths is SockJS's.
        protocol: Name of the transport: ``"websocket"``, ``"xhr-streaming"``...
        url: URL of the request that opened the session or, where a transport makes many
            requests, the last that listens.
        path: Its path.
        headers: Those of its header fields that may be known, see `HEADERS`, names in
            lower case.
        remote_address: Address and port of whoever made it, if the server tells.
        local_address: Those that it was made to.
        close_code: Once it has ended: the code it ended with; 1006 if the client has
            gone without a word, as all but WebSockets do.
        close_reason: The reason that came with it.
        sink: For the hosts: the request that takes messages as they are sent, while no
            message waits and the session is open.

    """

    protocol = ""
    sink: Sink | None = None

    def __init__(self, options: Options, scope: MutableMapping[str, Any]) -> None:
        self.options = options
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.driver = stream_driver_for(asyncio.get_running_loop())
        self.timer_slot = self.timer_index = 0
        self._scope = scope
        self._closers: list[Callable[[], object]] = []

    # ---- facts; most handlers never ask ----

    @property
    def state(self) -> State:
        """Where the session is between its opening and its end."""
        raise NotImplementedError

    @property
    def ready_state(self) -> int:
        """0 connecting, 1 open, 2 closing, 3 closed."""
        return int(self.state)

    @property
    def url(self) -> str:
        """URL of the request, see the class."""
        return url_of_scope(self._scope)

    @property
    def path(self) -> str:
        """Path of the request, see the class."""
        path: str = self._scope["path"]
        return path

    @property
    def prefix(self) -> str:
        """Path of the server, as the client has it."""
        root: str = self._scope.get("root_path", "").rstrip("/")
        return root + self.options.prefix

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields of the request, see the class."""
        return {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in self._scope["headers"]
            if key.decode("latin-1") in HEADERS
        }

    @property
    def remote_address(self) -> Any:
        """Address of the client, see the class."""
        client = self._scope.get("client")
        return None if client is None else tuple(client)

    @property
    def local_address(self) -> Any:
        """Address of the server, see the class."""
        server = self._scope.get("server")
        return None if server is None else tuple(server)

    @property
    def logger(self) -> Any:
        """Where the session logs."""
        return self.options.logger

    @property
    def buffered_amount(self) -> int:
        """Octets that were sent and that nobody has taken yet."""
        raise NotImplementedError

    # ---- messages ----

    async def recv(self) -> Any:
        """
        Receive the next message.

        Cancelling loses no message: the next call returns it.

        Raises:
            ConnectionClosed: The session has ended.
            ConcurrencyError: Another task receives already.

        """
        raise NotImplementedError

    def __aiter__(self) -> Self:
        """Iterate over the messages until the session has ended, however it did."""
        return self

    async def __anext__(self) -> Any:
        raise NotImplementedError

    def send(self, message: str | Framed) -> Awaitable[None]:
        """
        Send a message. It is queued at once; awaiting is back-pressure.

        Args:
            message: The message; or one that is prepared, by `Prepared` at best.

        Returns:
            An awaitable that is done already, unless more than ``write_limit`` octets
            wait to be sent: then it is done when there is room again.

        Raises:
            ConnectionClosed: The session has ended.
            SlowConsumer: More than ``max_send_buffer`` octets wait: it ends, too.
            TypeError: ``message`` is not a ``str``.

        """
        raise NotImplementedError

    def send_nowait(self, message: str | Framed) -> bool:
        """
        Send a message if there is room for it; never wait.

        Returns:
            Whether it was queued: it was not, if more than ``write_limit`` octets wait.

        Raises:
            ConnectionClosed, TypeError: As :meth:`send`.

        """
        full = self.buffered_amount > self.options.write_limit
        if self.state is State.OPEN and full:
            return False
        self.send(message)
        return True

    # ---- as a member of a topic, see wsfast.hub ----

    def offer(self, message: Message | Prepared, limit: int = -1) -> int:
        """Queue a text that many get; see :class:`wsfast.hub.Member`."""
        if self.state is not State.OPEN:
            return GONE
        if self.buffered_amount > (self.options.write_limit if limit < 0 else limit):
            return SLOW
        self.send(message.made(Prepared.of))
        return QUEUED

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when there is room in the output."""
        raise NotImplementedError

    def when_closed(self, callback: Callable[[], object]) -> None:
        """Have a callback called once, soon, when the session has ended."""
        if self.state is State.CLOSED:
            asyncio.get_running_loop().call_soon(callback)
        else:
            self._closers.append(callback)

    def tell_closers(self) -> None:
        """Call those who wait for the end; for the transports."""
        closers, self._closers = self._closers, []
        for callback in closers:
            asyncio.get_running_loop().call_soon(callback)

    # ---- the end ----

    def close(self, code: int = 1000, reason: str = NORMAL) -> Awaitable[None]:
        """
        End the session, behind what is queued; may be called again.

        Args:
            code: What the client is told, 1000 to 4999.
            reason: The same.

        Returns:
            An awaitable of the end: the client has been told, or does not ask.

        Raises:
            ValueError: There is no such code.

        """
        raise NotImplementedError

    async def wait_closed(self) -> None:
        """Wait until the session has ended."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self.close(1011, "Internal error")

    # ---- for the transports ----

    def on_timer(self, now: float) -> float:
        """Do what is due; called by the wheel of the event loop's timers."""
        raise NotImplementedError

    async def serve(self) -> None:
        """Have the handler serve the session, from its first message to its end."""
        logger: logging.Logger = self.options.logger
        try:
            await self.options.handler(self)
        except asyncio.CancelledError:
            self.close(1001, "Going away")
            raise
        except Exception as exc:
            if not self.is_end(exc):
                logger.error("handler of a session failed", exc_info=exc)
            self.close(1011, "Internal error")
        else:
            self.close()

    def is_end(self, exc: Exception) -> bool:
        """Tell whether an exception of the handler is but this session's end."""
        raise NotImplementedError


def checked_code(code: int) -> int:
    """Return a close code, unless there is none such."""
    if not 1000 <= code <= 4999:
        raise ValueError(f"a close code is 1000 to 4999, got {code}")
    return code


def frame_of(message: str) -> bytes:
    """Return the ``a`` frame of one message."""
    return encode_sockjs((message,))


def text_of(message: str | Framed) -> str:
    """
    Return the text of a message.

    Raises:
        TypeError: It is binary; found later if it is none at all.

    """
    if not isinstance(message, Framed):
        return message
    if message.opcode != 1:
        raise TypeError("SockJS has no binary messages")
    return message.payload.decode()
