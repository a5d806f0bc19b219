"""
Test suites of other libraries, with and without what we put into those.

``python -m tests.support.suites [NAME...]`` fetches the source packages of the
installed versions into ``build/suites``. It is a set-up step: tests fetch nothing.
Those sources are no part of this repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "suites"

#: Distributions whose source package is fetched; the version is the one installed.
SUITES = (
    "wsproto",
    "websocket-client",
    "autobahn",
    "uvicorn",
    "tornado",
    "ws4py",
    "wsaccel",
    "aiohttp",
)

#: What a run may take, in seconds: everything is slow on a busy machine.
LIMIT_S = 600


def folder_of(name: str) -> Path:
    """Return where the source package of the installed version is unpacked."""
    return FOLDER / f"{name}-{metadata.version(name)}"


def find(name: str) -> str | None:
    """Return where a source package is; None if it was not fetched."""
    try:
        folder = folder_of(name)
    except metadata.PackageNotFoundError:
        return None
    return str(folder) if folder.is_dir() else None


def find_all() -> str | None:
    """Return where the source packages are; None unless all were fetched."""
    return str(FOLDER) if all(map(find, SUITES)) else None


def fetch(name: str) -> Path:
    """
    Fetch and unpack a source package, unless that was done before.

    Raises:
        subprocess.CalledProcessError: It could not be fetched.

    """
    folder = folder_of(name)
    if folder.is_dir():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        wanted = f"{name}=={metadata.version(name)}"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        command += ["--no-binary", name, "-d", scratch, wanted]
        subprocess.run(command, check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        unpacked = Path(scratch, "unpacked")
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(unpacked, filter="data")
            else:
                tar.extractall(unpacked)  # 3.10 before its 12th release
        (top,) = unpacked.iterdir()
        shutil.move(top, folder)
    return folder


def run(
    name: str,
    tests: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> dict[str, str]:
    """
    Run a suite by pytest, in a process of its own.

    Args:
        name: The distribution, one of `SUITES`.
        tests: Files or folders, relative to the source package.
        env: The environment; by default that of this process.
        options: More options of pytest's.

    Returns:
        The outcome by test: ``passed``, ``failed``, ``error`` or ``skipped``.

    Raises:
        AssertionError: pytest ran no test, or did not get that far.

    """
    folder = folder_of(name)
    # Away from the sources, the library that is installed is imported, not its copy.
    with tempfile.TemporaryDirectory() as scratch:
        copied = [copy(folder, test, Path(scratch)) for test in tests]
        report = Path(scratch, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-c", os.devnull, "--rootdir", scratch, f"--junit-xml={report}"]
        command += ["-p", "no:randomly", *options, *copied]
        done = subprocess.run(
            command,
            cwd=scratch,
            env=None if env is None else dict(env),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert report.exists(), done.stdout + done.stderr
        outcomes = dict(map(outcome, ET.parse(report).iter("testcase")))
    assert "passed" in outcomes.values(), done.stdout + done.stderr
    return outcomes


def copy(folder: Path, test: str, scratch: Path) -> str:
    """Copy a test file or folder, under the last part of its name."""
    source = folder / test
    target = scratch / source.name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    return str(target)


def outcome(case: ET.Element) -> tuple[str, str]:
    """Return the name of a test of a report, and how it ended."""
    ends = {"failure": "failed", "error": "error", "skipped": "skipped"}
    ended = [ends[child.tag] for child in case if child.tag in ends]
    name = f"{case.get('classname')}::{case.get('name')}"
    # Addresses differ from run to run; they are no part of a test's identity.
    return re.sub(r"0x[0-9a-f]+", "0x", name), ended[0] if ended else "passed"


def main(names: Sequence[str]) -> int:
    """Fetch the source packages."""
    for name in names or SUITES:
        print(f"{name}: {fetch(name).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
