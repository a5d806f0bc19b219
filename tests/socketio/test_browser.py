"""npm's socket.io-client in Chromium, against the server under uvicorn."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests import needs
from tests.asgi.serving import Uvicorn
from tests.demo.browser import browsing
from tests.socketio.conftest import WAIT_S
from tests.support.node import HERE
from wsfast import socketio

PAGE = """<!doctype html><title>interop</title><script src="/socket.io.js"></script>
<script>
function talk(transports) {
  const seen = { news: [] };
  const socket = io(location.origin, { transports, forceNew: true, auth: { a: 1 } });
  socket.on("news", (...news) => seen.news.push(news));
  socket.on("question", (n, reply) => reply(n + 1));
  socket.on("connect", async () => {
    seen.echo = await socket.emitWithAck("echo", "é☃", { n: [1, null] });
    const back = await socket.emitWithAck("echo", Uint8Array.from([0, 255]));
    seen.binary = Array.from(new Uint8Array(back));
    seen.asked = await socket.emitWithAck("ask me");
    seen.transport = socket.io.engine.transport.name;
    seen.done = true;
  });
  socket.on("disconnect", (reason) => (seen.reason = reason));
  seen.upgraded = () => socket.io.engine.transport.name === "websocket";
  seen.leave = () => socket.emit("throw me out");
  return seen;
}
</script>"""


@pytest.mark.needs("chromium", "node")
async def test_browser(tmp_path, node):
    script = (HERE / "node_modules/socket.io-client/dist/socket.io.js").read_bytes()

    async def app(scope, receive, send):
        body, kind = {
            "/": (PAGE.encode(), b"text/html; charset=utf-8"),
            "/socket.io.js": (script, b"text/javascript"),
        }.get(scope["path"], (b"", b"text/plain"))
        head = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    refused = []

    def refuse(request, code, message, context):
        refused.append((request.method, message, context.get("sid")))

    sio = socketio.Server(app=app, on_connection_error=refuse)

    @sio.event
    def connect(sid, environ, auth):
        assert auth == {"a": 1}
        sio.emit("news", 7, [b"x"], to=sid)

    sio.on("echo", lambda sid, *args: args[0])
    sio.on("ask me", lambda sid: sio.call("question", 1, to=sid))
    sio.on("throw me out", lambda sid: sio.disconnect(sid) and None)

    def look(url):
        outcomes = []
        with browsing(needs.find("chromium"), tmp_path) as browser:
            tab = browser.open(url)
            for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
                tab.evaluate(f"window.seen = talk({json.dumps(transports)}); 0")
                tab.wait("seen.done && seen.news.length", WAIT_S)
                if len(transports) == 2:  # cut off, the browser would complain
                    tab.wait("seen.upgraded()", WAIT_S)
                if transports == ["polling"]:
                    assert browser.complaints() == []
                tab.evaluate("seen.leave(); 0")
                tab.wait("seen.reason", WAIT_S)
                outcomes.append(json.loads(tab.evaluate("JSON.stringify(seen)")))
            # The one that polls says that it leaves by a request of its own, which may
            # overtake its last poll; that one is of a session that has ended then.
            for complaint, (method, message, sid) in zip(
                browser.complaints(), refused, strict=True
            ):
                assert (method, message) == ("GET", "Session ID unknown")
                assert complaint["entry"]["url"].endswith(f"&sid={sid}")
            assert len(refused) <= 1
        return outcomes

    uvicorn = Uvicorn(True)
    async with uvicorn.stack:
        served = await uvicorn.serve(sio, timeout_graceful_shutdown=2)
        url = served.uri("/", "http")
        polling, websocket, upgraded = await asyncio.to_thread(look, url)
        assert polling["transport"] == "polling"
        assert websocket["transport"] == "websocket"
        for seen in (polling, websocket, upgraded):
            assert seen["echo"] == "é☃"
            assert seen["binary"] == [0, 255]
            assert seen["asked"] == 2
            assert seen["news"][0][0] == 7
            assert seen["reason"] == "io server disconnect"
        await sio.close()
