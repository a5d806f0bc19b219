"""
The report as one HTML file: ``python -m bench.load.page REPORT.json PAGE.html``.

Tables and charts in one file that needs nothing else, with what was measured where, and
how.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
td, th { padding: 0.15rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; }
tr.ours { color: #0b6e4f; font-weight: 600; }
svg { max-width: 100%; height: auto; }
"""

#: what a reader has to know to believe the figures
METHOD = (
    "The server has one core to itself, the load client the other; the client polls "
    "without sleeping, so that no server pays for waking it, and compares every octet.",
    "CPU time is user and system time of the server process, from its own clock, read "
    "at both ends of the measured seconds, after a warm-up that does not count.",
    "Rounds are interleaved: each measures every server once. A ratio is made of two "
    "figures of one round; shown are the median of the rounds and their spread.",
    "A round in which other programs had more than a few per cent of a core, or in "
    "which the load was the limit, is repeated; one that was kept all the same is told "
    "of below its table.",
)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], ours: set[int]) -> str:
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(h)}</th>" for h in head)]
    for number, row in enumerate(rows):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        kind = ' class="ours"' if number in ours else ""
        lines.append(f"<tr{kind}>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def _case(text: str) -> str:
    """Return a section of the Markdown report as HTML."""
    title, _, rest = text.partition("\n")
    lines = [line for line in rest.splitlines() if line.strip()]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|") and not line.startswith("| ---")
    ]
    ours = {i for i, row in enumerate(cells[1:]) if "wsfast" in row[0]}
    table = _table(cells[0], cells[1:], ours) if cells else ""
    remarks = [escape(line) for line in lines if not line.startswith("|")]
    notes = "".join(f"<p>{remark}</p>" for remark in remarks)
    return f"<h2>{escape(title)}</h2>\n{table}\n{notes}"


def page(markdown: str, facts: Mapping[str, str], charts: Sequence[str]) -> str:
    """
    Return the page.

    Args:
        markdown: The report, with one section a case.
        facts: Of the machine, and versions.
        charts: SVG documents.

    """
    sections = markdown.split("\n### ")[1:]
    told = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in facts.items())
    method = "".join(f"<li>{escape(note)}</li>" for note in METHOD)
    drawn = "".join(chart[chart.index("<svg") :] for chart in charts)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>wsfast: load benchmark</title><style>{STYLE}</style></head><body>",
            "<h1>Load benchmark</h1>",
            drawn,
            f"<h2>Where</h2><ul>{told}</ul>",
            f"<h2>How</h2><ul>{method}</ul>",
            *map(_case, sections),
            "</body></html>",
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load.page", description=__doc__
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    from bench.load.chart import draw

    document: dict[str, Any] = json.loads(args.report.read_text())
    with tempfile.TemporaryDirectory() as folder:
        charts = [p.read_text() for p in draw(document, Path(folder) / "chart.svg")]
    text = page(document["markdown"], document["facts"], charts)
    args.page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
