"""The page on topics tells the defaults that the code has."""

from __future__ import annotations

import inspect

from tests.examples.pages import ROOT
from tests.examples.test_limits import default, options
from wsfast.hub import Bus, Hub
from wsfast.hub.redis import RedisBus


def test_page_of_topics_and_code_agree():
    page = (ROOT / "docs" / "hub.md").read_text(encoding="utf-8")
    bus, _, hub = page.partition("\n## Who is there\n")
    of_bus, of_hub = dict(options(bus)), dict(options(hub))
    own = {"connection", "fallbacks"}
    arguments = set(inspect.signature(Bus).parameters)
    assert set(of_bus) | {"fallbacks", "logger"} == arguments | own
    for name, expected in of_bus.items():
        assert default(RedisBus if name in own else Bus, name) == expected, name
    assert set(of_hub) == set(inspect.signature(Hub).parameters) - {"bus", "logger"}
    for name, expected in of_hub.items():
        assert default(Hub, name) == expected, name
