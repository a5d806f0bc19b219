"""Our client against sockjs-node, the server of npm's ``sockjs``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.peers import HERE, Program, install_npm
from wsfast.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeTimeout,
    InvalidStatus,
    ProtocolError,
)
from wsfast.sockjs import ClientConnection, TransportsFailed, connect

pytestmark = [pytest.mark.needs("node"), pytest.mark.timeout(180)]

LIMIT_S = 60
HTTP = ["xhr-streaming", "xhr-polling", "eventsource"]
FRAMED = ["websocket", *HTTP]
ALL = [*FRAMED, "websocket-raw"]
PATHS = {
    "websocket": "websocket",
    "xhr-streaming": "xhr_streaming",
    "xhr-polling": "xhr",
    "eventsource": "eventsource",
}

#: All that is escaped by one side or the other, and what must not be.
UNICODE = [
    "",
    " ",
    'quotes " and \\ and / and \x7f',
    "".join(map(chr, range(0x20))),
    "é漢🚀\u0000",
    "%25 %0A %zz 100% \r\n\r\n",
    "".join(map(chr, (*range(0x200C, 0x2010), *range(0x2028, 0x2030)))),
    "".join(map(chr, (*range(0x2060, 0x2070), *range(0xFFF0, 0x10000)))),
    "".join(map(chr, range(0x0300, 0x0634))),
    "\ud800 alone, and \udfff",
    '["a"]',
    "\ufeffmark",
]


class Node:
    """sockjs-node in a process of its own."""

    def __init__(self) -> None:
        node = install_npm()
        self.program = Program([node, str(HERE / "sockjs_server.js")])
        self.port = self.program.event(event="listening")["port"]

    def connect(self, prefix: str, *transports: str, **options: Any) -> connect:
        """Return a client; times are not what is tested, unless they are given."""
        url = f"http://127.0.0.1:{self.port}{prefix}"
        given = {"transport_timeout": 30.0, "open_timeout": 60, "proxy": None}
        return connect(url, transports or ("websocket",), **{**given, **options})

    async def event(self, **wanted: Any) -> dict[str, Any]:
        """Wait for an event; the loop has work to do meanwhile."""
        return await asyncio.to_thread(self.program.event, LIMIT_S, **wanted)

    def requests(self, prefix: str) -> list[str]:
        """Return what was asked for below a prefix."""
        events = [e for e in self.program.events() if e["event"] == "request"]
        return [e["url"] for e in events if e["url"].startswith(prefix)]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """Return the server."""
    found = Node()
    yield found
    found.program.stop()
    assert not found.program.log


async def soon(awaitable: Any) -> Any:
    """Wait for something, but not for ever."""
    return await asyncio.wait_for(awaitable, LIMIT_S)


async def take(ws: ClientConnection, count: int) -> list[str]:
    """Receive so many messages."""
    return [await soon(ws.recv()) for _ in range(count)]


# ---- each transport ----


@pytest.mark.parametrize("name", ALL)
async def test_echo(node: Node, name: str):
    async with node.connect("/echo?a=b", name) as ws:
        opened = await node.event(event="open", protocol=name)
        assert (ws.transport, ws.state.name, ws.close_code) == (name, "OPEN", None)
        texts = [t for t in UNICODE if name != "websocket-raw" or "\ud800" not in t]
        if name in HTTP:
            # escaped_selected of sockjs-node: a browser's EventSource reads no NUL
            texts = [t for t in texts if name != "eventsource" or "\0" not in t]
        for text in texts:
            await ws.send(text)
            assert await soon(ws.recv()) == text
        ws.send_many(texts)
        assert await take(ws, len(texts)) == texts
        assert ws.remote_address == ("127.0.0.1", node.port)
    assert (ws.state.name, ws.close_code, ws.close_reason) == ("CLOSED", 1000, "")
    with pytest.raises(ConnectionClosedOK):
        await ws.recv()
    with pytest.raises(ConnectionClosedOK):
        ws.send("late")
    await node.event(event="close", pathname=opened["pathname"])
    assert "a=b" in opened["url"]
    if name != "websocket-raw":
        server, session = opened["pathname"].split("/")[2:4]
        assert len(server) == 3
        assert server.isdigit()
        assert session == ws.session_id
        assert len(session) == 8


@pytest.mark.parametrize("name", FRAMED)
async def test_many_and_long_messages(node: Node, name: str):
    async with node.connect("/limited", name, max_queue=4) as ws:
        await ws.send("!many 500 200")
        for n in range(500):
            if n % 100 == 0:
                await asyncio.sleep(0.05)
            message = await soon(ws.recv())
            assert message.split()[0] == str(n)
        long = "é" * 400_000
        await ws.send(long)
        assert await soon(ws.recv()) == long
        for n in range(300):
            await ws.send(f"{n}")
        assert await take(ws, 300) == [f"{n}" for n in range(300)]


@pytest.mark.parametrize("name", ALL)
async def test_server_closes(node: Node, name: str):
    async with node.connect("/echo", name) as ws:
        await ws.send("!many 3 10")
        await ws.send("!close 3456 that is \u2028 all")
        messages = await take(ws, 3)
        assert [m.split()[0] for m in messages] == ["0", "1", "2"]
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
        assert (info.value.code, info.value.reason) == (3456, "that is \u2028 all")
    assert (ws.close_code, ws.close_reason) == (3456, "that is \u2028 all")


@pytest.mark.parametrize("name", ALL)
async def test_server_closes_normally(node: Node, name: str):
    async with node.connect("/echo", name) as ws:
        await ws.send("!close 1000 bye")
        assert [message async for message in ws] == []
    assert (ws.close_code, ws.close_reason) == (1000, "bye")


@pytest.mark.parametrize("name", FRAMED)
async def test_heartbeats(node: Node, name: str):
    """Pings of WebSocket over that; frames, and a life of more than one of them."""
    beats: list[ClientConnection] = []
    options = {"heartbeat_timeout": 5.0, "on_heartbeat": beats.append}
    async with node.connect("/beating", name, **options) as ws:
        deadline = asyncio.get_running_loop().time() + LIMIT_S
        if name != "websocket":
            while len(beats) < 5:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
            assert ws.heartbeats == len(beats)
        await ws.send("still there")
        assert await soon(ws.recv()) == "still there"


async def test_silence_of_the_server(node: Node):
    """/echo says nothing for 25 seconds."""

    async def wait(name: str) -> None:
        async with node.connect("/echo", name, heartbeat_timeout=3) as ws:
            with pytest.raises(ConnectionClosedError) as info:
                await soon(ws.recv())
            assert isinstance(info.value.__cause__, TimeoutError)
            assert ws.close_code == 1006

    await asyncio.gather(*map(wait, HTTP))


@pytest.mark.parametrize("name", ALL)
async def test_server_cuts_the_connection(name: str):
    node = Node()
    try:
        async with node.connect("/echo", name) as ws:
            await ws.send("!abort")
            with pytest.raises(ConnectionClosedError):
                await soon(ws.recv())
            assert ws.close_code == 1006
            # A client that comes back is somebody new.
            async with node.connect("/echo", name) as other:
                await other.send("!exit")
                with pytest.raises(ConnectionClosedError):
                    await soon(other.recv())
    finally:
        node.program.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await node.connect("/echo", "xhr-polling")


# ---- falling back ----


@pytest.mark.parametrize(
    ("prefix", "timeout", "wanted"),
    [
        ("/echo", 30.0, "websocket"),
        ("/polite", 30.0, "xhr-streaming"),
        ("/no-upgrade", 30.0, "xhr-streaming"),
        ("/deaf-upgrade", 4.0, "xhr-streaming"),
        ("/no-stream", 4.0, "xhr-polling"),
    ],
)
async def test_falls_back(node: Node, prefix: str, timeout: float, wanted: str):
    all_three = ("websocket", "xhr-streaming", "xhr-polling")
    options = {"transport_timeout": timeout, "server": "falling"}
    async with node.connect(prefix, *all_three, **options) as ws:
        # A machine that is busy may fall back further than it has to.
        found = all_three.index(ws.transport)
        assert found >= all_three.index(wanted)
        if timeout > 4:
            assert found == all_three.index(wanted)
        await ws.send("hi")
        assert await soon(ws.recv()) == "hi"
        await ws.send(f"!note {ws.session_id}")
        await node.event(event="note", word=ws.session_id)
    tried = {u.split("/")[3] for u in node.requests(prefix) if "/falling/" in u}
    assert len(tried) == found + 1 - (prefix == "/polite")
    assert ws.session_id in tried


async def test_all_fail(node: Node, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "wsfast.sockjs")
    client = node.connect(
        "/no-stream", "websocket", "xhr-streaming", transport_timeout=0
    )
    with pytest.raises(TransportsFailed, match="websocket: InvalidStatus") as info:
        await client
    assert list(info.value.failures) == ["websocket", "xhr-streaming"]
    assert info.value.code == 2000
    assert isinstance(info.value.failures["xhr-streaming"], HandshakeTimeout)
    assert "websocket failed: server rejected" in caplog.text


async def test_no_info(node: Node):
    with pytest.raises(InvalidStatus) as info:
        await node.connect("/nothing")
    assert info.value.response.body == b"not now"


async def test_slow_info(node: Node):
    with pytest.raises(HandshakeTimeout, match=r"no /info within 0\.1 seconds"):
        await node.connect("/slow-info", info_timeout=0.1)
    with pytest.raises(HandshakeTimeout, match="timed out while opening"):
        await node.connect("/slow-info", open_timeout=0.1)
    async with node.connect("/slow-info", "xhr-polling") as ws:
        assert ws.rtt is not None
        assert ws.rtt >= 0.39
        await ws.send("hi")
        assert await soon(ws.recv()) == "hi"


async def test_info_moved(node: Node):
    async with node.connect("/moved", "xhr-streaming") as ws:
        assert ws.url.endswith("/echo")
        await ws.send("hi")
        assert await soon(ws.recv()) == "hi"


# ---- what else may go wrong ----


@pytest.mark.parametrize("name", ["xhr-streaming", "xhr-polling"])
async def test_failing_to_send_ends_the_session(node: Node, name: str):
    async with node.connect("/no-send", name, write_limit=0) as ws:
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.send("lost"))
        assert isinstance(info.value.__cause__, InvalidStatus)
        assert info.value.__cause__.response.status_code == 503
        assert ws.buffered_amount == 6
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@pytest.mark.parametrize("name", FRAMED)
async def test_limits(node: Node, name: str):
    for options in ({"max_size": 1000}, {"max_frame": 1000}):
        async with node.connect("/echo", name, **options) as ws:
            await ws.send("x" * 900)
            assert await soon(ws.recv()) == "x" * 900
            await ws.send("x" * 1100)
            with pytest.raises(ConnectionClosedError) as info:
                await soon(ws.recv())
            assert getattr(info.value.__cause__, "code", 0) == 1009
        assert ws.close_code == 1009


async def test_polling_too_late_loses_the_session(node: Node):
    async with node.connect("/brief", "xhr-polling", server="123") as ws:
        ws.pause_reading()
        await ws.send("hi")
        await ws.send("there")
        path = f"/brief/123/{ws.session_id}/xhr"
        await node.event(event="close", pathname=path)
        ws.resume_reading()
        messages = []
        with pytest.raises(ConnectionClosedError) as info:
            while True:
                messages.append(await soon(ws.recv()))
        assert isinstance(info.value.__cause__, ProtocolError)
        assert "lost the session" in str(info.value.__cause__)


@pytest.mark.parametrize("name", FRAMED)
async def test_closing_sends_what_was_sent(node: Node, name: str):
    async with node.connect("/brief", name, server="123") as ws:
        for n in range(2000):
            ws.send(f"{n}")
        ws.send(f"!note {ws.session_id}")
        await ws.close()
        assert ws.buffered_amount == 0
    assert ws.close_code == 1000
    await node.event(event="note", word=ws.session_id)
    path = f"/brief/123/{ws.session_id}/{PATHS[name]}"
    await node.event(event="close", pathname=path)


@pytest.mark.parametrize("name", ALL)
async def test_cancelling_loses_nothing(node: Node, name: str):
    async with node.connect("/echo", name) as ws:
        for n in range(50):
            receiving = asyncio.ensure_future(ws.recv())
            await asyncio.sleep(0)
            await ws.send(f"{n}")
            if n % 2:
                await asyncio.sleep(0.002)
            receiving.cancel()
            try:
                got = await receiving
            except asyncio.CancelledError:
                got = await soon(ws.recv())
            assert got == f"{n}"
    for pause in (0.0, 0.005, 0.02):
        task = asyncio.ensure_future(node.connect("/echo", name).connect())
        await asyncio.sleep(pause)
        task.cancel()
        try:
            ws = await task
        except asyncio.CancelledError:
            continue
        await ws.close()


@pytest.mark.parametrize("name", FRAMED)
async def test_cookies(node: Node, name: str):
    headers = {"Cookie": "mine=1"}
    async with node.connect("/cookie", name, additional_headers=headers) as ws:
        assert ws.info is not None
        assert ws.info["cookie_needed"] is True
        await ws.send("hi")
        assert await soon(ws.recv()) == "hi"
        await ws.send("again")
        assert await soon(ws.recv()) == "again"
    events = [e for e in node.program.events() if ws.session_id in e.get("url", "")]
    cookies = {e["url"].rpartition("/")[2]: e.get("cookie") for e in events}
    assert all(c.startswith("mine=1") for c in cookies.values() if c)
    if name in HTTP:
        # The session's first answer comes late when it is a stream.
        assert cookies["xhr_send"] == "mine=1; JSESSIONID=dummy"
