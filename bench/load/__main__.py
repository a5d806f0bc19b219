"""
The load benchmark: ``python -m bench.load``.

Servers on one core, a native load client that polls on the other; see bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.load import report
from bench.load.cases import CASES, Case
from bench.load.fleet import Fleet
from bench.load.machine import facts, node_facts
from bench.load.page import page
from bench.load.progress import Progress
from bench.load.runner import Options, Result, run_case
from bench.load.sets import SETS
from bench.load.targets import HERE, NODE_MODULES, TARGETS, Target, extra

PACKAGES = (
    "wsfast",
    "uvloop",
    "picows",
    "websockets",
    "aiohttp",
    "uvicorn",
    "wsproto",
    "granian",
    "socketify",
    "tornado",
    "autobahn",
    "sanic",
    "hypercorn",
    "daphne",
    "python-socketio",
    "websocket-client",
    "wsaccel",
    "websocket-rs",
)
#: for Node, in tests/interop
NODE_PACKAGES = ("ws", "bufferutil", "engine.io", "socket.io", "sockjs")

#: between them stands what is measured, in the manual
DOCS_BEGIN, DOCS_END = "<!-- measured: begin -->", "<!-- measured: end -->"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--cases", help=f"of: {', '.join(CASES)}", default="")
    parser.add_argument("--servers", help=f"of: {', '.join(TARGETS)}", default="")
    parser.add_argument("--set", choices=SETS, help="cases with servers for each")
    parser.add_argument(
        "--minutes", type=float, help="begin no further round when they are over"
    )
    parser.add_argument(
        "--docs", type=Path, help="the page whose half on servers is written anew"
    )
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--warmup", type=float, default=Options.warmup)
    parser.add_argument("--retries", type=int, default=Options.retries)
    parser.add_argument("--nice", type=int, default=Options.nice)
    parser.add_argument("--noise", type=float, default=Options.noise)
    parser.add_argument(
        "--few",
        type=int,
        metavar="N",
        help="at most N connections: to see that it runs",
    )
    parser.add_argument("--output", type=Path, help="directory for the report")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument(
        "--strict", action="store_true", help="fail if a server fails in a case"
    )
    return parser


def _targets(names: str, definitions: list[str]) -> list[Target]:
    chosen = [TARGETS[name] for name in names.split(",") if name] if names else []
    found = []
    for target in [*(chosen or TARGETS.values()), *extra(definitions)]:
        missing = target.missing()
        if missing is None:
            found.append(target)
        else:
            print(f"left out: {target.name} needs {missing}", file=sys.stderr)
    return found


def _chosen(args: argparse.Namespace) -> list[tuple[Case, list[Target]]]:
    """Return the cases, and what is measured in each."""

    def few(case: Case) -> Case:
        if args.few is None:
            return case
        return replace(case, connections=min(case.connections, args.few))

    targets = _targets(args.servers, args.extra)
    if args.set:
        by_name = {target.name: target for target in targets}
        return [
            (few(CASES[case]), [by_name[name] for name in names if name in by_name])
            for case, names in SETS[args.set].items()
        ]
    cases = [CASES[name] for name in args.cases.split(",") if name] or CASES.values()
    suited = ((few(c), [t for t in targets if t.suits(c)]) for c in cases)
    return [(case, found) for case, found in suited if found]


def _run(
    chosen: list[tuple[Case, list[Target]]], args: argparse.Namespace, options: Options
) -> list[Result]:
    """Measure; each case has its share of the time."""
    costs = [
        len(targets)
        * (max(case.min_seconds, args.seconds) + args.warmup + case.setup_s + 0.2)
        for case, targets in chosen
    ]
    seconds = None if args.minutes is None else args.minutes * 60
    samples = sum(
        min(args.rounds, case.most_rounds) * len(targets) for case, targets in chosen
    )
    progress = Progress(samples, seconds, None if args.quiet else sys.stderr)
    begin = time.monotonic()
    results = []
    with Fleet(options.server_core, options.nice) as fleet:
        for number, (case, targets) in enumerate(chosen):
            until = float("inf")
            if seconds is not None:
                until = begin + seconds * sum(costs[: number + 1]) / sum(costs)
            results.append(run_case(case, targets, options, fleet, progress, until))
    progress.end()
    return results


def _charts(document: dict[str, Any], path: Path) -> list[Path]:
    try:
        from bench.load.chart import draw
    except ImportError as error:
        print(f"left out: the charts need {error.name}", file=sys.stderr)
        return []
    return draw(document, path)


def _into_docs(page: Path, text: str, charts: list[Path]) -> None:
    """Write the report between the marks of a page of the manual, with its charts."""
    before, begin, rest = page.read_text().partition(DOCS_BEGIN)
    _, end, after = rest.partition(DOCS_END)
    if not begin or not end:
        raise SystemExit(f"{page} has no {DOCS_BEGIN} and {DOCS_END}")
    _, _, tables = text.partition("\n\n")  # the page has a heading of its own
    drawn = "\n\n".join(f"![{chart.stem}]({chart.name})" for chart in charts)
    half = f"{drawn}\n\n{tables.strip()}"
    page.write_text(f"{before}{begin}\n\n{half}\n\n{end}{after}")


def _write(document: dict[str, Any], args: argparse.Namespace) -> None:
    text = document["markdown"]
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "benchmark.md").write_text(text)
        written = json.dumps(document, indent=1) + "\n"
        (args.output / "benchmark.json").write_text(written)
        charts = _charts(document, args.output / "benchmark.svg")
        drawn = [chart.read_text() for chart in charts]
        html = page(text, document["facts"], drawn)
        (args.output / "benchmark.html").write_text(html)
    if args.docs is not None:
        _into_docs(args.docs, text, _charts(document, args.docs.with_suffix(".svg")))


def main() -> int:
    """Run the chosen cases and write the report."""
    args = _parser().parse_args()
    subprocess.run(["make", "-s", "-C", str(HERE)], check=True)
    options = Options(
        rounds=args.rounds,
        seconds=args.seconds,
        warmup=args.warmup,
        retries=args.retries,
        nice=args.nice,
        noise=args.noise,
    )
    chosen = _chosen(args)
    results = _run(chosen, args, options)
    found = facts(PACKAGES) | node_facts(NODE_MODULES, NODE_PACKAGES)
    targets = [*TARGETS.values(), *extra(args.extra)]
    text = report.markdown(results, targets, found)
    print(text)
    _write(report.as_json(results, found, asdict(options), text), args)
    failed = [f"{r.case.name}: {n}: {w}" for r in results for n, w in r.failed.items()]
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed) and args.strict)


if __name__ == "__main__":
    sys.exit(main())
