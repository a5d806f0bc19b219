"""
The tables of SECURITY.md, and the tests that they name.

``python -m tests.faults.security`` writes the column of tests anew, from `rows.py` and
the names of tests.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.faults.rows import ELSEWHERE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "SECURITY.md"
LINE = re.compile(r"^\| (?P<row>[A-Z]-\d+) \| (?P<cells>.+) \|$", re.MULTILINE)


class Promise(NamedTuple):
    """A row of the tables: its name, what comes, what becomes of it, limits, tests."""

    row: str
    threat: str
    promise: str
    limits: str
    tests: str


def promises() -> list[Promise]:
    """Return the rows of the page, in order."""
    text = PAGE.read_text(encoding="utf-8")
    return [
        Promise(match["row"], *map(str.strip, match["cells"].split(" | ")))
        for match in LINE.finditer(text)
    ]


def known_tests(row: str) -> str:
    """Return the tests of a row as the page names them: by file, then by name."""
    found: dict[str, list[str]] = {}
    short = f"test_{row.replace('-', '').lower()}_"
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if re.search(rf"def {short}\w+", file.read_text(encoding="utf-8")):
            found.setdefault(f"faults/{file.name}", []).append(f"{short}*")
    for entry in ELSEWHERE.get(row, []):
        file, name, *_ = entry.split()
        found.setdefault(file, []).append(name)
    return "; ".join(
        f"`{file}`: " + ", ".join(f"`{name}`" for name in names)
        for file, names in found.items()
    )


def main() -> None:
    """Write the last column of the tables."""

    def line(match: re.Match[str]) -> str:
        *cells, _ = match["cells"].split(" | ")
        return f"| {' | '.join([match['row'], *cells, known_tests(match['row'])])} |"

    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(LINE.sub(line, text), encoding="utf-8")


if __name__ == "__main__":
    main()
