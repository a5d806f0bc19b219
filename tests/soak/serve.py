"""
The servers of a soak: ``python -m tests.soak.serve reactor|transport|uvicorn``.

The first two serve coroutines and callbacks, plain and over TLS; the third is a worker
of uvicorn with wsfast's class, plain and over TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import Any

from tests.soak.book import Book, WrongError
from tests.soak.child import Notes, emit, obey
from tests.support.host import HERE, server_tls
from wsfast import ConnectionClosed, Listener, serve

#: Times that hold on a machine that is busy with other things, and a limit to be over.
OPTIONS: dict[str, Any] = {
    "open_timeout": 30,
    "close_timeout": 10,
    "ping_interval": 5,
    "ping_timeout": 60,
    "max_size": 1 << 16,
}

NOTES = Notes()


class Talk:
    """
    One connection as the server sees it.

    A path of ``/bad`` says that the peer may end as it likes; another one must say
    goodbye.
    """

    def __init__(self, path: str) -> None:
        self.book = Book()
        self.bad = path.startswith("/bad")
        NOTES.count("opened")

    def answers(self, message: str | bytes) -> list[str | bytes]:
        """Return the answers to a message."""
        try:
            return list(self.book.answers(message))
        except WrongError as exc:
            NOTES.complain(f"server: {exc}")
            return []

    def ended(self) -> None:
        """Take the end in."""
        NOTES.count("closed")
        NOTES.count("messages", self.book.heard)
        if not (self.bad or self.book.done):
            NOTES.complain(f"server: ended after {self.book.heard} messages")


async def handler(ws: Any) -> None:
    """Serve a connection as a coroutine."""
    talk = Talk(ws.request.path)
    try:
        with contextlib.suppress(ConnectionClosed):
            async for message in ws:
                for answer in talk.answers(message):
                    await ws.send(answer)
    finally:
        talk.ended()


class Answering(Listener):
    """Serves a connection by callbacks."""

    def on_open(self, ws: Any) -> None:
        """Begin."""
        self.talk = Talk(ws.request.path)

    def on_message(self, ws: Any, message: Any) -> None:
        """Answer at once."""
        with contextlib.suppress(ConnectionClosed):
            for answer in self.talk.answers(message):
                ws.send(answer)

    def on_close(self, ws: Any, code: int, reason: str) -> None:
        """End."""
        self.talk.ended()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve a connection as an application of ASGI."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    talk = Talk(scope["path"])
    try:
        while (event := await receive())["type"] == "websocket.receive":
            text = event.get("text")
            for answer in talk.answers(event["bytes"] if text is None else text):
                key = "text" if isinstance(answer, str) else "bytes"
                await send({"type": "websocket.send", key: answer})
    except OSError:
        pass  # the peer has gone
    finally:
        talk.ended()


async def serve_uvicorn(stack: contextlib.AsyncExitStack) -> dict[str, int]:
    """Start two servers of uvicorn in this process; return their ports."""
    import uvicorn

    from wsfast.asgi.uvicorn import WebSocketProtocol

    ports = {}
    for name, secure in (("asgi", False), ("asgi-tls", True)):
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=0,
                ws=WebSocketProtocol,
                ws_max_size=OPTIONS["max_size"],
                ws_ping_interval=OPTIONS["ping_interval"],
                ws_ping_timeout=OPTIONS["ping_timeout"],
                lifespan="off",
                log_config=None,
                ssl_certfile=str(HERE / "localhost.pem") if secure else None,
                timeout_keep_alive=2,
            )
        )
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ports[name] = server.servers[0].sockets[0].getsockname()[1]

        async def stop(server: Any = server, task: Any = task) -> None:
            server.should_exit = True
            await task

        stack.push_async_callback(stop)
    return ports


async def serve_own(stack: contextlib.AsyncExitStack, reactor: bool) -> dict[str, int]:
    """Start four servers; return their ports."""
    ports = {}
    for style, what in (("coroutine", handler), ("callback", Answering)):
        for name, context in ((style, None), (f"{style}-tls", server_tls())):
            server = await stack.enter_async_context(
                serve(what, "127.0.0.1", 0, ssl=context, reactor=reactor, **OPTIONS)
            )
            ports[name] = next(iter(server.sockets)).getsockname()[1]
    return ports


async def main() -> None:
    """Serve until standard input ends."""
    kind = sys.argv[1]
    async with contextlib.AsyncExitStack() as stack:
        if kind == "uvicorn":
            ports = await serve_uvicorn(stack)
        else:
            ports = await serve_own(stack, kind == "reactor")
        emit(ports=ports)
        await obey(NOTES)


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)  # bad peers are the order of the day
    asyncio.run(main())
