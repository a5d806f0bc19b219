"""The demo's server from a client's side."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from wsfast import socketio
from wsfast.asyncio.client import connect
from wsfast.demo.server import MAX_TEXT, said
from wsfast.exceptions import ConnectionClosedError, InvalidStatus


def websocket(demo: str, path: str) -> str:
    """Return the address of a WebSocket of the demo."""
    return demo.replace("http:", "ws:") + path


async def next_said(ws) -> dict[str, object]:
    """Return the next chat message."""
    while (note := json.loads(await ws.recv()))["type"] != "said":
        pass
    return note


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("chat.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_page_is_served(demo, path, kind):
    with urllib.request.urlopen(demo + path) as response:
        assert response.headers["Content-Type"] == kind
        assert response.headers["Content-Security-Policy"] == "default-src 'self'"
        assert len(response.read()) == int(response.headers["Content-Length"])


@pytest.mark.parametrize(
    ("path", "status"), [("nothing", 404), ("../server.py", 404), ("chat", 426)]
)
def test_other_paths_are_refused(demo, path, status):
    with pytest.raises(urllib.error.HTTPError) as info:
        urllib.request.urlopen(demo + path)
    with info.value:
        assert info.value.code == status


async def test_echo(demo):
    async with connect(websocket(demo, "echo")) as ws:
        for message in ("text \N{WAVING HAND SIGN}", b"\x00\xff"):
            await ws.send(message)
            assert await ws.recv() == message


async def test_newcomer_is_told_what_was_said(demo):
    async with connect(websocket(demo, "chat")) as ada:
        await ada.send('{"name": " Ada ", "text": "Hello \\ud83d\\udc4b"}')
        note = await next_said(ada)
        assert (note["name"], note["text"]) == ("Ada", "Hello \N{WAVING HAND SIGN}")
        async with connect(websocket(demo, "chat")) as grace:
            assert await next_said(grace) == note


async def test_what_is_no_chat_message_ends_the_connection(demo):
    async with connect(websocket(demo, "chat")) as ws:
        await ws.send("hello")
        with pytest.raises(ConnectionClosedError) as info:
            while True:
                await next_said(ws)
    assert info.value.rcvd is not None
    assert info.value.rcvd.code == 1008


async def test_pages_of_other_sites_are_refused(demo):
    with pytest.raises(InvalidStatus) as info:
        await connect(websocket(demo, "chat"), origin="http://example.com")
    assert info.value.response.status_code == 403


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        '"name"',
        b"\xff",
        '{"name": "Ada"}',
        '{"name": 1, "text": "x"}',
        '{"name": " ", "text": "x"}',
        '{"name": "' + "x" * 25 + '", "text": "x"}',
        json.dumps({"name": "Ada", "text": "x" * (MAX_TEXT + 1)}),
        "[" * 100_000,
    ],
)
def test_said_takes_only_what_the_page_sends(message):
    assert said(message) is None


async def test_one_chat_over_websocket_and_socketio(demo):
    async with connect(websocket(demo, "chat")) as ws, socketio.Client() as client:
        heard = []
        client.on("said", heard.append)
        await client.connect(demo, transports=["websocket"])
        assert await client.call("say", {"name": "Ada", "text": "over here"}) is True
        while (await next_said(ws))["text"] != "over here":
            pass  # what was said before
        await ws.send('{"name": "Grace", "text": "over there"}')
        assert (await next_said(ws))["text"] == "over there"
        assert await client.call("say", {"name": "", "text": 7}) is False
        assert [each["text"] for each in heard][-2:] == ["over here", "over there"]
