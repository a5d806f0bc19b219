"""The transports over HTTP: how each wraps its frames, and responses that listen."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from ..asgi.exchange import Exchange
from ..engine import quote_sockjs
from ._pages import HTML, JAVASCRIPT
from ._polled import ANOTHER, PolledSession
from .options import Options

__all__ = ["EVENTSOURCE", "HTMLFILE", "JSONP", "XHR", "XHR_STREAMING", "Transport"]

#: What a page may have called back (THREATS of SockJS: it ends up in a script).
CALLBACK = re.compile(r"[A-Za-z0-9_.]{1,64}\Z")

#: The page that a hidden frame loads, as the protocol has it (HtmlFile).
_HTMLFILE = """\
<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.%s;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"""

#: Octets before which some browsers show nothing at all.
_SHOWN_FROM = 1024


@dataclass(frozen=True)
class Transport:
    """A way of listening."""

    name: str
    path: str
    method: str
    content_type: tuple[str, str]
    streams: bool
    cors: bool = True
    has_callback: bool = False

    def prelude(self, callback: str) -> bytes:
        """Return what a response begins with, before any frame."""
        if self.name == "xhr-streaming":
            return b"h" * 2048 + b"\n"
        if self.name == "eventsource":
            return b"\r\n"
        if self.name == "htmlfile":
            page = _HTMLFILE % callback
            return page.ljust(_SHOWN_FROM).encode() + b"\r\n\r\n"
        return b""

    def wrap(self, frame: bytes, callback: str) -> bytes:
        """Return a frame as this transport sends it."""
        if self.name == "eventsource":  # the client undoes it by decodeURI()
            return b"data: %b\r\n\r\n" % frame.replace(b"%", b"%25")
        if self.name == "htmlfile":
            # What is in a script must not end it, nor begin a comment.
            quoted = quote_sockjs(frame.decode()).replace(b"<", b"\\u003c")
            return b"<script>\np(%b);\n</script>\r\n" % quoted
        if self.name == "jsonp-polling":
            # The comment keeps a page's function from being what the file begins with.
            return b"/**/%b(%b);\r\n" % (
                callback.encode(),
                quote_sockjs(frame.decode()),
            )
        return frame + b"\n"


XHR = Transport("xhr-polling", "xhr", "POST", JAVASCRIPT, False)
XHR_STREAMING = Transport("xhr-streaming", "xhr_streaming", "POST", JAVASCRIPT, True)
EVENTSOURCE = Transport(
    "eventsource",
    "eventsource",
    "GET",
    ("content-type", "text/event-stream; charset=UTF-8"),
    True,
)
HTMLFILE = Transport("htmlfile", "htmlfile", "GET", HTML, True, False, True)
JSONP = Transport("jsonp-polling", "jsonp", "GET", JAVASCRIPT, False, False, True)


def callback_of(exchange: Exchange) -> str:
    """
    Return the function to call back.

    Raises:
        ValueError: None is named, or one that cannot be; with the answer's words.

    """
    callback = exchange.query.get("c", exchange.query.get("callback"))
    if callback is None:
        raise ValueError('"callback" parameter required')
    if not CALLBACK.match(callback):
        raise ValueError('invalid "callback" parameter')
    return callback


class Listener:
    """
    A request that listens to a session, and the response to it.

    Args:
        transport: The way it listens.
        session: The session.
        exchange: The request.
        fields: Header fields of the response.
        callback: The function to call back, for the transports that have one.

    Attributes:
        writing_since: When it began to write what it writes now, on the loop's clock; 0
            if it does not.

    """

    def __init__(
        self,
        transport: Transport,
        session: PolledSession,
        exchange: Exchange,
        fields: list[tuple[str, str]],
        callback: str,
    ) -> None:
        self._transport = transport
        self._session = session
        self._exchange = exchange
        self._fields = fields
        self._callback = callback
        self._cut = False
        self._wake: asyncio.Future[None] | None = None
        self._watched = False
        self._task: asyncio.Task[Any] | None = None
        self.writing_since = 0.0

    async def serve(self, options: Options) -> None:
        """Listen, and answer."""
        if not self._session.listen(self, self._exchange.scope):
            await self._answer(ANOTHER)
            return
        self._task = asyncio.current_task()
        try:
            if self._transport.streams:
                await self._stream(options.response_limit)
            else:
                await self._poll()
        except asyncio.CancelledError:
            if not self._cut:
                raise
            _uncancel(self._task)
        except OSError:
            pass  # the client has gone
        finally:
            self._session.lost(self)
            self._exchange.release()

    def cut(self) -> None:
        """End the response if it is stuck: the session is no more."""
        if self.writing_since and self._task is not None:
            self._cut = True
            self._task.cancel()

    def wake(self) -> None:
        """Look for a frame, or whether the client has gone."""
        wake, self._wake = self._wake, None
        if wake is not None and not wake.done():
            wake.set_result(None)

    def _wrap(self, frame: bytes) -> bytes:
        return self._transport.wrap(frame, self._callback)

    async def _answer(self, frame: bytes) -> None:
        """Answer with one frame and no more."""
        prelude = self._transport.prelude(self._callback)
        await self._exchange.respond(200, prelude + self._wrap(frame), self._fields)

    async def _poll(self) -> None:
        frame = await self._next()
        if frame is not None:
            # The session is left before its client can be back.
            self._session.leave(self)
            await self._exchange.respond(200, self._wrap(frame), self._fields)

    async def _stream(self, limit: int) -> None:
        exchange, session = self._exchange, self._session
        await exchange.start(200, self._fields)
        await self._write(self._transport.prelude(self._callback))
        sent = 0
        while sent < limit:
            frame = await self._next()
            if frame is None:
                return
            piece = self._wrap(frame)
            sent += len(piece)
            await self._write(piece)
            if frame[:1] == b"c":
                break
        session.leave(self)
        await exchange.finish()

    async def _write(self, piece: bytes) -> None:
        self.writing_since = self._session.driver.time()
        await self._exchange.write(piece)
        self.writing_since = 0.0

    async def _next(self) -> bytes | None:
        """Return the next frame; None if the client has gone."""
        session = self._session
        while session.is_heard_by(self):
            frame = session.take()
            if frame is not None:
                return frame
            self._wake = wake = asyncio.get_running_loop().create_future()
            if not self._watched:
                self._watched = True
                self._exchange.gone.add_done_callback(self._client_gone)
            await wake
        return None

    def _client_gone(self, _: object) -> None:
        self._session.lost(self)


def _uncancel(task: asyncio.Task[Any] | None) -> None:
    """Take back our own cancelling, where tasks count it."""
    uncancel = getattr(task, "uncancel", None)
    if uncancel is not None:
        uncancel()
