"""What a terminal makes different: colour, width, characters that it obeys."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import TextIO

__all__ = [
    "Bar",
    "Style",
    "coloured",
    "columns_of",
    "one_line",
    "printable",
    "rows",
    "width_of",
]

#: Control characters: a terminal obeys them, so nobody else may choose them.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LINE_ENDS = re.compile(r"[\t\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029 ]+")


def coloured(stream: TextIO | None) -> bool:
    """Tell whether to print in colour: on a terminal, unless NO_COLOR is set."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class Style:
    """
    Colours, or none.

    Args:
        stream: Where the text goes.

    """

    def __init__(self, stream: TextIO | None) -> None:
        self.on = coloured(stream)

    def __call__(self, name: str, text: str) -> str:
        """Return the text in a colour: ``red``, ``green``, ``blue`` or ``faint``."""
        if not self.on:
            return text
        number = {"red": 31, "green": 32, "blue": 34, "faint": 2, "bold": 1}[name]
        return f"\x1b[{number}m{text}\x1b[0m"


def printable(text: str) -> str:
    r"""Return a text with control characters, but for \t and \n, made visible."""
    return CONTROLS.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return printable(LINE_ENDS.sub(" ", text)).strip()


def columns_of(stream: TextIO) -> int:
    """Return how wide a terminal is, whatever COLUMNS said before it was resized."""
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, 10)
    except (OSError, ValueError):
        return 80


def width_of(text: str) -> int:
    """Return the columns that a line takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def rows(text: str, width: int) -> list[str]:
    """
    Cut a text into the rows that it takes.

    Args:
        text: Without control characters but tabs and line ends.
        width: Columns of a row.

    """
    found = []
    for line in text.expandtabs(8).split("\n"):
        row: list[str] = []
        used = 0
        for character in line:
            columns = 1 if character.isascii() else _columns(character)
            if used + columns > width and row:
                found.append("".join(row))
                row, used = [], 0
            row.append(character)
            used += columns
        found.append("".join(row))
    return found


class Bar:
    """
    A progress bar on standard error; nothing where that is no terminal.

    Args:
        stream: Where to draw it.

    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.on = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.style = Style(self.stream)
        self.drawn = False

    def show(self, done: float, text: str) -> None:
        """
        Draw the bar.

        Args:
            done: Share that is done, from 0 to 1.
            text: What to say behind it.

        """
        if not self.on:
            return
        columns = columns_of(self.stream)
        room = max(10, min(40, columns - len(text) - 4))
        full = round(room * min(max(done, 0.0), 1.0))
        bar = self.style("green", "#" * full) + self.style("faint", "-" * (room - full))
        line = f"[{bar}] {text[: max(0, columns - room - 4)]}"
        self.stream.write(f"\r\x1b[K{line}")
        self.stream.flush()
        self.drawn = True

    def clear(self) -> None:
        """Take the bar away."""
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self.drawn = False
