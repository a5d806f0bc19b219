"""
The regression guard: ``python -m bench.guard [--update] [PART...]``.

Counts the instructions of the hot paths under callgrind, per message or per octet, and
fails if one takes 5 % more than in the committed baseline, with the functions that
grew. Counts do not depend on how busy the machine is; they depend on the interpreter,
the compiler and the kernel, so that there is one baseline for each combination of
these. Where there is none it says so: a failure with ``CI=true``, and left out else.

The parts are functions of ``workloads.py``; without any, all are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from bench.guard.counts import LIMIT, Count, compare, parse
from wsfast import engine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = HERE / "build"
TIMEOUT_S = 300

#: The kernel that is counted: the best one that valgrind knows the instructions of.
KERNELS = {"x86_64": "avx2", "aarch64": "neon"}


class LeftOut(Exception):  # noqa: N818 (not an error outside CI)
    """The guard cannot be run here."""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _baseline(kernel: str) -> Path:
    """Return the file for what decides about counts on this machine."""
    version = "{}{}.{}".format(sys.implementation.name, *sys.version_info[:2])
    optimized = "--enable-optimizations" in (
        sysconfig.get_config_var("CONFIG_ARGS") or ""
    )
    compiler = "clang" if "clang" in _output("cc", "--version") else "gcc"
    number = _output("cc", "-dumpversion").split(".")[0]
    words = [version, *(["pgo"] if optimized else []), platform.machine(), kernel]
    return HERE / "baselines" / f"{'-'.join([*words, compiler + number])}.json"


def _facts() -> dict[str, str]:
    """Return what has an influence, but as a rule a small one."""
    return {
        "python": platform.python_version(),
        "compiler": _output("cc", "--version").splitlines()[0],
        "cython": metadata.version("cython"),
        "libc": "-".join(platform.libc_ver()),
        "valgrind": _output("valgrind", "--version").removeprefix("valgrind-"),
    }


def _marks() -> None:
    """Build the module that talks to callgrind."""
    BUILD.mkdir(exist_ok=True)
    include = sysconfig.get_path("include")
    command = ["cc", "-O2", "-shared", "-fPIC", f"-I{include}", str(HERE / "marks.c")]
    subprocess.run([*command, "-o", str(BUILD / "marks.so")], check=True)


def _counts(kernel: str, parts: Sequence[str]) -> dict[str, Count]:
    """Run the workloads under callgrind: those of some parts, or all."""
    path = os.pathsep.join([str(BUILD), str(ROOT)])
    environment = dict(os.environ, PYTHONPATH=path, PYTHONHASHSEED="0")
    environment.update(WSFAST_KERNEL=kernel, PYTHONDONTWRITEBYTECODE="1")
    environment.pop("WSFAST_PURE", None)
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump"
        options = ["--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no"]
        options += ["--compress-strings=no", "--compress-pos=no"]
        options += ["-q", f"--callgrind-out-file={dump}"]
        program = [sys.executable, "-m", "bench.guard.workloads", *parts]
        ran = subprocess.run(
            ["valgrind", *options, *program],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
        )
        if ran.returncode != 0:
            raise SystemExit(f"the workloads ended with status {ran.returncode}")
        said = json.loads(ran.stdout.splitlines()[-1])
        if said["kernel"] != kernel:
            raise SystemExit(f"kernel {said['kernel']} ran, not {kernel}")
        found = {}
        for number, units in enumerate(said["done"].values(), 1):
            name, count = parse(Path(f"{dump}.{number}").read_text(), units)
            found[name] = count
    if list(found) != list(said["done"]):
        raise SystemExit("callgrind's dumps are not those of the workloads")
    return found


def _tools() -> str:
    """Return the kernel to count with; say what is missing otherwise."""
    kernel = KERNELS.get(platform.machine(), "")
    if kernel not in engine.KERNELS or engine.KERNEL == "python":
        raise LeftOut(f"needs the C engine, and a processor of {KERNELS}")
    for program in ("valgrind", "cc"):
        if shutil.which(program) is None:
            raise LeftOut(f"needs {program}: apt-get install valgrind gcc libc6-dev")
    return kernel


def _write(
    path: Path,
    facts: Mapping[str, str],
    counts: Mapping[str, Count],
    others: Mapping[str, object],
) -> None:
    workloads = dict(others) | {
        name: {
            key: float(f"{value:.5g}")
            if key == "total"
            else {f: float(f"{n:.5g}") for f, n in value.items()}
            for key, value in asdict(count).items()
        }
        for name, count in counts.items()
    }
    document = {"facts": dict(facts), "workloads": workloads}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {path.relative_to(ROOT)}")


def guard(update: bool, parts: Sequence[str] = ()) -> int:
    """Count and compare, all of it or some parts; return the exit status."""
    kernel = _tools()
    path = _baseline(kernel)
    if not update and not path.exists():
        raise LeftOut(f"no baseline {path.name}; `make guard-baseline` makes it")
    _marks()
    now = _counts(kernel, parts)
    facts = _facts()
    document = {"facts": facts, "workloads": {}}
    if path.exists() and (parts or not update):
        document = json.loads(path.read_text())
    found = document["workloads"]
    if update:
        if document["facts"] != facts:
            raise SystemExit(f"{path.name} is of {document['facts']}: update all parts")
        _write(path, facts, now, found)
        return 0
    before = {
        name: Count(**count)
        for name, count in found.items()
        if name in now or not parts
    }
    wrong, table = compare(now, before)
    print(f"instructions per message, or per octet, against {path.name}:\n")
    print("\n".join([f"{'':45} {'before':>10} {'now':>10}   change", *table]))
    if not wrong:
        return 0
    print(f"\nMore than {LIMIT:.0%} above the baseline, and what grew in it:\n")
    print("\n\n".join(wrong))
    for name, fact in facts.items():
        if fact != document["facts"].get(name):
            was = document["facts"].get(name)
            print(f"\n{name} is {fact}; the baseline was made with {was}")
    print("\nIf that is meant: make guard-baseline, and commit what it writes.")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the baseline")
    parser.add_argument("part", nargs="*", help="count this alone; see workloads.py")
    args = parser.parse_args()
    try:
        return guard(args.update, args.part)
    except LeftOut as error:
        strict = os.environ.get("CI") == "true" or bool(
            os.environ.get("WSFAST_REQUIRE_ALL")
        )
        print(f"{'FAILED' if strict else 'left out'}: the regression guard: {error}")
        return int(strict)


if __name__ == "__main__":
    sys.exit(main())
