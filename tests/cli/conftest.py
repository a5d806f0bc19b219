"""Runs commands: in this process where that will do, else in one of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from wsfast.cli import main

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
WAIT_S = 40.0
COMMAND = [sys.executable, "-W", "error", "-m", "wsfast"]


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: bytes
    err: str


class Process:
    """A command in a process of its own, whose output is read as it comes."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.out = self.err = ""
        self.news = threading.Condition()
        self.threads = [
            threading.Thread(target=self._read, args=(name, stream))
            for name, stream in (
                ("out", self.process.stdout),
                ("err", self.process.stderr),
            )
        ]
        for thread in self.threads:
            thread.start()

    def _read(self, name: str, stream) -> None:
        for line in stream:
            with self.news:
                setattr(self, name, getattr(self, name) + line.decode())
                self.news.notify_all()
        stream.close()

    def see(self, pattern: str, name: str = "out", since: int = 0) -> re.Match[str]:
        """Wait until the output matches, that from some place on."""
        compiled = re.compile(pattern)
        with self.news:
            found = self.news.wait_for(
                lambda: compiled.search(getattr(self, name), since), WAIT_S
            )
            assert found, (pattern, self.out, self.err)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals | None = None) -> int:
        """Wait for the end, after a signal perhaps; return the exit status."""
        if number is not None:
            self.signal(number)
        try:
            return self.process.wait(WAIT_S)
        finally:
            self.process.kill()
            self.process.wait()
            for thread in self.threads:
                thread.join()
            self.process.stdin.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Process]:
    """Return a server that obeys, see handler.py; its address is its ``uri``."""
    process = Process("serve", str(HERE), "--port", "0")
    try:
        process.uri = process.see(r"on (ws://127\.0\.0\.1:\d+)/")[1]
        yield process
    finally:
        status = process.end(signal.SIGTERM)
    assert (status, process.err) == (0, "")


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Return what starts a command; what is still running afterwards is killed."""
    started: list[Process] = []

    def command(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield command
    for process in started:
        process.process.kill()
        process.end()


@pytest.fixture
def run(capfdbinary, monkeypatch, tmp_path):
    """Return what runs a command in this process."""

    def command(*arguments: str, given: bytes = b"") -> Done:
        (tmp_path / "input").write_bytes(given)
        capfdbinary.readouterr()
        with (tmp_path / "input").open() as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            try:
                status = main(arguments)
            except SystemExit as exc:
                status = int(exc.code)
        out, err = capfdbinary.readouterr()
        return Done(status, out, err.decode())

    return command
