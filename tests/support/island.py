"""
A network of its own for a process under test, in which octets can be lost.

Needs a Linux where this user may make network namespaces; `tests.needs` calls that
``netns``. Only the loopback is in there, and nftables between its two ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.process import ROOT, Host
from tests.support.targets import Target, environment

#: Starts what follows in a new network, once its loopback is up.
WITHIN = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")

_TABLE = "table inet faults"
_CHAIN = "add chain inet faults input { type filter hook input priority 0; }"


class Island:
    """
    The network of a `Host` that was started with `WITHIN`.

    Args:
        host: The process.

    """

    def __init__(self, host: Host) -> None:
        self.host = host

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command in this network and return what it prints."""
        nsenter = ("nsenter", f"--target={self.host.pid}", "--net")
        done = subprocess.run(
            [*nsenter, *command],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program of Python in this network."""
        nsenter = ("nsenter", f"--target={self.host.pid}", "--net")
        return subprocess.Popen(
            [*nsenter, sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=environment(self.host.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def rules(self, *rules: str) -> None:
        """Put these rules of nftables between the two ends, in place of others."""
        lines = [f"add {_TABLE}", f"delete {_TABLE}"]
        if rules:
            lines += [f"add {_TABLE}", _CHAIN]
            lines += [f"add rule inet faults input {rule}" for rule in rules]
        self.run("nft", "-f", "-", text="\n".join(lines) + "\n")

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred segments, either way."""
        self.rules(f"meta l4proto tcp numgen random mod 100 < {percent} drop")

    def cut(self, *ports: int) -> None:
        """Lose all that goes to and comes from these ports."""
        self.rules(
            *(
                f"tcp {side} {port} drop"
                for port in ports
                for side in ("dport", "sport")
            )
        )

    def heal(self) -> None:
        """Lose nothing."""
        self.rules()


@contextmanager
def islands(
    target: Target, path: str, loop: str, within: Sequence[str] = WITHIN
) -> Iterator[Island]:
    """Run a `Host` in a network of its own for the length of a block."""
    host = Host(target, path, loop, within=within)
    try:
        yield Island(host)
    finally:
        host.stop()
