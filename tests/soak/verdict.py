"""
What a soak says in the end, from samples at rest.

At rest nobody talks but for the connections that stay, so that samples can be compared:
descriptors, threads and tasks must be those of the first rest, and memory may not grow.
The first rests are left out of the slope: until then, buffers, caches and the allocator
grow to the size that this traffic takes.
"""

from __future__ import annotations

from itertools import combinations
from statistics import median
from typing import Any

#: Share of the rests, from the first on, that are not judged.
WARM_UP = 0.25

#: Fewer rests behind the warm-up than this say nothing about a slope.
LEAST = 8

#: Growth of memory that is taken for none: MiB an hour, and octets a cycle. Whichever
#: allows more: a leak of one small object a connection is over both.
TOLERANCE_MIB = 2.0
TOLERANCE_OCTETS = 4.0

#: Objects that the collector knows, growth over the whole soak.
TOLERANCE_OBJECTS = 200

#: What must be at the end as it was at the first rest.
SAME = ("descriptors", "threads", "tasks")


def slope(points: list[tuple[float, float]]) -> float:
    """
    Return the slope of a line through points: the median of all pairs' (Theil, Sen).

    No outlier can bend it.
    """
    return median(
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2)
    )


def judge(
    rests: list[dict[str, Any]], cycles: int, ours: bool = True
) -> dict[str, Any]:
    """
    Judge one process.

    Args:
        rests: Its samples at rest, in order, each with ``at_s``.
        cycles: Connections that were opened and closed in all.
        ours: Whether the process runs wsfast, so that what it holds counts.

    Returns:
        Figures, and ``failures``: one line each.

    """
    first, last = rests[0], rests[-1]
    failures = [
        f"{name}: {first[name]} at the beginning, {last[name]} at the end"
        for name in SAME
        if ours and first[name] != last[name]
    ]
    failures += [f"wrong: {line}" for line in last["wrong"]]
    warm = rests[int(len(rests) * WARM_UP) :]
    found: dict[str, Any] = {"rests": len(rests), "judged": ours and len(warm) >= LEAST}
    for name in (*SAME, "rss_kib", "uss_kib", "objects"):
        found[name] = [first[name], last[name]]
    if found["judged"]:
        hours = (last["at_s"] - first["at_s"]) / 3600
        allowed = max(TOLERANCE_MIB, TOLERANCE_OCTETS * cycles / hours / (1 << 20))
        found["tolerance_mib_h"] = round(allowed, 2)
        for name, unit in (("rss_kib", 1024), ("uss_kib", 1024), ("objects", 1)):
            points = [(rest["at_s"] / 3600, rest[name] / unit) for rest in warm]
            found[f"{name.removesuffix('_kib')}_per_hour"] = round(slope(points), 3)
        if found["uss_per_hour"] > allowed:
            failures.append(
                f"memory grows by {found['uss_per_hour']} MiB an hour, "
                f"{found['tolerance_mib_h']} are allowed"
            )
        if found["objects_per_hour"] * hours > TOLERANCE_OBJECTS:
            failures.append(f"objects grow by {found['objects_per_hour']:.0f} an hour")
    found["failures"] = failures
    return found
