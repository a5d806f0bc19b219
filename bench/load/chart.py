"""
The charts of the load benchmark: ``python -m bench.load.chart REPORT.json CHART.svg``.

``CHART.svg`` has one panel a case, one bar a server: its length is the CPU time of a
message, the median of the rounds, and the line on it their spread.
``CHART-connections.svg`` is the cost of a message over the number of connections.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

from bench.load.cases import BY_CONNECTIONS
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
    "uvicorn-wsfast",
    "raw-uvloop",
    "picows",
    "ws",
    "aiohttp",
    "uvicorn-sansio",
    "websockets",
)
MARKERS = "osD^v<>PX*"
OURS, FLOOR, OTHERS = "#0b6e4f", "#9aa5b1", "#c98a3d"


def _colour(name: str) -> str:
    return OURS if "wsfast" in name else FLOOR if name == "floor" else OTHERS


def _panel(axes: Any, case: str, rows: dict[str, dict[str, Any]]) -> None:
    names = [name for name in SHOWN if name in rows]
    values = [rows[name]["value"] for name in names]
    places = range(len(names))
    spreads = [rows[name]["spread"] for name in names]
    axes.barh(
        places,
        values,
        xerr=[
            [value - low for value, (low, _) in zip(values, spreads, strict=True)],
            [high - value for value, (_, high) in zip(values, spreads, strict=True)],
        ],
        color=[_colour(name) for name in names],
        error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        height=0.72,
    )
    most = max(high for _, high in spreads)
    axes.set_yticks(places, [TARGETS[name].title for name in names])
    axes.invert_yaxis()
    for place, value, (_, high) in zip(places, values, spreads, strict=True):
        text = f" {value:.2f}" if value < 10 else f" {value:.0f}"
        axes.text(high, place, text, va="center", fontsize=8)
    axes.set_xlim(0, most * 1.15)
    axes.set_title(PANELS[case], fontsize=10, loc="left")
    axes.set_xlabel(UNITS.get(case, "CPU us per message"), fontsize=8)
    axes.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


Rows = dict[str, dict[str, Any]]


def _found(document: dict[str, Any]) -> dict[str, Rows]:
    return {
        entry["case"]["name"]: {row["name"]: row for row in entry["rows"]}
        for entry in document["cases"]
    }


def _draw_connections(document: dict[str, Any], found: dict[str, Rows]) -> Any:
    """Return a figure of the cost of a message over connections, on log axes."""
    counts = sorted(count for count, case in BY_CONNECTIONS.items() if case in found)
    names = [
        name
        for name in SHOWN
        if sum(name in found[BY_CONNECTIONS[count]] for count in counts) > 1
    ]
    if not names:
        return None
    figure, axes = plt.subplots(figsize=(7.2, 4.2))
    for name in names:
        rows = {
            count: found[BY_CONNECTIONS[count]][name]
            for count in counts
            if name in found[BY_CONNECTIONS[count]]
        }
        at = list(rows)
        axes.plot(
            at,
            [row["value"] for row in rows.values()],
            label=TARGETS[name].title,
            color=_colour(name),
            linestyle="--" if name == "wsfast" else "-",
            marker=MARKERS[SHOWN.index(name) % len(MARKERS)],
        )
        low, high = zip(*(row["spread"] for row in rows.values()), strict=True)
        axes.fill_between(at, low, high, color=_colour(name), alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.set_xlabel("connections, one message of 64 B in flight on each", fontsize=8)
    axes.set_ylabel("CPU us per message", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    return figure


def draw(document: dict[str, Any], path: Path) -> list[Path]:
    """
    Draw the report, as ``report.as_json`` makes it, into SVG files.

    Returns:
        Those that were written: there may be none.

    """
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wsfast"})
    found = _found(document)
    beside = path.with_name(f"{path.stem}-connections{path.suffix}")
    figures = {
        path: _draw_bars(document, found),
        beside: _draw_connections(document, found),
    }
    written = []
    for at, figure in figures.items():
        if figure is not None:
            figure.savefig(at, format="svg", metadata={"Date": None})
            plt.close(figure)
            written.append(at)
    return written


def _draw_bars(document: dict[str, Any], found: dict[str, Rows]) -> Any:
    """Return a figure of bars, a panel a case."""
    cases = [
        case for case in PANELS if any(name in SHOWN for name in found.get(case, ()))
    ]
    if not cases:
        return None
    columns = min(2, len(cases))
    lines = -(-len(cases) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(5.2 * columns, 2.9 * lines), squeeze=False
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
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("chart", type=Path)
    args = parser.parse_args()
    draw(json.loads(args.report.read_text()), args.chart)


if __name__ == "__main__":
    main()
