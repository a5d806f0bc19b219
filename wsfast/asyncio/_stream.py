"""
A link over an ordinary asyncio transport: TLS, Windows, and any loop there is.

It is an :class:`asyncio.BufferedProtocol` that reads into one buffer shared by all
links of the loop, and writes what a connection has queued in one call per pass, like
the reactor. What the transport does not take at once stays in the connection's own
output, so that its limits hold.
"""

from __future__ import annotations

import asyncio
import sys
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ._options import reactor_for
from .link import Driver, Link

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["StreamDriver", "StreamLink", "link_for", "stream_driver_for"]

#: Size of the read buffer that the links of a loop share, in octets.
READ_SIZE = 256 * 1024

#: Most octets handed to a transport at once, and so the most that leave our own output.
WRITE_SIZE = 256 * 1024

#: How long the peer's octets are thrown away after our end of the stream, in seconds.
LINGER_S = 1.0


class StreamDriver(Driver):
    """
    The driver of links over transports.

    Attributes:
        buffer: Where every link reads into; its octets are used up, or copied, before
            the transport's callback returns.
        buffer_taken: A callback is at work on :attr:`buffer` right now.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.buffer = memoryview(bytearray(READ_SIZE))
        self.buffer_taken = False
        self._clock = loop.time
        if abs(loop.time() - time.monotonic()) < 1.0:
            self._clock = time.monotonic  # the same, in finer steps than uvloop's

    def time(self) -> float:
        """Return the time on the event loop's clock, in seconds."""
        return self._clock()


_ATTRIBUTE = "_wsfast_stream_driver"
_others: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, StreamDriver]
_others = weakref.WeakKeyDictionary()


def stream_driver_for(loop: asyncio.AbstractEventLoop) -> StreamDriver:
    """Return the driver that all transport links of ``loop`` share."""
    driver = getattr(loop, _ATTRIBUTE, None) or _others.get(loop)
    if driver is None:
        driver = StreamDriver(loop)
        try:  # kept by the loop itself, so that both can go together
            setattr(loop, _ATTRIBUTE, driver)
        except AttributeError:
            _others[loop] = driver
    return cast(StreamDriver, driver)


class StreamLink(Link, asyncio.BufferedProtocol):
    """
    A link over one asyncio transport.

    Args:
        driver: The driver of the loop on which the transport runs.
        factory: Called with the link when it is connected; it sets ``receiver``.

    Attributes:
        born: When the link was made, on the loop's clock. For a server that is when the
            connection was accepted, before any TLS handshake.
        early: Octets that arrived while nobody was there to receive them.

    """

    def __init__(
        self,
        driver: StreamDriver,
        factory: Callable[[StreamLink], object] | None = None,
    ) -> None:
        super().__init__(driver)
        self.born = driver.time()
        self.early = b""
        self.transport: asyncio.Transport
        self._factory = factory
        self._stream_driver = driver
        self._view = driver.buffer
        self._connected = False
        self._write_paused = False
        self._read_paused = False
        self._continuing = False
        self._transport_paused = False
        self._ending = False
        self._finished = False
        self.timer_slot = 0
        self.timer_index = 0

    # ---- the opening handshake ----

    def write(self, data: bytes) -> None:
        """Send octets as they are; only before :meth:`start`."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def replay(self, receiver: Any) -> None:
        """Tell ``receiver`` what happened while nobody was there."""
        early, self.early = self.early, b""
        if early:
            receiver.data_received(early)
        if not self._connected:
            receiver.connection_lost(None)

    def start(self, connection: Connection, rest: bytes) -> None:
        """Serve ``connection`` from now on; ``rest`` is parsed first."""
        self.receiver = None
        self.connection = connection
        if connection.writer.queued:
            self.wrote()
        connection.receive(rest)
        self._after_input()

    # ---- serving a connection ----

    def flush(self) -> None:
        """Hand over to the transport what the connection has queued, as it takes it."""
        connection = self.connection
        if self._finished:
            return
        if connection is None:
            if self._ending and not self._write_paused:
                self._finish()
            return
        transport = self.transport
        writer = connection.writer
        while (queued := len(writer)) and not self._write_paused:
            if transport.is_closing():
                return
            if queued <= WRITE_SIZE:
                transport.write(writer.take())
            else:
                data = writer.peek(WRITE_SIZE)
                transport.write(data)
                writer.consume(len(data))
        if connection.options.ledger is not None:
            kept = transport.get_write_buffer_size()
            connection.output_left(len(writer) + kept)
        connection.output_flushed()
        if self._ending and not len(writer) and not self._write_paused:
            self._finish()

    def pause_reading(self) -> None:
        """Take no more octets from the peer; what has arrived is kept."""
        self._read_paused = True
        self._update_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`; what was kept is delivered first."""
        self._read_paused = False
        self._after_input()

    def _after_input(self) -> None:
        """Have input that was left over delivered, in a pass of its own."""
        connection = self.connection
        if (
            connection is not None
            and not self._read_paused
            and not self._continuing
            and connection.unfinished
        ):
            self._continuing = True
            self.driver.loop.call_soon(self._continue)
        self._update_reading()

    def _continue(self) -> None:
        self._continuing = False
        connection = self.connection
        if connection is None or self._finished:
            return
        self.driver.enter()
        try:
            if not self._read_paused:
                connection.serve()
        finally:
            self.driver.leave()
            self._after_input()

    def _update_reading(self) -> None:
        """Read from the transport unless there is reason not to."""
        paused = (self._read_paused or self._continuing) and not self._finished
        if paused is not self._transport_paused and not self.transport.is_closing():
            self._transport_paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # ---- the end ----

    def close(self) -> None:
        """Flush what is queued, then end the stream and wait a little for the peer."""
        if self._ending:
            return
        self._ending = True
        self.wrote()

    def _finish(self) -> None:
        """End our side; throw away what the peer still sends until it ends its own."""
        if self._finished:
            return
        self._finished = True
        transport = self.transport
        if transport.is_closing():
            return
        if (
            not transport.can_write_eof()
        ):  # TLS: its own closing alert, and its own wait
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:  # the peer has reset the connection, unnoticed so far
            transport.abort()
            return
        self._update_reading()
        self.driver.schedule(self, self.driver.time() + LINGER_S)

    def on_timer(self, now: float) -> float:
        """Wait no longer for a peer that does not end its side of the stream."""
        self.abort()
        return 0.0

    def abort(self) -> None:
        """End the stream at once; what is queued is lost."""
        self._ending = self._finished = True
        if self._connected:
            self.transport.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name``: peername, socket, ..."""
        return self.transport.get_extra_info(name, default)

    # ---- what the transport calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin on a transport that is connected."""
        self.transport = cast(asyncio.Transport, transport)
        self._connected = True
        # Anything the system does not take at once pauses us: the rest waits in the
        # connection's output. (Not 0: TLS transports would never be below it.)
        self.transport.set_write_buffer_limits(high=1, low=0)
        factory, self._factory = self._factory, None
        if factory is not None:
            factory(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the transport puts what it reads next."""
        driver = self._stream_driver
        if driver.buffer_taken:
            self._view = memoryview(bytearray(READ_SIZE))
        else:
            self._view = driver.buffer
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take ``nbytes`` octets from the start of the buffer."""
        if self._finished:
            return
        view = self._view[:nbytes]
        driver = self._stream_driver
        driver.buffer_taken = True
        driver.enter()
        try:
            if self.connection is not None:
                self.connection.receive(view)
            elif self.receiver is not None:
                self.receiver.data_received(bytes(view))
            else:
                self.early += view
        except (KeyboardInterrupt, SystemExit) as exc:
            # A loop may take it for a transport's error. This ends the loop's run.
            driver.loop.call_soon(_raise, exc)
        finally:
            driver.buffer_taken = False
            driver.leave()
            self._after_input()

    def eof_received(self) -> bool:
        """Note that the peer has ended its side: the transport then ends ours."""
        connection = self.connection
        if connection is not None and not self._finished:
            connection.receive_eof()
            self.flush()
            self._finished = True
        return False

    def pause_writing(self) -> None:
        """Keep what is queued, since the transport has octets left."""
        self._write_paused = True
        tell = getattr(self.receiver, "pause_writing", None)
        if tell is not None:
            tell()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._write_paused = False
        tell = getattr(self.receiver, "resume_writing", None)
        if tell is not None:
            tell()
        if self.connection is not None:
            self.connection.output_moved()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, or the handshake, that the stream has ended."""
        self._ending = self._finished = True
        self._connected = False
        if sys.version_info < (3, 11):
            self.transport.close()  # or a TLS transport complains that nobody did
        self.driver.cancel(self)
        connection, receiver = self.connection, self.receiver
        self.connection = self.receiver = None
        if connection is not None:
            connection.lost(exc)
        elif receiver is not None:
            receiver.connection_lost(exc)


def _raise(exc: BaseException) -> None:
    raise exc


def link_for(
    transport: asyncio.Transport,
    reactor: bool,
    link: StreamLink | None = None,
    *,
    keep: bool = True,
) -> Link:
    """
    Return a link over a transport on which no octet is to be read for others.

    Args:
        transport: The transport; the link has it for itself from now on.
        reactor: Have the reactor take over its socket, where that is possible.
        link: A link that runs on the transport already.
        keep: Keep the transport, for an owner that is to hear of its end. Otherwise it
            ends at once if the reactor has taken over; the link is not over it then.

    """
    loop = asyncio.get_running_loop()
    if reactor:
        driver: Any = reactor_for(loop)
        adopted = None if driver is None else driver.adopt(transport, keep)
        if adopted is not None:
            return cast(Link, adopted)
    if link is None:
        link = StreamLink(stream_driver_for(loop))
        link.connection_made(transport)
        transport.set_protocol(link)
        transport.resume_reading()
    return link
