"""What the rounds of a case amount to: medians, spreads, ratios within rounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from bench.load.runner import Result, Sample


@dataclass
class Row:
    """One target in one case. ``ratio`` is the median of the rounds' own ratios."""

    name: str
    value: float
    best: float
    spread: tuple[float, float]
    ratio: float | None
    ratio_spread: tuple[float, float] | None
    rate: float
    latency_us: dict[str, float] = field(default_factory=dict)
    #: the most memory that the process has had
    peak_mib: float | None = None
    rejected: int = 0
    #: why rounds that were kept had been rejected, and how many of them
    remarks: dict[str, int] = field(default_factory=dict)


def value_of(result: Result, sample: Sample) -> float:
    """Return what a sample measures: KiB, messages per CPU second, or microseconds."""
    if result.case.figure == "memory":
        return sample.extra["kib"]
    if result.case.figure == "latency":
        return sample.latency_us["p50"]
    if result.case.figure == "rate":
        return 1e6 / sample.cpu_us
    return sample.cpu_us


def summarise(result: Result) -> list[Row]:
    """Return a row for each target that was measured."""
    rows = []
    reference = result.samples.get(result.case.reference)
    for name, samples in result.samples.items():
        if not samples:
            continue
        values = [value_of(result, sample) for sample in samples]
        ratios = []
        if reference is not None:
            ratios = [
                value_of(result, ours) / value_of(result, theirs)
                for ours, theirs in zip(samples, reference, strict=True)
                if value_of(result, theirs) > 0
            ]
        rows.append(
            Row(
                name=name,
                value=median(values),
                best=min(values),
                spread=(min(values), max(values)),
                ratio=median(ratios) if ratios else None,
                ratio_spread=(min(ratios), max(ratios)) if ratios else None,
                rate=median(sample.rate for sample in samples),
                latency_us={
                    key: median(sample.latency_us[key] for sample in samples)
                    for key in samples[0].latency_us
                },
                peak_mib=max(
                    (s.extra["peak_mib"] for s in samples if "peak_mib" in s.extra),
                    default=None,
                ),
                rejected=result.rejected[name],
                remarks=dict(Counter(s.remark for s in samples if s.remark)),
            )
        )
    return rows
