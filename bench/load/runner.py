"""Rounds of the load benchmark: start servers, load them in turn, judge the result."""

from __future__ import annotations

import fcntl
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.load.cases import Case
from bench.load.dialects import DIALECTS
from bench.load.fleet import ROOT, Fleet, Running, priority, server
from bench.load.targets import BUILD, Target

#: A round that lasts so long, in seconds, is not repeated as a longer one.
LONG_S = 1.0


@dataclass(frozen=True)
class Options:
    """How to measure, the same for all cases."""

    rounds: int = 5
    seconds: float = 1.0
    warmup: float = 0.3
    server_core: int = 0
    client_core: int = 1
    #: scheduling priority of what is measured, where the system allows it
    nice: int = 0
    #: share of a round's time that a core may be taken by other programs
    noise: float = 0.03
    #: share of a round that the server has to be busy; below it the load was the limit
    busy: float = 0.9
    #: how often a rejected round is repeated before it is kept with a remark
    retries: int = 3


@dataclass
class Sample:
    """One target in one round."""

    cpu_us: float
    rate: float
    busy: float
    noise: float
    latency_us: dict[str, float] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    remark: str = ""


@dataclass
class Result:
    """All rounds of one case: for each target its samples, one a round."""

    case: Case
    samples: dict[str, list[Sample]]
    rejected: dict[str, int]
    failed: dict[str, str]


def _run_json(command: Sequence[str], nice: int, timeout_s: float) -> dict[str, float]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=priority(nice),
    )
    if done.returncode != 0 or not done.stdout.strip():
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise RuntimeError(lines[-1])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


def load_command(case: Case, target: Target, port: int, core: int) -> list[str]:
    """Return the command line of the load client, without its durations."""
    command = [str(BUILD / "client"), "--port", str(port), "--core", str(core)]
    command += ["--connections", str(case.connections), "--size", str(case.size)]
    command += ["--depth", str(case.depth), "--kind", case.payload]
    command += ["--fragments", str(case.fragments)]
    if case.deflate is not None:
        command += ["--deflate", case.deflate]
    if case.dialect:
        command += DIALECTS[case.dialect].options(case.kind == "broadcast")
    command += ["--raw"] if target.raw else []
    command += ["--tls"] if case.tls else []
    command += [f"--{case.kind}"] if case.kind in ("storm", "broadcast") else []
    command += ["--stalled"] if case.stalled else []
    return command


def server_options(case: Case) -> list[str]:
    """Return what a server is told for a case."""
    options = ["--tls"] if case.tls else []
    return options + (["--deflate"] if case.deflate is not None else [])


def _round(command: list[str], case: Case, options: Options) -> dict[str, float]:
    """Run a program for one round: a longer one, if no message came back in it."""
    seconds = max(options.seconds, case.min_seconds)
    command += ["--warmup", str(options.warmup)]
    while True:
        timeout_s = seconds + options.warmup + 60
        once = [*command, "--seconds", str(seconds)]
        found = _run_json(once, options.nice, timeout_s)
        if found["messages"] > 0:
            return found
        if seconds >= LONG_S:
            raise RuntimeError(f"no message came back in {seconds:.1f} s")
        seconds *= 4


def measure_server(case: Case, running: Running, options: Options) -> Sample:
    """Load one server for one round."""
    command = load_command(case, running.target, running.port, options.client_core)
    found = _round([*command, "--pid", str(running.pid)], case, options)
    wall = found["wall_s"]
    latency = {k[:-3]: v for k, v in found.items() if k.endswith("_us")}
    return Sample(
        cpu_us=found["server_cpu_s"] / found["messages"] * 1e6,
        rate=found["messages"] / wall,
        busy=(found["server_cpu_s"] + found["server_wait_s"]) / wall,
        noise=max(found["server_wait_s"], found["client_wait_s"]) / wall,
        latency_us=latency,
        extra={"peak_mib": _peak_mib(running.pid)},
    )


def _peak_mib(pid: int) -> float:
    """Return the most memory that a process has had since it started."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure_client(
    case: Case, running: Running, target: Target, options: Options
) -> Sample:
    """Run one client against a C server that polls on the other core."""
    command = [*target.command, "--port", str(running.port)]
    command += ["--core", str(options.server_core)]
    command += ["--connections", str(case.connections), "--size", str(case.size)]
    command += ["--tls"] if case.tls else []
    waited = _waited_s(running.pid)
    found = _round(command, case, options)
    waited = _waited_s(running.pid) - waited
    wall = found["wall_s"]
    return Sample(
        cpu_us=found["client_cpu_s"] / found["messages"] * 1e6,
        rate=found["messages"] / wall,
        busy=(found["client_cpu_s"] + found["client_wait_s"]) / wall,
        noise=max(found["client_wait_s"], waited) / wall,
        extra={"peak_mib": found["peak_mib"]},
    )


def _waited_s(pid: int) -> float:
    """Return how long a process was ready to run and did not."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def judge(case: Case, sample: Sample, options: Options) -> str:
    """Say why a sample is to be rejected; an empty string if it is not."""
    if sample.noise > options.noise:
        return "other programs ran on its core"
    if not case.may_sleep and sample.busy < options.busy:
        return "the load was the limit"
    return ""


@contextmanager
def turn() -> Iterator[None]:
    """Measure alone: several benchmarks on one machine take turns, sample by sample."""
    with (BUILD / "turn").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def judged(
    case: Case, options: Options, measure: Callable[[], Sample], until: float
) -> tuple[Sample, int]:
    """Measure until a sample stands; keep the best of the rejected ones otherwise."""
    best: Sample | None = None
    for attempt in range(options.retries + 1):
        if best is not None and time.monotonic() > until:
            return best, attempt - 1
        with turn():
            sample = measure()
        sample.remark = judge(case, sample, options)
        if not sample.remark:
            return sample, attempt
        if best is None or sample.noise < best.noise:
            best = sample
    assert best is not None
    return best, options.retries


def _rss_kib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    raise RuntimeError("no Pss")


def measure_memory(case: Case, target: Target, options: Options) -> Sample:
    """Open idle connections in two steps; what the second step adds counts."""
    step = case.connections
    more = server_options(case)
    with server(target, options.server_core, options.nice, *more) as running:
        command = load_command(case, target, running.port, options.client_core)
        at = command.index("--connections")
        command[at + 1] = str(3 * step)
        client = subprocess.Popen(
            [*command, "--idle"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert client.stdin is not None and client.stdout is not None
        sizes = []
        for count in (step, 2 * step):
            client.stdin.write(f"{count}\n")
            client.stdin.flush()
            if not client.stdout.readline():
                client.wait()
                raise RuntimeError("the load client ended")
            sizes.append(_rss_kib(running.pid))
        client.stdin.close()
        client.stdout.close()
        client.wait()
    per_connection = (sizes[1] - sizes[0]) / (2 * step)
    return Sample(0, 0, 1, 0, extra={"kib": per_connection, "pss_kib": sizes[1]})


def run_case(
    case: Case,
    targets: Sequence[Target],
    options: Options,
    fleet: Fleet,
    progress: Callable[[str], None],
    until: float = float("inf"),
) -> Result:
    """
    Measure one case: in every round each target once, in turn.

    Args:
        case: The case.
        targets: What suits it, in the order of the report.
        options: How to measure.
        fleet: Where servers come from.
        progress: Called with a line on each sample.
        until: When no further round, and no repetition, is begun, on the monotonic
            clock; the first round is whole in any case.

    """
    result = Result(case, {}, {}, {})
    with ExitStack() as stack:
        alive: list[tuple[Target, Callable[[], Sample]]] = []
        polled: Running | None = None
        for target in targets:
            try:
                if case.kind == "memory":
                    measure = _bind(measure_memory, case, target, options)
                elif case.kind == "client":
                    if polled is None:
                        polled = stack.enter_context(_polled_floor(case, options))
                    measure = _bind(measure_client, case, polled, target, options)
                else:
                    running = fleet.get(target, *server_options(case))
                    measure = _bind(measure_server, case, running, options)
            except RuntimeError as error:
                result.failed[target.name] = str(error)
                continue
            alive.append((target, measure))
            result.samples[target.name] = []
            result.rejected[target.name] = 0
        for number in range(min(options.rounds, case.most_rounds)):
            if number > 0 and time.monotonic() > until:
                break
            for target, measure in list(alive):
                try:
                    if number == 0 and target.node:
                        measure()  # compiles what is often used
                    judge_as = replace(case, may_sleep=case.may_sleep or target.waits)
                    sample, rejected = judged(judge_as, options, measure, until)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    result.failed[target.name] = str(error)
                    fleet.end(target, *server_options(case))
                    alive.remove((target, measure))
                    result.samples.pop(target.name, None)
                    continue
                result.samples[target.name].append(sample)
                result.rejected[target.name] += rejected
                progress(
                    f"{case.name} {number + 1}/{options.rounds} {target.name}: "
                    + describe(case, sample)
                )
    return result


def _polled_floor(case: Case, options: Options) -> AbstractContextManager[Running]:
    """Start the server that clients are measured against: it does not sleep."""
    native = Target("floor", "", (str(BUILD / "floor"),))
    more = ["--spin", "--tls"] if case.tls else ["--spin"]
    return server(native, options.client_core, options.nice, *more)


def _bind(function: Callable[..., Sample], *arguments: object) -> Callable[[], Sample]:
    return lambda: function(*arguments)


def describe(case: Case, sample: Sample) -> str:
    """Return one line on a sample, for the progress output."""
    if case.kind == "memory":
        return f"{sample.extra['kib']:.2f} KiB per connection"
    text = f"{sample.cpu_us:.3f} us, {sample.rate:,.0f}/s, busy {sample.busy:.0%}"
    if sample.latency_us:
        text += f", p50 {sample.latency_us['p50']:.0f} us"
    return f"{text} ({sample.remark})" if sample.remark else text
