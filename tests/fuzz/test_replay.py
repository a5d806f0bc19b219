"""What fuzzing keeps is tried in every run, and a little is made of it."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutate import corpus, mutated
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    seeds = corpus(name)
    assert seeds
    for data in seeds:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str) -> None:
    rng = random.Random(name)
    seeds = corpus(name)
    for _ in range(200):
        data = mutated(rng, seeds)
        try:
            TARGETS[name](data)
        except Exception as exc:
            raise AssertionError(f"{name} fails with {data!r}") from exc
