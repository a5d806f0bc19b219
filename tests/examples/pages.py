"""Reads the examples out of the manual's pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- example: (?P<kind>[\w ]+) -->\n)?"
    r"^```(?P<language>[\w{}-]*)\n(?P<text>.*?)^```$"
    r"(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    """
    An example.

    Attributes:
        kind: ``server``, ``client`` (of the server before it), ``run``, ``pytest``, or
            one that ``test_around.py`` knows; None if the page does not say.
        text: The program.
        output: What it prints; None if the page does not say.
        line: Where in the page it begins.

    """

    kind: str | None
    text: str
    output: str | None
    line: int


def examples(page: Path) -> list[Example]:
    """Return the Python examples of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Example(
            match["kind"],
            match["text"],
            match["output"],
            text.count("\n", 0, match.start()),
        )
        for match in FENCE.finditer(text)
        if match["language"] == "python"
    ]


CONSOLE = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the commands of a page, each of which ends by itself."""
    lines = "".join(
        match["text"] for match in CONSOLE.finditer(page.read_text(encoding="utf-8"))
    )
    return [line[2:] for line in lines.splitlines() if line.startswith("$ ")]
