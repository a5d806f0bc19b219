"""
Hours of mixed traffic: ``python -m tests.soak --minutes 60``.

Three server processes (the reactor, asyncio's transports, a worker of uvicorn), clients
of wsfast, and peers of their own make, one in eight of which is bad. After each period
all traffic but that of the connections that stay is ended, and each process is looked
at. In the end the verdict is printed and written, and the exit status is 1 if anything
was lost, doubled, kept, or grew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import wsfast
import wsfast.engine
from tests.soak.verdict import SAME, judge
from tests.support.process import Child

SERVERS = ("reactor", "transport", "uvicorn")
START_S = 60.0
ANSWER_S = 180.0  # until all have come to rest, on a machine that is busy
SETTLED_S = 30.0  # until what bad peers left has gone
CALM_S = 3  # without a change; a thread of wsfast.sync stays for two


class Process(Child):
    """
    A process of the soak.

    Args:
        name: How it is called in the report.
        module: What it runs, and its arguments.

    """

    def __init__(self, name: str, *module: str) -> None:
        self.name, self.read = name, 0
        super().__init__([sys.executable, "-m", *module])

    def line(self, timeout_s: float) -> dict[str, Any]:
        """Return the next line that it says."""
        with self.changed:
            self.changed.wait_for(
                lambda: len(self.lines) > self.read or self.over, timeout_s
            )
            if len(self.lines) <= self.read:
                log = "\n".join(self.log[-20:])
                raise RuntimeError(
                    f"{self.name} says nothing within {timeout_s} s\n{log}"
                )
            self.read += 1
            found: dict[str, Any] = json.loads(self.lines[self.read - 1])
            return found

    def say(self, word: str) -> None:
        """Tell it something."""
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, word: str) -> dict[str, Any]:
        """Tell it something and wait for the answer."""
        self.say(word)
        return self.line(ANSWER_S)


class Soak:
    """
    All processes, from beginning to end.

    Args:
        minutes: How long, at least.
        period_s: From one rest to the next.
        rate: Connections a second of the peers of their own make.
        seed: Of all choices.
        cycles: Connections to open and close, at least.
        report_to: Where to write the report, after each rest anew; None for nowhere.

    """

    def __init__(
        self,
        minutes: float,
        period_s: float,
        rate: float,
        seed: int,
        cycles: int = 0,
        report_to: Path | None = None,
    ) -> None:
        self.minutes, self.period_s = minutes, period_s
        self.report_to = report_to
        self.least_cycles = cycles
        self.rate, self.seed = rate, seed
        self.start = time.monotonic()
        self.samples: dict[str, list[dict[str, Any]]] = {}
        self.processes: list[Process] = []

    def run(self) -> dict[str, Any]:
        """Run it all and return the report."""
        try:
            self.begin()
            return self.soak()
        finally:
            for process in reversed(self.processes):
                process.stop()

    def begin(self) -> None:
        """Start all processes."""
        ports: list[str] = []
        for kind in SERVERS:
            server = self.add(kind, "tests.soak.serve", kind)
            found = server.line(START_S)["ports"].items()
            ports += [f"{kind}-{name}={port}" for name, port in found]
        self.clients = [
            self.add("clients", "tests.soak.talk", str(self.seed), *ports),
            self.add(
                "peers", "tests.soak.peers", str(self.seed), str(self.rate), *ports
            ),
        ]
        for client in self.clients:
            client.line(START_S)

    def add(self, name: str, *module: str) -> Process:
        """Start a process."""
        process = Process(name, *module)
        self.processes.append(process)
        self.samples[name] = []
        return process

    def soak(self) -> dict[str, Any]:
        """Have traffic and rests by turns until the time is over."""
        end = self.start + self.minutes * 60
        over, rests = False, 0
        while not over:
            now = time.monotonic()
            until = now + period(end - now, self.period_s)
            self.tell("go")
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, max(1.0, self.period_s / 6)))
                self.look(rest=False)
            rests += 1
            over = until >= end and rests > 1 and self.cycles() >= self.least_cycles
            self.tell("rest")
            self.settle()
            self.look(rest=True)
            self.progress()
            self.report()
        self.clients[0].ask("leave")
        self.settle()
        return self.report()

    def tell(self, word: str) -> None:
        """Tell all clients something, and wait until they have done it."""
        for client in self.clients:
            client.say(word)
        for client in self.clients:
            client.line(ANSWER_S)

    def look(self, *, rest: bool) -> None:
        """Take a sample of each process."""
        for process in self.processes:
            found = process.ask("sample")
            found["at_s"] = round(time.monotonic() - self.start, 1)
            found["rest"] = rest
            self.samples[process.name].append(found)

    def settle(self) -> None:
        """Wait until all have let go of what the traffic has left."""
        until = time.monotonic() + SETTLED_S
        calm, before = 0, None
        while calm < CALM_S and time.monotonic() < until:
            found = [process.ask("sample") for process in self.processes]
            now = [[sample[name] for name in SAME] for sample in found]
            calm = calm + 1 if now == before else 0
            before = now
            time.sleep(1.0)

    def progress(self) -> None:
        """Say how far it is."""
        last = {name: samples[-1] for name, samples in self.samples.items()}
        memory = ", ".join(f"{n} {s['uss_kib'] >> 10} MiB" for n, s in last.items())
        wrong = [line for s in last.values() for line in s["wrong"]]
        minute = last["peers"]["at_s"] / 60
        done = f"{self.cycles():,} cycles; {len(wrong)} wrong"
        print(f"{minute:5.1f} min: {done}; {memory}", *wrong[-1:], flush=True)

    def cycles(self) -> int:
        """Return how many connections were opened and closed again."""
        last = [self.samples[client.name][-1]["counts"] for client in self.clients]
        return sum(c.get("cycles", 0) + c.get("bad cycles", 0) for c in last)

    def report(self) -> dict[str, Any]:
        """Return figures and verdicts, of a soak that may still go on."""
        verdicts = {
            name: judge(
                [s for s in samples if s["rest"]], self.cycles(), name != "peers"
            )
            for name, samples in self.samples.items()
        }
        failures = [f"{n}: {f}" for n, v in verdicts.items() for f in v["failures"]]
        last = {name: samples[-1]["counts"] for name, samples in self.samples.items()}
        bad = last["peers"].get("bad cycles", 0)
        report = {
            "facts": {
                "system": platform.platform(),
                "processors": os.cpu_count(),
                "Python": platform.python_version(),
                "wsfast": f"{wsfast.__version__}, {wsfast.engine.KERNEL}",
            },
            "minutes": round((time.monotonic() - self.start) / 60, 1),
            "cycles": self.cycles(),
            "bad_cycles": bad,
            "messages": sum(last[name].get("messages", 0) for name in SERVERS),
            "residents": last["clients"].get("residents", 0),
            "verdicts": verdicts,
            "failures": failures,
            "samples": self.samples,
        }
        if self.report_to is not None:
            self.report_to.write_text(json.dumps(report, indent=1) + "\n")
        return report


def period(left_s: float, period_s: float) -> float:
    """
    Return how long there is traffic before the next rest.

    Past the end, when there have been too few connections, it is a whole period again.
    """
    return period_s if left_s <= 0 else min(max(left_s, 1.0), period_s)


def main() -> int:
    """Run a soak as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="at least")
    parser.add_argument("--cycles", type=int, default=0, help="connections, at least")
    parser.add_argument(
        "--period", type=float, default=60, help="seconds between rests"
    )
    parser.add_argument("--rate", type=float, default=320, help="connections a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("artifacts/soak"))
    args = parser.parse_args()
    os.nice(10)
    args.output.mkdir(parents=True, exist_ok=True)
    report = Soak(
        args.minutes,
        args.period,
        args.rate,
        args.seed,
        args.cycles,
        args.output / "soak.json",
    ).run()
    print(json.dumps({k: v for k, v in report.items() if k != "samples"}, indent=1))
    for failure in report["failures"]:
        print(f"FAILED: {failure}")
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
