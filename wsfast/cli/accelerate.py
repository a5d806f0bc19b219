"""``python -m wsfast accelerate``: run a program with other libraries made faster."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib import metadata
from typing import Any

from wsfast.accelerate import (
    AccelerateError,
    Target,
    accelerate,
    accelerated,
    bootstrap,
    known,
)

__all__ = ["add", "environment", "run"]

EPILOG = """
examples:
  python -m wsfast accelerate --list
  python -m wsfast accelerate wsproto -- -m hypercorn app:app
  python -m wsfast accelerate websocket-client -- client.py --verbose

What follows -- is what would follow "python": -m MODULE, -c CODE or a file, with its
arguments. The environment hands the accelerations on to worker processes.
"""


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "accelerate",
        help="run a program with other WebSocket libraries made faster",
        description="Run a Python program with other WebSocket libraries made faster;"
        " without one, say what would be replaced.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to accelerate")
    parser.add_argument("--list", action="store_true", help="list all that can be")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; does not return when there is a program to become."""
    if options.list:
        _print([_row(target) for target in known()], options.json)
        return 0
    try:
        started = accelerated()  # by the environment, when a program calls us again
        wanted = [name for name in options.names if name not in started]
        report = accelerate(*wanted) if wanted or not options.names else started
    except AccelerateError as error:
        print(f"wsfast: {error}", file=sys.stderr)
        return 1
    if options.program:
        return _become(options.program, environment(*options.names))
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        print(report)
    return 0


def environment(*names: str) -> dict[str, str]:
    """
    Return the environment of a Python that accelerates libraries when it starts.

    Args:
        names: The targets. Those that the present environment names come first.

    """
    env = dict(os.environ)
    wanted = env.get("WSFAST_ACCELERATE", "").replace(",", " ").split()
    env["WSFAST_ACCELERATE"] = ",".join(dict.fromkeys([*wanted, *names]))
    folder = bootstrap.__path__[0]
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([folder, *paths]))
    return env


def _become(program: list[str], env: dict[str, str]) -> int:
    """Run Python on a program in the place of this process."""
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    command = [sys.executable, *flags, *program]
    if os.name == "posix":
        sys.stdout.flush()
        os.execve(sys.executable, command, env)
    return subprocess.run(command, env=env).returncode


def _row(target: Target) -> dict[str, Any]:
    """Return what a line of the list says."""
    installed = None
    if target.distribution is not None:
        try:
            installed = metadata.version(target.distribution)
        except metadata.PackageNotFoundError:
            installed = None
    known_versions = target.versions is None or (installed or "") in target.versions
    return {
        "target": target.name,
        "versions": str(target.versions) if target.versions else None,
        "installed": installed,
        "ready": known_versions and (installed or not target.distribution) is not None,
        "contract": target.contract,
    }


def _print(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        if row["versions"] is None:
            state = "nothing to install"
        else:
            state = f"{row['installed'] or 'not installed'} (known: {row['versions']})"
        print(f"{row['target']:17} {state:37} {row['contract']}")
