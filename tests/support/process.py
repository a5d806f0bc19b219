"""Child processes of the tests: started, spoken to, measured, ended by their pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.targets import Target, environment

ROOT = Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")

Event = dict[str, Any]


class Child:
    """
    A child process, its output collected by threads.

    Args:
        command: Program and arguments.
        env: Its environment; None for ours.

    """

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid
        self.changed = threading.Condition(threading.RLock())
        self.lines: list[str] = []
        self.log: list[str] = []
        self.streams = 2
        self.threads = [
            threading.Thread(target=self.collect, args=args, daemon=True)
            for args in (
                (self.process.stdout, self.lines),
                (self.process.stderr, self.log),
            )
        ]
        for thread in self.threads:
            thread.start()

    def collect(self, stream: Any, lines: list[str]) -> None:
        """Read a stream to its end, line by line."""
        for line in stream:
            with self.changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.streams -= 1
            self.changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether all output has been collected, and there will be no more."""
        return self.streams == 0

    def status(self, field: str) -> int:
        """Return a field of ``/proc/PID/status`` that is in kB, in octets."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) << 10
        raise KeyError(field)

    def rss(self) -> int:
        """Return the resident memory in octets."""
        return self.status("VmRSS")

    def peak(self) -> int:
        """Return the highest resident memory since `reset_peak`, in octets."""
        return self.status("VmHWM")

    def reset_peak(self) -> int:
        """Start `peak` anew; return the resident memory of this moment."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.rss()

    def cpu(self) -> float:
        """Return the CPU time used so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def descriptors(self) -> int:
        """Return the number of open descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def stop(self) -> int:
        """End the process: by the end of its input, else by signals."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                self.process.send_signal(sign)
            try:
                code = self.process.wait(3)
                break
            except subprocess.TimeoutExpired:
                continue
        for thread, stream in zip(
            self.threads, (self.process.stdout, self.process.stderr), strict=True
        ):
            thread.join(3)
            assert stream is not None
            stream.close()
        return code


class Host(Child):
    """
    A `tests.support.host` process.

    Args:
        target: Library under test.
        path: ``reactor`` or ``transport``.
        loop: ``asyncio`` or ``uvloop``.
        within: What starts it, a command to which its own is added.
        env: Further environment variables.

    """

    def __init__(
        self,
        target: Target,
        path: str,
        loop: str = "asyncio",
        within: Sequence[str] = (),
        **env: str,
    ) -> None:
        self.target, self.path, self.loop = target, path, loop
        self.count = 0
        self.events: list[Event] = []
        self.parsed = 0
        command = [sys.executable, "-m", "tests.support.host", target.name, loop]
        super().__init__([*within, *command], {**environment(path), **env})
        self.wait(20, event="ready")

    def find(self, wanted: Event, since: int) -> Event | None:
        """Take new lines in; return the first event with all the wanted fields."""
        while self.parsed < len(self.lines):
            self.events.append(json.loads(self.lines[self.parsed]))
            self.parsed += 1
        for event in self.events[since:]:
            if wanted.items() <= event.items():
                return event
        return None

    def wait(self, timeout_s: float = 10, since: int = 0, **wanted: Any) -> Event:
        """Wait for an event with the wanted fields."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while (event := self.find(wanted, since)) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self.over:
                    raise AssertionError(
                        f"no event {wanted} within {timeout_s} s; "
                        f"events: {self.events[-5:]}; log: {self.log[-20:]}"
                    )
                self.changed.wait(min(left, 0.5))
            return event

    def send(self, do: str, **fields: Any) -> int:
        """Send a command; return its number."""
        self.count += 1
        line = json.dumps({"do": do, "id": self.count, **fields})
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.count

    def answer(self, ident: int, event: str, timeout_s: float = 10) -> Event:
        """Wait for the event of a command, or fail with what the command raised."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self.changed:
                for name in (event, "failed"):
                    found = self.find({"event": name, "id": ident}, 0)
                    if found is not None:
                        assert name == event, found
                        return found
                left = deadline - time.monotonic()
                assert left > 0 and not self.over, (
                    f"no {event} for {ident} within {timeout_s} s; "
                    f"events: {self.events[-5:]}; log: {self.log[-20:]}"
                )
                self.changed.wait(min(left, 0.5))

    def serve(self, script: str = "echo", **options: Any) -> Served:
        """Start a server that runs a script on each connection."""
        ident = self.send("serve", script=script, options=options)
        port = self.answer(ident, "listening")["port"]
        return Served(self, ident, port, script)

    def connect(
        self, uri: str, script: str = "echo", argument: Any = None, **options: Any
    ) -> Connecting:
        """Begin to connect; the script runs when the connection is open."""
        ident = self.send(
            "connect", uri=uri, script=script, argument=argument, options=options
        )
        return Connecting(self, ident)

    def follow(self, uri: str) -> Connecting:
        """Begin to connect again and again."""
        return Connecting(self, self.send("follow", uri=uri))

    def stats(self) -> Event:
        """Return what the process holds: connections and tasks."""
        return self.answer(self.send("stats"), "stats")

    def mark(self) -> tuple[int, int]:
        """Return a place in the events and one in the log, for later comparison."""
        with self.changed:
            self.find({"event": ""}, 0)
            return len(self.events), len(self.log)

    def tracebacks(self, since: int = 0) -> list[str]:
        """Return the log lines that begin a traceback or tell of a lost exception."""
        signs = (
            "Traceback",
            "was never retrieved",
            "was destroyed but",
            "never awaited",
        )
        with self.changed:
            return [x for x in self.log[since:] if any(sign in x for sign in signs)]


class Served:
    """A server of a `Host`."""

    def __init__(self, host: Host, ident: int, port: int, script: str) -> None:
        self.host, self.ident, self.port, self.script = host, ident, port, script

    @property
    def uri(self) -> str:
        """The server's address."""
        return f"ws://127.0.0.1:{self.port}/"

    def event(self, name: str, timeout_s: float = 10, **wanted: Any) -> Event:
        """Wait for an event of a connection of this server."""
        return self.host.wait(timeout_s, event=name, id=self.ident, **wanted)

    def end_of(self, path: str, timeout_s: float = 10) -> Event:
        """Wait for the end of the connection that asked for this path."""
        conn = self.event("open", timeout_s, path=path)["conn"]
        return self.event("end", timeout_s, conn=conn)

    def ends(self) -> list[Event]:
        """Return the ends of connections seen so far."""
        return self.seen("end")

    def seen(self, name: str) -> list[Event]:
        """Return the events of one name seen so far."""
        self.host.mark()
        wanted = {"event": name, "id": self.ident}.items()
        return [event for event in self.host.events if wanted <= event.items()]

    def close(self, timeout_s: float = 20) -> Event:
        """Close the server; return the event that says how long it took."""
        self.host.send("close_server", id=self.ident)
        return self.host.answer(self.ident, "closed", timeout_s)


class Connecting:
    """A connection of a `Host` to somewhere."""

    def __init__(self, host: Host, ident: int) -> None:
        self.host, self.ident = host, ident

    def event(self, name: str, timeout_s: float = 10, **wanted: Any) -> Event:
        """Wait for an event of this connection."""
        return self.host.wait(timeout_s, event=name, id=self.ident, **wanted)

    def cancel(self) -> None:
        """Cancel the task that connects or runs the script."""
        self.host.send("cancel", of=self.ident)


@contextlib.contextmanager
def hosting(
    target: Target, path: str, loop: str = "asyncio", **env: str
) -> Iterator[Host]:
    """Run a `Host` for the length of a block."""
    host = Host(target, path, loop, **env)
    try:
        yield host
    finally:
        host.stop()
