"""
Branches of the .pyx sources, found in the C that Cython makes of them.

Cython names in a comment the line that the following C was made of, and tests a
condition of the source by itself: ``if (__pyx_t_1) {``. What it adds, tests something
else: a pointer for NULL, a count of references, an argument. Whether an exception is
the one that ``except`` names is no branch here, as it is none in Python.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.coverage import gcov, tree
from tests.coverage.outcomes import Outcome, Outcomes

_SOURCE = re.compile(r'^ *\/\* "(wsfast/[^"]+\.(?:pyx|pxd))":(\d+)$')
_OPERAND = r"\(*!?\(*__pyx_[tv]_[\w.>-]+\)*"
_CONDITION = re.compile(
    rf"^ *(?:\}} else )?if \((?:(?:un)?likely\()?{_OPERAND}(?: \{{| break;| continue;)$"
    r"|^ *if \(\(?__pyx_t_\w+ [<>]=? (?:__pyx_t\w+|\d+)\)? break;$"
    r"|^ *for \(__pyx_t_\w+ = .*; __pyx_t_\w+ [<>]=? .*\) \{$"
    r"|^ *switch \(.*\) \{$"
)
_NOT_OF_SOURCE = re.compile(r"__pyx_nargs|NARGS|_GetVtable|resume_label")
_ONE_WAY = re.compile(
    "|".join([r"^ *except\b", *tree.PLATFORMS, gcov.UNCOUNTED.pattern])
)
_END = "/* --- Runtime support code ---"


class Condition(NamedTuple):
    """A condition of the source: its file, its line, how manieth there."""

    file: str
    line: int
    number: int


def conditions(generated: str) -> dict[int, Condition]:
    """Return the lines of generated C that test a condition of the source."""
    found: dict[int, Condition] = {}
    numbers: dict[tuple[str, int], int] = {}
    source: tuple[str, int] | None = None
    for number, text in enumerate(generated.splitlines(), 1):
        if text.startswith(_END):
            break
        place = _SOURCE.match(text)
        if place is not None:
            source = place.group(1), int(place.group(2))
        elif text == "}":
            source = None
        elif source and _CONDITION.match(text) and not _NOT_OF_SOURCE.search(text):
            numbers[source] = numbers.get(source, 0) + 1
            found[number] = Condition(*source, numbers[source])
    return found


def read(folder: Path, modules: Mapping[str, str]) -> Outcomes:
    """
    Return what was seen of the modules made of .pyx files.

    Args:
        folder: A tree in which they were built and have run (`tree`).
        modules: Module to source, as in ``setup.py``.

    """
    found: Outcomes = {}
    for source in modules.values():
        if source.endswith(".pyx"):
            made = Path(source).with_suffix(".c")
            places = conditions((folder / made).read_text())
            for line in gcov.read("gcov", folder, _notes(folder, made)):
                if line.file == str(made) and line.line in places:
                    found.update(_of_line(places[line.line], line.counts))
    one_way = {file: _one_way(folder / file) for file in {one.file for one in found}}
    return {
        one: taken for one, taken in found.items() if one.line not in one_way[one.file]
    }


def _one_way(source: Path) -> set[int]:
    """Return the lines that do not count."""
    lines = source.read_text().splitlines()
    return {number for number, text in enumerate(lines, 1) if _ONE_WAY.search(text)}


def _notes(folder: Path, made: Path) -> Path:
    """Return where counts were written, or that there was nothing to count yet."""
    (notes,) = folder.glob(f"build/temp.*/{made.with_suffix('.gcno')}")
    data = notes.with_suffix(".gcda")
    return data if data.exists() else notes


def _of_line(condition: Condition, counts: tuple[int, ...]) -> Outcomes:
    file, line, number = condition
    return {
        Outcome(file, line, f"condition {number}, outcome {outcome}"): count > 0
        for outcome, count in enumerate(counts)
    }
