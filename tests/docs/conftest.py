"""The site that ``make docs`` builds."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the site; ``make test`` has built it, or it is built now."""
    if sys.version_info < (3, 11):
        pytest.skip("the reference is read from modules that want Python 3.11")
    folder = ROOT / "build" / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other processes of the same run wait
        if not (folder / "objects.inv").exists():
            environment = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
            subprocess.run(["make", "docs"], cwd=ROOT, env=environment, check=True)
    return folder
