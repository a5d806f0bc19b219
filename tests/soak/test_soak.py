"""The soak, for some seconds; and its judgement, which must not let things pass."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.soak.__main__ import Soak, period
from tests.soak.book import Book, WrongError
from tests.soak.verdict import judge, slope


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_some_seconds_of_it() -> None:
    """All processes run, all talks come to their end, descriptors are given back."""
    pytest.importorskip("uvicorn")
    seed = random.randrange(1000)
    report = Soak(minutes=0.1, period_s=3, rate=100, seed=seed, cycles=60).run()
    assert not report["failures"], (seed, report["failures"])
    assert report["cycles"] >= 60
    assert report["residents"] == 40
    for samples in report["samples"].values():
        assert sum(sample["rest"] for sample in samples) >= 2


def test_periods_are_whole_until_the_end_and_when_connections_are_still_missing():
    assert [period(left, 60) for left in (100, 60, 20, 0.1, 0, -7)] == [
        60,
        60,
        20,
        1,
        60,
        60,
    ]


def rests(count: int, **grows: float) -> list[dict[str, Any]]:
    """Return samples at rest, a minute apart, with some noise."""
    noise = random.Random(1)
    base: dict[str, Any] = {
        **dict.fromkeys(("descriptors", "threads", "tasks"), 20),
        "objects": 30_000,
        "rss_kib": 40_000,
        "uss_kib": 20_000,
        "wrong": [],
    }
    return [
        base
        | {name: base[name] + by * n for name, by in grows.items()}
        | {"at_s": 60.0 * n, "rss_kib": 40_000 + noise.randrange(300)}
        for n in range(count)
    ]


def test_slope_is_that_of_most_points() -> None:
    points = [(float(x), 3.0 * x) for x in range(20)]
    points[7] = (7.0, 1000.0)
    assert slope(points) == pytest.approx(3, abs=0.1)


def test_nothing_grows() -> None:
    found = judge(rests(60), cycles=1_000_000)
    assert found["failures"] == []
    assert found["judged"]


def test_memory_that_is_still_growing_when_it_begins_is_not_held_against_it() -> None:
    samples = rests(60)
    for n in range(10):
        samples[n]["uss_kib"] -= (10 - n) * 500
    assert judge(samples, cycles=1_000_000)["failures"] == []


@pytest.mark.parametrize("name", ["descriptors", "threads", "tasks"])
def test_one_more_of_something(name: str) -> None:
    samples = rests(60)
    samples[-1][name] += 1
    (failure,) = judge(samples, cycles=1000)["failures"]
    assert failure.startswith(name)


def test_a_peer_of_its_own_make_is_not_judged() -> None:
    samples = rests(60, uss_kib=1000)
    samples[-1]["threads"] += 1
    assert judge(samples, 1000, ours=False)["failures"] == []
    samples[-1]["wrong"] = ["something"]
    assert judge(samples, 1000, ours=False)["failures"] == ["wrong: something"]


def test_leak_of_a_small_object_a_connection() -> None:
    """Sixteen octets, a million times in an hour."""
    (failure,) = judge(rests(60, uss_kib=16e6 / 1024 / 60), 1_000_000)["failures"]
    assert "memory grows by 15.2" in failure


def test_leak_of_objects() -> None:
    (failure,) = judge(rests(60, objects=5), cycles=1_000_000)["failures"]
    assert failure == "objects grow by 300 an hour"


def test_too_few_rests_say_nothing_of_a_slope() -> None:
    assert not judge(rests(5, uss_kib=1000), cycles=1000)["judged"]


def test_a_talk() -> None:
    client, server = Book(), Book()
    for what, size in [(1, 0), (3, 100), (0, 5000)]:
        for answer in server.answers(client.say(what, size).encode()):
            assert len(answer) == max(size, 40)
            client.hear(answer)
    (answer,) = server.answers(client.goodbye())
    client.hear(answer)
    assert client.done
    assert server.done
    assert (client.said, client.heard) == (4, 5)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (lambda one, two: one, "message 0 came as number 1"),
        (lambda one, two: two.say(1), "message 2 came as number 1"),
        (lambda one, two: "1 1 50 xxxx", "changed"),
        (lambda one, two: two.say(1).replace("x", "y", 1), "message 2|changed"),
        (lambda one, two: "1 bye-7 40 ".ljust(40, "x"), "bye-7 after 0"),
    ],
)
def test_what_is_lost_doubled_or_changed_is_noticed(second: Any, why: str) -> None:
    client, server = Book(), Book()
    one = client.say(0)
    list(server.answers(one))
    client.said += "2" in why
    with pytest.raises(WrongError, match=why):
        list(server.answers(second(one, client)))
