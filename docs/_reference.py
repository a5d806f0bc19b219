"""
Completes the descriptions of arguments, for the reference.

Docstrings describe an argument once, and say elsewhere "as for ...". Here each function
gets all of its arguments, in the order of its signature, with their defaults.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from sphinx.util.nodes import make_refnode

import wsfast.eventsource
import wsfast.eventsource.threads
import wsfast.socketio
import wsfast.sockjs
import wsfast.sync
from wsfast import asyncio, hub, protocol

#: Function -> where arguments are described that it does not describe itself.
ELSEWHERE: dict[Callable[..., Any], list[Callable[..., Any]]] = {
    asyncio.Server: [protocol.Options],
    asyncio.connect: [protocol.Options],
    hub.MemoryBus: [hub.Bus],
    wsfast.eventsource.threads.SocketEventSource: [wsfast.eventsource.EventSource],
    wsfast.eventsource.threads.WSGIEventSource: [wsfast.eventsource.EventSource],
    wsfast.eventsource.SyncEventSourceClient: [
        wsfast.eventsource.EventSourceClient,
        asyncio.connect,
        wsfast.sync.connect,
    ],
    wsfast.sockjs.connect: [asyncio.connect, protocol.Options],
    wsfast.sync.Server: [protocol.Options, asyncio.Server],
    wsfast.sync.connect: [protocol.Options, asyncio.connect],
    wsfast.sync.reconnect: [wsfast.sync.connect, protocol.Options, asyncio.connect],
}
#: Function -> whose options its ``**options`` are.
OPTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    wsfast.eventsource.EventSource: wsfast.eventsource.EventSource._begin,
}
ARGUMENT = re.compile(r"    (\*{0,2}\w+(?:, \*{0,2}\w+)*):(?: (.*))?")

#: What a connection is for, of all that its parts call each other by.
CONNECTION = {
    *("abort", "as_stream", "buffered_amount", "close", "close_code", "close_reason"),
    *("drain", "dropped", "extensions", "id", "latency", "local_address", "logger"),
    *("pause_reading", "paused", "ping", "pong", "recv", "recv_many", "recv_streaming"),
    *("remote_address", "request", "response", "respond", "resume_reading", "send"),
    *(
        "send_many",
        "send_nowait",
        "server",
        "socket",
        "state",
        "statistics",
        "subprotocol",
    ),
    *("transport", "username", "wait_closed"),
}
DRIVEN = {
    name
    for connection in (asyncio.Connection, wsfast.sync.Connection)
    for name in dir(connection)
    if not name.startswith("_")
} - CONNECTION
DEFINITION = re.compile(r"^ *(?:class|def|async def) (\w+)", re.MULTILINE)
#: What docstrings may name although the reference does not have it; anything else that
#: is not found is a mistake.
INTERNAL = {
    name
    for path in Path(wsfast.__file__).parent.rglob("*.py")
    for name in re.findall(
        r"^ *(?:class|def|async def) (\w+)", path.read_text(), re.MULTILINE
    )
}


def described(docstring: str) -> dict[str, list[str]]:
    """Return the arguments that a docstring describes, with the lines that do so."""
    found: dict[str, list[str]] = {}
    parts = re.split(
        r"\n(?:Args|Attributes):\n", inspect.cleandoc(docstring), maxsplit=1
    )
    lines = parts[1].splitlines() if len(parts) == 2 else []
    for line in lines:
        if line and not line.startswith("    "):
            break
        if match := ARGUMENT.fullmatch(line):
            text = [match[2] or ""]
            for name in match[1].replace("*", "").split(", "):
                found[name] = text
        elif line.strip():
            text.append(line.strip())
    return found


def told(value: object) -> str:
    """Return a default as the reference tells it."""
    if type(value) is int and value >= 8 << 10 and value % (1 << 10) == 0:
        mebi = value % (1 << 20) == 0
        return f"{value >> 20} MiB" if mebi else f"{value >> 10} KiB"
    if isinstance(value, Enum):
        return f"``{type(value).__name__}.{value.name}``"
    if isinstance(value, protocol.Limits) and value == protocol.Limits():
        return "``Limits()``"
    if isinstance(value, type) or callable(value):
        return f"``{getattr(value, '__name__', type(value).__name__)}``"
    return f"``{value!r}``"


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, with those that it hands on."""
    found = dict(inspect.signature(function).parameters)
    if function in OPTIONS:
        name, last = found.popitem()
        assert last.kind is last.VAR_KEYWORD, name
        options = inspect.signature(OPTIONS[function]).parameters
        found |= {n: p for n, p in options.items() if p.kind is p.KEYWORD_ONLY}
    return found


def arguments(function: Callable[..., Any]) -> dict[str, list[str]]:
    """
    Return the arguments of a function, in order, with the lines that describe them.

    An argument that is described nowhere has no lines but that of its default.
    """
    sources = [function, *ELSEWHERE.get(function, [])]
    known = [described(source.__doc__ or "") for source in sources]
    found = {}
    for name, parameter in parameters(function).items():
        text = next((list(each[name]) for each in known if name in each), [])
        if parameter.default is not parameter.empty:
            text.append(f"Default: {told(parameter.default)}.")
        found[name] = text
    return found


def complete(
    app: object, what: str, name: str, obj: Any, options: object, lines: list[str]
) -> None:
    """Put the complete list of arguments into a docstring (a hook of autodoc)."""
    if what in ("attribute", "data", "property") and ": " in lines[0]:
        # else what stands before the colon would be taken for a type
        lines[0] = lines[0].replace(": ", " – ")
    for heading, field in (("Returns:", ":returns:"), ("Yields:", ":yields:")):
        if (
            heading in lines
        ):  # else what stands before a colon would be taken for a type
            lines[lines.index(heading)] = field
    if what not in ("class", "exception", "function", "method"):
        return
    if obj is protocol.Limits:  # its fields are what it is made of
        lines[lines.index("Attributes:")] = "Args:"
    if "Args:" not in lines:
        if obj not in ELSEWHERE:
            return
        lines += ["", "Args:"]
    begin = end = lines.index("Args:") + 1
    while end < len(lines) and (not lines[end] or lines[end].startswith("    ")):
        end += 1
    section = []
    for argument, text in arguments(obj).items():
        if text:
            section.append(f"    {argument}: {text[0]}")
            section += [f"        {line}" for line in text[1:]]
    lines[begin:end] = [*section, ""]


def skip(
    app: Any, what: str, name: str, obj: object, skipped: bool, options: object
) -> bool | None:
    """Leave out how a connection is driven (a hook of autodoc)."""
    if what == "class" and app.env.docname in ("reference/asyncio", "reference/sync"):
        of_server = getattr(obj, "__qualname__", "").startswith("Server.")
        return True if name in DRIVEN and not of_server else None
    return None


def resolve(app: Any, env: Any, node: Any, content: Any) -> Any:
    """
    Find what a docstring means by a name (a hook of references that are missing).

    Docstrings name things as their module knows them; the reference has them where they
    are imported from.
    """
    domain, target = env.get_domain("py"), node.get("reftarget", "")
    if node.get("refdomain") != "py" or target.startswith("wsfast._"):
        return None
    if node["reftype"] == "attr":
        return content  # attributes are described with their class
    last = target.removeprefix("wsfast.")
    module = f"{node.get('py:module')}.{last}"
    found = [name for name in domain.objects if f".{name}".endswith(f".{last}")]
    for name in sorted(found, key=lambda name: (name != module, name)):
        place = domain.objects[name]
        return make_refnode(
            app.builder, node["refdoc"], place.docname, place.node_id, content, name
        )
    return content if last.rpartition(".")[2] in INTERNAL else None
