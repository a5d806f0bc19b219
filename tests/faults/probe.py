"""An honest client beside the dishonest ones: how long does it have to wait?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.rawpeer import TEXT, frame, opened

#: Nobody waits longer than this for what somebody else does (row C-9).
STALL_S = 0.5


class Probe:
    """
    A client that sends a small message every few milliseconds, in a thread of its own.

    Args:
        port: Port of an echo server.

    Attributes:
        worst_s: The longest wait for an echo, in seconds.
        rounds: Echoes that came.
        failure: What went wrong, if anything did.

    """

    def __init__(self, port: int) -> None:
        self.peer = opened(port, "/probe", timeout_s=10)
        self.worst_s, self.rounds = 0.0, 0
        self.failure: Exception | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Measure until stopped."""
        octets = frame(TEXT, "how long?")
        try:
            while not self.stopping.is_set():
                start = time.perf_counter()
                self.peer.sock.sendall(octets)
                self.peer.recv()
                self.worst_s = max(self.worst_s, time.perf_counter() - start)
                self.rounds += 1
                self.stopping.wait(0.005)
        except Exception as exc:
            self.failure = exc

    def stop(self) -> None:
        """Stop measuring."""
        self.stopping.set()
        self.thread.join(15)
        self.peer.sock.close()


@contextmanager
def nobody_waits(port: int, limit_s: float = STALL_S) -> Iterator[Probe]:
    """Check that an honest client is served in time throughout the block."""
    probe = Probe(port)
    try:
        yield probe
    finally:
        probe.stop()
    assert probe.failure is None, f"the honest client failed: {probe.failure!r}"
    assert probe.rounds > 5
    assert probe.worst_s < limit_s, f"an honest client waited {probe.worst_s:.2f} s"
