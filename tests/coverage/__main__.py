"""
``python -m tests.coverage [PART...]``: what the tests take, one figure per group.

Parts: ``core`` (csrc), ``neon`` (its kernels for AArch64, emulated), ``protocol``,
``pure`` (what is compiled, uncompiled), ``modules`` (Cython, and all else of Python);
without any, all of them. Prints the figures, writes them with each outcome that was not
taken to ``artifacts/coverage/``, and fails if a group fell below ``reached.json``.
``--update`` writes that file, for groups that were measured as a whole.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.coverage import core, cython, python, tree
from tests.coverage.outcomes import (
    ALL,
    GROUPS,
    Figure,
    Outcomes,
    by_file,
    fallen,
    figures,
    group_of,
    merge,
)

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "coverage"
OUTPUT = ROOT / "artifacts" / "coverage"
REACHED = Path(__file__).with_name("reached.json")

#: What runs without extension modules, and on them; programs that tests start count.
PROTOCOL = ("tests/protocol",)
PURE = ("tests/engine", "tests/protocol", "tests/asyncio", "tests/sync", "tests/asgi")
PURE += ("tests/hub", "tests/sockjs", "tests/eventsource", "tests/accelerate")
MODULES = (*PURE, "tests/engineio", "tests/socketio", "tests/attach", "tests/faults")
MODULES += ("tests/cli", "tests/demo", "tests/porting", "tests/fuzz", "tests/isolated")

#: Part -> the groups that are measured as a whole with it.
PARTS: dict[str, set[str]] = {
    "core": {"csrc"},
    "neon": set(),
    "protocol": {"protocol"},
    "pure": set(),
    "modules": {"cython"},
}


def _modules() -> dict[str, str]:
    """Return module to source of what is compiled, as ``setup.py`` has it."""
    text = (ROOT / "setup.py").read_text()
    listed = text[text.index("MODULES = {") + len("MODULES = ") :]
    found: dict[str, str] = ast.literal_eval(listed[: listed.index("}") + 1])
    return found


def _core(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    return core.measure(BUILD / "core", jobs)


def _neon(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    return core.measure_aarch64(BUILD / "neon", jobs)


def _protocol(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    folder = BUILD / "protocol"
    tree.copy(folder)
    tree.run_tests(folder, True, paths or PROTOCOL)
    found = python.read(folder)
    return {o: t for o, t in found.items() if group_of(o.file) == "protocol"}, []


def _pure(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    folder = BUILD / "pure"
    tree.copy(folder)
    tree.run_tests(folder, True, paths or PURE)
    return python.read(folder), []


def _compiled(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    folder = BUILD / "modules"
    tree.copy(folder)
    tree.build(folder, jobs)
    tree.run_tests(folder, False, paths or MODULES)
    compiled = _modules()
    uncompiled = python.without(python.read(folder), compiled.values())
    return merge([uncompiled, cython.read(folder, compiled)]), []


MEASURES: dict[str, Callable[[int, list[str]], tuple[Outcomes, list[str]]]] = {
    "core": _core,
    "neon": _neon,
    "protocol": _protocol,
    "pure": _pure,
    "modules": _compiled,
}


def main(arguments: list[str]) -> int:
    """Measure, report and compare; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--paths", nargs="+", default=[], help="tests, of one part")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--update", action="store_true", help="write reached.json")
    options = parser.parse_args(arguments)
    parts = options.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    found, left_out = [], []
    for part in parts:
        outcomes, missing = MEASURES[part](options.jobs, options.paths)
        found.append(outcomes)
        left_out += missing
    outcomes = merge(found)
    now = figures(outcomes)
    _report(outcomes, now, left_out)
    whole = set().union(*(PARTS[part] for part in parts))
    if set(parts) == set(PARTS):
        whole |= {*GROUPS, ALL}
    judged = {group: now[group] for group in whole if not options.paths}
    if options.update:
        _update(judged)
        return 0
    lines = fallen(judged, json.loads(REACHED.read_text()))
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _report(outcomes: Outcomes, now: dict[str, Figure], left_out: list[str]) -> None:
    lines = [f"{group:9}{figure}" for group, figure in now.items()]
    lines += [f"left out: {line}" for line in left_out]
    print("\n".join(lines))
    lines += ["", "Files:"]
    lines += [f"{figure}  {name}" for name, figure in by_file(outcomes)]
    lines += ["", "Uncounted, with the reason that the line gives:", *core.reasons()]
    lines += ["", "Not taken:"]
    lines += [
        f"{outcome.file}:{outcome.line}: {outcome.which}"
        for outcome, taken in sorted(outcomes.items())
        if not taken
    ]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "report.txt").write_text("\n".join(lines) + "\n")
    document = {group: figure._asdict() for group, figure in now.items()}
    (OUTPUT / "figures.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"each outcome that was not taken: {OUTPUT.relative_to(ROOT)}/report.txt")


def _update(judged: dict[str, Figure]) -> None:
    reached = json.loads(REACHED.read_text()) if REACHED.exists() else {}
    reached.update(
        {group: int(figure.percent * 100) / 100 for group, figure in judged.items()}
    )
    ordered = {group: reached[group] for group in (*GROUPS, ALL) if group in reached}
    REACHED.write_text(json.dumps(ordered, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
