"""What is measured: servers and clients, and how each is started."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"


@dataclass(frozen=True)
class Target:
    """A program to measure. A server prints ``port P pid N`` when it listens."""

    name: str
    title: str
    command: tuple[str, ...]
    #: import names without which it cannot run
    needs: tuple[str, ...] = ()
    #: it echoes octets and knows no WebSocket
    raw: bool = False
    client: bool = False
    #: it waits for each answer, and so is not busy all the time
    waits: bool = False

    def missing(self) -> str | None:
        """Return the module that is not installed, if any."""
        for name in self.needs:
            if importlib.util.find_spec(name) is None:
                return name
        return None


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"bench.load.{module}", *arguments)


def _server(
    name: str, title: str, module: str, *arguments: str, raw: bool = False
) -> Target:
    package = name.split("-")[0]
    needs = ("uvloop",) if package == "raw" else (package, "uvloop")
    command = _python(f"servers.{module}", *arguments)
    return Target(name, title, command, needs, raw)


def _uvicorn(name: str, ws: str, *more: str) -> Target:
    title = f"uvicorn, {name if name != 'sansio' else ws}"
    return _server(f"uvicorn-{name}", title, "uvicorn_asgi", "--ws", ws, *more)


def _client(
    name: str, title: str, module: str, *needs: str, waits: bool = False
) -> Target:
    package = needs or (name.split("-")[1],)
    command = _python(f"clients.{module}")
    return Target(name, title, command, package, client=True, waits=waits)


_TARGETS = [
    Target("floor", "C, epoll", (str(BUILD / "floor"),)),
    Target("raw-c", "C, TCP only", (str(BUILD / "floor"), "--raw"), raw=True),
    _server("wsfast-callback", "wsfast, callback", "wsfast_callback"),
    _server("wsfast", "wsfast, coroutine", "wsfast_coroutine"),
    _server("wsfast-polling", "wsfast, callback, polling", "wsfast_polling"),
    _server(
        "wsfast-asyncio",
        "wsfast, coroutine, asyncio loop",
        "wsfast_coroutine",
        "--loop",
        "asyncio",
    ),
    _server("raw-uvloop", "uvloop, TCP only", "raw_uvloop", raw=True),
    _uvicorn("wsfast", "wsfast.asgi.uvicorn:WebSocketProtocol"),
    _uvicorn("sansio", "websockets-sansio"),
    _uvicorn("wsproto", "wsproto"),
    _uvicorn("wsproto-accelerated", "wsproto", "--accelerate", "wsproto"),
    _uvicorn("websockets", "websockets"),
    _server("picows", "picows, callback", "picows_callback"),
    _server("websockets", "websockets", "websockets_coroutine"),
    _server("aiohttp", "aiohttp", "aiohttp_coroutine"),
    _server("aiohttp-wsfast", "aiohttp, wsfast", "aiohttp_coroutine", "--wsfast"),
    _server("sanic", "Sanic", "sanic_coroutine"),
    _server("sanic-wsfast", "Sanic, wsfast", "sanic_coroutine", "--wsfast"),
    _server("hypercorn", "Hypercorn", "hypercorn_asgi"),
    _server(
        "hypercorn-accelerated",
        "Hypercorn, wsproto accelerated",
        "hypercorn_asgi",
        "--accelerate",
    ),
    _server("daphne", "Daphne", "daphne_asgi"),
    _server(
        "daphne-accelerated",
        "Daphne, autobahn accelerated",
        "daphne_asgi",
        "--accelerate",
    ),
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
    ),
]

#: every target, in the order of the report
TARGETS = {target.name: target for target in _TARGETS}


def extra(definitions: Iterable[str]) -> list[Target]:
    """Return targets for ``NAME=COMMAND``; ``--core N`` is appended to the command."""
    found = []
    for definition in definitions:
        name, _, command = definition.partition("=")
        found.append(Target(name, name, tuple(command.split())))
    return found
