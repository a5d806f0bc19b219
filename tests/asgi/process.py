"""Servers of ASGI applications as people start them: by command, as a process."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.support.process import Child
from tests.support.targets import environment

WS = "wsfast.asgi.uvicorn:WebSocketProtocol"
RUNNING = re.compile(
    r"(?:running on|Listening at:) (?:socket )?\w+://127\.0\.0\.1:(\d+)"
)


class Server(Child):
    """
    A server process.

    Args:
        command: Module to run, and its arguments.
        path: ``reactor`` or ``transport``.
        env: More of its environment.

    """

    def __init__(self, *command: str, path: str = "reactor", **env: str) -> None:
        super().__init__([sys.executable, "-m", *command], {**environment(path), **env})
        try:
            self.port = int(self.wait_for(RUNNING)[1])
            self.wait_until_it_listens()
        except BaseException:
            self.give_up()
            raise

    def wait_until_it_listens(self) -> None:
        """Wait until somebody accepts: workers do so after their parent says it."""
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert not self.over and time.monotonic() < deadline, self.log[-20:]
            time.sleep(0.05)

    def wait_for(self, pattern: re.Pattern[str], after: int = 0) -> re.Match[str]:
        """Wait for a line in the log, behind that many lines."""
        deadline = time.monotonic() + 60
        with self.changed:
            while True:
                for line in self.log[after:]:
                    if found := pattern.search(line):
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or self.over:
                    raise AssertionError(f"no {pattern.pattern!r}: {self.log[-20:]}")
                self.changed.wait(min(left, 0.2))

    @property
    def uri(self) -> str:
        """Its URI."""
        return f"ws://127.0.0.1:{self.port}"

    def give_up(self) -> None:
        """End it after something else has failed; its workers first."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.stop()

    def end(self) -> None:
        """End it as an operator does, and wait; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.stop()
        assert not any("Traceback" in line for line in self.log), "\n".join(self.log)


@contextlib.contextmanager
def serving(app: str, *arguments: str, **options: Any) -> Iterator[Server]:
    """Run uvicorn with an application for the length of a block."""
    command = ["uvicorn", app, "--ws", WS, "--host", "127.0.0.1", "--port", "0"]
    server = Server(*command, *arguments, **options)
    try:
        yield server
    except BaseException:
        server.give_up()
        raise
    server.end()
