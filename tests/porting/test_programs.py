"""Programs for the websockets library do the same on ours, but for the import."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("websockets", minversion="17")

HERE = Path(__file__).parent / "programs"
PROGRAMS = sorted(path.stem for path in HERE.glob("[!_]*.py"))
WAIT_S = 60

#: What is swapped: the name of the package, in imports.
IMPORT = re.compile(r"^(from|import) websockets\b", re.MULTILINE)


def program(name: str, ours: bool, folder: Path) -> Path:
    """Write a program for one of the two libraries; return where it is."""
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    assert IMPORT.search(text)
    if ours:
        text = IMPORT.sub(r"\1 wsfast.websockets", text)
    path = folder / f"{name}_{'ours' if ours else 'theirs'}.py"
    path.write_text(text, encoding="utf-8")
    return path


def conversation(name: str, server: bool, client: bool, folder: Path) -> str:
    """Run a program's server and its client; return what the client prints."""
    serving = subprocess.Popen(
        [sys.executable, program(name, server, folder), "server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout is not None
        port = serving.stdout.readline().strip()
        done = subprocess.run(
            [sys.executable, program(name, client, folder), "client", port],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        assert done.returncode == 0, done.stderr
    finally:
        serving.send_signal(signal.SIGTERM)
        _, complaints = serving.communicate(timeout=WAIT_S)
    assert serving.returncode == 0, complaints
    return done.stdout


def test_there_are_enough():
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, tmp_path: Path):
    wanted = conversation(name, False, False, tmp_path)
    assert wanted.strip()
    for server, client in ((True, True), (True, False), (False, True)):
        found = conversation(name, server, client, tmp_path)
        assert found == wanted, f"server ours: {server}, client ours: {client}"
