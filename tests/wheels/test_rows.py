"""The platforms that wheels are built for, as cibuildwheel reads pyproject.toml."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ["cp310", "cp311", "cp312", "cp313", "cp314", "cp314t"]
LINUX = ["x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64"]
#: platform -> what it stands for in the identifiers, and "all" where a machine builds
#: for more than its own kind
ROWS = {
    "linux": [
        f"{libc}_{arch}" for libc in ("manylinux", "musllinux") for arch in LINUX
    ],
    "macos": ["macosx_x86_64", "macosx_arm64"],
    "windows": ["win_amd64", "win32", "win_arm64"],
}


@pytest.mark.needs("cibuildwheel")
@pytest.mark.parametrize("platform", ROWS)
def test_every_row_has_its_wheels(platform):
    program = needs.find("cibuildwheel")
    done = subprocess.run(
        [program, "--platform", platform, "--print-build-identifiers", "."],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("CIBW_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = {tuple(line.split("-")) for line in done.stdout.split()}
    assert found >= {(python, row) for python in PYTHONS for row in ROWS[platform]}
    pythons = {python for python, _ in found}
    # No row but these, each for every Python, the newest too.
    assert found == {(python, row) for python in pythons for row in ROWS[platform]}
    assert all(python.startswith("cp3") for python in pythons)
