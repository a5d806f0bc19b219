"""ASGI applications for tests."""

from __future__ import annotations

import asyncio
from typing import Any


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
