"""The command line: ``python -m wsfast COMMAND``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wsfast.version import version

from . import accelerate, doctor

__all__ = ["main"]

#: Each has ``add(subparsers)``, which makes a parser whose ``run`` does the work.
COMMANDS = (accelerate, doctor)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    made = argparse.ArgumentParser(prog="python -m wsfast", description=__doc__)
    made.add_argument("--version", action="version", version=f"wsfast {version}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:
        arguments: The command line behind the program's name; by default this
            process's own.

    Returns:
        The exit status: 0 if all went well, 1 if not, 2 for a wrong command line.

    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    program: list[str] = []
    if "--" in words:
        cut = words.index("--")
        words, program = words[:cut], words[cut + 1 :]
    options = parser().parse_args(words)
    options.program = program
    status: int = options.run(options)
    return status
