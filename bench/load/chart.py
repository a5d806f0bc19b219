"""
The chart of the load benchmark: ``python -m bench.load.chart REPORT.json CHART.svg``.

One panel a case, one bar a server, its length the CPU time of a message.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

from bench.load.targets import TARGETS

#: cases drawn where the report has them, and what the panel says
PANELS = {
    "echo64": "64 B, one in flight",
    "echo64x16": "64 B, 16 in flight",
    "echo1k": "1 KiB, one in flight",
    "echo1kx16": "1 KiB, 16 in flight",
    "storm": "handshakes",
    "memory": "an idle connection",
}
UNITS = {"storm": "CPU us per handshake", "memory": "KiB per connection"}
SHOWN = (
    "floor",
    "wsfast-callback",
    "wsfast",
    "raw-uvloop",
    "picows",
    "aiohttp",
    "websockets",
)
OURS, FLOOR, OTHERS = "#0b6e4f", "#9aa5b1", "#c98a3d"


def _colour(name: str) -> str:
    return OURS if name.startswith("wsfast") else FLOOR if name == "floor" else OTHERS


def _panel(axes: Any, case: str, rows: dict[str, dict[str, Any]]) -> None:
    names = [name for name in SHOWN if name in rows]
    values = [rows[name]["value"] for name in names]
    places = range(len(names))
    axes.barh(places, values, color=[_colour(name) for name in names], height=0.72)
    axes.set_yticks(places, [TARGETS[name].title for name in names])
    axes.invert_yaxis()
    for place, value in zip(places, values, strict=True):
        text = f" {value:.2f}" if value < 10 else f" {value:.0f}"
        axes.text(value, place, text, va="center", fontsize=8)
    axes.set_xlim(0, max(values) * 1.15)
    axes.set_title(PANELS[case], fontsize=10, loc="left")
    axes.set_xlabel(UNITS.get(case, "CPU us per message"), fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def draw(document: dict[str, Any], path: Path) -> None:
    """Draw the report, as ``report.as_json`` makes it, into an SVG file."""
    found = {
        entry["case"]["name"]: {row["name"]: row for row in entry["rows"]}
        for entry in document["cases"]
    }
    cases = [
        case for case in PANELS if any(name in SHOWN for name in found.get(case, ()))
    ]
    if not cases:
        return
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wsfast"})
    columns = min(2, len(cases))
    lines = -(-len(cases) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(5.2 * columns, 2.4 * lines), squeeze=False
    )
    for axes in grid.flat[len(cases) :]:
        axes.set_axis_off()
    for axes, case in zip(grid.flat, cases, strict=False):
        _panel(axes, case, found[case])
    facts = document["facts"]
    figure.suptitle(
        "WebSocket echo, server alone on one core: shorter is better", fontsize=11
    )
    figure.supxlabel(
        f"{facts['CPU']}, {facts['kernel']}, {facts['Python']}", fontsize=8
    )
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("chart", type=Path)
    args = parser.parse_args()
    draw(json.loads(args.report.read_text()), args.chart)


if __name__ == "__main__":
    main()
