"""The reference has the arguments of public functions, with the code's defaults."""

from __future__ import annotations

import html
import importlib
import inspect
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import wsfast.accelerate
import wsfast.asyncio
import wsfast.attach
import wsfast.engine
import wsfast.engineio
import wsfast.eventsource
import wsfast.eventsource.threads
import wsfast.exceptions
import wsfast.hub
import wsfast.hub.nats
import wsfast.hub.redis
import wsfast.hub.redis_log
import wsfast.protocol
import wsfast.socketio
import wsfast.socketio.redis_adapter
import wsfast.sockjs
import wsfast.sync

pytestmark = pytest.mark.timeout(900)  # if the site has to be built, on a busy machine

_EVENTS = wsfast.eventsource.EventSource
_PARSER = wsfast.eventsource.EventParser  # of the engine
_SOCKET, _SYNC = wsfast.attach.WebSocket, wsfast.attach.SyncWebSocket
#: What people give options to, page by page.
FUNCTIONS: dict[str, list[Callable[..., Any]]] = {
    "asyncio": [
        wsfast.asyncio.connect,
        wsfast.asyncio.Server,
        wsfast.asyncio.Reconnecting,
    ],
    "sync": [wsfast.sync.connect, wsfast.sync.reconnect, wsfast.sync.Server],
    "protocol": [wsfast.protocol.DeflateOptions, wsfast.protocol.Limits],
    "hub": [
        *(wsfast.hub.Hub, wsfast.hub.MemoryBus, wsfast.hub.Presence),
        *(wsfast.hub.redis.RedisBus, wsfast.hub.redis.RedisShardedBus),
        *(wsfast.hub.nats.NatsBus, wsfast.hub.redis_log.RedisLog),
    ],
    "eventsource": [
        *(wsfast.eventsource.EventSourceClient, wsfast.eventsource.History),
        *(wsfast.eventsource.SyncEventSourceClient, _EVENTS),
        *(_EVENTS.from_aiohttp, _EVENTS.from_asyncio),
        wsfast.eventsource.threads.SocketEventSource,
        wsfast.eventsource.threads.WSGIEventSource,
    ],
    "attach": [
        *(_SOCKET, _SOCKET.from_aiohttp, _SOCKET.from_asyncio, _SOCKET.from_socket),
        *(_SOCKET.client, _SYNC.from_wsgi, _SYNC.from_socket, _SYNC.client),
    ],
    "sockjs": [wsfast.sockjs.SockJS, wsfast.sockjs.connect, wsfast.sockjs.Server],
    "engineio": [
        *(wsfast.engineio.Server, wsfast.engineio.connect, wsfast.engineio.SyncClient),
    ],
    "socketio": [
        *(wsfast.socketio.Server, wsfast.socketio.Manager, wsfast.socketio.Cluster),
        *(wsfast.socketio.Client, wsfast.socketio.SyncClient),
        wsfast.socketio.redis_adapter.RedisAdapter,
    ],
    "accelerate": [wsfast.accelerate.accelerate, wsfast.accelerate.undo],
}
#: What hands its ``**options`` on to something of its own.
HANDED_ON: dict[Callable[..., Any], Callable[..., Any]] = {_EVENTS: _EVENTS._begin}
CASES = [(page, function) for page, found in FUNCTIONS.items() for function in found]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def plain(text: str) -> str:
    """Return HTML as text, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split())


def section(site: Path, page: str, name: str) -> str:
    """Return the HTML about a class or function, up to its first member's."""
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    _, found, rest = text.partition(f'id="{name}"')
    assert found, f"{name} is not in the reference"
    return re.split(r'<dt class="sig sig-object', rest, maxsplit=1)[0]


def same(told: str, default: object) -> bool:
    """Return whether a text stands for a default."""
    number, _, unit = told.partition(" ")
    if unit in UNITS:
        return int(number) * UNITS[unit] == default
    if told == "Limits()":
        return default == wsfast.protocol.Limits()
    if isinstance(default, Enum):
        return told == f"{type(default).__name__}.{default.name}"
    return told in (repr(default), getattr(default, "__name__", None))


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function, with those that it hands on."""
    found = list(inspect.signature(function).parameters.values())
    if function in HANDED_ON:
        del found[-1]
        options = inspect.signature(HANDED_ON[function]).parameters.values()
        found += [each for each in options if each.kind is each.KEYWORD_ONLY]
    return found


@pytest.mark.parametrize(
    ("page", "function"), CASES, ids=[f"{page}.{f.__qualname__}" for page, f in CASES]
)
def test_every_argument_is_described_with_its_default(site, page, function):
    name = f"wsfast.{page}.{function.__qualname__}"
    if not hasattr(getattr(wsfast, page), function.__qualname__.partition(".")[0]):
        name = f"{function.__module__}.{function.__qualname__}"
    items: dict[str, str] = {}
    text = section(site, page, name)
    for item in re.findall(r"<p><strong>(.*?)</p>", text, re.DOTALL):
        argument, _, text = plain(item).partition(" \N{EN DASH} ")
        items.setdefault(argument, text)  # attributes may have the same name, behind
    assert parameters(function)
    for parameter in parameters(function):
        assert parameter.name in items, "not there; if the site is old: make docs"
        text = items[parameter.name]
        if parameter.default is parameter.empty:
            assert text
            continue
        text, _, told = text.rpartition("Default: ")
        assert text.strip(), f"{parameter.name} has a default, but no description"
        assert same(told.removesuffix("."), parameter.default), (parameter.name, told)


MODULES = [
    *("asyncio", "sync", "protocol", "engine", "exceptions", "accelerate", "attach"),
    *("hub", "hub.redis", "hub.nats", "hub.redis_log", "eventsource", "sockjs"),
    *("engineio", "socketio", "asgi.uvicorn", "asgi.aiohttp", "asgi.sanic"),
    *("asgi.socketio", "asgi.engineio", "asgi.exchange"),
]
#: What uvicorn and Sanic call is for them alone.
CALLED_BY_OTHERS = {"asgi.uvicorn", "asgi.sanic"}
#: How connections are driven is for this package alone; see docs/_reference.py.
DRIVEN = {wsfast.asyncio.Connection, wsfast.sync.Connection}


@pytest.fixture(scope="module")
def known(site: Path) -> dict[str, str]:
    """Return the text of each entry of the reference, by its name."""
    found = {}
    for page in (site / "reference").glob("*.html"):
        parts = page.read_text(encoding="utf-8").split('<dt class="sig sig-object')
        for part in parts[1:]:
            name = re.search(r'id="(wsfast[\w.]+)"', part)
            if name is not None:
                found[name[1]] = plain(part.partition("<dd>")[2].partition("</dd>")[0])
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there(known, module):
    package = importlib.import_module(f"wsfast.{module}")
    assert package.__all__
    for name in package.__all__:
        here = getattr(package, name) is not getattr(wsfast.engine, name, None)
        text = known.get(f"wsfast.{module if here else 'engine'}.{name}")
        assert text is not None, f"{name} is not in the reference"
        assert text, f"nothing is said of {name}"


@pytest.mark.parametrize("module", sorted(set(MODULES) - CALLED_BY_OTHERS))
def test_every_method_is_there(known, module):
    package = importlib.import_module(f"wsfast.{module}")
    for name in package.__all__:
        cls = getattr(package, name)
        if not isinstance(cls, type) or DRIVEN & set(cls.__mro__):
            continue
        if cls.__name__ != name or (package, cls) == (wsfast.eventsource, _PARSER):
            continue  # another name, or place, for what is there
        for method, function in vars(cls).items():
            function = getattr(function, "__func__", function)
            if method.startswith("_") or not inspect.isroutine(function):
                continue
            if getattr(function, "__name__", method) != method:
                continue  # a setting that is a function
            entry = f"wsfast.{module}.{name}.{method}"
            assert known.get(entry), f"nothing is said of {entry}()"
