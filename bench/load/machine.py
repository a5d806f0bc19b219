"""What a report has to say about the machine and the versions, and no more."""

from __future__ import annotations

import json
import os
import platform
import ssl
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def _compiler() -> str:
    try:
        done = subprocess.run(["cc", "--version"], capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.splitlines()[0] if done.stdout else "unknown"


def facts(packages: Iterable[str]) -> dict[str, str]:
    """Return versions and machine facts for the head of a report."""
    found = {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "C compiler": _compiler(),
        "OpenSSL": ssl.OPENSSL_VERSION,
    }
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def node_facts(folder: Path, packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Node, and of its packages in a folder."""
    try:
        done = subprocess.run(["node", "--version"], capture_output=True, text=True)
    except OSError:
        return {}
    found = {"Node": done.stdout.strip().removeprefix("v")}
    for name in packages:
        with suppress(OSError):
            described = json.loads((folder / name / "package.json").read_text())
            found[f"{name} (Node)"] = described["version"]
    return found
