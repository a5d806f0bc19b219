"""
The plot of a soak: ``python -m tests.soak.plot SOAK.json SOAK.svg``.

Memory of each process at rest and in traffic, then descriptors at rest, all over time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

TITLES = {
    "reactor": "server, reactor",
    "transport": "server, asyncio's transports",
    "uvicorn": "worker of uvicorn",
    "clients": "wsfast's clients",
}
COLOURS = dict(zip(TITLES, ("#0b6e4f", "#c98a3d", "#3d6bc9", "#7a4fa3"), strict=True))


def _points(
    samples: list[dict[str, Any]], name: str, unit: float, rest: bool
) -> tuple[list[float], list[float]]:
    found = [sample for sample in samples if sample["rest"] is rest]
    return [s["at_s"] / 60 for s in found], [s[name] / unit for s in found]


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the report of a soak into an SVG file."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "wsfast"})
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7.2, 5.4), sharex=True, height_ratios=(2, 1)
    )
    for name, title in TITLES.items():
        samples, colour = report["samples"][name], COLOURS[name]
        above.plot(*_points(samples, "uss_kib", 1024, True), color=colour, label=title)
        traffic = _points(samples, "uss_kib", 1024, False)
        above.plot(*traffic, ".", color=colour, alpha=0.25, markersize=2)
        below.plot(*_points(samples, "descriptors", 1, True), color=colour)
    above.set_ylim(bottom=0)
    below.set_ylim(bottom=0)
    above.set_ylabel("memory (USS), MiB", fontsize=8)
    below.set_ylabel("descriptors at rest", fontsize=8)
    below.set_xlabel("minutes; lines: at rest, dots: in traffic", fontsize=8)
    above.legend(fontsize=8, ncols=2, loc="lower right")
    for axes in (above, below):
        axes.tick_params(labelsize=8, length=0)
        axes.grid(True, linewidth=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    title = f"{report['cycles']:,} connections, {report['messages']:,} messages"
    above.set_title(title, fontsize=10, loc="left")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("plot", type=Path)
    args = parser.parse_args()
    draw(json.loads(args.report.read_text()), args.plot)


if __name__ == "__main__":
    main()
