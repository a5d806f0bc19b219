"""Event streams: Chromium, eventsource of npm, httpx-sse, sse-starlette, and ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.demo.browser import browsing
from tests.interop.peers import Program, install_npm
from wsfast import EventSource, EventSourceClient
from wsfast.eventsource import History, read_request

HERE = Path(__file__).parent
LIMIT_S = 60

#: Data with every kind of line end, of characters, of space; and what arrives.
DATA = ["", " ", "\n", "a\r\nb\rc\n", "  two spaces", "é漢🚀", ": x", "\ufeff", "\0"]
ARRIVES = [d.replace("\r\n", "\n").replace("\r", "\n") for d in DATA]
EVENTS = [
    *[["message", data, str(n)] for n, data in enumerate(ARRIVES)],
    ["add", "x" * 100_000, "é"],
    ["message", "again", "é"],
]

PAGE = """<!doctype html><title>interop</title><script>
function listen(url) {
  const seen = { events: [], opens: 0, errors: [] };
  const source = new EventSource(url);
  const take = ({ type, data, lastEventId }) =>
    seen.events.push([type, data, lastEventId]);
  source.onmessage = take;
  source.addEventListener("add", take);
  source.onopen = () => seen.opens++;
  source.onerror = () => seen.errors.push(source.readyState);
  seen.close = () => source.close();
  return seen;
}
</script>"""


class Site:
    """
    A server in a thread: the page, and event streams whose clients come back.

    A client gets half of the events and is left; when it comes back it gets the rest,
    and the third time status 204.

    Attributes:
        asked: The last event IDs that clients came back with.
        closes: The codes with which the streams ended.

    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.asked: list[str] = []
        self.closes: list[int] = []
        self.history = History()
        self.visits = 0
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        self.loop.run_until_complete(self.serve())

    async def serve(self) -> None:
        self.end = asyncio.Event()
        server = await asyncio.start_server(self.visit, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        async with server:
            await self.end.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def visit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            request, _ = await read_request(reader)
        except ConnectionResetError:  # a browser connects without asking
            writer.close()
            return
        if not EventSource.is_event_source(request):
            body = PAGE.encode()
            status = b"200 OK" if request.path == "/" else b"404 Not Found"
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: text/html; charset=utf-8\r\n"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (status, len(body), body)
            )
            writer.close()
            return
        if self.visits == 2:
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        self.visits += 1
        source = await EventSource.from_asyncio(
            reader,
            writer,
            request,
            retry=0.05,
            history=self.history,
            on_close=lambda _, code, reason: self.closes.append(code),
        )
        async with source:
            self.asked.append(source.last_event_id)
            if self.visits == 1:
                events = [("message", d, n) for n, d in enumerate(DATA)]
                for kind, data, ident in events[:4]:
                    await source.send(data, event=kind, id=ident)
                for kind, data, ident in events:
                    self.history.add(data, kind, ident)
            else:
                source.ping()
                await source.send("x" * 100_000, event="add", id="é")
                await source.send("again")
                if request.path == "/stay":
                    await source.wait_closed()

    def __enter__(self) -> Site:
        self.thread.start()
        assert self.ready.wait(LIMIT_S)
        return self

    def __exit__(self, *exc: object) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(LIMIT_S)
        self.loop.close()

    def url(self, target: str = "/events") -> str:
        """Return a URL."""
        return f"http://127.0.0.1:{self.port}{target}"


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a site for the length of a test."""
    with Site() as running:
        yield running


@pytest.mark.needs("chromium")
@pytest.mark.timeout(180)
def test_chromium(site: Site, tmp_path: Path) -> None:
    program = needs.find("chromium")
    assert program is not None
    with browsing(program, tmp_path) as browser:
        tab = browser.open(site.url("/"))
        tab.evaluate("window.seen = listen('/events'); 0")
        tab.wait("seen.errors.length === 3", LIMIT_S)
        seen = json.loads(tab.evaluate("JSON.stringify(seen)"))
        assert seen["events"] == EVENTS
        assert seen["opens"] == 2
        assert seen["errors"] == [0, 0, 2]  # twice again, then never
        assert site.asked == ["", "3"]
        # another that stays, until the page closes it
        site.visits = 1
        tab.evaluate("window.seen = listen('/stay'); 0")
        tab.wait("seen.events.length === 2", LIMIT_S)
        tab.evaluate("seen.close()")
        tab.wait("true")
        while len(site.closes) < 3:
            tab.evaluate("0")
        assert site.closes == [1000, 1000, 1006]


@pytest.mark.needs("node")
@pytest.mark.timeout(180)
def test_npm(site: Site) -> None:
    node = install_npm()
    asked = json.dumps({"url": site.url(), "types": ["add"]})
    program = Program([node, str(HERE / "eventsource_peer.js"), asked])
    try:
        last = program.event(LIMIT_S, event="error", state=2)
    finally:
        program.stop()
    happened = [json.loads(line) for line in program.lines]
    events = [
        [e["type"], e["data"], e["id"]] for e in happened if e["event"] == "event"
    ]
    # To it, an event without an ID of its own has none.
    assert events == [*EVENTS[:-1], ["message", "again", ""]]
    assert last["code"] == 204
    assert [e["event"] for e in happened].count("open") == 2
    assert site.asked == ["", "3"]


def test_our_client_at_our_server(site: Site) -> None:
    async def follow() -> list[list[str]]:
        async with EventSourceClient(site.url(), proxy=None) as source:
            return [list(event) async for event in source]

    assert asyncio.run(asyncio.wait_for(follow(), LIMIT_S)) == EVENTS
    assert site.asked == ["", "3"]


def test_httpx_sse(site: Site) -> None:
    httpx = pytest.importorskip("httpx")
    httpx_sse = pytest.importorskip("httpx_sse")
    got: list[list[Any]] = []
    with httpx.Client(trust_env=False, timeout=LIMIT_S) as client:
        last = ""
        for _ in range(2):
            headers = {"Last-Event-ID": last} if last else {}
            with httpx_sse.connect_sse(
                client, "GET", site.url(), headers=headers
            ) as source:
                for event in source.iter_sse():
                    got.append([event.event, event.data, event.id])
                    last = event.id
    # To it, comments and retry make events too, without data.
    assert [event for event in got if event[1]] == [e for e in EVENTS if e[1]]


async def test_our_client_at_sse_starlette() -> None:
    sse = pytest.importorskip("sse_starlette")
    pytest.importorskip("uvicorn")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from tests.eventsource.hosts import uvicorn_serving

    asked: list[str | None] = []

    async def endpoint(request: Request) -> Response:
        asked.append(request.headers.get("last-event-id"))
        if len(asked) == 3:
            return Response(status_code=204)

        async def events() -> Any:
            yield {"data": f"{len(asked)}\nline", "event": "add", "id": str(len(asked))}
            yield {"data": "", "comment": "hi", "retry": 50}
            yield {"data": "é漢🚀"}

        response: Response = sse.EventSourceResponse(events(), sep="\r\n")
        return response

    app = Starlette(routes=[Route("/", endpoint)])
    async with uvicorn_serving(app, "httptools") as port:
        url = f"http://127.0.0.1:{port}/"
        async with EventSourceClient(url, proxy=None) as source:
            got = [tuple(event) async for event in source]
            assert source.retry == 0.05
    assert got == [
        event
        for n in ("1", "2")
        for event in (
            ("add", f"{n}\nline", n),
            ("message", "", n),
            ("message", "é漢🚀", n),
        )
    ]
    assert asked == [None, "1", "2"]
