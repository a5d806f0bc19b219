"""The page on limits tells the defaults that the code has."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from collections.abc import Iterator

import pytest

from tests.examples.pages import ROOT
from wsfast import engineio, socketio
from wsfast.asyncio.client import connect
from wsfast.asyncio.reconnecting import Reconnecting
from wsfast.asyncio.server import Server
from wsfast.eventsource import EventSource, EventSourceClient, SyncEventSourceClient
from wsfast.protocol import DeflateOptions, Limits
from wsfast.sockjs import SockJS
from wsfast.sockjs import connect as connect_sockjs

ROW = re.compile(r"^\| `(?P<name>[\w.]+)` \| (?P<default>[^|]+) \|", re.MULTILINE)
ROWS = {
    match["name"]: match["default"].strip()
    for match in ROW.finditer((ROOT / "docs" / "limits.md").read_text(encoding="utf-8"))
}
SERVER_ONLY = {
    *("max_pending_handshakes", "max_connections", "max_buffered", "drain_timeout"),
}
COMING_BACK = {"queue", "queue_size", "min_timeout", "max_timeout", "max_attempts"}
CLIENT_ONLY = {"max_redirects"}


def value(text: str) -> float | None:
    """Return the number that a default stands for."""
    if text == "none":
        return None
    number, _, unit = text.partition(" ")
    return float(number) * {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]


def default(function: object, name: str) -> object:
    """Return the default of an argument."""
    return inspect.signature(function).parameters[name].default


@pytest.mark.parametrize("name", ROWS)
def test_page_and_code_agree(name):
    expected = value(ROWS[name])
    if name.startswith("limits."):
        assert default(Limits, name.removeprefix("limits.")) == expected
    elif name in COMING_BACK:
        assert default(Reconnecting, name) == expected
    elif name in inspect.signature(DeflateOptions).parameters:
        assert default(DeflateOptions, name) == expected
    else:
        if name not in CLIENT_ONLY:
            assert default(Server, name) == expected
        if name not in SERVER_ONLY:
            assert default(connect, name) == expected


def test_no_limit_is_left_out():
    """Every argument of servers that may be None or is named a limit has a row."""
    shown = {name.partition(".")[0] for name in ROWS}
    wanted = re.compile("max_|.*_timeout$|.*_limit$|limits$|ping_interval$")
    arguments = set(inspect.signature(Server).parameters)
    arguments |= set(inspect.signature(connect).parameters)
    wanted = {name for name in arguments if wanted.match(name)}
    assert wanted - {"ssl_handshake_timeout", "ssl_shutdown_timeout"} <= shown


# ---- docs/eventsource.md ----

OPTIONS = re.compile(
    r"^\| (?P<names>`\w+`(?:, `\w+`)*) \| (?P<defaults>[^|]+?) \|", re.MULTILINE
)


def options(text: str) -> Iterator[tuple[str, object]]:
    """Yield the options of a page's tables, several in a row perhaps, with defaults."""
    for match in OPTIONS.finditer(text):
        names = re.findall(r"\w+", match["names"])
        defaults = match["defaults"].split(", ")
        for name, default in itertools.zip_longest(
            names, defaults, fillvalue=defaults[-1]
        ):
            plain = default.strip("`")
            if re.fullmatch(r"\d+ [KM]iB", plain):
                yield name, value(plain)
            elif re.fullmatch(r'[\d.]+|None|"\w*"', plain):
                yield name, ast.literal_eval(plain)


def test_page_of_event_streams_and_code_agree():
    page = (ROOT / "docs" / "eventsource.md").read_text(encoding="utf-8")
    server, _, client = page.partition("\n## The client\n")
    of_server, of_client = dict(options(server)), dict(options(client))
    assert {"ping", "max_send_buffer", "overflow", "send_timeout"} <= set(of_server)
    assert {"retry", "max_retry", "max_line", "max_queue"} <= set(of_client)
    for name, expected in of_server.items():
        assert default(EventSource._begin, name) == expected, name
    for name, expected in of_client.items():
        assert default(EventSourceClient, name) == expected, name
        if name != "max_queue":  # nothing is read there that nobody waits for
            assert default(SyncEventSourceClient, name) == expected, name


# ---- docs/engineio.md ----


def test_page_of_engineio_and_code_agree():
    page = (ROOT / "docs" / "engineio.md").read_text(encoding="utf-8")
    server, _, client = page.partition("\n## The clients\n")
    for text, function, some in (
        (server, engineio.Server, {"ping_interval", "max_packets", "max_send_buffer"}),
        (client, engineio.connect, {"max_payload", "write_limit", "upgrade_timeout"}),
    ):
        told = dict(options(text))
        assert some <= set(told)
        for name, expected in told.items():
            assert default(function, name) == expected, name
        limits = {
            name
            for name in inspect.signature(function).parameters
            if name.startswith(("max_", "ping_", "write_")) or name.endswith("_timeout")
        }
        assert limits <= set(told)


# ---- docs/socketio.md ----


def test_page_of_socketio_and_code_agree():
    page = (ROOT / "docs" / "socketio.md").read_text(encoding="utf-8")
    server, _, client = page.partition("\n## Clients\n")
    client = client.partition("\n## ")[0]
    recovery, _, server = server.partition("\n## Options\n")
    recovery = recovery.partition("| `ConnectionStateRecovery(")[2].partition("\n\n")[0]
    of_client = {
        name: parameter.default
        for function in (socketio.ClientSocket, socketio.Manager)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    of_server = {
        name: parameter.default
        for name, parameter in inspect.signature(socketio.Server).parameters.items()
    }
    kept = socketio.ConnectionStateRecovery()._asdict()
    for text, defaults in (
        (server, of_server),
        (client, of_client),
        (recovery, kept),
    ):
        told = dict(options(text))
        assert {name for name in defaults if name.startswith("max_")} <= set(told)
        for name, expected in told.items():
            assert defaults[name] == expected, name


# ---- docs/sockjs.md ----


def test_page_of_sockjs_and_code_agree():
    page = (ROOT / "docs" / "sockjs.md").read_text(encoding="utf-8")
    server = page.partition("\n### Options\n")[2].partition("\n### ")[0]
    names = set(inspect.signature(SockJS).parameters) - {"handler", "prefix"}
    assert names == {match["names"].strip("`") for match in OPTIONS.finditer(server)}
    told = dict(options(server))
    assert {"max_size", "response_limit", "overflow", "disconnect_delay"} <= set(told)
    for name, expected in told.items():
        assert default(SockJS, name) == expected, name


def test_page_of_sockjs_and_its_client_agree():
    page = (ROOT / "docs" / "sockjs.md").read_text(encoding="utf-8")
    told = dict(options(page.partition("\n## The client\n")[2]))
    limits = {
        name
        for name in inspect.signature(connect_sockjs).parameters
        if name.startswith(("max_", "write_")) or name.endswith("_timeout")
    }
    assert limits - {"ping_timeout"} <= set(told)
    for name, expected in told.items():
        assert default(connect_sockjs, name) == expected, name
