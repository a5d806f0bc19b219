"""What the clients for threads share: one thread, which goes round the connections."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from bench.load.clients._driving import Drive, arguments_of, peak_mib, waited_s

#: opens one connection; what it returns does one round trip
Open = Callable[[Drive], Callable[[], None]]


def main(open_one: Open) -> None:
    """Go round the connections, and print one JSON object."""
    drive, args = arguments_of()
    trips = [open_one(drive) for _ in range(drive.connections)]

    def go_on(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for trip in trips:
                trip()

    go_on(args.warmup)
    count, waited = drive.messages, waited_s()
    wall, cpu = time.monotonic(), time.process_time()
    go_on(args.seconds)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    found = {
        "messages": drive.messages - count,
        "wall_s": wall,
        "client_cpu_s": cpu,
        "client_wait_s": waited_s() - waited,
        "peak_mib": peak_mib(),
    }
    print(json.dumps(found), flush=True)
    os._exit(0)
