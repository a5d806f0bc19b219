"""
Fuzz the Python targets.

``python -m tests.fuzz [--minutes N] [--replay FILE] [--atheris] [TARGET...]``: the
inputs are those of the corpus and mutations of them; with ``--atheris``, where that is
installed, they are chosen by what they cover of the modules in Python (with
``WSFAST_PURE=1`` of all, for C has its own targets). An input that fails is written to
``build/fuzz``; once it is mended, it belongs into ``tests/fuzz/corpus``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.mutate import CORPUS, LONGEST, corpus, mutated

FOUND = Path("build/fuzz")


def fuzz(name: str, run: Callable[[bytes], None], seconds: float, seed: int) -> int:
    """Run a target on mutations for a while; return how often."""
    rng = random.Random(seed)
    seeds = corpus(name)
    end = time.process_time() + seconds
    runs = 0
    while time.process_time() < end:
        data = mutated(rng, seeds)
        runs += 1
        try:
            run(data)
        except Exception:
            FOUND.mkdir(parents=True, exist_ok=True)
            file = FOUND / f"{name}-{hashlib.sha1(data).hexdigest()[:12]}"
            file.write_bytes(data)
            print(f"{name}: {file}: {data[:200]!r}", file=sys.stderr)
            raise
    return runs


def with_atheris(name: str, run: Callable[[bytes], None], seconds: float) -> int:
    """Let atheris choose, in a process of its own: it ends by exiting."""
    import atheris

    child = os.fork()
    if child == 0:
        FOUND.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}"]
        found = f"-artifact_prefix={FOUND}/{name}-"
        atheris.Setup([name, *limits, found, str(CORPUS / name)], run)
        atheris.Fuzz()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def targets(*, instrumented: bool) -> dict[str, Callable[[bytes], None]]:
    """Import the targets; instrumented, atheris sees which branches they take."""
    if not instrumented:
        found = importlib.import_module("tests.fuzz.targets")
    else:
        import atheris

        import wsfast  # noqa: F401 (first: it may put a finder of sources in front)

        with atheris.instrument_imports(include=["wsfast"]):
            found = importlib.import_module("tests.fuzz.targets")
    return dict(found.TARGETS)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, if none")
    parser.add_argument("--minutes", type=float, default=1, help="for each target")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--replay", type=Path, help="run this one file")
    parser.add_argument("--atheris", action="store_true", help="choose by coverage")
    arguments = parser.parse_args()
    known = targets(instrumented=arguments.atheris)
    for name in arguments.targets or known:
        run = known[name]
        if arguments.replay:
            run(arguments.replay.read_bytes())
        elif arguments.atheris:
            if with_atheris(name, run, arguments.minutes * 60):
                return 1
        else:
            seed = (
                random.randrange(1 << 32) if arguments.seed is None else arguments.seed
            )
            runs = fuzz(name, run, arguments.minutes * 60, seed)
            print(f"{name}: {runs} runs, nothing found (seed {seed})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
