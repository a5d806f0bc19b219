"""Every public name of the websockets library is here, or listed as left out."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from tests.porting.left_out import LEFT_OUT, OTHERWISE, RENAMED, is_left_out
from wsfast import websockets as ours

websockets = pytest.importorskip("websockets", minversion="17")

#: Found by their files, since some may not be imported without a warning.
PACKAGE = Path(websockets.__file__).parent
MODULES = sorted(
    name
    for path in PACKAGE.rglob("*.py")
    if not is_left_out(
        name := ".".join(
            ("websockets", *path.relative_to(PACKAGE).with_suffix("").parts)
        ).removesuffix(".__init__")
    )
)


def our(module: str) -> Any:
    """Return our module for one of theirs."""
    return importlib.import_module(f"wsfast.{module}")


def names_of(module: Any) -> list[str]:
    """Return the public names of a module."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    )


NAMES = [
    (module, name)
    for module in MODULES
    for name in names_of(importlib.import_module(module))
    if not is_left_out(f"{module}.{name}")
]


def test_the_version_compared():
    assert websockets.__version__.startswith("17."), "look at what is new, and add it"
    assert ours.__version__.startswith("17.")


def exists(name: str) -> bool:
    """Return whether a name is one of a file, or in one, of the library."""
    parts = name.split(".")[1:]
    path = PACKAGE.joinpath(*parts)
    if path.is_dir() or list(path.parent.glob(f"{path.name}.*")):
        return True
    while parts:
        value: Any = PACKAGE.joinpath(*parts[:-1])
        file = value / "__init__.py" if value.is_dir() else value.with_suffix(".py")
        if file.is_file():
            return bool(re.search(rf"\b{name.rpartition('.')[2]}\b", file.read_text()))
        parts.pop()
    return False


@pytest.mark.parametrize("name", LEFT_OUT)
def test_the_list_has_nothing_that_is_not_there(name: str):
    assert exists(name)
    assert not exists(f"{name}x")


@pytest.mark.parametrize(("module", "name"), NAMES, ids=".".join)
def test_name(module: str, name: str):
    theirs = getattr(importlib.import_module(module), name)
    mine = getattr(our(module), name)
    assert inspect.isclass(theirs) <= (inspect.isclass(mine) or callable(mine))
    if inspect.isclass(theirs) and issubclass(theirs, BaseException):
        bases = {base.__name__ for base in theirs.__mro__}
        assert bases <= {base.__name__ for base in mine.__mro__}


#: Whatever is called with arguments, and its methods that are documented.
CALLED = [
    "asyncio.client.connect",
    "asyncio.client.unix_connect",
    "asyncio.server.serve",
    "asyncio.server.unix_serve",
    "asyncio.server.basic_auth",
    "asyncio.server.broadcast",
    *(
        f"asyncio.{kind}Connection.{method}"
        for kind in ("client.Client", "server.Server")
        for method in (
            "recv",
            "recv_streaming",
            "send",
            "close",
            "wait_closed",
            "ping",
            "pong",
        )
    ),
    "asyncio.server.ServerConnection.respond",
    "asyncio.server.Server.close",
    "asyncio.server.Server.wait_closed",
    "asyncio.server.Server.get_loop",
    "asyncio.server.Server.is_serving",
    "asyncio.server.Server.start_serving",
    "asyncio.server.Server.serve_forever",
    "sync.client.connect",
    "sync.client.unix_connect",
    "sync.client.reconnect",
    "sync.client.unix_reconnect",
    "sync.server.serve",
    "sync.server.unix_serve",
    "sync.server.basic_auth",
    "sync.server.broadcast",
    *(
        f"sync.{kind}Connection.{method}"
        for kind in ("client.Client", "server.Server")
        for method in (
            "recv",
            "recv_streaming",
            "send",
            "close",
            "wait_closed",
            "ping",
            "pong",
        )
    ),
    "sync.server.ServerConnection.respond",
    "sync.server.Server.serve_forever",
    "sync.server.Server.shutdown",
    "client.process_exception",
    "frames.Frame",
    "frames.Frame.serialize",
    "frames.Frame.check",
    "frames.Close",
    "frames.Close.parse",
    "frames.Close.serialize",
    "frames.Close.check",
    "http11.Request",
    "http11.Response",
    "datastructures.Headers.get_all",
    "extensions.permessage_deflate.ClientPerMessageDeflateFactory",
    "extensions.permessage_deflate.ServerPerMessageDeflateFactory",
    "uri.parse_uri",
    "uri.WebSocketURI",
    "proxy.parse_proxy",
    "proxy.get_proxy",
    *(f"headers.{name}" for name in names_of(our("websockets.headers"))),
    "utils.accept_key",
    "utils.apply_mask",
    *(f"exceptions.{name}" for name in names_of(our("websockets.exceptions"))),
]


def look_up(root: str, path: str) -> Any:
    """Return what a dotted path below a package names."""
    module, *rest = path.split(".")
    value: Any = None
    names = [module, *rest]
    for cut in range(len(names), 0, -1):
        try:
            value = importlib.import_module(f"{root}.{'.'.join(names[:cut])}")
        except ImportError:
            continue
        for name in names[cut:]:
            value = getattr(value, name)
        return value
    raise LookupError(path)


def parameters(value: Any) -> dict[str, inspect.Parameter]:
    """Return what a callable takes; nothing for an exception that takes anything."""
    is_exception = isinstance(value, type) and issubclass(value, BaseException)
    if is_exception and not inspect.isfunction(value.__init__):
        return {}
    return {
        name: parameter
        for name, parameter in inspect.signature(value).parameters.items()
        if not name.startswith("_")
    }


@pytest.mark.parametrize("path", CALLED)
def test_signature(path: str):
    theirs = parameters(look_up("websockets", path))
    mine = parameters(look_up("wsfast.websockets", path))
    more = any(p.kind is p.VAR_KEYWORD for p in mine.values())
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    for name, parameter in theirs.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if RENAMED.get(name) in mine:
            mine[name] = mine.pop(RENAMED[name]).replace(name=name)
        assert name in mine or more, f"{name} is missing"
        if name not in mine:
            continue
        found = mine[name]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert found.kind is parameter.kind, name
            assert list(mine).index(name) == positional.index(name), name
        if name not in OTHERWISE:
            assert found.default == parameter.default, name
    for name, parameter in mine.items():
        if name not in theirs and parameter.default is parameter.empty:
            assert parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)


@pytest.mark.parametrize("kind", ["asyncio.client.Client", "sync.client.Client"])
@pytest.mark.parametrize(
    "name",
    [
        "id",
        "logger",
        "local_address",
        "remote_address",
        "latency",
        "state",
        "request",
        "response",
        "subprotocol",
        "close_code",
        "close_reason",
    ],
)
def test_attributes_of_a_connection(kind: str, name: str):
    api, module, class_name = kind.split(".")
    mine = getattr(our(f"websockets.{api}.{module}"), f"{class_name}Connection")
    text = inspect.getsource(mine.__mro__[1]) if api == "sync" else ""
    assert hasattr(mine, name) or f"self.{name} =" in text
