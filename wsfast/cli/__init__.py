"""The command line: ``python -m wsfast COMMAND``, or ``wsfast COMMAND``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import PurePath
from typing import NoReturn

from wsfast.version import version

from . import accelerate, bench, connect, doctor, serve
from ._errors import CommandError

__all__ = ["main"]

#: Each has ``add(subparsers)``, which makes a parser whose ``run`` does the work.
COMMANDS = (connect, serve, bench, accelerate, doctor)

INTERRUPTED = 130  # what a shell says of a program that SIGINT has ended


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """End, with a line on standard error."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help tells more\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    started = PurePath(sys.argv[0]).stem
    name = "wsfast" if started == "wsfast" else "python -m wsfast"
    made = _Parser(prog=name, description="WebSockets from the command line.")
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
        The exit status: 0 if all went well, 1 if not, 2 for a wrong command line, 130
        after Ctrl-C.

    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    program: list[str] = []
    if words[:1] == ["accelerate"] and "--" in words:
        cut = words.index("--")
        words, program = words[:cut], words[cut + 1 :]
    options = parser().parse_args(words)
    options.program = program
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except CommandError as error:
        if getattr(options, "verbose", False) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"wsfast: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
