"""Servers of the load benchmark: started, kept for the next case, and ended."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.load.targets import Target

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 20


@dataclass
class Running:
    """A server that listens."""

    target: Target
    process: subprocess.Popen[str]
    port: int
    pid: int


def priority(nice: int) -> Callable[[], None]:
    def apply() -> None:
        if nice == 0:
            return
        with suppress(OSError):  # measured all the same, with more noise
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            # where sessions are scheduled as groups, a nice value of a process
            # means nothing outside its own session
            Path("/proc/self/autogroup").write_text(f"{nice}\n")

    return apply


@contextmanager
def server(target: Target, core: int, nice: int = 0, *more: str) -> Iterator[Running]:
    """Start a server, wait until it listens; it ends when its standard input does."""
    said = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        [*target.command, "--core", str(core), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=priority(nice),
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        words: list[str] = []
        for line in process.stdout:  # Granian says something else first
            if line.startswith("port "):
                words = line.split()
                break
        if len(words) < 4:
            said.seek(0)
            lines = said.read().decode().strip().splitlines() or ["no output"]
            raise RuntimeError(f"did not start: {lines[-1]}")
        yield Running(target, process, int(words[1]), int(words[3]))
    finally:
        process.stdin.close()
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        said.close()


class Fleet:
    """
    Servers that are kept until the end of the run: starting one takes half a second.

    Args:
        core: The core that they have.
        nice: Their scheduling priority.

    """

    def __init__(self, core: int, nice: int) -> None:
        self._core = core
        self._nice = nice
        self._stack = ExitStack()
        self._running: dict[tuple[str, ...], Running] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, target: Target, *more: str) -> Running:
        """
        Return a server that listens, with a peak of memory that begins anew.

        Raises:
            RuntimeError: It did not start.

        """
        key = (target.name, *more)
        found = self._running.get(key)
        if found is None or found.process.poll() is not None:
            entered = server(target, self._core, self._nice, *more)
            found = self._running[key] = self._stack.enter_context(entered)
        with suppress(OSError):
            Path(f"/proc/{found.pid}/clear_refs").write_text("5")
        return found

    def end(self, target: Target, *more: str) -> None:
        """End a server that failed in a case: the next one has another."""
        found = self._running.pop((target.name, *more), None)
        if found is not None:
            found.process.kill()
