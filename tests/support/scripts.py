"""What an application does with a connection in the tests, by name."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.tour import obey, tour

Emit = Callable[..., None]


class PassedOnError(Exception):
    """Raised by a script on purpose, to see what the library does with it."""


class Tally:
    """Counts what an application received; ``emit`` reports an event of its own."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.messages = 0
        self.octets = 0
        self.first: str | None = None

    def add(self, message: str | bytes) -> None:
        """Count one message."""
        if self.first is None:
            self.first = repr(message[:80])
        self.messages += 1
        self.octets += len(message)

    def fields(self) -> dict[str, Any]:
        """Return the counts as fields of an event."""
        return {"messages": self.messages, "octets": self.octets, "first": self.first}


async def echo(ws: Any, tally: Tally, argument: Any) -> None:
    """Send back each message, with back-pressure; ends by ``ConnectionClosed``."""
    while True:
        message = await ws.recv()
        tally.add(message)
        await ws.send(message)


async def echo_for(ws: Any, tally: Tally, argument: Any) -> None:
    """Send back each message the way most applications are written."""
    async for message in ws:
        tally.add(message)
        await ws.send(message)


async def sink(ws: Any, tally: Tally, argument: Any) -> None:
    """Receive and count."""
    while True:
        tally.add(await ws.recv())


async def drip(ws: Any, tally: Tally, argument: Any) -> None:
    """Receive one message a second: an application slower than its peer."""
    while True:
        tally.add(await ws.recv())
        await asyncio.sleep(1)


async def deaf(ws: Any, tally: Tally, argument: Any) -> None:
    """Never receive; return when the connection has ended."""
    await ws.wait_closed()


async def flood(ws: Any, tally: Tally, argument: Any) -> None:
    """Send 64 KiB messages for ever, waiting as ``send`` says."""
    while True:
        await ws.send(bytes(65536))
        tally.add(b"")
        if tally.messages % 16 == 0:
            tally.emit("sent", messages=tally.messages)


async def eager(ws: Any, tally: Tally, argument: Any) -> None:
    """Send 64 KiB messages for ever and never wait for one: the callback style."""
    while ws.state == 1:
        ws.send(bytes(65536))
        tally.add(b"")
        await asyncio.sleep(0)
    while True:
        await ws.recv()


async def stall(ws: Any, tally: Tally, argument: Any) -> None:
    """Echo, and keep the event loop for itself now and then: what no one should do."""
    while True:
        await ws.send(await ws.recv())
        tally.messages += 1
        if tally.messages % 20 == 0:
            end = time.thread_time() + 0.7
            while time.thread_time() < end:
                pass


async def fail(ws: Any, tally: Tally, argument: Any) -> None:
    """Raise on the first message."""
    tally.add(await ws.recv())
    raise PassedOnError("an application's own mistake")


async def leave(ws: Any, tally: Tally, argument: Any) -> None:
    """Return at the first message: the library closes."""
    tally.add(await ws.recv())


async def close(ws: Any, tally: Tally, argument: Any) -> None:
    """Close at once."""
    await ws.close()


async def impatient(ws: Any, tally: Tally, argument: Any) -> None:
    """Cancel ``recv`` again and again, then echo what was received."""
    while True:
        try:
            message = await asyncio.wait_for(ws.recv(), 0.001)
        except asyncio.TimeoutError:
            continue
        tally.add(message)
        await ws.send(message)


async def cut_sends(ws: Any, tally: Tally, argument: Any) -> None:
    """Cancel sends that wait, then say how many were begun; frames must stay whole."""
    payload = bytes(range(256)) * 256
    for number in range(argument or 200):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ws.send(payload), 0.002)
        tally.messages = number + 1
    await ws.send("end")
    tally.emit("sent", messages=tally.messages)
    while True:
        await ws.recv()


async def ask(ws: Any, tally: Tally, argument: Any) -> None:
    """Send each message of the argument, then receive until the end."""
    for message in argument or ():
        await ws.send(message)
    while True:
        tally.add(await ws.recv())


async def keep(ws: Any, tally: Tally, argument: Any) -> None:
    """Keep the first message through later traffic and say whether it changed."""
    first = await ws.recv()
    tally.add(first)
    before = bytes(first)
    try:
        while True:
            tally.add(await ws.recv())
    finally:
        tally.emit("kept", same=bytes(first) == before)


async def pieces(ws: Any, tally: Tally, argument: Any) -> None:
    """Receive messages in fragments and echo them in fragments."""
    while True:
        parts: list[Any] = [part async for part in ws.recv_streaming()]
        tally.add(parts[0][:0].join(parts))
        await ws.send(parts)


SCRIPTS: dict[str, Callable[..., Awaitable[None]]] = {
    script.__name__: script
    for script in (
        echo,
        echo_for,
        sink,
        stall,
        drip,
        deaf,
        flood,
        eager,
        fail,
        leave,
        close,
        impatient,
        cut_sends,
        ask,
        keep,
        obey,
        pieces,
        tour,
    )
}


def listener(name: str, package: Any, emit: Emit, ident: int) -> Any:
    """
    Return a callback class that echoes (``callback``) or fails (``callback_fail``).

    Args:
        name: Which of the two.
        package: Module that holds ``Listener``.
        emit: Reports an event.
        ident: Number of the server, for its events.

    """

    class Echo(package.Listener):  # type: ignore[misc]
        """Sends back what arrives, at once."""

        def on_open(self, ws: Any) -> None:
            """Report the start."""
            self.tally = Tally(emit)
            emit("open", id=ident, conn=0, path=ws.request.path, subprotocol=None)

        def on_message(self, ws: Any, message: Any) -> None:
            """Echo, or raise."""
            self.tally.add(message)
            if name == "callback_fail":
                raise PassedOnError("an application's own mistake")
            ws.send(message)

        def on_close(self, ws: Any, code: int, reason: str) -> None:
            """Report the end."""
            fields = {"close_code": int(code), "close_reason": reason}
            emit("end", id=ident, conn=0, **self.tally.fields(), **fields)

    return Echo
