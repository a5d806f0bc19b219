"""nginx and HAProxy of Debian in front of two servers, as docs/proxies.md has them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from pathlib import Path

import pytest

from tests import needs
from tests.hub.daemons import daemon
from tests.hub.waiting import until
from wsfast import ConnectionClosed, WebSocket, connect, engineio, serve

uvicorn = pytest.importorskip("uvicorn")  # Python 3.10 has none of the extra "asgi"

PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
CONFIG = re.compile(r"<!-- config: (\w+)( sticky)? -->\n```\w+\n(.*?)```", re.DOTALL)

#: What a daemon wants around what the page says.
NGINX = """
daemon off;
master_process off;
error_log stderr;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{text}
}}
"""
#: Where clients connect from: another address than the proxy's.
CLIENT = ("127.0.0.2", 0)
MARKED = [
    pytest.param(name, marks=pytest.mark.needs(name)) for name in ("nginx", "haproxy")
]


def config(name, sticky, ports, port, folder):
    """Return the page's configuration, with the ports of this test."""
    page = PAGE.read_text(encoding="utf-8")
    found = {(n, bool(s)): text for n, s, text in CONFIG.findall(page)}
    text = found[name, False]
    if sticky:
        head = "upstream nodes" if name == "nginx" else "backend nodes"
        block = re.compile(rf"^{head}.*?(?=^\S*$|\Z)\}}?\n?", re.DOTALL | re.MULTILINE)
        text, count = block.subn(lambda _: found[name, True] + "\n", text, count=1)
        assert count == 1
    for told, real in (("8000", port), ("8001", ports[0]), ("8002", ports[1])):
        text = text.replace(f"127.0.0.1:{told}", f"127.0.0.1:{real}")
    return NGINX.format(folder=folder, text=text) if name == "nginx" else text


@contextlib.contextmanager
def balancer(name, ports, sticky=False, change=lambda text: text):
    """Run a proxy in front of two ports; yield its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config"

        def command(port):
            path.write_text(change(config(name, sticky, ports, port, folder)))
            options = ["-p", folder, "-c"] if name == "nginx" else ["-f"]
            return [needs.find(name), *options, str(path)]

        with daemon(command) as server:
            yield server.port


@contextlib.asynccontextmanager
async def plain(handler, **options):
    """Run two servers of ours; yield their ports."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(serve(handler, "127.0.0.1", 0, **options))
            for _ in "12"
        ]
        yield [server.sockets[0].getsockname()[1] for server in servers]


@contextlib.asynccontextmanager
async def under_uvicorn(*apps):
    """Run applications under uvicorn, one server each; yield the ports."""
    servers, tasks = [], []
    for app in apps:
        terms = {"ws": "wsfast.asgi.uvicorn:WebSocketProtocol", "log_level": "error"}
        servers.append(
            uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", **terms))
        )
        tasks.append(asyncio.ensure_future(servers[-1]._serve()))
    try:
        await until(lambda: all(server.started for server in servers))
        yield [s.servers[0].sockets[0].getsockname()[1] for s in servers]
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


@pytest.mark.parametrize("name", MARKED)
async def test_websockets_reach_both_servers(name):
    seen = set()

    async def echo(ws):
        seen.add(ws.local_address[1])
        assert ws.remote_address[0] == "127.0.0.1"
        await ws.send(ws.request.headers["X-Forwarded-For"])
        async for message in ws:
            await ws.send(message)

    async with plain(echo) as ports:
        with balancer(name, ports) as port:
            for _ in range(4):
                uri = f"ws://127.0.0.1:{port}/"
                async with connect(uri, local_addr=CLIENT) as ws:
                    assert await ws.recv() == "127.0.0.2"
                    for message in ("x" * 200_000, b"\0" * 70_000, "end"):
                        await ws.send(message)
                        assert await ws.recv() == message
    assert seen == set(ports)


@pytest.mark.parametrize("name", MARKED)
async def test_address_of_the_client_under_uvicorn(name):
    async def app(scope, receive, send):
        async with WebSocket(scope, receive, send) as ws:
            await ws.send(f"{scope['client'][0]} {scope['scheme']}")

    async with under_uvicorn(app, app) as ports:
        with balancer(name, ports) as port:
            uri = f"ws://127.0.0.1:{port}/"
            async with connect(uri, local_addr=CLIENT) as ws:
                assert await ws.recv() == "127.0.0.2 ws"


@pytest.mark.parametrize("name", MARKED)
async def test_pings_keep_a_quiet_connection(name):
    def sooner(text):
        changed = re.sub(
            "(proxy_read_timeout|timeout tunnel) [0-9]+[sh]", r"\1 2s", text
        )
        assert changed != text
        return changed

    async def quiet(ws):
        await ws.wait_closed()

    async with contextlib.AsyncExitStack() as stack:
        ends = []
        for interval in (0.25, None):
            ports = await stack.enter_async_context(
                plain(quiet, ping_interval=interval)
            )
            port = stack.enter_context(balancer(name, ports, change=sooner))
            client = connect(f"ws://127.0.0.1:{port}/", ping_interval=None)
            ends.append(await stack.enter_async_context(client))
        kept, cut = ends
        with pytest.raises(ConnectionClosed) as failure:
            await asyncio.wait_for(cut.recv(), 30)
        assert failure.value.code == 1006
        pong = await kept.ping()
        await asyncio.wait_for(pong, 30)


class Echo(engineio.Listener):
    """A session that sends back what it gets."""

    def on_message(self, data):
        self.socket.send(data)


class Peer(engineio.Listener):
    """A client that keeps what it gets."""

    def __init__(self, socket):
        super().__init__(socket)
        self.seen = []

    def on_message(self, data):
        self.seen.append(data)


@pytest.mark.parametrize("name", MARKED)
async def test_polling_is_sticky_or_fails(name):
    servers = [engineio.Server(Echo), engineio.Server(Echo)]
    async with under_uvicorn(*servers) as ports:
        with balancer(name, ports, sticky=True) as port:
            for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
                url = f"http://127.0.0.1:{port}"
                async with engineio.connect(url, Peer, transports=transports) as socket:
                    for n in range(10):
                        await socket.send(str(n))
                        await until(lambda n=n: len(socket.listener.seen) == n + 1)
        with balancer(name, ports) as port:
            url = f"http://127.0.0.1:{port}"
            async with engineio.connect(url, Peer, transports=["websocket"]) as socket:
                await socket.send("x")
                await until(lambda: socket.listener.seen)
            with pytest.raises((engineio.Refused, engineio.SessionClosed)):
                async with engineio.connect(url, Peer, transports=["polling"]) as lost:
                    for n in range(10):
                        await lost.send(str(n))
                        await until(
                            lambda: lost.state == "closed" or lost.listener.seen
                        )
                        lost.listener.seen.clear()
        for server in servers:
            server.close()
