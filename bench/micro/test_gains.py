"""Each subject of `bench.micro.gains`, by itself and accelerated: the same results."""

from __future__ import annotations

from typing import Any

import pytest

from bench.micro import gains
from wsfast.accelerate import accelerate, undo

SUBJECTS = gains.subjects()


@pytest.mark.parametrize("accelerated", [False, True], ids=["itself", "accelerated"])
@pytest.mark.parametrize(
    "subject", SUBJECTS, ids=[f"{each.target}: {each.work}" for each in SUBJECTS]
)
def test_gain(benchmark: Any, subject: gains.Subject, accelerated: bool) -> None:
    plain = subject.prepare()()
    if accelerated:
        accelerate(subject.target)
    try:
        work = subject.prepare()
        assert work() == plain  # wrong is not fast
        benchmark.group = f"{subject.target}: {subject.work}"
        benchmark(work)
    finally:
        if accelerated:
            undo(subject.target)
