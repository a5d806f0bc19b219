"""What is measured: servers and clients, and how each is started."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load.cases import Case

HERE = Path(__file__).parent
BUILD = HERE / "build"
NODE_MODULES = HERE.parents[1] / "tests" / "interop" / "node_modules"


@dataclass(frozen=True)
class Target:
    """A program to measure. A server prints ``port P pid N`` when it listens."""

    name: str
    title: str
    command: tuple[str, ...]
    #: import names without which it cannot run
    needs: tuple[str, ...] = ()
    #: packages for Node without which it cannot run
    node: tuple[str, ...] = ()
    #: it echoes octets and knows no WebSocket
    raw: bool = False
    #: it echoes frames, not messages: nothing that comes in fragments
    frames: bool = False
    client: bool = False
    #: it sends what comes to all connections; None if it can do that, too
    broadcasts: bool | None = False
    #: what it takes as an option: "tls", "deflate"
    can: frozenset[str] = frozenset()
    #: the protocol above WebSocket that it speaks, of bench.load.dialects
    dialect: str = ""
    #: it waits for each answer, and so is not busy all the time
    waits: bool = False
    #: what it cannot: "tls", or "depth", more than one message in flight
    cannot: frozenset[str] = frozenset()

    def missing(self) -> str | None:
        """Return the module or program that is not installed, if any."""
        for name in self.needs:
            if importlib.util.find_spec(name) is None:
                return name
        if self.node and shutil.which("node") is None:
            return "node"
        for name in self.node:
            if not (NODE_MODULES / name).is_dir():
                return f"{name} (npm --prefix tests/interop ci)"
        return None

    def suits(self, case: Case) -> bool:
        """Tell whether this is something to measure in a case."""
        return (
            self.client == (case.kind == "client")
            and self.broadcasts in (None, case.kind == "broadcast")
            and self.dialect == case.dialect
            and not (self.raw and (case.kind == "storm" or case.deflate is not None))
            and not (self.frames and case.fragments > 1)
            and (self.client or not case.tls or "tls" in self.can)
            and (case.deflate is None or "deflate" in self.can)
            and not (case.tls and "tls" in self.cannot)
            and not (case.depth > 1 and "depth" in self.cannot)
        )


ALL = frozenset({"tls", "deflate"})
TLS = frozenset({"tls"})


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"bench.load.{module}", *arguments)


def server(
    name: str,
    title: str,
    module: str,
    *arguments: str,
    needs: tuple[str, ...] | None = None,
    **more: Any,
) -> Target:
    """Return a server in Python: ``servers/MODULE.py``."""
    if needs is None:
        needs = (name.split("-")[0], "uvloop")
    command = _python(f"servers.{module}", *arguments)
    return Target(name, title, command, needs, **more)


def node_server(
    name: str, title: str, script: str, *packages: str, **more: Any
) -> Target:
    """Return a server for Node: ``servers/SCRIPT``."""
    command = _python("servers.node", script)
    return Target(name, title, command, node=packages, **more)


def _uvicorn(name: str, ws: str, *more: str) -> Target:
    title = f"uvicorn, {name if name != 'sansio' else ws}"
    arguments = ("--ws", ws, *more)
    return server(f"uvicorn-{name}", title, "uvicorn_asgi", *arguments, can=ALL)


def _client(name: str, title: str, module: str, *needs: str, **more: Any) -> Target:
    package = needs or (name.split("-")[1],)
    return Target(
        name, title, _python(f"clients.{module}"), package, client=True, **more
    )


_SERVERS = [
    Target("floor", "C, epoll", (str(BUILD / "floor"),), frames=True, can=TLS),
    Target("raw-c", "C, TCP only", (str(BUILD / "floor"), "--raw"), raw=True, can=TLS),
    server("wsfast-callback", "wsfast, callback", "wsfast_callback", can=ALL),
    server("wsfast", "wsfast, coroutine", "wsfast_coroutine", can=ALL),
    server(
        "wsfast-polling",
        "wsfast, callback, polling",
        "wsfast_callback",
        "--poll",
        "50e-6",
        can=ALL,
    ),
    server(
        "wsfast-asyncio",
        "wsfast, coroutine, asyncio loop",
        "wsfast_coroutine",
        "--loop",
        "asyncio",
        can=ALL,
    ),
    server(
        "raw-uvloop", "uvloop, TCP only", "raw", needs=("uvloop",), raw=True, can=TLS
    ),
    server(
        "raw-asyncio",
        "asyncio, TCP only",
        "raw",
        "--loop",
        "asyncio",
        needs=(),
        raw=True,
        can=TLS,
    ),
    _uvicorn("wsfast", "wsfast.asgi.uvicorn:WebSocketProtocol"),
    _uvicorn("sansio", "websockets-sansio"),
    _uvicorn("wsproto", "wsproto"),
    _uvicorn("wsproto-accelerated", "wsproto", "--accelerate", "wsproto"),
    _uvicorn("websockets", "websockets"),
    server("picows", "picows, callback", "picows_callback", frames=True, can=TLS),
    server("picows-websockets", "picows, coroutine", "picows_coroutine", can=ALL),
    node_server("ws", "ws, Node", "ws_callback.js", "ws", "bufferutil", can=ALL),
    server("socketify", "socketify", "socketify_callback", needs=("socketify",)),
    server("websockets", "websockets", "websockets_coroutine", can=ALL),
    server("aiohttp", "aiohttp", "aiohttp_coroutine", can=ALL),
    server(
        "aiohttp-wsfast", "aiohttp, wsfast", "aiohttp_coroutine", "--wsfast", can=ALL
    ),
    server("tornado", "Tornado", "tornado_callback", can=ALL),
    server("autobahn", "autobahn", "autobahn_callback", can=TLS),
    server("granian", "Granian", "granian_asgi"),
    server("sanic", "Sanic", "sanic_coroutine"),
    server("sanic-wsfast", "Sanic, wsfast", "sanic_coroutine", "--wsfast"),
    server("hypercorn", "Hypercorn", "hypercorn_asgi"),
    server(
        "hypercorn-accelerated",
        "Hypercorn, wsproto accelerated",
        "hypercorn_asgi",
        "--accelerate",
    ),
    server("daphne", "Daphne", "daphne_asgi"),
    server(
        "daphne-accelerated",
        "Daphne, autobahn accelerated",
        "daphne_asgi",
        "--accelerate",
    ),
]
_BROADCASTS = [
    Target(
        "floor-broadcast",
        "C, epoll",
        (str(BUILD / "floor"), "--broadcast"),
        broadcasts=True,
    ),
    server("wsfast-broadcast", "wsfast", "broadcasts", "wsfast", broadcasts=True),
    server("wsfast-hub", "wsfast.hub", "broadcasts", "wsfast_hub", broadcasts=True),
    server("picows-broadcast", "picows", "broadcasts", "picows", broadcasts=True),
    server(
        "websockets-broadcast",
        "websockets",
        "broadcasts",
        "websockets",
        broadcasts=True,
    ),
    server("aiohttp-broadcast", "aiohttp", "broadcasts", "aiohttp", broadcasts=True),
    node_server(
        "ws-broadcast",
        "ws, Node",
        "ws_broadcast.js",
        "ws",
        "bufferutil",
        broadcasts=True,
    ),
]
_DIALECTS = [
    Target(
        "room-floor",
        "C, epoll, the octets of Socket.IO",
        (str(BUILD / "floor"), "--broadcast", "--greeting", "0{}", "--answer", "40{}"),
        dialect="socketio",
        broadcasts=True,
    ),
    server(
        "engineio-wsfast",
        "wsfast.engineio",
        "wsfast_engineio",
        needs=("wsfast", "uvloop"),
        dialect="engineio",
    ),
    node_server(
        "engineio-node",
        "engine.io, Node",
        "engineio.js",
        "engine.io",
        "bufferutil",
        dialect="engineio",
    ),
    node_server(
        "socketio-node",
        "socket.io, Node",
        "socketio.js",
        "socket.io",
        "bufferutil",
        dialect="socketio",
        broadcasts=None,
    ),
    server(
        "socketio-wsfast",
        "wsfast.socketio",
        "wsfast_socketio",
        needs=("uvloop",),
        dialect="socketio",
        broadcasts=None,
    ),
    server(
        "socketio-python",
        "python-socketio, uvicorn",
        "python_socketio",
        "asgi",
        needs=("socketio", "uvicorn", "uvloop"),
        dialect="socketio",
        broadcasts=None,
    ),
    server(
        "socketio-python-wsfast",
        "python-socketio, uvicorn, wsfast",
        "python_socketio",
        "wsfast",
        needs=("socketio", "uvicorn", "uvloop"),
        dialect="socketio",
        broadcasts=None,
    ),
    server(
        "sockjs-wsfast",
        "wsfast.sockjs",
        "sockjs_wsfast",
        needs=("uvloop",),
        dialect="sockjs",
    ),
    server(
        "sockjs-aiohttp",
        "aio-libs sockjs, aiohttp",
        "sockjs_aiohttp",
        needs=("sockjs", "aiohttp", "uvloop"),
        dialect="sockjs",
        # It answers several in one frame, which the load does not take apart.
        cannot=frozenset({"depth"}),
    ),
    node_server("sockjs-node", "sockjs, Node", "sockjs.js", "sockjs", dialect="sockjs"),
]
_CLIENTS = [
    Target("client-floor", "C, epoll", (str(BUILD / "client_floor"),), client=True),
    _client("client-wsfast-callback", "wsfast, callback", "wsfast_callback"),
    _client("client-wsfast", "wsfast, coroutine", "wsfast_coroutine"),
    _client("client-picows", "picows, callback", "picows_callback"),
    _client(
        "client-picows-websockets", "picows, coroutine", "picows_coroutine", "picows"
    ),
    _client(
        "client-websocket-rs",
        "websocket-rs, coroutine",
        "websocket_rs_coroutine",
        "websocket_rs",
    ),
    _client("client-websockets", "websockets", "websockets_coroutine"),
    _client("client-aiohttp", "aiohttp", "aiohttp_coroutine"),
    _client("client-sync", "wsfast, threads", "wsfast_sync", "wsfast", waits=True),
    _client(
        "client-websocket-client",
        "websocket-client with wsaccel",
        "websocket_client_sync",
        "websocket",
        "wsaccel",
        waits=True,
    ),
    _client(
        "client-websockets-sync",
        "websockets, threads",
        "websockets_sync",
        "websockets",
        waits=True,
        # One of four runs did not end, perhaps as two threads use one SSL at once.
        cannot=frozenset({"tls"}),
    ),
]

#: every target, in the order of the report
TARGETS = {
    target.name: target for target in (*_SERVERS, *_BROADCASTS, *_DIALECTS, *_CLIENTS)
}


def extra(definitions: Iterable[str]) -> list[Target]:
    """Return targets for ``NAME=COMMAND``; ``--core N`` and more is appended to it."""
    found = []
    for definition in definitions:
        name, _, command = definition.partition("=")
        found.append(Target(name, name, tuple(command.split()), can=ALL))
    return found
