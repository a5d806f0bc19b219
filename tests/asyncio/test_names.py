"""Names, parameters and exceptions of the websockets library's asyncio API."""

from __future__ import annotations

import importlib
import inspect

import pytest

import wsfast
import wsfast.asyncio
from tests.support.signatures import check_parameters, named, public_members
from wsfast.asyncio import ClientConnection, Server, ServerConnection, connect, serve

pytest.importorskip("websockets", minversion="17")

#: Defaults that differ, and why.
OTHER_DEFAULTS = {
    "user_agent_header": "it names another library",
    "server_header": "it names another library",
    "write_limit": "64 KiB: output leaves once per pass, so more of it is normal",
    "process_exception": "a function of our own that does the same",
    "reconnect_delays": "full jitter from the first failure on",
}

#: function -> what it passes ``**kwargs`` on to
PASSES_ON = {
    wsfast.asyncio.unix_connect: [connect],
    wsfast.asyncio.unix_serve: [serve],
}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (serve, "asyncio.server:serve"),
        (connect, "asyncio.client:connect"),
        (wsfast.asyncio.unix_serve, "asyncio.server:unix_serve"),
        (wsfast.asyncio.unix_connect, "asyncio.client:unix_connect"),
        (wsfast.asyncio.broadcast, "asyncio.server:broadcast"),
        (wsfast.asyncio.basic_auth, "asyncio.server:basic_auth"),
        (Server.close, "asyncio.server:Server.close"),
        *(
            (getattr(ServerConnection, name), f"asyncio.connection:Connection.{name}")
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
        (ServerConnection.respond, "asyncio.server:ServerConnection.respond"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters_and_defaults(ours, theirs: str):
    found = named(f"websockets.{theirs}")
    try:
        have = dict(inspect.signature(ours).parameters)
    except ValueError:
        pytest.skip("compiled without signatures")
    for passed_on_to in PASSES_ON.get(ours, ()):
        have = {**inspect.signature(passed_on_to).parameters, **have}
    check_parameters(have, found, {*OTHER_DEFAULTS, "path"})


@pytest.mark.parametrize("name", ["server", "client", "connection"])
def test_members(name: str):
    ours = {"server": ServerConnection, "client": ClientConnection}
    found = importlib.import_module(f"websockets.asyncio.{name}")
    classes = {
        "server": [("ServerConnection", ServerConnection), ("Server", Server)],
        "client": [("ClientConnection", ClientConnection), ("connect", connect)],
        "connection": [("Connection", ours["server"])],
    }
    # What is of the inside there, or of asyncio.Protocol.
    hidden = {
        "acknowledge_pings",
        "broadcast",
        "close_exc",
        "connection_lost",
        "connection_made",
        "data_received",
        "drain",
        "eof_received",
        "factory",
        "handshake",
        "keepalive",
        "open_tcp_connection",
        "pause_writing",
        "process_event",
        "process_redirect",
        "resume_writing",
        "send_context",
        "send_data",
        "set_connection_exc",
        "start_keepalive",
        "terminate_pending_pings",
    }
    for class_name, mine in classes[name]:
        theirs = getattr(found, class_name)
        for member in public_members(theirs) - hidden:
            assert hasattr(mine, member), f"{class_name}.{member}"


def test_exceptions():
    theirs = importlib.import_module("websockets.exceptions")
    ours = importlib.import_module("wsfast.exceptions")
    for name in theirs.__all__:
        assert hasattr(ours, name), name
        bases = {base.__name__ for base in getattr(theirs, name).__mro__}
        mine = {base.__name__ for base in getattr(ours, name).__mro__}
        assert bases <= mine, name


def test_the_package_exports_what_it_says():
    for name in wsfast.__all__:
        assert getattr(wsfast, name) is not None
    assert set(wsfast.__all__) <= set(dir(wsfast))
    with pytest.raises(AttributeError, match="no attribute"):
        wsfast.nothing  # noqa: B018
