"""Real servers between the nodes, each on a port of its own, ended by their pids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

from tests import needs
from tests.support.ports import free_port

DEADLINE_S = 20


class Daemon:
    """
    A server that can be killed, stopped and started again on the same port.

    Args:
        command: Returns program and arguments for a port.

    """

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        self._command = command
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self.process = subprocess.Popen(
            self._command(self.port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            assert self.process.poll() is None, f"it ended: {self._command(self.port)}"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stand still for the length of a block."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def daemon(command: Callable[[int], list[str]]) -> Iterator[Daemon]:
    """Run a server for the length of a block."""
    server = Daemon(command)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def redis_command(port: int, *options: str) -> list[str]:
    """Return how a Redis server is started that keeps nothing."""
    program = needs.find("redis-server")
    assert program is not None
    return [
        program,
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--save", ""),
        *options,
    ]


def nats_command(port: int) -> list[str]:
    """Return how a NATS server is started."""
    program = needs.find("nats-server")
    assert program is not None
    return [program, "-a", "127.0.0.1", "-p", str(port)]
