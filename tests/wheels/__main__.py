"""
Cross-build wheels for Linux, audit their tags, and run the tests on them.

x86-64 wheels are installed where no compiler is, aarch64 ones run on Debian's Python
under an emulator; what those for musl want is looked up in Debian's musl. Core and
extension modules are compiled for Windows and macOS.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from tests.wheels import building, foreign, proving
from tests.wheels.zig import TARGETS


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.wheels", description=__doc__)
    here = building.interpreters()
    parser.add_argument(
        "--pythons", default=",".join(here), help="default: %(default)s"
    )
    parser.add_argument("--targets", default=",".join(TARGETS), help="%(default)s")
    parser.add_argument("--foreign", default=",".join(foreign.FOREIGN))
    parser.add_argument("--tests", default=",".join(proving.TESTS), help="%(default)s")
    parser.add_argument("--emulated-tests", default="engine,protocol")
    parser.add_argument("--cflags", default="-O2")
    parser.add_argument("--work", type=Path, default=building.ROOT / "build/wheels")
    asked = parser.parse_args()
    asked.interpreters = {
        version: here[version] for version in asked.pythons.split(",") if version
    }
    return asked


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(filter(None, text.split(",")))


class Report:
    """Prints a line for each thing that was shown, with the time that it took."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def say(self, subject: str, outcome: object) -> None:
        """Print a line."""
        now = time.monotonic()
        print(f"{subject}: {outcome} ({now - self._since:.0f} s)", flush=True)
        self._since = now


def main() -> None:
    """Do all of it; what fails ends the program."""
    asked = arguments()
    work = asked.work.resolve()
    report = Report()
    tree = building.clean_tree(work)
    shutil.rmtree(work / "audited", ignore_errors=True)
    for version, python in asked.interpreters.items():
        for target in words(asked.targets):
            subject = f"{version} {target}"
            wheel = building.build(work, tree, version, python, target, asked.cflags)
            audited = proving.audit(wheel, target, work / "audited" / subject)
            modules = building.check_contents(audited, target)
            report.say(subject, f"{audited.name}, {modules} modules")
            if target.endswith("musllinux"):
                unknown = proving.unknown_to_musl(work, audited, target)
                if unknown:
                    raise SystemExit(f"musl has none of {sorted(unknown)}")
                report.say(f"{subject}, symbols", "all are musl's or Python's")
            if target == "x86_64-manylinux" and os.uname().machine == "x86_64":
                last = proving.prove_here(work, python, audited, words(asked.tests))
                report.say(f"{subject}, installed, no compiler", last)
            tests = words(asked.emulated_tests)
            emulated = (version, target) == (proving.EMULATED, "aarch64-manylinux")
            if emulated and tests:
                last = proving.prove_emulated(work, audited, tests)
                report.say(f"{subject}, emulated", last)
    for target in words(asked.foreign):
        made = work / "foreign" / target
        count = foreign.compile_for(target, tree, made, os.cpu_count() or 1)
        report.say(target, f"{count} C files compile")
    print("proved")


main()
