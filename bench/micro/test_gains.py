"""Each subject of `bench.micro.gains`, by itself and accelerated: the same results."""

from __future__ import annotations

from typing import Any

import pytest

from bench.micro import gains
from wsfast.accelerate import accelerate, undo

#: by name: pytest-benchmark writes what parameters are into its file, payloads and all
SUBJECTS = {f"{each.target}: {each.work}": each for each in gains.subjects()}


@pytest.mark.parametrize("accelerated", [False, True], ids=["itself", "accelerated"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_gain(benchmark: Any, name: str, accelerated: bool) -> None:
    subject = SUBJECTS[name]
    plain = subject.prepare()()
    if accelerated:
        accelerate(subject.target)
    try:
        work = subject.prepare()
        assert work() == plain  # wrong is not fast
        benchmark.group = name
        benchmark(work)
    finally:
        if accelerated:
            undo(subject.target)
