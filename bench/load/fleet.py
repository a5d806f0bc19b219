"""Servers of the load benchmark: started, kept for the next case, and ended."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.load.targets import Target

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S, END_TIMEOUT_S = 60, 20


@dataclass
class Running:
    """A server that listens."""

    target: Target
    process: subprocess.Popen[bytes]
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
    told, said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        [*target.command, "--core", str(core), *more],
        stdin=subprocess.PIPE,
        stdout=told,  # a file is never full: Granian tells of connections that end
        stderr=said,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=priority(nice),
    )
    assert process.stdin is not None
    try:
        until = time.monotonic() + START_TIMEOUT_S
        while (words := _ready(told)) is None:
            if process.poll() is not None:
                raise RuntimeError(f"did not start: {_last_line(said)}")
            if time.monotonic() > until:
                raise RuntimeError(f"did not listen in {START_TIMEOUT_S} s")
            time.sleep(0.005)
        yield Running(target, process, *words)
    finally:
        process.stdin.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        told.close()
        said.close()


def _ready(told: IO[bytes]) -> tuple[int, int] | None:
    """Return the port and the process that a server told of, among other things."""
    found = re.search(
        rb"^port (\d+) pid (\d+)\n", os.pread(told.fileno(), 1 << 16, 0), re.MULTILINE
    )
    return found and (int(found[1]), int(found[2]))


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


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
