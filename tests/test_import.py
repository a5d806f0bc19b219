"""What ``import wsfast`` brings, and what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIGHT = {"wsfast", "wsfast._sources", "wsfast.version"}
HEAVY = {"asyncio", "h11", "httptools", "logging", "multidict", "socket", "ssl"}

CODE = """
import sys
before = set(sys.modules)
import wsfast
print(*sorted(set(sys.modules) - before))
"""


EVERYTHING = """
from wsfast import asyncio, attach, engineio, eventsource, hub, socketio, sockjs, sync
from wsfast import accelerate, cli, engine, exceptions, protocol, websockets
print(engine.KERNEL)
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_everything_without_compiled_modules():
    done = run(EVERYTHING, WSFAST_PURE="1")
    assert (done.stdout, done.stderr) == ("python\n", "")


def test_the_package_alone_is_light():
    done = run(CODE)
    assert (done.returncode, done.stderr) == (0, "")
    brought = set(done.stdout.split())
    assert {name for name in brought if name.partition(".")[0] == "wsfast"} == LIGHT
    assert not brought & HEAVY
