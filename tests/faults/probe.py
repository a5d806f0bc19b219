"""
An honest client beside the dishonest ones, and what keeps it waiting.

It runs in a process of its own, so that it does not wait for the test's threads. How
long it waits depends on the machine; what the server does between two turns of its
event loop does not, and is measured there, in processor time.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.rawpeer import TEXT, frame, opened
from tests.support.process import Child, Served

#: Processor time within which the loop goes round, whatever anybody sends (row C-9).
STALL_S = 0.5

#: Whoever waits longer than this, however busy the machine is, has been forgotten.
FORGOTTEN_S = 20.0


def measure(port: int) -> None:
    """
    Send a small message every few milliseconds until standard input ends.

    Then print how many echoes came, and the longest wait for one.
    """
    octets = frame(TEXT, "how long?")
    rounds, worst = 0, 0.0
    with opened(port, "/probe", timeout_s=FORGOTTEN_S) as peer:
        print(json.dumps({"ready": True}), flush=True)
        while not select.select([sys.stdin], [], [], 0.005)[0]:
            sent = time.perf_counter()
            peer.sock.sendall(octets)
            peer.recv()
            worst = max(worst, time.perf_counter() - sent)
            rounds += 1
    print(json.dumps({"rounds": rounds, "worst": worst}), flush=True)


@contextmanager
def nobody_waits(server: Served, limit_s: float = STALL_S) -> Iterator[None]:
    """Check that an honest client is served throughout the block, each turn in time."""
    host = server.host
    command = [sys.executable, "-m", "tests.faults.probe", str(server.port)]
    child = Child(command)
    try:
        with child.changed:
            child.changed.wait_for(lambda: child.lines or child.over, 20)
        host.answer(host.send("watch"), "watching", FORGOTTEN_S)
        yield
        watched = host.answer(host.send("watched"), "watched", FORGOTTEN_S)
    finally:
        child.stop()
    assert len(child.lines) == 2, f"the honest client failed: {child.log[-3:]}"
    found = {**json.loads(child.lines[1]), **watched}
    assert found["rounds"] > 0, found
    assert found["turns"] > 0, found
    assert found["longest"] < limit_s, found


if __name__ == "__main__":
    measure(int(sys.argv[1]))
