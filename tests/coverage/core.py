"""
The C core: its own tests and the inputs kept for fuzzing, under gcov.

The tests run each kernel that the processor has. Kernels that it has not are left out
by name, and so are those of another processor where there is nothing to emulate it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests import needs
from tests.coverage import gcov
from tests.coverage.outcomes import Outcome, Outcomes

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "csrc"
TESTS = ROOT / "tests" / "c"
FUZZ = ROOT / "tests" / "fuzz"
FLAGS = ["-std=c11", "-DWSF_INLINE=inline", "-pthread", f"-I{CORE}"]

#: Tests that are long, and hold no code of the core's headers that others do not: they
#: themselves are compiled as usual.
LONG = {"main", "test_mask", "test_utf8", "test_transcode", "test_threads", "utf8_book"}


class Machine(NamedTuple):
    """What a build is made with, how its programs are run, which kernels count."""

    compiler: str
    gcov: str
    run: tuple[str, ...] = ()
    only: str = ""


HERE = Machine("gcc", "gcov")
AARCH64 = Machine(
    "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-gcov", ("qemu-aarch64",), "kernels_neon"
)


def measure(folder: Path, jobs: int) -> tuple[Outcomes, list[str]]:
    """Run the tests here; return the outcomes, and what was left out."""
    if needs.find("gcc") is None:
        raise SystemExit(needs.missing_line("gcc"))
    said = _run(HERE, folder, jobs, [path.stem for path in _targets()])
    missing = re.findall("cannot run the kernels (.+)", said)
    outcomes = _outcomes(HERE, folder, {f"kernels_{name}" for name in missing})
    return outcomes, [f"kernels {name}: not of this processor" for name in missing]


def measure_aarch64(folder: Path, jobs: int) -> tuple[Outcomes, list[str]]:
    """Run the tests on an emulated AArch64; return the outcomes of its kernels."""
    if needs.find("qemu-aarch64") is None:
        if needs.required():
            raise SystemExit(needs.missing_line("qemu-aarch64"))
        return {}, [needs.missing_line("qemu-aarch64")]
    _run(AARCH64, folder, jobs, [])
    return _outcomes(AARCH64, folder, set()), []


def reasons() -> list[str]:
    """Return the lines that are left out, with their reasons."""
    sources = [*CORE.rglob("*.[ch]"), *(ROOT / "wsfast").rglob("*.py*")]
    sources = [path for path in sources if path.suffix in {".c", ".h", ".py", ".pyx"}]
    return [
        f"{path.relative_to(ROOT)}:{line}: {reason}"
        for path in sorted(sources)
        for line, reason in gcov.uncounted(path.read_text()).items()
    ]


def _targets() -> list[Path]:
    return sorted(path for path in FUZZ.glob("*.c") if path.stem != "replay")


def _run(machine: Machine, folder: Path, jobs: int, targets: list[str]) -> str:
    """Build in a new folder, run everything; return what the tests said."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sources = [*sorted(CORE.rglob("*.c")), *sorted(TESTS.glob("*.c"))]
    sources += [FUZZ / f"{name}.c" for name in ["replay", *targets] if targets]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda source: _compile(machine, folder, source), sources))
    core = [f"{path.stem}.o" for path in CORE.rglob("*.c")]
    tests = [f"{path.stem}.o" for path in TESTS.glob("*.c")]
    _link(machine, folder, "test", [*core, *tests])
    for name in targets:
        _link(machine, folder, f"replay-{name}", [*core, f"{name}.o", "replay.o"])
    said = _started(machine, folder, "test")
    for name in targets:
        inputs = sorted((FUZZ / "corpus" / name).iterdir())
        _started(machine, folder, f"replay-{name}", *map(str, inputs))
    return said


def _compile(machine: Machine, folder: Path, source: Path) -> None:
    kind = ["-O1"] if source.stem in LONG else gcov.FLAGS
    _check([machine.compiler, *FLAGS, *kind, "-c", str(source)], folder)


def _link(machine: Machine, folder: Path, name: str, objects: list[str]) -> None:
    static = ["-static"] if machine.run else []
    command = [machine.compiler, "--coverage", "-pthread", *static, *objects]
    _check([*command, "-o", name], folder)


def _started(machine: Machine, folder: Path, program: str, *arguments: str) -> str:
    return _check([*machine.run, f"./{program}", *arguments], folder)


def _check(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _outcomes(machine: Machine, folder: Path, missing: set[str]) -> Outcomes:
    outcomes: Outcomes = {}
    left_out: dict[str, dict[int, str]] = {}
    for notes in sorted(folder.glob("*.gcno")):
        kernels = notes.stem if notes.stem.startswith("kernels_") else ""
        if kernels in missing or machine.only not in ("", kernels):
            continue
        data = notes.with_suffix(".gcda")
        for line in gcov.read(machine.gcov, folder, data if data.exists() else notes):
            file = _relative(line.file)
            if not file.startswith("csrc/"):
                continue
            if file not in left_out:
                left_out[file] = gcov.uncounted((ROOT / file).read_text())
            if line.line not in left_out[file]:
                for outcome, taken in _of_line(line, file, kernels):
                    outcomes[outcome] = outcomes.get(outcome, False) or taken
    return outcomes


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else file


def _of_line(
    line: gcov.Line, file: str, kernels: str
) -> Iterator[tuple[Outcome, bool]]:
    place = f"{line.function} in {kernels}" if kernels else line.function
    if "/kernels/" not in file:
        place = line.function
    for number, count in enumerate(line.counts):
        yield Outcome(file, line.line, f"{place}, outcome {number}"), count > 0
