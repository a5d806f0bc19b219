"""
``python -m tests.coverage [PART...]``: what the tests take, one figure per group.

Parts: ``core`` (csrc), ``neon`` (its kernels for AArch64, emulated), ``protocol``,
``pure`` (what is compiled, uncompiled), ``modules`` (Cython, and all else of Python);
without any, all of them. Prints the figures, and which files have most left; writes
them with each outcome that was not taken to ``artifacts/coverage/``, and fails if a
group fell below ``reached.json``. ``--update`` writes that file, for groups that were
measured as a whole. All parts take long: ``--kept`` takes those that are not named from
the last run of each, as long as the sources are what they were.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.coverage import core, cython, python, tree
from tests.coverage.outcomes import (
    ALL,
    GROUPS,
    Figure,
    Outcome,
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

#: How many files are printed; the report has all.
WORST = 10

#: What runs without extension modules: the tests of what is compiled otherwise.
PROTOCOL = ("tests/protocol",)
PURE = ("tests/protocol", "tests/asyncio", "tests/accelerate/test_wsproto.py")
PURE += tuple(
    f"tests/asgi/test_{name}.py" for name in ("contract", "exchange", "messages")
)
PURE += ("tests/sockjs/test_members.py", "tests/sockjs/test_serving.py")
#: What runs on them; programs that tests start count. What starts compilers, browsers
#: and peers in other languages is left out: it is no nearer to our branches.
MODULES = tuple(
    f"tests/{name}"
    for name in (
        *(
            "engine",
            "asyncio",
            "sync",
            "asgi",
            "hub",
            "sockjs",
            "eventsource",
            "attach",
        ),
        *("engineio", "socketio", "accelerate", "cli", "demo/test_server.py"),
        "porting/test_names.py",
    )
)

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
    return python.read(folder), tree.blind()


def _compiled(jobs: int, paths: list[str]) -> tuple[Outcomes, list[str]]:
    folder = BUILD / "modules"
    tree.copy(folder)
    tree.build(folder, jobs)
    tree.run_tests(folder, False, paths or MODULES)
    compiled = _modules()
    uncompiled = python.without(python.read(folder), compiled.values())
    return merge([uncompiled, cython.read(folder, compiled)]), tree.blind()


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
    parser.add_argument("--kept", action="store_true", help="see above")
    options = parser.parse_args(arguments)
    parts = options.parts or ([] if options.kept else list(PARTS))
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests send it
    found, left_out = [], []
    for part in PARTS:
        if part in parts:
            now = MEASURES[part](options.jobs, options.paths)
            if not options.paths:
                _keep(part, *now)
        elif options.kept:
            now = _kept(part)
            parts.append(part)
        else:
            continue
        found.append(now[0])
        left_out += now[1]
    outcomes = merge(found)
    reached = figures(outcomes)
    _report(outcomes, reached, left_out)
    whole = set().union(*(PARTS[part] for part in parts))
    if set(parts) == set(PARTS):
        whole |= {*GROUPS, ALL}
    judged = {group: reached[group] for group in whole if not options.paths}
    if options.update:
        _update(judged)
        return 0
    lines = fallen(judged, json.loads(REACHED.read_text()))
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _sources() -> str:
    """Return a digest of all that is measured."""
    digest = hashlib.sha256()
    for folder in ("csrc", "wsfast"):
        for path in sorted((ROOT / folder).rglob("*.[chp]*")):
            if path.suffix in {".h", ".py", ".pyx"} or folder == "csrc":
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _keep(part: str, outcomes: Outcomes, left_out: list[str]) -> None:
    rows = [[*outcome, taken] for outcome, taken in outcomes.items()]
    document = {"sources": _sources(), "left out": left_out, "outcomes": rows}
    (BUILD / f"{part}.json").write_text(json.dumps(document))


def _kept(part: str) -> tuple[Outcomes, list[str]]:
    path = BUILD / f"{part}.json"
    document = json.loads(path.read_text()) if path.exists() else {}
    if document.get("sources") != _sources():
        raise SystemExit(f"{part} was not measured since the sources changed")
    rows = document["outcomes"]
    return {Outcome(*row): taken for *row, taken in rows}, document["left out"]


def _report(outcomes: Outcomes, now: dict[str, Figure], left_out: list[str]) -> None:
    lines = [f"{group:9}{figure}" for group, figure in now.items()]
    lines += [f"left out: {line}" for line in left_out]
    files = list(by_file(outcomes))
    worst = sorted(files, key=lambda one: one[1].taken - one[1].total)[:WORST]
    lines += ["", "Most left:", *(f"{figure}  {name}" for name, figure in worst)]
    print("\n".join(lines))
    lines += ["", "Files:", *(f"{figure}  {name}" for name, figure in files)]
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
