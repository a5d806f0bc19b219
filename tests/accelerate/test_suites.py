"""Other libraries' own tests end the same way with what we put into them."""

from __future__ import annotations

import os

import pytest

from tests.support import suites
from wsfast.cli.accelerate import environment

#: Target -> its source package, and what of it is about WebSockets.
SUITES = {
    "aiohttp": (
        "aiohttp",
        [
            "tests/conftest.py",
            "tests/test_websocket_data_queue.py",
            "tests/test_websocket_parser.py",
            "tests/test_websocket_writer.py",
        ],
    ),
    "autobahn": ("autobahn", ["src/autobahn/websocket/test"]),
    "tornado": (
        "tornado",
        [
            str(suites.ROOT / "tests/support/tornado/conftest.py"),
            "tornado/test/websocket_test.py",
        ],
    ),
    "websocket-client": ("websocket-client", ["websocket/tests"]),
    "ws4py": (
        "ws4py",
        [
            f"test/test_{part}.py"
            for part in ("client", "frame", "messaging", "stream", "utils", "websocket")
        ],
    ),
    "wsaccel": ("wsaccel", ["tests"]),
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
