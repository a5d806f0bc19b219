"""What ``import wsfast`` brings, and what it does not."""

from __future__ import annotations

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


def test_the_package_alone_is_light():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    brought = set(done.stdout.split())
    assert {name for name in brought if name.partition(".")[0] == "wsfast"} == LIGHT
    assert not brought & HEAVY
