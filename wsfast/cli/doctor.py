"""``python -m wsfast doctor``: what is in use here, and what would be faster."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from wsfast import engine
from wsfast.accelerate import accelerated, known
from wsfast.asyncio._options import reactor_for
from wsfast.protocol.deflate import BACKENDS
from wsfast.version import version

__all__ = ["add", "examine", "run"]


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor",
        help="say what is in use here, and what would be faster",
        description="Say which engine, kernel, loop, path and deflate backend are in"
        " use, which libraries are accelerated, and what would make it faster.",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    found = examine()
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if name == "faster":
            print("\nWhat would make it faster:")
            for line in value or ["nothing that this command knows of"]:
                print(f"- {line}")
        elif name == "targets":
            for target in value:
                state = "accelerated" if target["accelerated"] else "not accelerated"
                print(f"{target['target']:17} {target['installed']}, {state}")
        else:
            print(f"{name:17} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def examine() -> dict[str, Any]:
    """
    Find out what is in use.

    Returns:
        By name what the command prints; ``faster`` is a list of sentences, ``targets``
        the installed libraries that can be accelerated.

    """
    loops = [name for name in ("uvloop", "winloop") if find_spec(name)]
    found: dict[str, Any] = {
        "wsfast": version,
        "python": f"{platform.python_implementation()} {platform.python_version()}"
        f" on {sys.platform} {platform.machine()}",
        "engine": "python" if engine.KERNEL == "python" else "c",
        "kernel": engine.KERNEL,
        "kernels": list(engine.KERNELS),
        "loop": _loop(),
        "loops": ["asyncio", *loops],
        "path": _path(),
        "deflate": "zlib",
        "backends": [name for name, module in BACKENDS.items() if _there(module)],
        "targets": [
            {
                "target": target.name,
                "installed": installed,
                "known": target.versions is None or installed in target.versions,
                "accelerated": target.name in accelerated(),
            }
            for target in known()
            if (installed := _installed(target.distribution)) is not None
        ],
    }
    found["faster"] = list(_advice(found))
    return found


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _installed(distribution: str | None) -> str | None:
    if distribution is None:
        return None
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _loop() -> str:
    """Return the loop that a program gets unless it asks for another."""
    loop = asyncio.new_event_loop()
    try:
        return f"{type(loop).__module__}.{type(loop).__qualname__}"
    finally:
        loop.close()


def _path() -> str:
    """Return how a plain TCP connection is served on that loop."""

    async def ask() -> bool:
        return reactor_for(asyncio.get_running_loop()) is not None

    return "reactor" if asyncio.run(ask()) else "transport"


def _advice(found: dict[str, Any]) -> Iterator[str]:
    """Yield what would make it faster."""
    if found["engine"] == "python":
        if os.environ.get("WSFAST_PURE", "") not in ("", "0"):
            yield "WSFAST_PURE asks for pure Python: unset it"
        elif os.environ.get("WSFAST_KERNEL") == "python":
            yield "WSFAST_KERNEL asks for pure Python: unset it"
        elif found["python"].startswith("CPython"):
            yield "the C engine is not built: install a wheel, or a C compiler"
        else:
            yield "the C engine runs on CPython only"
    elif os.environ.get("WSFAST_KERNEL"):
        best = found["kernels"][0]
        if found["kernel"] != best:
            yield f"WSFAST_KERNEL forces {found['kernel']}; {best} is faster: unset it"
    if found["path"] != "reactor" and found["engine"] == "c":
        if os.environ.get("WSFAST_REACTOR") == "0":
            yield "WSFAST_REACTOR=0 turns the reactor off: unset it"
        else:
            yield "this loop or system has no reactor; Linux, macOS and BSD have one"
    if "uvloop" not in found["loops"] and sys.platform != "win32":
        yield "uvloop's transports are faster: pip install 'wsfast[speed]'"
    if "zlib-ng" not in found["backends"]:
        yield "zlib-ng compresses faster: pip install 'wsfast[speed]'"
    elif found["deflate"] == "zlib":
        yield 'zlib-ng is there: compression=DeflateOptions(backend="zlib-ng")'
    for target in found["targets"]:
        name = target["target"]
        if target["accelerated"]:
            continue
        if target["known"]:
            yield f"{name} can be faster: python -m wsfast accelerate {name} -- ..."
        else:
            yield f"{name} {target['installed']} is of no version that wsfast knows"
