"""Against the reference: engine.io-client and engine.io of npm, and a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.demo.browser import browsing
from tests.engineio.conftest import WAIT_S, WAYS, Peer, Place, recv, until
from tests.interop.peers import Program
from wsfast import engineio
from wsfast.engineio import SyncClient, connect

INTEROP = Path(__file__).parent.parent / "interop"
LIMIT_S = 60

pytestmark = pytest.mark.timeout(180)

OUTCOME = {
    "echoes": ["hello", "é漢🚀", "00ff1e07", 100_000],
    "counted": 100,
    "pings": 2,
    "inOrder": True,
    "reason": "forced close",
}

#: Host, transports, and whether there is no other server below.
TOURS = [
    ("reactor", "polling", False),
    ("reactor", "websocket", False),
    ("reactor", "polling,websocket", False),
    ("transport", "polling,websocket", False),
    ("events", "websocket", False),
    ("events", "polling,websocket", False),
    ("reactor", "websocket", True),
    ("transport", "websocket", True),
]


def node():
    """Return how to start the peer."""
    program, npm = needs.find("node"), shutil.which("npm")
    assert program is not None
    if not (INTEROP / "node_modules" / "engine.io").is_dir():
        assert npm is not None
        options = ["--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(
            [npm, "ci", *options], cwd=INTEROP, check=True, capture_output=True
        )
    return [program, str(INTEROP / "engineio_peer.js")]


@pytest.mark.needs("node")
@pytest.mark.parametrize(("host", "transports", "alone"), TOURS)
async def test_their_client(host, transports, alone):
    place = Place(host)
    async with place.stack:
        # A payload of theirs has as many packets as they have to send.
        options = {"ping_interval": 0.3, "ping_timeout": WAIT_S, "max_packets": None}
        await (place.start_alone if alone else place.start)(**options)
        url = f"http://127.0.0.1:{place.port}"
        wanted = {"uri": url, "transports": transports.split(",")}
        process = await asyncio.create_subprocess_exec(
            *node(),
            "client",
            json.dumps(wanted),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, log = await asyncio.wait_for(process.communicate(), LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, log
        outcome = json.loads(output)
        first, last = wanted["transports"][0], wanted["transports"][-1]
        assert outcome.pop("pings") >= 2
        expected = {**OUTCOME, "opened": first, "transport": last}
        del expected["pings"]
        assert outcome == expected
        assert await place.ended() == "transport close"
        assert ("upgrade" in place.listener.events) is (first != last)
        assert place.server.sockets == {}


@pytest.fixture(scope="module")
def their_server():
    """Return engine.io of npm, and its URL."""
    options = {"pingInterval": 300, "pingTimeout": WAIT_S * 1000}
    program = Program([*node(), "server", json.dumps(options)])
    try:
        port = program.event(event="port")["port"]
        yield program, f"http://127.0.0.1:{port}"
    finally:
        program.stop()


@pytest.mark.needs("node")
@pytest.mark.parametrize("way", WAYS)
async def test_their_server(their_server, way):
    program, url = their_server
    program.lines.clear()
    sent = ["hello", "", "é漢🚀", b"\x00\xff\x1e\x07", "x" * 100_000]
    sent += [str(n) for n in range(100)]
    async with connect(url, Peer, **WAYS[way]) as socket:
        for message in sent[:50]:
            await socket.send(message)
        if way == "upgrade":
            await until(socket.listener, "upgraded")
        await socket.send_many(sent[50:])
        assert [await recv(socket) for _ in sent] == sent
        await until(socket.listener, "pinged")
        if way == "polling":
            socket.send("close")
            reason = await asyncio.wait_for(socket.listener.ended, WAIT_S)
            assert reason == "transport close"
    told = {"polling": "forced close"}.get(way, "transport close")
    await asyncio.to_thread(program.event, event="close", reason=told)
    if way == "upgrade":
        program.event(event="upgrade")


@pytest.mark.needs("node")
@pytest.mark.parametrize("way", WAYS)
async def test_their_server_in_a_thread(their_server, way):
    program, url = their_server
    program.lines.clear()
    got = []

    class Noting(engineio.Listener):
        def on_message(self, data):
            got.append(data)
            if len(got) == 50:
                self.socket.send("close")

    def talk():
        with SyncClient(url, Noting, **WAYS[way]) as client:
            for n in range(50):
                client.send(str(n))
            assert client.wait(WAIT_S)

    await asyncio.to_thread(talk)
    assert got == [str(n) for n in range(50)]
    await asyncio.to_thread(program.event, event="close", reason="forced close")


@pytest.mark.needs("node")
async def test_their_server_refuses(their_server):
    program, url = their_server
    refused = {"additional_headers": {"X-Refuse": "1"}}
    with pytest.raises(engineio.BadReply, match="403: not today") as caught:
        await connect(url, Peer, **refused)
    assert caught.value.error == 4
    with pytest.raises(engineio.BadReply, match="400: not today"):
        await connect(url, Peer, transports=["websocket"], **refused)
    await asyncio.to_thread(program.event, event="refused", code=4)


PAGE = """<!doctype html><title>interop</title><script src="/engine.io.js"></script>
<script>
function talk(transports) {
  const seen = { echoes: [], upgraded: "" };
  const socket = eio(location.origin, { transports });
  socket.binaryType = "arraybuffer";
  socket.on("open", () => {
    seen.opened = socket.transport.name;
    for (let n = 0; n < 12; n++) socket.send(`${n}é`);
    socket.send(Uint8Array.from([0, 255, 7]).buffer);
  });
  socket.on("upgrade", () => (seen.upgraded = socket.transport.name));
  socket.on("message", (data) => seen.echoes.push(
    typeof data === "string" ? data : Array.from(new Uint8Array(data)).join(" ")));
  socket.on("close", (reason) => (seen.reason = reason));
  seen.close = () => socket.close();
  return seen;
}
</script>"""


@pytest.mark.needs("chromium", "node")
async def test_browser(tmp_path):
    node()
    script = (INTEROP / "node_modules/engine.io-client/dist/engine.io.js").read_bytes()

    async def app(scope, receive, send):
        body, kind = {
            "/": (PAGE.encode(), b"text/html; charset=utf-8"),
            "/engine.io.js": (script, b"text/javascript"),
        }.get(scope["path"], (b"", b"text/plain"))
        head = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def look(url):
        outcomes = {}
        with browsing(needs.find("chromium"), tmp_path) as browser:
            tab = browser.open(url)
            for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
                tab.evaluate(f"window.seen = talk({json.dumps(transports)}); 0")
                tab.wait("seen.echoes.length === 13", LIMIT_S)
                if len(transports) == 2:
                    tab.wait("seen.upgraded", LIMIT_S)
                tab.evaluate("seen.close(); 0")
                tab.wait("seen.reason", LIMIT_S)
                seen = json.loads(tab.evaluate("JSON.stringify(seen)"))
                outcomes[",".join(transports)] = seen
            assert browser.complaints() == []
        return outcomes

    place = Place("reactor")
    async with place.stack:
        await place.start(app=app)
        outcomes = await asyncio.to_thread(look, f"http://127.0.0.1:{place.port}/")
        echoes = [*(f"{n}é" for n in range(12)), "0 255 7"]
        for transports, seen in outcomes.items():
            first, _, upgraded = transports.partition(",")
            assert seen == {
                "opened": first,
                "upgraded": upgraded,
                "echoes": echoes,
                "reason": "forced close",
            }
        await asyncio.wait([each.ended for each in place.made], timeout=WAIT_S)
        assert place.server.sockets == {}
