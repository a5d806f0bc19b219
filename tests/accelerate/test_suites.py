"""Other libraries' own tests end the same way with what we put into them."""

from __future__ import annotations

import os

import pytest

from tests.support import suites
from wsfast.cli.accelerate import environment

#: Target -> its source package, and what of it is about WebSockets.
SUITES = {
    "autobahn": ("autobahn", ["src/autobahn/websocket/test"]),
    "websocket-client": ("websocket-client", ["websocket/tests"]),
    "wsproto": ("wsproto", ["tests"]),
}
#: What a suite wants to find in the environment.
WANTED = {"autobahn": {"USE_TWISTED": "1"}}


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.needs("suites")
@pytest.mark.parametrize("target", SUITES)
def test_suite_of(target):
    distribution, tests = SUITES[target]
    wanted = WANTED.get(target, {})
    without = suites.run(distribution, tests, env={**os.environ, **wanted})
    assert set(without.values()) <= {"passed", "skipped"}
    accelerated = {**environment(target), **wanted}
    assert suites.run(distribution, tests, env=accelerated) == without
