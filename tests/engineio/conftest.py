"""Servers of Engine.IO in the loop of the test: under uvicorn, and by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import socket
from typing import Any, ClassVar

import pytest

import wsfast
from wsfast import engineio

#: Python 3.10 has none of the extra "asgi".
collect_ignore_glob = [] if importlib.util.find_spec("uvicorn") else ["test_*.py"]

WAIT_S = 20

#: How WebSockets reach the server: our connection, over the reactor; the events of
#: another WebSocket class of uvicorn's. Those against other libraries have a third,
#: "transport", our connection over one of asyncio's.
HOSTS = ("reactor", "events")


class Recorder(engineio.Listener):
    """A listener that echoes, and notes what happens."""

    made: ClassVar[list[Recorder]] = []

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self.events: list[Any] = []
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.made.append(self)

    def on_open(self) -> None:
        self.events.append("open")

    def on_message(self, data: str | bytes) -> None:
        self.events.append(data)
        if data == "fail":
            raise RuntimeError("told to fail")
        if data == "close":
            self.socket.close()
            return
        self.socket.send(data)

    def on_drain(self) -> None:
        self.events.append("drain")

    def on_upgrade(self) -> None:
        self.events.append("upgrade")

    def on_close(self, reason: str, description: Any) -> None:
        self.events.append(("close", reason))
        self.ended.set_result(reason)


class Peer(engineio.Listener):
    """A client's listener that notes what happens."""

    def __init__(self, socket):
        super().__init__(socket)
        self.events = []
        self.messages = asyncio.Queue()
        self.upgraded = False
        self.ended = asyncio.get_running_loop().create_future()
        self.drained = False

    @property
    def pinged(self):
        """Whether the server has sent a ping: the next is expected later."""
        return self.socket._deadline > self.deadline

    def on_open(self):
        self.deadline = self.socket._deadline
        self.events.append(("open", self.socket.transport))

    def on_message(self, data):
        self.messages.put_nowait(data)

    def on_upgrade(self):
        self.upgraded = True

    def on_drain(self):
        self.drained = True

    def on_close(self, reason, description):
        self.events.append(("close", reason))
        self.ended.set_result(reason)


WAYS: dict[str, dict[str, Any]] = {
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
    "upgrade": {},
}


class Place:
    """
    A server, and clients of it that know nothing of Engine.IO.

    Args:
        host: One of HOSTS, or "transport".

    """

    def __init__(self, host: str) -> None:
        from tests.asgi.serving import Uvicorn

        self.host = host
        self.uvicorn = Uvicorn(host == "reactor")
        self.stack = self.uvicorn.stack
        self.server: engineio.Server | None = None
        self.made: list[Recorder] = []
        self.port = 0
        self.kind: type[engineio.Server] = engineio.Server

    async def start(self, listener: Any = None, **options: Any) -> engineio.Server:
        """Serve."""
        import httpx

        kind = type("Recorder", (Recorder,), {"made": self.made})
        self.server = self.kind(listener or kind, **options)
        await self._listen(self.server)
        self.stack.callback(self.server.close)
        self.http = await self.stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=WAIT_S)
        )
        return self.server

    async def _listen(self, app: Any) -> None:
        """Listen with uvicorn's protocols, without the ticks in which it ends."""
        if self.host == "hypercorn":
            await self._listen_with_hypercorn(app)
            return
        import uvicorn
        from uvicorn.server import ServerState

        from wsfast.asgi.uvicorn import WebSocketProtocol

        class OnThisPath(WebSocketProtocol):
            __slots__ = ()
            reactor = self.host == "reactor"

        ws: Any = "websockets-sansio" if self.host == "events" else OnThisPath
        config = uvicorn.Config(
            app, ws=ws, lifespan="off", log_config=None, access_log=False
        )
        config.load()
        state = ServerState()
        kind: Any = config.http_protocol_class
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(
            lambda: kind(config=config, server_state=state, app_state={}),
            "127.0.0.1",
            0,
        )
        self.port = listening.sockets[0].getsockname()[1]

        async def end() -> None:
            listening.close()
            for connection in list(state.connections):
                connection.shutdown()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=WAIT_S)

        self.stack.push_async_callback(end)

    async def _listen_with_hypercorn(self, app: Any) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{sock.detach()}"]
        config.graceful_timeout = 0.1
        config.errorlog = logging.getLogger("hypercorn.error")
        over = asyncio.Event()
        task = asyncio.ensure_future(serve(app, config, shutdown_trigger=over.wait))

        async def end() -> None:
            over.set()
            await asyncio.wait([task], timeout=WAIT_S)

        self.stack.push_async_callback(end)

    async def start_alone(self, **options: Any) -> engineio.Server:
        """Serve WebSockets, without any other server."""
        kind = type("Recorder", (Recorder,), {"made": self.made})
        self.server = engineio.Server(kind, **options)
        ws_server = await self.stack.enter_async_context(
            self.server.serve("127.0.0.1", 0, reactor=self.host == "reactor")
        )
        self.port = ws_server.sockets[0].getsockname()[1]
        return self.server

    @property
    def listener(self) -> Recorder:
        """The listener of the only session."""
        (listener,) = self.made
        return listener

    def target(self, sid: str = "", transport: str = "polling") -> str:
        """Return the target of a request."""
        tail = f"&sid={sid}" if sid else ""
        return f"/engine.io/?EIO=4&transport={transport}{tail}"

    async def get(self, target: str, **options: Any) -> Any:
        """Send a GET request."""
        return await self.http.get(target, **options)

    async def post(self, target: str, body: Any, **options: Any) -> Any:
        """Send a POST request."""
        return await self.http.post(target, content=body, **options)

    async def open(self) -> str:
        """Begin a session by polling; return its identifier."""
        import json

        answer = await self.get(self.target())
        assert answer.status_code == 200
        return str(json.loads(answer.text[1:])["sid"])

    async def poll(self, sid: str) -> str:
        """Poll; return the payload."""
        answer = await self.get(self.target(sid))
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    async def connect(self, target: str = "", **options: Any) -> Any:
        """Open a WebSocket."""
        url = f"ws://127.0.0.1:{self.port}{target or self.target('', 'websocket')}"
        ws = await wsfast.connect(url, **options)
        self.stack.push_async_exit(ws)
        return ws

    async def recv(self, ws: Any) -> Any:
        """Receive a message of a WebSocket."""
        return await asyncio.wait_for(ws.recv(), WAIT_S)

    async def closed(self, ws: Any) -> None:
        """Wait for the end of a WebSocket."""
        with contextlib.suppress(wsfast.ConnectionClosed):
            while True:
                await self.recv(ws)

    async def ended(self) -> str:
        """Wait for the end of the only session; return the reason."""
        return str(await asyncio.wait_for(self.listener.ended, WAIT_S))


async def until(thing: Any, name: str) -> None:
    """Wait until an attribute is true."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while not getattr(thing, name):
        assert asyncio.get_running_loop().time() < deadline, name
        await asyncio.sleep(0.001)


def url_of(place: Place) -> str:
    """Return the URL of a server."""
    return f"http://127.0.0.1:{place.port}"


async def recv(socket: Any) -> Any:
    """Receive a message of a client's."""
    return await asyncio.wait_for(socket.listener.messages.get(), WAIT_S)


@pytest.fixture(params=HOSTS)
async def place(request):
    """Return a place on each host."""
    made = Place(request.param)
    async with made.stack:
        yield made
    await asyncio.sleep(0)
    gc.collect()


@pytest.fixture
async def reactor_place():
    """Return a place on the host that matters most, for what is about HTTP."""
    made = Place("reactor")
    async with made.stack:
        yield made
    await asyncio.sleep(0)
    gc.collect()


@pytest.fixture
def quiet(caplog):
    """Keep what is logged on purpose out of sight, and return it."""
    caplog.set_level(logging.CRITICAL, "wsfast")
    return caplog
