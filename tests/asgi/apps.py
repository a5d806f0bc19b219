"""ASGI applications for tests."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from tests.support.tour import text_of


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, and send back what comes."""
    assert scope["type"] == "websocket"
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


class Recorder:
    """
    An application that records what it gets, and does what the test says.

    Args:
        accept: Fields of its ``websocket.accept``; None not to send one.

    """

    def __init__(self, accept: dict[str, Any] | None = None, **fields: Any) -> None:
        self.accept = {**fields} if accept is None else accept
        self.scope: Any = None
        self.events: list[Any] = []
        self.sends: asyncio.Queue[Any] = asyncio.Queue()
        self.done = asyncio.Event()
        self.receive: Any = None
        self.send: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        try:
            self.events.append(await receive())
            await send({"type": "websocket.accept", **self.accept})
            while self.events[-1]["type"] != "websocket.disconnect":
                self.events.append(await receive())
        finally:
            self.done.set()

    async def finished(self) -> Any:
        """Wait for the end; return the last event."""
        await asyncio.wait_for(self.done.wait(), 20)
        return self.events[-1]


async def until(condition: Any, seconds: float = 20) -> None:
    """Wait until a condition holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it never happened"
        await asyncio.sleep(0.01)


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Say which process this is, then echo."""
    if scope["type"] == "websocket":
        known = scope["extensions"]["wsfast"]["connection"]
        await receive()
        await send({"type": "websocket.accept"})
        text = f"{os.getpid()} {known.statistics()['path']}"
        await send({"type": "websocket.send", "text": text})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})


async def obey(scope: Any, receive: Any, send: Any) -> None:
    """Do what a tour asks for; see `tests.support.tour`. ASGI has no fragments."""
    if scope["type"] != "websocket":
        return
    known = scope["extensions"]["wsfast"]["connection"]
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        order, _, rest = event.get("text", "").partition(" ")
        if order == "!close":
            code, _, reason = rest.partition(" ")
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
        elif order == "!fragments":
            await send({"type": "websocket.send", "text": text_of(int(rest))})
        elif order == "!ping":
            await known.ping(rest)
            await send({"type": "websocket.send", "text": f"pong {rest}"})
        else:
            await send({**event, "type": "websocket.send"})
    print(f"end {event['code']} {event.get('reason')}", file=sys.stderr, flush=True)
