"""The examples of docs/cli.md that need a server, run against the one that it names."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT

PAGE = ROOT / "docs" / "cli.md"
FENCE = re.compile(r"^```shell-session\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SESSION = "".join(FENCE.findall(PAGE.read_text(encoding="utf-8")))
EXAMPLES = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", SESSION, re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_there_are_examples():
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_what_the_page_shows(server, command, output):
    port = server.uri.rpartition(":")[2]
    run = f'wsfast() {{ "{sys.executable}" -W error -m wsfast "$@"; }}\n{command}\n'
    done = subprocess.run(
        ["bash", "-c", run.replace("8765", port)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    wanted = output.replace("8765", port)
    assert done.stderr == ""
    assert doctest.OutputChecker().check_output(wanted, done.stdout, FLAGS), done.stdout
