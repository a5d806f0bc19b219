"""
All benchmarks: ``python -m bench [--short] [DIRECTORY]``.

The micro benchmarks first, then the load benchmark; reports go to DIRECTORY, by default
``artifacts/bench``. ``--short`` is to see that all of it runs: one round of each case,
too short to mean much, and of 300 connections at most.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent

#: Longest time for a micro benchmark, in seconds; arguments of the load benchmark.
FULL = ("0.3", ())  # there are hundreds of them
SHORT = (
    "0.01",
    (
        "--rounds=1",
        "--seconds=0.1",
        "--warmup=0.05",
        "--retries=0",
        "--few=300",
        "--strict",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    usual = ROOT / "artifacts" / "bench"
    parser.add_argument("output", nargs="?", type=Path, default=usual)
    parser.add_argument("--short", action="store_true", help="see that it runs")
    args = parser.parse_args()
    output = args.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    seconds, settings = SHORT if args.short else FULL
    commands = [
        [
            "pytest",
            str(HERE / "micro"),
            f"--benchmark-max-time={seconds}",
            "--benchmark-group-by=group",
            "--benchmark-columns=min,median,rounds",
            f"--benchmark-json={output / 'micro.json'}",
        ],
        ["bench.load", "--output", str(output), *settings],
    ]
    codes = [
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        for command in commands
    ]
    print(f"reports are in {output}")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
