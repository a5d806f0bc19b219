"""A histogram of durations, with a relative error below 1 %."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Histogram"]

SUB_BITS = 6  # 64 buckets for each power of two
TOP_BITS = SUB_BITS + 1
POWERS = 44 - TOP_BITS  # of nanoseconds: 2**44 of them are almost five hours


class Histogram:
    """Durations, of which only a count per bucket is kept."""

    def __init__(self) -> None:
        self.buckets = [0] * ((POWERS + 2) << SUB_BITS)
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, duration_s: float, count: int = 1) -> None:
        """Add a duration, or so many that are equal."""
        ns = int(duration_s * 1e9) if duration_s > 0 else 0
        shift = ns.bit_length() - TOP_BITS
        if shift > 0:
            ns = (shift << SUB_BITS) + (ns >> shift)
            ns = min(ns, len(self.buckets) - 1)
        self.buckets[ns] += count
        self.count += count
        self.total += duration_s * count
        if duration_s > self.longest:
            self.longest = duration_s

    def merge(self, other: Histogram) -> None:
        """Add what another one has."""
        pairs = zip(self.buckets, other.buckets, strict=True)
        self.buckets = [mine + theirs for mine, theirs in pairs]
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    @property
    def mean(self) -> float:
        """The mean, in seconds."""
        return self.total / self.count if self.count else 0.0

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """
        Return durations in seconds.

        Args:
            shares: Each the share of all that are not longer, ascending, from 0 to 1.

        """
        found = []
        seen, index = 0, -1
        for share in shares:
            goal = max(1, share * self.count)
            while seen < goal and index < len(self.buckets) - 1:
                index += 1
                seen += self.buckets[index]
            found.append(min(_middle(index), self.longest) if self.count else 0.0)
        return found


def _middle(index: int) -> float:
    """Return the duration in the middle of a bucket, in seconds."""
    shift = max(0, (index >> SUB_BITS) - 1)
    low = (index - (shift << SUB_BITS)) << shift
    return (low + ((1 << shift) - 1) / 2) * 1e-9
