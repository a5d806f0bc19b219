"""Clients that are not ours: ``ws`` of npm, and Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import needs
from tests.asgi.process import Server, serving
from tests.demo.browser import Tab, browsing
from tests.interop.peers import Ws
from tests.interop.test_browser import go, site

pytestmark = pytest.mark.timeout(240)

WAYS = [("reactor", "asyncio"), ("reactor", "uvloop"), ("transport", "uvloop")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a uvicorn that obeys."""
    path, loop = request.param
    with serving("tests.asgi.apps:obey", "--loop", loop, path=path) as found:
        yield found


@pytest.mark.needs("node")
@pytest.mark.parametrize("end", ["client", "server"])
@pytest.mark.parametrize("deflate", [True, False])
def test_ws_of_npm(server: Server, deflate: bool, end: str) -> None:
    with ExitStack() as stack:
        peer = Ws(stack)
        mark = len(server.log)
        toured, ended = peer.tour(server.uri, deflate, end)
        assert toured["extensions"].startswith("permessage-deflate") == deflate
        expected = (3456, "so long") if end == "client" else (4321, "farewell")
        assert (ended["code"], ended["reason"]) == expected
        server.wait_for(re.compile("end {} {}".format(*expected)), after=mark)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Return a tab with a page that goes through messages of many sizes."""
    program = needs.find("chromium")
    assert program is not None
    profile = tmp_path_factory.mktemp("profile")
    with site() as address, browsing(program, profile) as browser:
        yield browser.open(address)


@pytest.mark.needs("chromium")
def test_chromium(server: Server, tab: Tab) -> None:
    mark = len(server.log)
    seen = go(tab, server.uri, 3210, "enough")
    assert seen["bad"] == []
    assert (seen["code"], seen["reason"], seen["clean"]) == (3210, "enough", True)
    assert seen["extensions"].startswith("permessage-deflate")
    server.wait_for(re.compile("end 3210 enough"), after=mark)
    seen = go(tab, server.uri, None, "!close 4000 that is all")
    assert (seen["code"], seen["reason"], seen["clean"]) == (4000, "that is all", True)
