"""What was taken and what was not: outcomes of branches, in groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

#: Group -> how many points (percent) it may fall below what was reached. What the tests
#: of servers and clients take depends a little on timing.
GROUPS = {"csrc": 0.0, "protocol": 0.1, "cython": 0.5, "python": 0.5}
ALL = "all"


class Outcome(NamedTuple):
    """One way out of one condition: file, line, and which one, for a reader."""

    file: str
    line: int
    which: str


Outcomes = dict[Outcome, bool]


class Figure(NamedTuple):
    """How many outcomes of a group were taken."""

    taken: int
    total: int

    @property
    def percent(self) -> float:
        """Return it in percent, 100 only if all were taken."""
        return 100 * self.taken / self.total

    def __str__(self) -> str:
        cut = int(self.percent * 100) / 100
        return f"{cut:6.2f} %  {self.taken} of {self.total}"


def merge(found: Iterable[Mapping[Outcome, bool]]) -> Outcomes:
    """Return what was taken in one of several runs."""
    merged: Outcomes = {}
    for outcomes in found:
        for outcome, taken in outcomes.items():
            merged[outcome] = merged.get(outcome, False) or taken
    return merged


def group_of(file: str) -> str:
    """Return the group that a file is counted in."""
    if file.startswith("csrc/"):
        return "csrc"
    if file.startswith("wsfast/protocol/"):
        return "protocol"
    return "cython" if file.endswith((".pyx", ".pxd")) else "python"


def figures(outcomes: Mapping[Outcome, bool]) -> dict[str, Figure]:
    """Return the figure of each group that has outcomes, then that of all."""
    counts = {group: [0, 0] for group in (*GROUPS, ALL)}
    for outcome, taken in outcomes.items():
        for group in (group_of(outcome.file), ALL):
            counts[group][0] += taken
            counts[group][1] += 1
    return {group: Figure(*two) for group, two in counts.items() if two[1]}


def by_file(outcomes: Mapping[Outcome, bool]) -> Iterator[tuple[str, Figure]]:
    """Yield each file with its figure, the worst first."""
    files: dict[str, list[bool]] = {}
    for outcome, taken in outcomes.items():
        files.setdefault(outcome.file, []).append(taken)
    found = [(name, Figure(sum(t), len(t))) for name, t in files.items()]
    yield from sorted(found, key=lambda one: (one[1].percent, one[0]))


def fallen(now: Mapping[str, Figure], reached: Mapping[str, float]) -> list[str]:
    """Return a line for each group that is below what was reached once."""
    lines = []
    for group, figure in now.items():
        least = reached.get(group, 0.0) - GROUPS.get(group, max(GROUPS.values()))
        if figure.percent < least:
            lines.append(f"{group}: {figure.percent:.2f} %, but it was {least:.2f} %")
    return lines
