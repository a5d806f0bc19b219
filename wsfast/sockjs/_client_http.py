"""The transports of a client that run over plain HTTP: XHR and event streams."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..asyncio._timeout import timeout as time_limit
from ..engine import Event, EventError, EventParser, quote_sockjs
from ..exceptions import PayloadTooBig, ProtocolError, SlowConsumer
from ._client_frames import Lines, broken_frame, decode_uri
from ._client_transports import Transport

if TYPE_CHECKING:
    from ..asyncio._streaming import Requests
    from ..protocol.http import Response
    from ._client_connection import ClientConnection
    from ._client_info import Cookies, SockJSTarget

__all__ = ["EventSourceTransport", "XHRPollingTransport", "XHRStreamingTransport"]

#: Octets of messages that go out with one request; a longer message goes alone.
BATCH_SIZE: Final = 128 * 1024

#: Most octets of the answer to messages; there is nothing in it.
ANSWER_SIZE: Final = 64 * 1024

#: Most octets ahead of the first frame: 2048 of them are usual, for old browsers.
PRELUDE_SIZE: Final = 4096

#: Seconds before asking again after a response without a single frame.
EMPTY_S: Final = 0.1


class HTTPTransport(Transport):
    """
    A transport of two connections: one that receives, and one that sends (abstract).

    Args:
        session: The session.
        target: Its URL, and what every request says.
        receiving: Sends the requests that receive.
        sending: Sends the requests that send.
        cookies: What the server had us keep.
        heartbeat_timeout: Seconds without any octet until the server is given up.
        request_timeout: Seconds that sending messages may take.

    """

    #: Method and path of a request that receives, and its header fields.
    method: ClassVar[str] = "POST"
    path: ClassVar[str]
    fields: ClassVar[tuple[tuple[str, str], ...]] = (("Content-Length", "0"),)

    def __init__(
        self,
        session: ClientConnection,
        target: SockJSTarget,
        receiving: Requests,
        sending: Requests,
        cookies: Cookies,
        heartbeat_timeout: float | None,
        request_timeout: float | None,
    ) -> None:
        super().__init__(session)
        self._target = target
        self._receiving, self._sending = receiving, sending
        self._cookies = cookies
        self._heartbeat_timeout = heartbeat_timeout
        self._request_timeout = request_timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._receiver: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._frames = 0
        self._waiting: deque[bytes] = deque()
        self._queued = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._aborted = False

    async def start(self) -> None:
        """Begin to receive."""
        self._receiver = self._run(self._receive())

    def _run(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _request(
        self, method: str, path: str, fields: tuple[tuple[str, str], ...]
    ) -> bytes:
        target = self._target
        request = target.make_request(fields, method=method, resource=target.to(path))
        return self._cookies.add(target.url, request).serialize()

    # ---- receiving ----

    async def _receive(self) -> None:
        """Ask again and again, until that ends the session."""
        try:
            while True:
                await self._resumed.wait()
                self._frames = 0
                self._begin()
                response = await self._receiving.request(
                    self._request(self.method, self.path, self.fields),
                    self._feed,
                    idle_timeout=self._heartbeat_timeout,
                    again=True,
                )
                self._cookies.store(self._target.url, response)
                self._finish(response)
                if self._frames == 0:
                    await asyncio.sleep(EMPTY_S)
        except (PayloadTooBig, ProtocolError) as exc:
            self.session.fail(exc)
        except Exception as exc:
            self.session.lost(exc)
        finally:
            self._receiver = None
            self._over()

    def _begin(self) -> None:
        """Make ready for a response."""
        raise NotImplementedError

    def _feed(self, data: bytes) -> None:
        """Take octets of a response."""
        raise NotImplementedError

    def _finish(self, response: Response) -> None:
        """Take the end of a response."""
        raise NotImplementedError

    def _deliver(self, frame: str | bytes) -> None:
        if frame:
            self._frames += 1
            self.session.frame_received(frame)

    # ---- sending ----

    def send(self, message: str, compress: bool | None) -> bool:
        """Queue a message; the task that sends takes all there are."""
        options = self.session.options
        if self._queued > options.max_send_buffer:
            if options.drop_overflow:
                return False
            failure = SlowConsumer()
            self.session.lost(failure)
            self.abort()
            raise failure
        quoted = quote_sockjs(message)
        self._waiting.append(quoted)
        self._queued += len(quoted)
        if self._queued > options.write_high:
            self._drained.clear()
        if self._sender is None:
            self._sender = self._run(self._send())
        return True

    def _tell_drained(self) -> None:
        if not self._drained.is_set():
            self._drained.set()
            self.session.drained()

    async def _send(self) -> None:
        """Send what waits, in order, one request at a time."""
        try:
            while self._waiting:
                batch = [self._waiting.popleft()]
                size = len(batch[0])
                while self._waiting and size + len(self._waiting[0]) <= BATCH_SIZE:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1])
                async with time_limit(self._request_timeout):
                    await self._post(b"[%b]" % b",".join(batch))
                self._queued -= size
                if self._queued <= self.session.options.write_low:
                    self._tell_drained()
        except Exception as exc:
            if isinstance(exc, asyncio.TimeoutError) and not exc.args:
                limit = self._request_timeout
                exc = TimeoutError(f"sending took more than {limit} seconds")
            self._give_up(exc)
        finally:
            self._sender = None
            self._over()

    async def _post(self, body: bytes) -> None:
        got = 0

        def receive(data: bytes) -> None:
            nonlocal got
            got += len(data)
            if got > ANSWER_SIZE:
                raise PayloadTooBig(f"an answer of over {ANSWER_SIZE} bytes")

        head = self._request(
            "POST",
            "/xhr_send",
            (
                ("Content-Type", "text/plain;charset=UTF-8"),
                ("Content-Length", str(len(body))),
            ),
        )
        response = await self._sending.request(head + body, receive)
        self._cookies.store(self._target.url, response)

    def _give_up(self, exc: Exception) -> None:
        """End the session: messages that were sent have not arrived."""
        self.session.lost(exc)
        self.abort()

    def is_high(self) -> bool:
        """Tell whether the output is above its high-water mark."""
        return self._queued > self.session.options.write_high

    async def drain(self) -> None:
        """Wait until the output is below its low-water mark."""
        if self.is_high():
            self._drained.clear()
        await self._drained.wait()
        if self.is_high():
            raise self.session.closed_error()

    @property
    def buffered_amount(self) -> int:
        """Octets that were queued and that the server has not taken yet."""
        return self._queued

    # ---- back-pressure on what is received ----

    def pause_reading(self) -> None:
        """Take no more from the server, and do not ask again."""
        self._resumed.clear()
        self._receiving.pause_reading()

    def resume_reading(self) -> None:
        """Undo :meth:`pause_reading`."""
        self._resumed.set()
        self._receiving.resume_reading()

    # ---- the end ----

    def close(self, code: int, reason: str) -> None:
        """End both connections, behind what was sent if the session is still there."""
        if self.session.ready_state == 3:
            self.abort()
        elif not self._aborted:
            self._run(self._close())

    async def _close(self) -> None:
        limit = self.session.options.close_timeout
        try:
            if self._sender is not None:
                await asyncio.wait(
                    [self._sender], timeout=limit if limit >= 0 else None
                )
            if self._sender is not None:
                failure = TimeoutError(f"sending took more than {limit} seconds")
                self.session.lost(failure)
        finally:
            self.abort()
            self.session.lost(None)

    def abort(self) -> None:
        """End both connections at once."""
        self._aborted = True
        current = asyncio.current_task()
        for task in (self._receiver, self._sender):
            if task is not None and task is not current:
                task.cancel()
        self._receiving.close()
        self._sending.close()
        self._drained.set()

    def _over(self) -> None:
        """Have the other task end, too, if this was the end of the session."""
        if self._receiver is None or self.session.ready_state == 3:
            self.session.lost(None)
            self.abort()

    async def wait_closed(self) -> None:
        """Wait until no task is left."""
        others = self._tasks - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)

    def get_extra_info(self, name: str) -> Any:
        """Return what is known of the connection that receives, under ``name``."""
        return self._receiving.get_extra_info(name)


class XHRStreamingTransport(HTTPTransport):
    """Responses without an end, with a frame a line."""

    name = "xhr-streaming"
    path = "/xhr_streaming"

    def _begin(self) -> None:
        limit = self.session.max_frame
        self._lines = Lines(None if limit is None else max(limit, PRELUDE_SIZE))

    def _feed(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._deliver(line)
        if self._lines.over:
            limit = self.session.max_frame
            raise PayloadTooBig(f"over frame size limit ({limit} bytes)")

    def _finish(self, response: Response) -> None:
        if not self._lines.end():
            raise ProtocolError("a response ends amid a frame", "broken_frame")


class XHRPollingTransport(XHRStreamingTransport):
    """Responses of one frame each."""

    name = "xhr-polling"
    path = "/xhr"


class EventSourceTransport(HTTPTransport):
    """An event stream, with a frame in each event."""

    name = "eventsource"
    path = "/eventsource"
    method = "GET"
    fields = (("Accept", "text/event-stream"), ("Cache-Control", "no-store"))

    def _begin(self) -> None:
        limit = self.session.max_frame
        if limit is not None:
            limit += len("data: ")
        self._parser = EventParser(max_line=limit, max_size=limit)

    def _feed(self, data: bytes) -> None:
        try:
            self._take(self._parser.feed(data))
        except EventError as exc:
            self._take(exc.events)
            raise PayloadTooBig(f"over frame size limit: {exc}") from exc

    def _take(self, events: list[Event]) -> None:
        for event in events:
            try:
                frame = decode_uri(event.data)
            except ValueError as exc:
                raise broken_frame(event.data, exc) from exc
            self._deliver(frame)

    def _finish(self, response: Response) -> None:
        """Drop an event that breaks off, as browsers do."""
