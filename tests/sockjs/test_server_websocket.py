"""SockJS protocol 0.3.3: WebSocket protocols, Raw WebSocket url."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

import wsfast
from wsfast import ConnectionClosed

AWAY = 'c[3000,"Go away!"]'
UPGRADE = {"Upgrade": "WebSocket", "Connection": "Upgrade"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def connect(site, path):
    return wsfast.connect(site.ws_url + path, compression=None)


# ---- errors of HTTP ----


def test_method(echo):
    response = echo.get("/0/0/websocket")
    assert response.status == 400
    assert 'Can "Upgrade" only to "WebSocket".' in response.body()


def test_connection_header(echo):
    fields = {"Upgrade": "WebSocket", "Connection": "close"}
    response = echo.get("/0/0/websocket", **fields)
    assert response.status == 400
    assert '"Connection" must be "Upgrade".' in response.body()


def test_invalid_method(echo):
    response = echo.post("/0/0/websocket")
    assert response.status == 405
    assert response["allow"] == "GET"
    assert not response["content-type"]
    assert response.body() == ""


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
def test_headers(echo, connection):
    """RFC 6455's version; those before it are no longer spoken by any browser."""
    key = base64.b64encode(bytes(16))
    response = echo.get(
        echo.session() + "/websocket",
        Upgrade="websocket",
        Connection=connection,
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=key.decode(),
        Origin="http://asd",
    )
    assert response.status == 101
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    assert response["sec-websocket-accept"] == accept.decode()
    assert response["connection"].lower() == "upgrade"
    assert response["upgrade"].lower() == "websocket"
    assert not response["content-length"]


@pytest.mark.parametrize("path", ["/websocket", "/0/0/websocket"])
async def test_disabled(site, path):
    service = site("/disabled_websocket_echo")
    assert service.get(path).status == 404
    with pytest.raises(wsfast.InvalidStatus) as caught:
        await connect(service, path)
    assert caught.value.response.status_code in (403, 404)


@pytest.mark.parametrize("path", ["/a./a/websocket", "/a/websocket", "/0/0/nothing"])
async def test_no_such_path(echo, path):
    with pytest.raises(wsfast.InvalidStatus) as caught:
        await connect(echo, path)
    assert caught.value.response.status_code in (403, 404)


# ---- the transport ----


async def test_transport(echo):
    async with connect(echo, echo.session() + "/websocket") as ws:
        assert await ws.recv() == "o"
        await ws.send("")  # to be ignored
        await ws.send('["a"]')
        assert await ws.recv() == 'a["a"]'
        await ws.send('["b","c"]')
        assert [await ws.recv(), await ws.recv()] == ['a["b"]', 'a["c"]']
        await ws.send('"alone"')
        assert await ws.recv() == 'a["alone"]'


async def test_close(close):
    async with connect(close, close.session() + "/websocket") as ws:
        assert await ws.recv() == "o"
        assert await ws.recv() == AWAY
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert ws.close_code == 1000


async def test_session_ids_may_be_used_again(echo):
    path = echo.session() + "/websocket"
    async with connect(echo, path) as one, connect(echo, path) as other:
        assert await one.recv() == await other.recv() == "o"
        await one.send('["a"]')
        assert await one.recv() == 'a["a"]'
        await other.send('["b"]')
        assert await other.recv() == 'a["b"]'
    async with connect(echo, path) as ws:
        assert await ws.recv() == "o"


@pytest.mark.parametrize("frame", ['["a', "x", "5", "[5]", b'["a"]', "{}"])
async def test_broken_json(echo, frame):
    async with connect(echo, echo.session() + "/websocket") as ws:
        assert await ws.recv() == "o"
        await ws.send(frame)
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (3000, "Broken framing.")


async def test_handler_that_fails(site):
    service = site("/fails")
    async with connect(service, service.session() + "/websocket") as ws:
        assert await ws.recv() == "o"
        await ws.send('["a"]')
        assert await ws.recv() == 'c[1011,"Internal error"]'


async def test_heartbeat(site):
    service = site("/fast")
    async with connect(service, service.session() + "/websocket") as ws:
        assert [await ws.recv() for _ in range(3)] == ["o", "h", "h"]


# ---- raw ----


async def test_raw(echo):
    async with connect(echo, "/websocket") as ws:
        for message in ("Hello world!\uffff", b"\x00octets", ""):
            await ws.send(message)
            assert await ws.recv() == message


async def test_raw_close(close):
    async with connect(close, "/websocket") as ws:
        with pytest.raises(ConnectionClosed):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (3000, "Go away!")


# ---- what a session knows ----


@pytest.mark.parametrize(
    ("prefix", "root"),
    [
        ("/facts", "/facts"),
        ("/fastapi/echo", "/fastapi/echo"),
        ("/own/a/b/echo", "/own/a/b/echo"),
    ],
)
async def test_facts(site, prefix, root):
    service = site(prefix)
    path = service.session() + "/websocket"
    async with wsfast.connect(
        service.ws_url + path + "?x=1",
        additional_headers={"Cookie": "secret=1", "X-Real-IP": "1.2.3.4"},
    ) as ws:
        assert await ws.recv() == "o"
        await ws.send('["tell"]')
        (text,) = json.loads((await ws.recv())[1:])
    known = json.loads(text)
    assert known["prefix"] == root
    assert known["protocol"] == "websocket"
    assert known["path"] == prefix + path
    assert known["url"].endswith(f":{service.port}{prefix}{path}?x=1")
    assert known["ready_state"] == 1
    assert known["remote"]
    assert known["headers"]["x-real-ip"] == "1.2.3.4"
    assert known["headers"]["host"] == f"127.0.0.1:{service.port}"
    assert "cookie" not in known["headers"]


@pytest.mark.parametrize(
    ("listens", "name"),
    [
        ("POST /xhr", "xhr-polling"),
        ("POST /xhr_streaming", "xhr-streaming"),
        ("GET /eventsource", "eventsource"),
        ("GET /htmlfile?c=x", "htmlfile"),
        ("GET /jsonp?c=x", "jsonp-polling"),
    ],
)
def test_facts_over_http(site, listens, name):
    service = site("/facts")
    path = service.session()
    method, where = listens.split()
    first = service.request(method, path + where)
    if name in ("xhr-polling", "jsonp-polling"):
        assert "o" in first.body()
    sends = "/jsonp_send" if name == "jsonp-polling" else "/xhr_send"
    assert service.post(path + sends, '["tell"]').status in (200, 204)
    if name in ("xhr-polling", "jsonp-polling"):
        text = service.request(method, path + where).body()
    else:
        text = ""
        while "accept-language" not in text and "headers" not in text:
            text += first.read(1)
    assert name in text
