"""
What one slow reader costs a thousand others: ``python -m bench.load.slow``.

A thousand clients echo 64 octets, one in flight each. In half of the rounds one more
asks for 2.75 MiB at once, reads 16 KiB twenty times a second, and asks for as much
again: the server always has something for it which the system does not take. What is
compared is the others' latency, and the server's CPU time for a message of theirs. It
is for servers that wait for room, as coroutines do: a listener that echoes without
looking goes on until `max_send_buffer` has it given up.

Rounds come by fours on one server, without it, with it, with it, without it, so that
what drifts evenly falls out of the ratio of the two pairs. Printed are the median of
these ratios and their quartiles, and how far apart, in the median, the two rounds
without it are: that is what a single round is worth on this machine. Rounds that other
programs disturbed are repeated, as in the load benchmark.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from statistics import median, quantiles
from typing import NamedTuple

from bench.load.cases import BY_CONNECTIONS, CASES
from bench.load.fleet import server
from bench.load.runner import Options, judged, measure_server
from bench.load.targets import TARGETS
from tests.faults.rawpeer import BINARY, frame, opened

CASE = CASES[BY_CONNECTIONS[1000]]
MESSAGE = frame(BINARY, bytes(16 * 1024))
READ, PAUSE_S = 16 * 1024, 0.05
#: What it asks for at first, in octets: the system takes 2.3 MiB of the answers, where
#: tcp_wmem has its usual 4 MiB.
FILL = 11 << 18


@contextmanager
def slow_reader(port: int) -> Iterator[threading.Event]:
    """
    Have one more client, which asks for more than it reads, meanwhile.

    Yields:
        What is set when the server gives it up.

    Raises:
        RuntimeError: The server has given it up: what was measured is without it.

    """
    with opened(port, receive_buffer=READ) as peer:
        peer.sock.setblocking(False)
        ended, given_up = threading.Event(), threading.Event()
        thread = threading.Thread(target=_play, args=(peer.sock, ended, given_up))
        thread.start()
        try:
            yield given_up
        finally:
            ended.set()
            thread.join()
        if given_up.is_set():
            raise RuntimeError("the server has given the slow reader up")


def _play(
    sock: socket.socket, ended: threading.Event, given_up: threading.Event
) -> None:
    left, owed = b"", FILL
    while not ended.is_set():
        try:
            with suppress(BlockingIOError):
                while left or owed > 0:
                    if not left:
                        left, owed = MESSAGE, owed - len(MESSAGE)
                    left = left[sock.send(left) :]
            with suppress(BlockingIOError):
                owed += len(sock.recv(READ))
        except OSError:
            given_up.set()
            return
        time.sleep(PAUSE_S)


class Four(NamedTuple):
    """One figure of four rounds; the second and third are beside the slow reader."""

    first: float
    second: float
    third: float
    last: float

    @property
    def growth(self) -> float:
        """What the slow reader adds, as a share."""
        return (self.second + self.third) / (self.first + self.last) - 1

    @property
    def noise(self) -> float:
        """How far apart the two rounds without it are, as a share."""
        return abs(self.last - self.first) / min(self.first, self.last)


def measure(name: str, fours: int, options: Options) -> list[dict[str, Four]]:
    """Return what each four of rounds found: latencies, and CPU time."""
    found = []
    with server(TARGETS[name], options.server_core, options.nice) as running:
        for _ in range(fours):
            rounds: list[dict[str, float]] = []
            for slow in (False, True, True, False):
                with slow_reader(running.port) if slow else nullcontext():
                    sample, _ = judged(
                        CASE,
                        options,
                        lambda: measure_server(CASE, running, options),
                        float("inf"),
                    )
                rounds.append({**sample.latency_us, "cpu_us": sample.cpu_us})
            found.append(
                {what: Four(*(one[what] for one in rounds)) for what in rounds[0]}
            )
    return found


def described(fours: list[Four]) -> str:
    """Return a line on what the slow reader changed."""
    without = median((four.first + four.last) / 2 for four in fours)
    beside = median((four.second + four.third) / 2 for four in fours)
    low, middle, high = quantiles((four.growth for four in fours), n=4)
    return (
        f"{without:9.1f} us without, {beside:9.1f} us with: {middle:+.1%}"
        f" (quartiles {low:+.1%}, {high:+.1%}; two rounds without it differ by"
        f" {median(four.noise for four in fours):.1%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="wsfast")
    parser.add_argument("--fours", type=int, default=8, help="four rounds each")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--nice", type=int, default=0)
    args = parser.parse_args()
    if args.fours < 2:
        parser.error("one alone has no spread: --fours 2")
    options = Options(seconds=args.seconds, nice=args.nice)
    for name in args.servers.split(","):
        found = measure(name, args.fours, options)
        for what in ("p50", "p99", "p999", "cpu_us"):
            line = described([four[what] for four in found])
            print(f"{name:16} {what:7} {line}", flush=True)


if __name__ == "__main__":
    main()
