"""What coverage.py has seen of the Python sources, as outcomes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.coverage.outcomes import Outcome, Outcomes


def read(folder: Path) -> Outcomes:
    """Return what was seen in a copy of the sources (`tree`)."""
    _coverage(folder, "combine", "-q", "--keep")
    _coverage(folder, "json", "-q", "-o", "coverage.json")
    return outcomes(json.loads((folder / "coverage.json").read_text()))


def outcomes(document: Mapping[str, Any]) -> Outcomes:
    """
    Return the outcomes in a report of coverage.py.

    A file of which nothing was imported counts with what it has: coverage.py lists the
    files of a package whether they ran or not.
    """
    found: Outcomes = {}
    for file, of_file in document["files"].items():
        for taken, jumps in (
            (True, of_file["executed_branches"]),
            (False, of_file["missing_branches"]),
        ):
            for line, to in jumps:
                where = f"to line {to}" if to > 0 else "to the end"
                found[Outcome(file, line, where)] = taken
    return found


def without(outcomes: Outcomes, files: Iterable[str]) -> Outcomes:
    """Return what is not in these files: they are measured elsewhere."""
    left_out = set(files)
    return {key: taken for key, taken in outcomes.items() if key.file not in left_out}


def _coverage(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "coverage", *arguments]
    subprocess.run(command, cwd=folder, check=True)
