"""The reference has the arguments of public functions, with the code's defaults."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import wsfast.asyncio
import wsfast.attach
import wsfast.engine
import wsfast.engineio
import wsfast.eventsource
import wsfast.exceptions
import wsfast.hub
import wsfast.hub.nats
import wsfast.hub.redis
import wsfast.protocol
import wsfast.socketio
import wsfast.sockjs
import wsfast.sync

pytestmark = pytest.mark.timeout(900)  # if the site has to be built, on a busy machine

#: What people give options to; what they get from these has methods, and no options.
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
        wsfast.hub.nats.NatsBus,
    ],
    "eventsource": [
        *(wsfast.eventsource.EventSourceClient, wsfast.eventsource.History),
        wsfast.eventsource.SyncEventSourceClient,
    ],
    "sockjs": [wsfast.sockjs.SockJS, wsfast.sockjs.connect],
    "engineio": [wsfast.engineio.Server, wsfast.engineio.connect],
    "socketio": [wsfast.socketio.Server, wsfast.socketio.Manager],
}
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


@pytest.mark.parametrize(
    ("page", "function"), CASES, ids=[f"{page}.{f.__name__}" for page, f in CASES]
)
def test_every_argument_is_described_with_its_default(site, page, function):
    name = f"wsfast.{page}.{function.__name__}"
    if page == "hub" and not hasattr(wsfast.hub, function.__name__):
        name = f"{function.__module__}.{function.__name__}"
    items: dict[str, str] = {}
    text = section(site, page, name)
    for item in re.findall(r"<p><strong>(.*?)</p>", text, re.DOTALL):
        argument, _, text = plain(item).partition(" \N{EN DASH} ")
        items.setdefault(argument, text)  # attributes may have the same name, behind
    parameters = inspect.signature(function).parameters.values()
    assert parameters
    for parameter in parameters:
        assert parameter.name in items, "not there; if the site is old: make docs"
        text = items[parameter.name]
        if parameter.default is parameter.empty:
            assert text
            continue
        text, _, told = text.rpartition("Default: ")
        assert text.strip(), f"{parameter.name} has a default, but no description"
        assert same(told.removesuffix("."), parameter.default), (parameter.name, told)


MODULES = ["asyncio", "sync", "protocol", "engine", "exceptions", "hub", "eventsource"]
MODULES += ["attach", "sockjs", "engineio", "socketio"]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_is_there(site, module):
    found = set()
    for page in (site / "reference").glob("*.html"):
        found |= set(
            re.findall(r'id="(wsfast[\w.]+)"', page.read_text(encoding="utf-8"))
        )
    known = {name.rpartition(".")[2] for name in found}
    package = getattr(wsfast, module)
    public = [name for name in package.__all__ if callable(getattr(package, name))]
    missing = [name for name in public if name not in known]
    literals = {"Policy", "BusState"}  # unions of strings: said where they are taken
    assert set(missing) <= literals
