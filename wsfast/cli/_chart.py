"""The chart of ``bench``: latency by percentile, as SVG, without a library."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from ._histogram import Histogram

__all__ = ["chart"]

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 64, 48
COLOURS = ("#0b6e4f", "#c98a3d")
STEPS = 40  # points of a curve for each power of ten


def chart(title: str, subtitle: str, curves: dict[str, Histogram]) -> str:
    """
    Return an SVG document.

    Args:
        title: Its first line.
        subtitle: Its second line.
        curves: By their names, at most two.

    """
    most = max(histogram.count for histogram in curves.values())
    nines = max(2, math.ceil(math.log10(max(most, 1))))  # the last has one beyond it
    shares = [1 - 10 ** (-i / STEPS) for i in range(nines * STEPS + 1)]
    values = {name: each.quantiles(shares) for name, each in curves.items()}
    step, top, unit, scale = _axis(max(max(each) for each in values.values()))
    plot_width = WIDTH - LEFT - RIGHT
    plot_height = HEIGHT - TOP - BOTTOM

    def x(index: float) -> float:
        return LEFT + plot_width * index / (nines * STEPS)

    def y(seconds: float) -> float:
        return TOP + plot_height * (1 - seconds / top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 24, title, size=15),
        _text(LEFT, 44, subtitle, colour="#666"),
    ]
    for number in range(round(top / step) + 1):
        at = y(number * step)
        parts.append(
            f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd" fill="none"/>'
        )
        label = f"{number * step * scale:g} {unit}"
        parts.append(_text(LEFT - 8, at + 4, label, anchor="end"))
    for power in range(nines + 1):
        label = "0 %" if power == 0 else f"{100 - 10 ** (2 - power):.10g} %"
        parts.append(_text(x(power * STEPS), HEIGHT - 26, label, anchor="middle"))
    middle = LEFT + plot_width / 2
    label = "share of the messages that were not slower"
    parts.append(_text(middle, HEIGHT - 8, label, anchor="middle", colour="#666"))
    for place, (name, each) in enumerate(values.items()):
        points = " ".join(
            f"{x(index):.1f},{y(seconds):.1f}" for index, seconds in enumerate(each)
        )
        colour = COLOURS[place % len(COLOURS)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        parts.append(_text(LEFT + 12, TOP + 18 + 18 * place, name, colour=colour))
    return "\n".join([*parts, "</svg>", ""])


def _text(
    x: float,
    y: float,
    text: str,
    size: int = 12,
    anchor: str = "start",
    colour: str = "#222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _axis(longest: float) -> tuple[float, float, str, float]:
    """Return step, end and unit of an axis, and what makes seconds of that unit."""
    longest = max(longest, 1e-6)
    unit, scale = next(
        (
            (unit, scale)
            for limit, unit, scale in ((1e-3, "us", 1e6), (1.0, "ms", 1e3))
            if longest < limit
        ),
        ("s", 1.0),
    )
    power = 10.0 ** math.floor(math.log10(longest / 5))
    step = next(power * n for n in (1, 2, 5, 10) if power * n * 6 >= longest)
    return step, step * math.ceil(longest / step - 1e-9), unit, scale
