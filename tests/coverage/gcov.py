"""What gcov says, as outcomes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

#: Compiled so, each condition of the source is a branch, and is one only once.
FLAGS = ("--coverage", "-O0", "-g0", "--param=logical-op-non-short-circuit=0")

#: Behind a line whose branches cannot be taken, with the reason.
UNCOUNTED = re.compile(r"(?:/\*|#) uncounted: (.+?)(?: \*/|$)")


class Line(NamedTuple):
    """A line with branches: where, in which function, how often each was taken."""

    file: str
    line: int
    function: str
    counts: tuple[int, ...]


def read(gcov: str, folder: Path, notes: Path) -> Iterator[Line]:
    """
    Yield the lines with branches of one object file.

    Args:
        gcov: The program, that of the compiler which was used.
        folder: Where the compiler ran; the names of files are relative to it.
        notes: The object's ``.gcda`` or, if it never ran, its ``.gcno``.

    """
    command = [gcov, "--json-format", "--stdout", "--branch-probabilities", str(notes)]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if said.returncode != 0:
        raise SystemExit(f"{gcov} {notes}: {said.stderr}")
    for text in said.stdout.splitlines():
        yield from _lines(json.loads(text))


def _lines(document: dict[str, Any]) -> Iterator[Line]:
    for file in document["files"]:
        for line in file["lines"]:
            counts = tuple(branch["count"] for branch in line["branches"])
            if counts:
                function = line.get("function_name", "")
                yield Line(file["file"], line["line_number"], function, counts)


def uncounted(text: str) -> dict[int, str]:
    """Return the lines of a source that are left out, with the reasons there."""
    return {
        number: found.group(1)
        for number, line in enumerate(text.splitlines(), 1)
        if (found := UNCOUNTED.search(line))
    }
