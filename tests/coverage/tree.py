"""Copies of the sources to measure in, so that nothing of it lies beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.coverage import gcov

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """\
[run]
branch = true
parallel = true
source = wsfast
relative_files = true
patch = subprocess
data_file = {data}
disable_warnings = no-data-collected, module-not-measured

[report]
exclude_also =
    if TYPE_CHECKING:
    ^ +\\.\\.\\.$
    @(abc\\.)?abstractmethod
    raise NotImplementedError
    raise AssertionError
    class .*\\(Protocol\\):
    if __name__ == "__main__":
partial_branches =
    \\# uncounted: .
{platforms}
"""

#: Lines that ask for the platform, or for the version of Python: on one machine they go
#: one way only.
PLATFORMS = (
    r"if .*\bsys\.(version_info|platform)\b",
    r"if .*\bos\.name\b",
    r"if .*\bhasattr\((os|select|signal), ",
)


def copy(folder: Path) -> None:
    """Make a new copy of what git has, as it is now in the working tree."""
    shutil.rmtree(folder, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        if (ROOT / name).is_file():  # not one that was deleted
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (folder / ".coveragerc").write_text(config(folder / ".coverage"))


def blind() -> list[str]:
    """Return a line about what this interpreter does not see, or nothing."""
    if sys.version_info >= (3, 12):
        return []
    return ["lines behind an exception thrown into a coroutine: not before Python 3.12"]


def config(data: Path) -> str:
    """Return what coverage.py is told; it writes to this file."""
    return CONFIG.format(data=data, platforms="\n".join(f"    {p}" for p in PLATFORMS))


def build(folder: Path, jobs: int) -> None:
    """Build the extension modules there, under gcov, of C that Cython made already."""
    for path in (ROOT / "wsfast").rglob("*.c"):
        if "static" not in path.parts:
            shutil.copy2(path, folder / path.relative_to(ROOT))
    environment = dict(os.environ, CFLAGS=" ".join(gcov.FLAGS), LDFLAGS="--coverage")
    command = [sys.executable, "setup.py", "-q", "build_clib", "build_ext", "--inplace"]
    command += ["--parallel", str(jobs)]
    subprocess.run(command, cwd=folder, env=environment, check=True)


def run_tests(folder: Path, pure: bool, paths: Iterable[str]) -> None:
    """Run these tests there, measured; whether they pass is for others to say."""
    environment = dict(os.environ, PYTHONPATH=".", COVERAGE_RCFILE=".coveragerc")
    environment.pop("WSFAST_KERNEL", None)
    environment["WSFAST_PURE"] = "1" if pure else ""
    command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", "-m", "not slow", "--timeout", "600"]
    command += ["--hypothesis-profile", "ci", "--hypothesis-seed", "6455", *paths]
    done = subprocess.run(command, cwd=folder, env=environment)
    if done.returncode not in (0, 1):  # 1: a test failed
        raise SystemExit(f"pytest ended with status {done.returncode}")
    if done.returncode == 1:
        print("a test failed, measured as it was: what it took up to there counts")
