"""
The load benchmark: ``python -m bench.load``.

Servers on one core, a native load client that polls on the other; see bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.load import report
from bench.load.cases import CASES
from bench.load.machine import facts, node_facts
from bench.load.runner import Options, Result, run_case
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--cases", help=f"of: {', '.join(CASES)}", default="")
    parser.add_argument("--servers", help=f"of: {', '.join(TARGETS)}", default="")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--warmup", type=float, default=Options.warmup)
    parser.add_argument("--retries", type=int, default=Options.retries)
    parser.add_argument("--nice", type=int, default=Options.nice)
    parser.add_argument("--noise", type=float, default=Options.noise)
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


def _chart(document: dict[str, Any], path: Path) -> None:
    try:
        from bench.load.chart import draw
    except ImportError as error:
        print(f"left out: the chart needs {error.name}", file=sys.stderr)
        return
    draw(document, path)


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
    targets = _targets(args.servers, args.extra)
    cases = [CASES[name] for name in args.cases.split(",") if name] or list(
        CASES.values()
    )

    def progress(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    results: list[Result] = []
    for case in cases:
        suited = [target for target in targets if target.suits(case)]
        results.append(run_case(case, suited, options, progress))
    found = facts(PACKAGES) | node_facts(NODE_MODULES, NODE_PACKAGES)
    text = report.markdown(results, targets, found)
    print(text)
    if args.output is not None:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "benchmark.md").write_text(text)
        document = report.as_json(results, found)
        text = json.dumps(document, indent=1) + "\n"
        (args.output / "benchmark.json").write_text(text)
        _chart(document, args.output / "benchmark.svg")
    failed = [
        f"{r.case.name}: {n}: {why}" for r in results for n, why in r.failed.items()
    ]
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed) and args.strict)


if __name__ == "__main__":
    sys.exit(main())
