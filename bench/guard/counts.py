"""Instruction counts: as callgrind writes them down, and held against a baseline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: growth of a workload that fails, and that of one function that is shown then
LIMIT = 0.05
#: share of a workload's instructions below which a function is not kept by name
KEPT = 0.002
SHOWN = 8  # functions


@dataclass
class Count:
    """Instructions of one workload, each per message or per octet."""

    total: float
    #: "file: function" -> its own instructions, without those of what it calls
    functions: dict[str, float] = field(default_factory=dict)


def _place(path: str) -> str:
    """Return what an object file is called, without its folder and platform."""
    return Path(path).name.split(".")[0]


def function_name(symbol: str) -> str:
    """Return a symbol without what Cython and gcc add to a function's name."""
    symbol = re.sub(r"'\d+$", "", symbol)
    symbol = re.sub(r"\.(?:constprop|isra|part|cold)\b.*$", "", symbol)
    mangled = re.match(r"__pyx_(?:pw|pf|f|fuse_\w+?)_(.*)", symbol)
    if mangled is None:
        return symbol
    rest = mangled[1]
    names = []
    while match := re.match(r"(\d+)", rest):
        at = match.end() + int(match[1])
        if rest[at : at + 1] != "_":
            break  # it is the function's number
        names.append(rest[match.end() : at])
        rest = rest[at + 1 :]
    return ".".join([*names[-1:], rest.lstrip("0123456789")]) if names else symbol


def parse(text: str, units: int) -> tuple[str, Count]:
    """
    Read one dump of callgrind.

    Args:
        text: The dump, made without compression of names or positions.
        units: Messages or octets that it is about.

    Returns:
        The name that the dump was given, and its count.

    """
    own: Counter[str] = Counter()
    name, place, function, called = "", "", "", False
    for line in text.splitlines():
        key, is_pair, value = line.partition("=")
        if line.startswith("desc: Trigger: Client Request: "):
            name = line.removeprefix("desc: Trigger: Client Request: ")
        elif key == "ob":
            place = _place(value)
        elif key == "fn":
            function = f"{place}: {function_name(value)}"
        elif key == "calls":
            called = True  # the next line is what was called, not the caller
        elif not is_pair and line[:1].isdigit():
            if not called:
                own[function] += int(line.split()[1])
            called = False
    total = sum(own.values())
    kept = {f: n / units for f, n in own.most_common() if n > KEPT * total}
    return name, Count(total / units, kept)


def _grown(now: Count, before: Count) -> Iterable[str]:
    """Say which functions grew, the most of all first."""
    growth = {
        function: now.functions.get(function, 0) - before.functions.get(function, 0)
        for function in {*now.functions, *before.functions}
    }
    for function in sorted(growth, key=lambda f: -growth[f])[:SHOWN]:
        if growth[function] > 0.002 * before.total:
            was = before.functions.get(function, 0)
            yield f"{growth[function]:+10.4g}  {function}  (was {was:.4g})"


def compare(
    now: Mapping[str, Count], before: Mapping[str, Count], limit: float = LIMIT
) -> tuple[list[str], list[str]]:
    """
    Hold counts against those of the baseline.

    Returns:
        What is wrong, each with the functions that grew; and a line on every workload.

    """
    wrong, table = [], []
    for name, count in now.items():
        if name not in before:
            wrong.append(f"{name}: not in the baseline")
            continue
        was = before[name]
        change = count.total / was.total - 1
        line = f"{name:45} {was.total:10.4g} {count.total:10.4g} {change:+8.2%}"
        table.append(line)
        if change > limit:
            wrong.append("\n".join([line, *_grown(count, was)]))
    wrong += [f"{name}: only in the baseline" for name in before if name not in now]
    return wrong, table
