"""python-socketio on wsfast, with its own client and with that of npm."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import engineio
import pytest
import socketio

import wsfast.asgi.engineio as driver
from tests import needs
from tests.asgi.apps import until
from tests.asgi.serving import Uvicorn
from wsfast import ConnectionClosed, connect, serve
from wsfast.asgi.socketio import AsyncServer

PEER = Path(__file__).parent.parent / "interop" / "socketio_peer.js"
LIMIT_S = 60
#: How clients get there: by what server, with what transports.
WAYS = {
    "websocket": ("ours", ["websocket"]),
    "upgrade": ("ours", ["polling", "websocket"]),
    "polling": ("ours", ["polling"]),
    "websocket, sansio": ("websockets-sansio", ["websocket"]),
    "upgrade, sansio": ("websockets-sansio", ["polling", "websocket"]),
    "websocket, serve": ("serve", ["websocket"]),
}
OURS = [way for way in WAYS if "sansio" not in way and way != "polling"]


class Site:
    """
    A Socket.IO server and what it has seen.

    Args:
        options: Those of python-socketio's server.

    """

    def __init__(self, **options: Any) -> None:
        self.sio: Any = AsyncServer(async_mode="wsfast", **options)
        self.uri = ""
        self.left: list[tuple[str, str]] = []
        self.seen: list[Any] = []
        self.sids: list[str] = []
        for handler in (self.connect, self.disconnect, self.echo, self.join, self.tell):
            self.sio.on(handler.__name__, handler)
        for handler in (self.count_to, self.ask_me, self.throw_me_out, self.see):
            self.sio.on(handler.__name__, handler)

    async def connect(self, sid: str, environ: Any, auth: Any) -> None:
        assert environ["REQUEST_METHOD"] == "GET"
        assert "EIO=4" in environ["QUERY_STRING"]
        self.sids.append(sid)
        if auth == "refuse me":
            raise socketio.exceptions.ConnectionRefusedError("no")

    async def disconnect(self, sid: str, reason: str) -> None:
        self.left.append((sid, reason))

    async def echo(self, sid: str, data: Any) -> Any:
        return data

    async def see(self, sid: str, data: Any) -> None:
        self.seen.append(data)

    async def join(self, sid: str, room: str) -> None:
        await self.sio.enter_room(sid, room)

    async def tell(self, sid: str, room: str, what: str) -> int:
        await self.sio.emit("news", what, room=room)
        return len(self.sio.rooms(sid))

    async def count_to(self, sid: str, last: int) -> None:
        for n in range(last):
            await self.sio.emit("count", n, to=sid)

    async def ask_me(self, sid: str, what: str) -> Any:
        return await self.sio.call("question", what, to=sid, timeout=LIMIT_S)

    async def throw_me_out(self, sid: str) -> None:
        await self.sio.disconnect(sid)

    @contextlib.asynccontextmanager
    async def client(self, way: str, **options: Any) -> AsyncIterator[Any]:
        """Connect python-socketio's client for the length of a block."""
        async with aiohttp.ClientSession() as http:  # it does not always close its own
            client = socketio.AsyncClient(reconnection=False, http_session=http)
            await client.connect(
                self.uri, transports=WAYS[way][1], wait_timeout=LIMIT_S, **options
            )
            loops = [client.eio.read_loop_task, client.eio.write_loop_task]
            try:
                yield client
            finally:
                if client.connected and client.transport() == "polling":
                    # It would wait for its last poll, which the server leaves open.
                    await client.emit("throw_me_out")
                    await until(lambda: not client.connected)
                await client.disconnect()
                if way == "polling":  # it would go on, with a session of its own
                    for task in loops:
                        task.cancel()
                    await asyncio.wait(loops, timeout=LIMIT_S)

    def raw(self) -> Any:
        """Connect a WebSocket that speaks Engine.IO by hand."""
        target = "/socket.io/?EIO=4&transport=websocket"
        return connect(self.uri.replace("http", "ws") + target, compression=None)


@contextlib.asynccontextmanager
async def serving(uv: Uvicorn, way: str, **options: Any) -> AsyncIterator[Site]:
    """Serve a site for the length of a block; it must leave nothing behind."""
    before = asyncio.all_tasks()
    site = Site(**options)
    kind = WAYS[way][0]
    async with contextlib.AsyncExitStack() as stack:
        if kind == "serve":
            server = await stack.enter_async_context(
                serve(site.sio.handle_request, "127.0.0.1", 0, reactor=uv.reactor)
            )
            port = server.sockets[0].getsockname()[1]
            site.uri = f"http://127.0.0.1:{port}"
        else:
            app = socketio.ASGIApp(site.sio)
            config: dict[str, Any] = {} if kind == "ours" else {"ws": kind}
            # The last poll of a client is left open, so there is nothing to wait for.
            served = await uv.serve(app, timeout_graceful_shutdown=2, **config)
            site.uri = served.uri(scheme="http", target="")
            stack.push_async_callback(served.stop)
        yield site
        # Those that polled, python-engineio forgets after its next ping to them.
        if way == "polling":
            for sock in list(site.sio.eio.sockets.values()):
                await sock.close(wait=False, abort=True)
        await until(lambda: all(s.closed for s in site.sio.eio.sockets.values()))
        assert not site.sio.environ
    await site.sio.shutdown()
    for task in asyncio.all_tasks() - before:
        name = getattr(task.get_coro(), "__qualname__", "")
        if "_send_ping" in name:
            task.cancel()  # python-engineio's own: it sleeps until the next ping
    await until(lambda: not asyncio.all_tasks() - before)


@pytest.mark.parametrize("way", WAYS)
async def test_python_client(uv: Uvicorn, way: str):
    async with serving(uv, way) as site, site.client(way) as client:
        if way.startswith("upgrade"):
            await until(lambda: client.transport() == "websocket")
        else:
            assert client.transport() == WAYS[way][1][0]
        for data in ("grüße", {"n": [1, 2.5, None]}, b"\0\xff", [{"a": b"x"}, "z"]):
            assert await client.call("echo", data, timeout=LIMIT_S) == data
        big = "ü" * 100_000
        assert await client.call("echo", big, timeout=LIMIT_S) == big
        counted: list[int] = []
        client.on("count", counted.append)
        await client.call("count_to", 200, timeout=LIMIT_S)
        await until(lambda: counted == list(range(200)))
        client.on("question", lambda what: what + "!")
        assert await client.call("ask_me", "why", timeout=LIMIT_S) == "why!"
        news: list[str] = []
        client.on("news", news.append)
        await client.call("join", "kitchen", timeout=LIMIT_S)
        async with site.client(way) as other:
            assert await other.call("tell", ("kitchen", "soup"), timeout=LIMIT_S) == 1
        await until(lambda: news == ["soup"])
        await until(lambda: len(site.left) == 1)
        await client.emit("throw_me_out")
        await until(lambda: not client.connected)
        await until(lambda: site.left[-1] == (site.sids[0], "server disconnect"))


@pytest.mark.parametrize("way", ["websocket", "upgrade", "websocket, serve"])
async def test_refused_by_the_application(uv: Uvicorn, way: str):
    async with serving(uv, way) as site:
        with pytest.raises(
            socketio.exceptions.ConnectionError, match="failed to connect"
        ):
            async with site.client(way, auth="refuse me"):
                pass
        assert not site.left


@pytest.mark.needs("node")
@pytest.mark.parametrize("way", [way for way in WAYS if way != "polling"])
async def test_npm_client(uv: Uvicorn, way: str):
    node = needs.find("node")
    assert node is not None
    async with serving(uv, way) as site:
        options = {"uri": site.uri, "transports": WAYS[way][1]}
        process = await asyncio.create_subprocess_exec(
            *(node, str(PEER), json.dumps(options)), stdout=asyncio.subprocess.PIPE
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert json.loads(output) == {
            "events": list(range(100)),
            "transport": WAYS[way][1][-1],
            "ack": {"text": "grüße", "n": [1, 2.5, None]},
            "binary": "00ff07",
            "nested": [b"xy".hex(), "z"],
            "big": True,
            "others": 2,
            "news": "soup",
            "asked": "why!",
            "gone": "io server disconnect",
        }


async def opened(ws: Any) -> dict[str, Any]:
    """Connect by hand to the namespace, and return what the server says of itself."""
    packet = await asyncio.wait_for(ws.recv(), LIMIT_S)
    assert packet[0] == "0"
    await ws.send("40")
    while not (await asyncio.wait_for(ws.recv(), LIMIT_S)).startswith("40"):
        pass
    hello: dict[str, Any] = json.loads(packet[1:])
    return hello


async def closed(ws: Any) -> int:
    """Read to the end and return the close code."""
    with pytest.raises(ConnectionClosed):
        while True:
            await asyncio.wait_for(ws.recv(), LIMIT_S)
    code: int = ws.close_code
    return code


BAD = {
    "empty": "",
    "no number": "x",
    "unknown": "9",
    "no base64": "bA",
    "deep JSON": "4" + "[" * 100_000,
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_bad_packets(uv: Uvicorn, way: str, bad: str):
    async with serving(uv, way) as site, site.raw() as ws:
        await opened(ws)
        await ws.send(BAD[bad])
        assert await closed(ws) == 1008
        await until(lambda: site.left == [(site.sids[0], "transport error")])


@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_packets_out_of_place_do_no_harm(uv: Uvicorn, way: str):
    async with serving(uv, way) as site, site.raw() as ws:
        await opened(ws)
        for packet in ("0", "2", "6", "3", "3", "5"):
            await ws.send(packet)
        await ws.send('420["echo",1]')
        while (answer := await asyncio.wait_for(ws.recv(), LIMIT_S)) != "430[1]":
            assert answer in ("2", "6")
        await ws.send("1")
        assert await closed(ws) == 1000
        await until(lambda: site.left == [(site.sids[0], "client disconnect")])


@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_messages_over_the_limit(uv: Uvicorn, way: str):
    async with serving(uv, way, max_http_buffer_size=5000) as site, site.raw() as ws:
        assert (await opened(ws))["maxPayload"] == 5000
        exact = json.dumps(["see", "a" * (5000 - len('42["see", ""]'))])
        await ws.send("42" + exact)
        await until(lambda: len(site.seen) == 1)
        # One that never ends: it is refused before it is whole.
        await ws.send("4" + "a" * 5000, fin=False)
        assert await closed(ws) == 1009
        await until(lambda: len(site.left) == 1)


@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_clients_that_fall_silent(uv: Uvicorn, way: str):
    options = {"ping_interval": 0.2, "ping_timeout": 0.2, "monitor_clients": False}
    async with serving(uv, way, **options) as site, site.raw() as ws:
        await opened(ws)
        assert await closed(ws) in (1000, 1011)  # told by whoever looked first
        await until(lambda: site.left == [(site.sids[0], "ping timeout")])


@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_nobody_waits_for_a_client_that_does_not_read(uv: Uvicorn, way: str):
    async with serving(uv, way) as site, site.raw() as ws:
        await opened(ws)
        ws.pause_reading()
        text = "x" * 50_000
        for n in range(400):  # 20 MB: more than any socket's buffers hold
            await asyncio.wait_for(site.sio.emit("n", [n, text]), LIMIT_S)
        ws.resume_reading()
        for n in range(400):
            while (packet := await asyncio.wait_for(ws.recv(), LIMIT_S)) == "2":
                pass
            assert packet.startswith(f'42["n",[{n},')
        await site.sio.emit("n", "last")
        assert await asyncio.wait_for(ws.recv(), LIMIT_S) == '42["n","last"]'


@pytest.mark.parametrize("way", ["websocket", "websocket, serve"])
async def test_a_client_that_is_cut_off_with_packets_waiting(uv: Uvicorn, way: str):
    async with serving(uv, way) as site, site.raw() as ws:
        await opened(ws)
        ws.pause_reading()
        for _ in range(200):
            await site.sio.emit("n", "x" * 50_000)
        ws.abort()
        await until(lambda: len(site.left) == 1)


async def test_upgrades_that_fail_leave_the_client_polling(uv: Uvicorn):
    async with serving(uv, "polling") as site, site.client("polling") as client:
        target = f"/socket.io/?EIO=4&transport=websocket&sid={client.eio.sid}"
        for packets in (["4x"], ["2probe", "4x"], ["2probe", ""]):
            uri = site.uri.replace("http", "ws") + target
            async with connect(uri, compression=None) as ws:
                for packet in packets:
                    await ws.send(packet)
                assert await closed(ws) == 1008
            assert await client.call("echo", 1, timeout=LIMIT_S) == 1


async def test_requests_that_are_refused(uv: Uvicorn):
    async with serving(uv, "websocket, serve", cors_allowed_origins="http://a") as site:
        uri = site.uri.replace("http", "ws")
        for query in ("EIO=3&transport=websocket", "EIO=4&transport=pigeon"):
            async with connect(f"{uri}/socket.io/?{query}") as ws:
                assert await closed(ws) == 1008
        headers = {"Origin": "http://b"}
        target = "/socket.io/?EIO=4&transport=websocket"
        async with connect(uri + target, additional_headers=headers) as ws:
            assert await closed(ws) == 1008
            assert "not an accepted origin" in ws.close_reason


@pytest.mark.parametrize("way", OURS)
async def test_instrumented(uv: Uvicorn, way: str, monkeypatch: pytest.MonkeyPatch):
    """One who puts a reader in front of python-engineio's, to look on, is served."""
    passed: list[Any] = []
    plain = engineio.async_socket.AsyncSocket._websocket_handler

    async def watched(self: Any, ws: Any) -> Any:
        wait = ws.wait

        async def looking_on() -> Any:
            passed.append(await wait())
            return passed[-1]

        ws.wait = looking_on
        return await plain(self, ws)

    monkeypatch.setattr(
        engineio.async_socket.AsyncSocket, "_websocket_handler", watched
    )
    async with serving(uv, way) as site, site.client(way) as client:
        await until(lambda: client.transport() == "websocket")
        assert await client.call("echo", 7, timeout=LIMIT_S) == 7
        assert any(packet.endswith('["echo",7]') for packet in passed)


def test_modes():
    assert driver.AsyncServer().async_mode == "wsfast"
    assert driver.AsyncServer(async_mode="asgi").async_mode == "asgi"
    assert type(driver.AsyncServer(async_mode="asgi").create_queue()) is asyncio.Queue
    with pytest.raises(ValueError, match="async_mode"):
        driver.AsyncServer(async_mode="none")
    with pytest.raises(ValueError, match="async_mode"):
        engineio.AsyncServer(async_mode="wsfast")
    assert AsyncServer(max_http_buffer_size=7).eio.max_http_buffer_size == 7
