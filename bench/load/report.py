"""The report of the load benchmark: Markdown for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.load.runner import Result
from bench.load.summary import Row, summarise
from bench.load.targets import Target

LATENCIES = {"p50": "p50 us", "p99": "p99 us", "p999": "p99.9 us"}
#: kinds of cases in which the load client is C, and takes the time of each message
WITH_LATENCY = ("echo", "broadcast", "storm")


def _spread(pair: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if pair is None else f"{pair[0]:.{digits}f} - {pair[1]:.{digits}f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _unit(result: Result) -> str:
    if result.case.figure == "memory":
        return "KiB per connection"
    if result.case.figure == "latency":
        return "round trip us"
    if result.case.figure == "rate":
        return "messages per CPU second"
    unit = "handshake" if result.case.kind == "storm" else "message"
    return f"CPU us per {unit}"


def _cells(result: Result, row: Row, titles: Mapping[str, str]) -> list[str]:
    cells = [titles.get(row.name, row.name), _figure(row.value)]
    cells.append("" if row.ratio is None else f"{row.ratio:.2f}")
    cells.append(_spread(row.ratio_spread))
    if result.case.kind != "memory":
        cells.append(f"{row.rate:,.0f}")
    if result.case.kind in WITH_LATENCY:
        cells += [f"{row.latency_us[key]:.0f}" for key in LATENCIES]
    if row.peak_mib is not None:
        cells.append(f"{row.peak_mib:.0f}")
    return cells


def _table(result: Result, rows: Sequence[Row], titles: Mapping[str, str]) -> list[str]:
    reference = titles.get(result.case.reference, result.case.reference)
    head = ["", _unit(result), f"ratio to {reference}", "spread"]
    if result.case.kind != "memory":
        head.append("per second")
    if result.case.kind in WITH_LATENCY:
        head += list(LATENCIES.values())
    if any(row.peak_mib is not None for row in rows):
        head.append("peak MiB")
    lines = [f"### {result.case.title}", ""]
    lines.append("| " + " | ".join(head) + " |")
    lines.append("| --- |" + " ---: |" * (len(head) - 1))
    lines += ["| " + " | ".join(_cells(result, row, titles)) + " |" for row in rows]
    remarks = [
        f"{titles.get(row.name, row.name)}: rounds kept although {remark}: {count}"
        for row in rows
        for remark, count in row.remarks.items()
    ]
    remarks += [
        f"{titles.get(n, n)}: left out: {why}" for n, why in result.failed.items()
    ]
    repeated = sum(row.rejected for row in rows)
    lines.append("")
    if repeated:
        lines += [f"Rounds rejected and repeated: {repeated}.", ""]
    if remarks:
        lines += [*(f"- {remark}" for remark in remarks), ""]
    return lines


def markdown(
    results: Sequence[Result], targets: Sequence[Target], facts: Mapping[str, str]
) -> str:
    """Return the whole report."""
    titles = {target.name: target.title for target in targets}
    lines = ["# Load benchmark", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines.append("")
    for result in results:
        lines += _table(result, summarise(result), titles)
    return "\n".join(lines).rstrip() + "\n"


def as_json(
    results: Sequence[Result],
    facts: Mapping[str, str],
    settings: Mapping[str, Any],
    text: str,
) -> dict[str, Any]:
    """Return the report with every sample in it, and as Markdown."""
    return {
        "facts": dict(facts),
        "settings": dict(settings),
        "markdown": text,
        "cases": [
            {
                "case": asdict(result.case),
                "rows": [asdict(row) for row in summarise(result)],
                "samples": {
                    name: [asdict(sample) for sample in samples]
                    for name, samples in result.samples.items()
                },
                "failed": result.failed,
            }
            for result in results
        ],
    }
