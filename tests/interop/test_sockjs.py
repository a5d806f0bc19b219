"""sockjs-client of npm, in Chromium and in Node, and our client, on our server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.asgi.process import Server
from tests.demo.browser import Browser, Tab, browsing
from tests.interop.peers import HERE, Program, install_npm
from wsfast.exceptions import ConnectionClosedError
from wsfast.sockjs import connect

pytestmark = [pytest.mark.needs("node"), pytest.mark.timeout(240)]

LIMIT_S = 60
WS = "wsfast.asgi.uvicorn:WebSocketProtocol"

#: Each transport that a page has on the server it comes from, and on another one.
SAME_ORIGIN = [
    *("websocket", "xhr-streaming", "eventsource", "htmlfile"),
    *("xhr-polling", "jsonp-polling"),
]
CROSS_DOMAIN = [
    *("websocket", "xhr-streaming", "eventsource", "xhr-polling", "jsonp-polling"),
    *("iframe-eventsource", "iframe-htmlfile", "iframe-xhr-polling"),
]
IN_NODE = ["websocket", "xhr-streaming", "eventsource", "xhr-polling"]
OURS = ["websocket", "xhr-streaming", "xhr-polling", "eventsource", "websocket-raw"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return uvicorn with our server and the pages."""
    pytest.importorskip("uvicorn")
    install_npm()
    app = "tests.interop.sockjs_app:app"
    found = Server("uvicorn", app, "--port", "0", "--ws", WS)
    yield found
    found.end()


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    """Return its address."""
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def own() -> Iterator[str]:
    """Return the address of the same services without an ASGI server."""
    pytest.importorskip("starlette")
    install_npm()
    found = Server("tests.interop.sockjs_own")
    yield f"http://127.0.0.1:{found.port}"
    found.end()


@pytest.fixture(params=["uvicorn", "own"])
def either(request: pytest.FixtureRequest) -> str:
    """Return the address of one, and of the other."""
    wanted = "url" if request.param == "uvicorn" else "own"
    address: str = request.getfixturevalue(wanted)
    return address


# ---- Chromium ----


@pytest.fixture(scope="module")
def browser(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Return one browser for all pages; it ends before the server."""
    program = needs.find("chromium")
    assert program is not None
    profile: Path = tmp_path_factory.mktemp("profile")
    with browsing(program, profile) as found:
        yield found


@pytest.fixture(scope="module")
def tabs(browser: Browser, server: Server) -> dict[str, Tab]:
    """Return a page of the server's origin, one of another, one without WebSocket."""
    near, far = f"http://127.0.0.1:{server.port}", f"http://localhost:{server.port}"
    pages = {"same origin": f"{near}/page", "cross-domain": f"{far}/page"}
    pages["bare"] = f"{near}/bare"
    return {name: browser.open(page) for name, page in pages.items()}


def go(
    tab: Tab, url: str, transports: Any, end: str | None = None, **options: Any
) -> Any:
    """Have a page go through the tour; return what it saw."""
    if transports is not None:
        options["transports"] = transports
    arguments = json.dumps([url, options, end])
    tab.call("Page.bringToFront")  # timers of other tabs go off once a second
    tab.evaluate(
        f"window.seen = null; tour(SockJS, ...{arguments}).then((s) => (seen = s)); 0"
    )
    return json.loads(tab.wait("seen && JSON.stringify(seen)", LIMIT_S))


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    ("page", "transport"),
    [
        *(("same origin", name) for name in SAME_ORIGIN),
        *(("cross-domain", name) for name in CROSS_DOMAIN),
    ],
)
def test_chromium(tabs: dict[str, Tab], url: str, page: str, transport: str) -> None:
    """On the server's own page we close, elsewhere the server does."""
    end = None if page == "same origin" else "!close 3456 é, that is all"
    seen = go(tabs[page], f"{url}/echo", [transport], end)
    assert (seen["transport"], seen["bad"]) == (transport, [])
    wanted = (3210, "enough", True) if end is None else (3456, "é, that is all", True)
    assert (seen["code"], seen["reason"], seen["clean"]) == wanted


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("transport", [t for t in CROSS_DOMAIN if "iframe" not in t])
def test_chromium_on_the_server_by_itself(
    tabs: dict[str, Tab], own: str, transport: str
) -> None:
    """The page is another server's: ours has none, nor the script for frames."""
    seen = go(tabs["same origin"], f"{own}/echo", [transport])
    assert (seen["transport"], seen["bad"]) == (transport, [])
    assert (seen["code"], seen["reason"], seen["clean"]) == (3210, "enough", True)


@pytest.mark.needs("chromium")
def test_chromium_chooses(tabs: dict[str, Tab], url: str) -> None:
    """What is there decides: the page's means, the server's, those in between."""
    for page, prefix, transports, wanted in [
        ("same origin", "/echo", None, "websocket"),
        ("cross-domain", "/echo", None, "websocket"),
        ("bare", "/echo", None, "xhr-streaming"),
        ("same origin", "/polling", None, "xhr-polling"),
        ("cross-domain", "/polling", ["websocket", "jsonp-polling"], "jsonp-polling"),
        ("same origin", "/held", ["websocket", "xhr-polling"], "xhr-polling"),
    ]:
        seen = go(tabs[page], f"{url}{prefix}", transports)
        assert (seen["transport"], seen["bad"]) == (wanted, []), (page, prefix)


@pytest.mark.needs("chromium")
def test_chromium_behind_a_proxy_that_holds_streams(
    tabs: dict[str, Tab], url: str
) -> None:
    """A stream that never arrives is given up after its time; ours, here."""
    transports = ["xhr-streaming", "xhr-polling"]
    seen = go(tabs["same origin"], f"{url}/held", transports, timeout=4000)
    assert (seen["transport"], seen["bad"]) == ("xhr-polling", [])


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("transport", ["xhr-streaming", "xhr-polling", "eventsource"])
def test_chromium_hears_heartbeats(
    tabs: dict[str, Tab], url: str, transport: str
) -> None:
    seen = go(tabs["same origin"], f"{url}/beating", [transport])
    assert seen["heartbeats"] >= 3
    assert (seen["bad"], seen["code"]) == ([], 3210)


# ---- Node ----


def test_node(either: str) -> None:
    """All in one process, one after the other."""
    url = either
    tours: list[Any] = []
    for name in IN_NODE:
        options = {"transports": [name]}
        tours += [[f"{url}/echo", options, None]]
        tours += [[f"{url}/echo", options, "!close 3456 é, that is all"]]
    # Its event source would ask again and again for what is not there.
    options = {"transports": ["websocket", "xhr-streaming", "xhr-polling"]}
    tours += [[f"{url}/polling", options, None], [f"{url}/beating", options, None]]
    program = Program(
        [install_npm(), str(HERE / "sockjs_client.js"), json.dumps(tours)]
    )
    try:
        program.event(LIMIT_S, event="seen", url=f"{url}/beating")
        events = program.events()
    finally:
        program.stop()
    assert [e["bad"] for e in events] == [[]] * len(tours), events
    chosen = [name for name in IN_NODE for _ in range(2)]
    assert [e["transport"] for e in events] == [*chosen, "xhr-polling", "websocket"]
    ends = [(3210, "enough"), (3456, "é, that is all")] * len(IN_NODE)
    assert [(e["code"], e["reason"]) for e in events] == [*ends, ends[0], ends[0]]


# ---- ours ----


async def soon(awaitable: Any) -> Any:
    """Wait for something, but not for ever."""
    return await asyncio.wait_for(awaitable, LIMIT_S)


@pytest.mark.parametrize("name", OURS)
async def test_our_client(either: str, name: str) -> None:
    texts = ["", "é漢🚀", "\u2028 %0A \x7f", "".join(map(chr, range(1, 0x300)))]
    if name != "websocket-raw":
        texts.append("\ud800 alone")
    client = connect(f"{either}/echo", name, proxy=None, transport_timeout=30)
    async with client as ws:
        assert ws.transport == name
        for text in [*texts, "é" * 100_000]:
            await ws.send(text)
            assert await soon(ws.recv()) == text
        for n in range(200):
            await ws.send(f"{n}")
        assert [await soon(ws.recv()) for _ in range(200)] == [
            f"{n}" for n in range(200)
        ]
        await ws.send("!many 200 1000")
        for n in range(200):
            message = await soon(ws.recv())
            assert (message.split()[0], len(message)) == (f"{n}", 1000)
        await ws.send("!close 3456 é, that is all")
        with pytest.raises(ConnectionClosedError) as info:
            await soon(ws.recv())
    assert (info.value.code, info.value.reason) == (3456, "é, that is all")


async def test_our_client_chooses(url: str) -> None:
    for prefix, wanted in [("/echo", 0), ("/polling", 2), ("/held", 2)]:
        async with connect(f"{url}{prefix}", proxy=None, transport_timeout=4) as ws:
            found = ["websocket", "xhr-streaming", "xhr-polling"].index(ws.transport)
            assert found >= wanted  # a machine that is busy may take it for held
            await ws.send("hi")
            assert await soon(ws.recv()) == "hi"


@pytest.mark.parametrize("name", ["xhr-streaming", "xhr-polling", "eventsource"])
async def test_our_client_hears_heartbeats(url: str, name: str) -> None:
    heard = asyncio.Event()

    def beat(ws: Any) -> None:
        if ws.heartbeats == 3:
            heard.set()

    options = {"proxy": None, "transport_timeout": 30, "on_heartbeat": beat}
    async with connect(f"{url}/beating", name, **options):
        await soon(heard.wait())
