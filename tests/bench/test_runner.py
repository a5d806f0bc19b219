"""Rounds of the load benchmark: servers kept and ended, rounds repeated and judged."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import SHORT
from bench.load import __main__ as program
from bench.load import runner
from bench.load.cases import CASES, Case
from bench.load.fleet import Fleet
from bench.load.progress import Progress
from bench.load.runner import Options, Sample, judged, run_case
from bench.load.targets import Target

OPTIONS = Options(rounds=1, seconds=0.1, warmup=0, retries=2)
NEVER = float("inf")


def script(text: str) -> tuple[str, ...]:
    """Return the command of a program in shell; its arguments are $1 and so on."""
    return ("/bin/sh", "-c", text, "sh")


def listens(name: str, text: str = "") -> Target:
    """Return a server that says it listens, runs a script, and waits for its end."""
    return Target(name, name, script(f'echo "port 9 pid $$"; {text} read end'))


@pytest.fixture
def fleet():
    with Fleet(0, 0) as fleet:
        yield fleet


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Return what writes the load client: a script in shell."""
    monkeypatch.setattr(runner, "BUILD", tmp_path)

    def write(text: str) -> None:
        path = tmp_path / "client"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    return write


@pytest.mark.parametrize("more", [[], ["--set", "main"]], ids=["all", "a set"])
def test_few_limits_connections_and_nothing_else(more):
    def cases(*arguments: str) -> list[Case]:
        args = program._parser().parse_args([*more, *arguments])
        return [case for case, _ in program._chosen(args)]

    usual, few = cases(), cases("--few", "300")
    assert max(case.connections for case in usual) == 10_000
    assert len(usual) == len(few)
    for one, other in zip(usual, few, strict=True):
        assert other.connections == min(one.connections, 300)
        assert vars(one) | {"connections": 0} == vars(other) | {"connections": 0}


def test_the_short_run_is_one_that_the_load_benchmark_takes():
    args = program._parser().parse_args(SHORT[1])
    assert (args.rounds, args.few, args.strict) == (1, 300, True)


def test_a_round_without_a_message_is_repeated_as_a_longer_one():
    # The arguments are --warmup 0 --seconds SECONDS.
    text = (
        'case $4 in 0.1) m=0;; *) m=7;; esac; echo "{\\"messages\\": $m, \\"s\\": $4}"'
    )
    found = runner._round([*script(text)], CASES["echo64"], OPTIONS)
    assert found == {"messages": 7, "s": 0.4}


def test_a_round_is_not_repeated_for_ever():
    nothing = [*script("echo '{\"messages\": 0}'")]
    with pytest.raises(RuntimeError, match=r"no message came back in 1\.6 s"):
        runner._round(nothing, CASES["echo64"], OPTIONS)


def test_a_case_says_what_it_needs_at_least():
    found = runner._round(
        [*script('echo "{\\"messages\\": 1, \\"s\\": $4}"')], CASES["echo16m"], OPTIONS
    )
    assert found["s"] == CASES["echo16m"].min_seconds


def test_a_load_that_fails_says_why():
    command = [*script("echo one >&2; echo the last >&2; exit 3")]
    with pytest.raises(RuntimeError, match=r"^the last$"):
        runner._round(command, CASES["echo64"], OPTIONS)


def test_of_rejected_rounds_the_least_noisy_one_is_kept(load):
    noises = [0.5, 0.1, 0.2]
    left = [Sample(1.0, 1.0, 1.0, noise) for noise in noises]
    best, rejected = judged(CASES["echo64"], OPTIONS, lambda: left.pop(0), NEVER)
    assert (best.noise, best.remark) == (0.1, "other programs ran on its core")
    assert rejected == OPTIONS.retries


def test_a_round_in_which_the_load_was_the_limit_is_repeated(load):
    left = [Sample(1.0, 1.0, busy, 0.0) for busy in (0.5, 0.95)]
    best, rejected = judged(CASES["echo64"], OPTIONS, lambda: left.pop(0), NEVER)
    assert (best.busy, best.remark, rejected) == (0.95, "", 1)
    idle = Sample(1.0, 1.0, 0.1, 0.0)
    best, rejected = judged(CASES["one"], OPTIONS, lambda: idle, NEVER)
    assert (best.remark, rejected) == ("", 0)  # one message in flight: it may sleep


def test_servers_are_kept_with_the_options_that_they_have(fleet):
    target = listens("kept")
    plain, tls = fleet.get(target), fleet.get(target, "--tls")
    assert plain.pid != tls.pid
    assert fleet.get(target) is plain and fleet.get(target, "--tls") is tls


def test_a_server_that_failed_is_ended_and_the_next_case_has_another(fleet):
    target = listens("failed")
    tls, first = fleet.get(target, "--tls"), fleet.get(target)
    fleet.end(target)
    assert first.process.wait(10) != 0
    second = fleet.get(target)
    assert second.pid != first.pid and second.process.poll() is None
    assert fleet.get(target, "--tls") is tls
    fleet.end(listens("never started"))


def test_a_server_that_ended_by_itself_is_replaced(fleet):
    target = Target("ends", "", script('echo "port 9 pid $$"; sleep 0.05'))
    first = fleet.get(target)
    first.process.wait(10)
    assert fleet.get(target).pid != first.pid


def test_a_server_may_say_more_than_a_pipe_holds(fleet, tmp_path):
    said = tmp_path / "said"
    text = f"head -c 1000000 /dev/zero; echo enough > {said};"
    running = fleet.get(listens("loud", text))
    running.process.stdin.close()
    assert running.process.wait(10) != 127 and said.read_text() == "enough\n"


def test_a_case_goes_on_without_the_server_that_failed_in_it(fleet, load, tmp_path):
    seen = tmp_path / "seen"
    answer = {
        "messages": 10,
        "wall_s": 1,
        "server_cpu_s": 1e-4,
        "server_wait_s": 0,
        "client_wait_s": 0,
        "p50_us": 5,
    }
    load(
        f'echo "$@" >> {seen}\n'
        f'case "$*" in *"--size 1024"*) echo wrong echo >&2; exit 1;; esac\n'
        f"echo '{json.dumps(answer)}'"
    )
    bad = Target("bad", "", script("echo no such thing >&2; exit 1"))
    targets = [bad, listens("good")]
    progress = Progress(1, None, None)

    options = Options(rounds=2, seconds=0.1, warmup=0, busy=0)
    results = [
        run_case(CASES[name], targets, options, fleet, progress)
        for name in ("echo64", "echo1k", "echo16")
    ]
    assert [[*r.samples] for r in results] == [["good"], [], ["good"]]
    assert all(r.failed["bad"] == "did not start: no such thing" for r in results)
    assert results[1].failed["good"] == "wrong echo"
    assert [s.cpu_us for s in results[0].samples["good"]] == [pytest.approx(10)] * 2
    lines = seen.read_text().splitlines()
    pids = [line.partition("--pid ")[2].split()[0] for line in lines]
    one, other = dict.fromkeys(pids)
    assert pids == [one, one, one, other, other]  # having failed, it was asked no more
