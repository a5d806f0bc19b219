"""``python -m tests.compliance --role server --path reactor --cases all``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.compliance.cases import COUNTS, SETS
from tests.compliance.suite import ROLES, SuiteMissingError, run_suite
from tests.compliance.threads import run_threads
from tests.support.process import ROOT
from tests.support.targets import TARGETS, chosen


def main() -> int:
    """Run what the command line asks for; 0 if every case passed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.compliance", description=__doc__
    )
    parser.add_argument("--target", choices=TARGETS, default=chosen().name)
    parser.add_argument("--role", choices=[*ROLES, "uvicorn", "both"], default="both")
    parser.add_argument(
        "--path", choices=["reactor", "transport", "threads", "both"], default="both"
    )
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument(
        "--script", default="echo_for", help="echo_for, echo or callback"
    )
    parser.add_argument(
        "--cases",
        default="quick",
        help=f"{', '.join(SETS)}, or patterns such as 6.4.*,7.*",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "autobahn", help="where reports go"
    )
    options = parser.parse_args()

    target = TARGETS[options.target]
    if options.role == "uvicorn":
        from tests.compliance.uvicorn import run_uvicorn

        for path in target.paths if options.path == "both" else (options.path,):
            out = options.out / f"uvicorn-{path}"
            verdict = run_uvicorn(path, options.cases, loop=options.loop, out=out)
            print(verdict.line(), flush=True)
            if verdict.failures or not verdict.total:
                return 1
        return 0
    if options.path == "threads":
        for role in ROLES if options.role == "both" else (options.role,):
            out = options.out / f"{role}-threads"
            verdict = run_threads(role, options.cases, out=out)
            print(verdict.line(), flush=True)
            if verdict.failures or not verdict.total:
                return 1
        return 0
    roles = list(ROLES) if options.role == "both" else [options.role]
    paths = target.paths if options.path == "both" else (options.path,)
    failed = False
    for role in roles:
        for path in paths:
            start = time.monotonic()
            try:
                verdict = run_suite(
                    target,
                    role,
                    path,
                    options.cases,
                    loop=options.loop,
                    script=options.script,
                    out=options.out / f"{target.name}-{role}-{path}",
                )
            except SuiteMissingError as exc:
                print(f"not run: {exc}", file=sys.stderr)
                return 2
            print(f"{verdict.line()} ({time.monotonic() - start:.0f} s)", flush=True)
            wanted = COUNTS.get(options.cases, verdict.total)
            failed |= bool(verdict.failures) or not verdict.total == wanted > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
