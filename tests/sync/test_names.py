"""Names and parameters: those of websockets' threading API, and of wsfast.asyncio."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import wsfast.asyncio
import wsfast.sync
from tests.support.signatures import check_parameters, named, public_members
from tests.sync.conftest import wired
from wsfast.sync import ClientConnection, Server, ServerConnection
from wsfast.sync.connection import Connection

pytest.importorskip("websockets", minversion="17")

#: Defaults that differ, and why.
OTHER_DEFAULTS = {
    "user_agent_header": "it names another library",
    "server_header": "it names another library",
    "process_exception": "a function of our own that does the same",
    "reconnect_delays": "full jitter from the first failure on",
}

#: Parameters that there are not, and why.
WITHOUT = {
    "legacy": "connect() gives a connection, and never warns about that",
}

#: What is of the inside there, of its threads and its separate protocol.
INSIDE = {
    "SHUTDOWN_POLLING_INTERVAL",
    "acknowledge_pings",
    "close_exc",
    "close_socket",
    "handshake",
    "keepalive",
    "maybe_raise_legacy_warning",
    "process_event",
    "recv_bufsize",
    "recv_events",
    "send_context",
    "send_data",
    "set_connection_exc",
    "start_keepalive",
    "terminate_pending_pings",
}

#: ours, theirs: every function and method that an application calls.
TABLE = [
    (wsfast.sync.connect, "client:connect"),
    (wsfast.sync.reconnect, "client:reconnect"),
    (wsfast.sync.unix_connect, "client:unix_connect"),
    (wsfast.sync.unix_reconnect, "client:unix_reconnect"),
    (wsfast.sync.serve, "server:serve"),
    (wsfast.sync.unix_serve, "server:unix_serve"),
    (wsfast.sync.broadcast, "server:broadcast"),
    (wsfast.sync.basic_auth, "server:basic_auth"),
    (Server.serve_forever, "server:Server.serve_forever"),
    (Server.shutdown, "server:Server.shutdown"),
    (Server.fileno, "server:Server.fileno"),
    (ServerConnection.respond, "server:ServerConnection.respond"),
    *(
        (getattr(Connection, name), f"connection:Connection.{name}")
        for name in (
            "recv",
            "recv_streaming",
            "send",
            "close",
            "wait_closed",
            "ping",
            "pong",
        )
    ),
]


#: function -> what it passes ``**kwargs`` on to
PASSES_ON = {
    wsfast.sync.reconnect: [wsfast.sync.connect],
    wsfast.sync.unix_connect: [wsfast.sync.connect],
    wsfast.sync.unix_reconnect: [wsfast.sync.connect],
    wsfast.sync.serve: [Server],
    wsfast.sync.unix_serve: [wsfast.sync.serve, Server],
}


@pytest.mark.parametrize(
    ("ours", "theirs"), TABLE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_parameters_and_defaults(ours: Any, theirs: str):
    have = dict(inspect.signature(ours).parameters)
    for passed_on_to in PASSES_ON.get(ours, ()):
        have = {**inspect.signature(passed_on_to).parameters, **have}
    others = {*OTHER_DEFAULTS, "path"}
    check_parameters(have, named(f"websockets.sync.{theirs}"), others, WITHOUT)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Connection, "connection:Connection"),
        (ClientConnection, "client:ClientConnection"),
        (ServerConnection, "server:ServerConnection"),
        (Server, "server:Server"),
    ],
)
def test_members(ours: type, theirs: str):
    public = public_members(named(f"websockets.sync.{theirs}"))
    assert public - INSIDE <= set(dir(ours)) | {"subprotocol"}  # set by __init__


#: Of wsfast.asyncio, what has no place among threads, and why.
OF_ASYNCIO = {
    "listener": "callbacks are for event loops; a thread calls recv()",
    "reactor": "there is no event loop",
    "busy_poll": "there is no event loop",
    "overflow": "send() waits for a slow peer; send_nowait() and broadcast() skip it",
    "max_send_buffer": "the same",
    "write_limit": "the same",
    "max_buffered": "a thread sends what it has and reads when it receives; max_queue",
    "kwargs": "of loop.create_connection()",
    "start_serving": "serve_forever() does",
    "flags": "of loop.create_server()",
    "reuse_address": "of loop.create_server()",
    "ssl_handshake_timeout": "open_timeout covers it",
    "ssl_shutdown_timeout": "close_timeout covers it",
}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([wsfast.sync.connect], wsfast.asyncio.connect),
        ([wsfast.sync.serve, Server], wsfast.asyncio.serve),
    ],
    ids=["connect", "serve"],
)
def test_parameters_of_asyncio(ours: list[Any], theirs: Any):
    have: dict[str, inspect.Parameter] = {}
    for part in ours:
        have.update(inspect.signature(part).parameters)
    for name, parameter in inspect.signature(theirs).parameters.items():
        if name in OF_ASYNCIO:
            assert name not in have or name == "kwargs"
        else:
            assert name in have, name
            if name not in ("sock", "backlog", "family"):  # of socket.create_server()
                assert have[name].default == parameter.default, name


#: Members of wsfast.asyncio's connection that this one has not, and why.
WITHOUT_MEMBERS = {
    "drain": "send() waits by itself",
    "pause_reading": "reading stops when nobody receives and the queue is full",
    "resume_reading": "the same",
    "paused": "the same",
    "listener": "callbacks are for event loops; a thread calls recv()",
    "transport": "it is a socket",
}


def test_members_of_asyncio():
    listed = {
        *("recv", "recv_many", "recv_streaming", "send", "send_many", "send_nowait"),
        *("ping", "pong", "close", "abort", "wait_closed", "as_stream", "id", "logger"),
        *("request", "response", "subprotocol", "extensions", "state", "latency"),
        *("close_code", "close_reason", "local_address", "remote_address"),
        *("buffered_amount",),
    }
    with wired() as (ws, _):
        for name in listed:
            assert hasattr(wsfast.asyncio.Connection, name), name
            assert hasattr(ws, name), name
        for name in WITHOUT_MEMBERS:
            assert not hasattr(ws, name), name
