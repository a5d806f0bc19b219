"""Which cases of the suite a run takes, and what counts as a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Message, frame and closing rules: 247 cases, some fifteen seconds.
QUICK = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")

#: Compression, thinned out: each kind of payload and each set of parameters with small
#: messages, some of them with larger ones, and one with large messages in frames.
SAMPLE = (
    *(f"12.{n}.{size}" for n in range(1, 6) for size in (1, 4)),
    *(f"13.{n}.{size}" for n in range(1, 8) for size in (1, 4)),
    *("12.1.6", "13.3.6", "13.7.6", "12.1.11"),
)

SETS: dict[str, tuple[str, ...]] = {
    "quick": QUICK,
    "limits": ("9.*",),
    "sample": SAMPLE,
    "ci": (*QUICK, "9.*", *SAMPLE),
    "deflate": ("12.*", "13.*"),
    "all": ("*",),
}

#: How many cases each set has, so that one that silently shrinks is seen.
COUNTS = {
    "quick": 247,
    "limits": 54,
    "sample": len(SAMPLE),
    "ci": 247 + 54 + len(SAMPLE),
    "deflate": 216,
    "all": 517,
}

#: Cases that have no right answer: what they observe is only noted.
INFORMATIONAL = frozenset({"7.1.6", "7.13.1", "7.13.2"})


@dataclass
class Verdict:
    """
    What a run of the suite says about one agent.

    Attributes:
        agent: Name of the agent.
        ok: Number of cases passed.
        informational: Cases that have no right answer.
        failures: Case, and the behaviour reported for messages and for closing.

    """

    agent: str
    ok: int = 0
    informational: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of cases in the report."""
        return self.ok + len(self.informational) + len(self.failures)

    def line(self) -> str:
        """Return the verdict in one line."""
        text = (
            f"{self.agent}: {self.total} cases, {self.ok} OK, "
            f"{len(self.informational)} informational, {len(self.failures)} failed"
        )
        failures = ", ".join(f"{case} {why}" for case, why in self.failures.items())
        return f"{text}: {failures}" if failures else text


def order(case: str) -> list[int]:
    """Return the sorting key of a case number."""
    return [int(part) for part in case.split(".")]


def judge(agent: str, results: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """
    Judge the results of an agent: NON-STRICT is a failure, so is anything unknown.

    Args:
        agent: Name of the agent.
        results: Case number to the entry of the suite's ``index.json``.

    """
    verdict = Verdict(agent)
    for case in sorted(results, key=order):
        behaviour = results[case]["behavior"]
        closing = results[case]["behaviorClose"]
        allowed = {"OK", "INFORMATIONAL"} if case in INFORMATIONAL else {"OK"}
        if not {behaviour, closing} <= allowed:
            verdict.failures[case] = f"{behaviour}/{closing}"
        elif behaviour == "OK":
            verdict.ok += 1
        else:
            verdict.informational.append(case)
    return verdict
