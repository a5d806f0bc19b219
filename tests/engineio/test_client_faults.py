"""Clients and servers that say what no server of Engine.IO 4 should."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

import wsfast
from tests.engineio.conftest import WAIT_S, Peer
from wsfast import engineio
from wsfast.asyncio._timeout import timeout
from wsfast.engineio import connect
from wsfast.exceptions import HandshakeTimeout

OPEN = {"sid": "x", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000}


class Scripted(wsfast.Listener):
    """A server that says what it is told, and notes what it hears."""

    said: tuple[str | bytes, ...] = ()
    heard: list[str | bytes]

    def on_open(self, ws):
        for packet in self.said:
            ws.send(packet)

    def on_message(self, ws, message):
        self.heard.append(message)


@contextlib.asynccontextmanager
async def saying(*said):
    """Serve clients that are told these packets; yield the URL, and what is heard."""
    heard = []
    kind = type("Server", (Scripted,), {"said": said, "heard": heard})
    async with wsfast.serve(kind, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


@contextlib.asynccontextmanager
async def scripted(*packets, **changes):
    """Serve a session that begins with these; yield the URL, and what is heard."""
    first = {name: v for name, v in {**OPEN, **changes}.items() if v is not None}

    async with saying(f"0{json.dumps(first)}", *packets) as found:
        yield found


def to(url, listener=Peer, **options):
    return connect(url, listener, transports=["websocket"], **options)


@pytest.mark.parametrize(
    "changes",
    [
        {"sid": None},
        {"sid": 7},
        {"sid": ""},
        {"sid": "\N{EURO SIGN}"},
        {"pingInterval": None},
        {"pingTimeout": "soon"},
        {"pingTimeout": [1]},
        {"maxPayload": "much"},
    ],
)
async def test_sessions_that_are_none(changes):
    async with scripted(**changes) as (url, _):
        with pytest.raises(engineio.BadReply, match="not a server of Engine"):
            await to(url)


@pytest.mark.parametrize("first", ["4hello", b"\1", "0", "0[]", "0{", "0" + "[" * 9999])
async def test_beginnings_that_are_none(first):
    async with saying(first) as (url, _):
        with pytest.raises(engineio.BadReply, match="not a server of Engine"):
            await to(url)


async def test_server_that_says_nothing():
    async with saying() as (url, _):
        with pytest.raises(HandshakeTimeout, match="while opening a session"):
            await to(url, open_timeout=0.3)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        ("8", "parse error"),
        ("x", "parse error"),
        ("", "parse error"),
        ("1", "transport close"),
    ],
)
async def test_packets_that_end_a_session(packet, reason):
    """What follows is not told any more."""
    async with scripted(packet, "4late") as (url, _):
        socket = await to(url)
        assert await asyncio.wait_for(socket.listener.ended, WAIT_S) == reason
        await socket.wait_closed()
        assert socket.state == "closed"
        assert not socket.writable
        assert socket.listener.messages.empty()
        with pytest.raises(engineio.SessionClosed, match=reason):
            await socket.send("late")
        await socket.close()


async def test_packets_that_change_nothing():
    async with scripted("6", "5", "3", "0again", "2ask", "4hello") as (url, heard):
        async with to(url) as socket:
            message = await asyncio.wait_for(socket.listener.messages.get(), WAIT_S)
            assert message == "hello"
            assert socket.writable
            await socket.send("hi")
        async with timeout(WAIT_S):
            while len(heard) < 2:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        assert heard[:2] == ["3ask", "4hi"]


async def test_server_that_stops_to_ping():
    async with scripted(pingInterval=50, pingTimeout=50) as (url, _):
        socket = await to(url)
        reason = await asyncio.wait_for(socket.listener.ended, WAIT_S)
        assert reason == "ping timeout"
        await socket.wait_closed()


@pytest.mark.parametrize("where", ["on_open", "on_message"])
async def test_listener_that_fails(where, caplog):
    class Failing(Peer):
        def on_open(self):
            super().on_open()
            if where == "on_open":
                raise ZeroDivisionError

        def on_message(self, data):
            raise ZeroDivisionError

    async with scripted("4hello") as (url, _):
        socket = await to(url, Failing)
        await socket.wait_closed()
        assert socket.state == "closed"
        assert "ZeroDivisionError" in caplog.text


async def test_one_session_at_a_time():
    async with scripted() as (url, _):
        connecting = to(url)
        async with connecting:
            with pytest.raises(RuntimeError, match="isn't reentrant"):
                await connecting.__aenter__()
        async with connecting as socket:  # one after the other
            assert socket.state == "open"
