"""
An honest client beside the dishonest ones, and how long it has to wait.

It runs in a process of its own, so that it does not wait for the test's threads.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.rawpeer import TEXT, frame, opened
from tests.support.process import Child

#: Nobody waits longer than this for what somebody else does (row C-9).
STALL_S = 0.5


def measure(port: int) -> None:
    """
    Send a small message every few milliseconds until standard input ends.

    Then print how many echoes came, the longest wait for one, and by how much this
    process itself was woken late: what a busy machine does to everybody.
    """
    octets = frame(TEXT, "how long?")
    rounds, worst, late = 0, 0.0, 0.0
    with opened(port, "/probe", timeout_s=10) as peer:
        print(json.dumps({"ready": True}), flush=True)
        while True:
            start = time.perf_counter()
            if select.select([sys.stdin], [], [], 0.005)[0]:
                break
            sent = time.perf_counter()
            late = max(late, sent - start - 0.005)
            peer.sock.sendall(octets)
            peer.recv()
            worst = max(worst, time.perf_counter() - sent)
            rounds += 1
    print(json.dumps({"rounds": rounds, "worst": worst, "late": late}), flush=True)


@contextmanager
def nobody_waits(port: int, limit_s: float = STALL_S) -> Iterator[None]:
    """Check that an honest client is served in time throughout the block."""
    child = Child([sys.executable, "-m", "tests.faults.probe", str(port)])
    try:
        with child.changed:
            child.changed.wait_for(lambda: child.lines or child.over, 20)
        yield
    finally:
        child.stop()
    assert len(child.lines) == 2, f"the honest client failed: {child.log[-3:]}"
    found = json.loads(child.lines[1])
    assert found["rounds"] > 0, found
    assert found["worst"] < limit_s + found["late"], found


if __name__ == "__main__":
    measure(int(sys.argv[1]))
