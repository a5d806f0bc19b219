"""Servers of Socket.IO in the loop of the test, and clients that know the wire only."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import wsfast
from tests.support.node import Node
from wsfast import socketio
from wsfast.asyncio._timeout import timeout

WAIT_S = 20

#: A client that has a WebSocket at once, and comes back soon.
FAST: dict[str, Any] = {
    "transports": ["websocket"],
    "reconnection_delay": 0.02,
    "reconnection_delay_max": 0.05,
}


class Raw:
    """
    A WebSocket that speaks Socket.IO because the test does.

    Args:
        ws: The connection, past the handshake of Engine.IO.

    """

    def __init__(self, ws: Any) -> None:
        self.ws = ws

    async def send(self, *messages: str | bytes) -> None:
        """Send messages: packets of Socket.IO, and attachments."""
        for message in messages:
            await self.ws.send("4" + message if isinstance(message, str) else message)

    async def recv(self) -> str | bytes:
        """Return the next message, whatever the heartbeat does."""
        async with timeout(WAIT_S):
            while (message := await self.ws.recv())[:1] == "2":
                await self.ws.send("3")
        if isinstance(message, str):
            assert message[0] == "4", message
            return message[1:]
        return bytes(message)

    async def enter(self, namespace: str = "", auth: Any = None) -> dict[str, Any]:
        """Enter a namespace; return what the server says of it."""
        head = f"{namespace}," if namespace else ""
        await self.send(f"0{head}" + ("" if auth is None else json.dumps(auth)))
        answer = await self.recv()
        assert answer.startswith(f"0{head}{{"), answer
        return json.loads(answer[1 + len(head) :])

    async def call(self, *args: Any, namespace: str = "", number: int = 0) -> Any:
        """Send an event and return what it is acknowledged with."""
        head = f"{namespace}," if namespace else ""
        await self.send(f"2{head}{number}{json.dumps(args)}")
        answer = await self.recv()
        assert answer.startswith(f"3{head}{number}["), answer
        return json.loads(answer[1 + len(head) + len(str(number)) :])

    async def ended(self) -> None:
        """Wait for the end of the connection."""
        async with timeout(WAIT_S):
            with contextlib.suppress(wsfast.ConnectionClosed):
                while True:
                    await self.ws.recv()


class Place:
    """One server, and raw clients of it."""

    def __init__(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        self.port = 0

    async def start(self, sio: socketio.Server) -> None:
        """Serve."""
        self.stack.push_async_callback(sio.close)
        server = await self.stack.enter_async_context(sio.serve("127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """The server, as clients of Socket.IO are told."""
        return f"http://127.0.0.1:{self.port}"

    async def raw(self) -> Raw:
        """Return a client that has not asked for a namespace."""
        uri = f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket"
        ws = await self.stack.enter_async_context(wsfast.connect(uri))
        assert (await ws.recv())[:1] == "0"
        return Raw(ws)

    async def client(self, namespace: str = "", auth: Any = None) -> tuple[Raw, str]:
        """Return a client in a namespace, and its id."""
        raw = await self.raw()
        return raw, (await raw.enter(namespace, auth))["sid"]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """Return where servers are started."""
    place = Place()
    async with place.stack:
        yield place


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """Return the Node process of all tests here."""
    node = Node()
    yield node
    node.close()


async def until(condition: Any, what: str = "") -> None:
    """Wait for what comes in its own time."""
    async with timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.005)
