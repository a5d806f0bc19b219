"""Chromium's own WebSocket against a server, on each path and event loop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.demo.browser import Browser, Tab, browsing
from tests.support.process import Host, Served
from tests.support.targets import chosen

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(180)]

TARGET = chosen()
WAYS = [(path, loop) for path in TARGET.paths for loop in ("asyncio", "uvloop")]

#: The page: goes through messages of many sizes, then closes, and keeps what it saw.
PAGE = """<!doctype html><title>interop</title><script>
const sizes = [0, 1, 125, 126, 65535, 65536, 400001];
const textOf = (size) => "aé漢".repeat(size / 3 + 1).slice(0, size);
const octetsOf = (size) => Uint8Array.from({ length: size }, (_, n) => n & 255);
function same(a, b) {
  if (typeof a === "string" || typeof b === "string") return a === b;
  const one = new Uint8Array(a), two = new Uint8Array(b);
  return one.length === two.length && one.every((octet, n) => octet === two[n]);
}
async function go(uri, protocols, code, reason) {
  const seen = { bad: [] };
  const ws = new WebSocket(uri, protocols);
  ws.binaryType = "arraybuffer";
  const queue = [];
  let wake = () => {};
  ws.onmessage = (event) => { queue.push(event.data); wake(); };
  const closed = new Promise((resolve) => (ws.onclose = (event) => {
    const { code, reason, wasClean } = event;
    Object.assign(seen, { code, reason, clean: wasClean });
    resolve();
    wake();
  }));
  ws.onerror = () => (seen.error = true);
  const receive = async () => {
    while (!queue.length && ws.readyState < 2) await new Promise((r) => (wake = r));
    return queue.shift();
  };
  await new Promise((resolve) => { ws.onopen = resolve; closed.then(resolve); });
  seen.protocol = ws.protocol;
  seen.extensions = ws.extensions;
  if (ws.readyState === 1) {
    for (const size of sizes)
      for (const message of [textOf(size), octetsOf(size).buffer]) {
        ws.send(message);
        if (!same(await receive(), message)) seen.bad.push(size);
      }
    for (let n = 0; n < 1000; n++) ws.send(`${n}`);
    for (let n = 0; n < 1000; n++) if ((await receive()) !== `${n}`) seen.bad.push(-n);
    if (code === null) ws.send(reason);
    else ws.close(code, reason);
  }
  await closed;
  return seen;
}
</script>"""


class Site(BaseHTTPRequestHandler):
    """Serves the page."""

    def do_GET(self) -> None:
        """Answer any request with it."""
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def site() -> Iterator[str]:
    """Serve the page for the length of a block; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Return a tab with the page."""
    program = needs.find("chromium")
    assert program is not None
    profile: Path = tmp_path_factory.mktemp("profile")
    with site() as address, browsing(program, profile) as browser:
        assert isinstance(browser, Browser)
        yield browser.open(address)


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Return a process with the library under test."""
    found = Host(TARGET, *request.param)
    yield found
    found.stop()
    assert not found.tracebacks(), "\n".join(found.log)


def go(tab: Tab, uri: str, code: int | None, reason: str, *protocols: str) -> Any:
    """Have the page connect; return what it saw."""
    arguments = json.dumps([uri, list(protocols), code, reason])
    tab.evaluate(f"window.seen = null; go(...{arguments}).then((s) => (seen = s)); 0")
    return json.loads(tab.wait("seen && JSON.stringify(seen)", 40))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_echo_and_close(host: Host, tab: Tab, compression: str | None) -> None:
    server: Served = host.serve("echo", compression=compression)
    seen = go(tab, server.uri, 3210, "enough")
    assert seen["bad"] == []
    assert (seen["code"], seen["reason"], seen["clean"]) == (3210, "enough", True)
    assert seen["extensions"].startswith("permessage-deflate") == bool(compression)
    end = server.event("end")
    assert end["rcvd"] == [3210, "enough"]
    assert end["messages"] == 2 * 7 + 1000
    server.close()


def test_server_closes(host: Host, tab: Tab) -> None:
    server = host.serve("obey")
    seen = go(tab, server.uri, None, "!close 4000 that is all")
    assert (seen["code"], seen["reason"], seen["clean"]) == (4000, "that is all", True)
    server.close()


def test_subprotocol_and_origin(host: Host, tab: Tab) -> None:
    origin = tab.evaluate("location.origin")
    server = host.serve("echo", subprotocols=["chat"], origins=[origin])
    seen = go(tab, server.uri, 1000, "", "superchat", "chat")
    assert (seen["protocol"], seen["code"], seen["bad"]) == ("chat", 1000, [])
    server.close()


def test_other_origin_is_refused(host: Host, tab: Tab) -> None:
    server = host.serve("echo", origins=["https://example.com"])
    seen = go(tab, server.uri, 1000, "")
    assert (seen["code"], seen["clean"], seen["error"]) == (1006, False, True)
    assert not server.seen("open")
    server.close()
