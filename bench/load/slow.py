"""
What one slow reader costs a thousand others: ``python -m bench.load.slow``.

A thousand clients echo 64 octets, one in flight each. In every other round one more
asks for all it can get and reads 16 KiB twenty times a second: the server always has
something for it which the system does not take. Rounds with it and without it take
turns on one server; what is compared is the others' latency, and the server's CPU time
for a message of theirs: the median over pairs of rounds, which lie side by side.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from bench.load.cases import BY_CONNECTIONS, CASES
from bench.load.fleet import server
from bench.load.runner import Options, measure_server
from bench.load.targets import TARGETS
from tests.faults.rawpeer import BINARY, frame, opened

CASE = CASES[BY_CONNECTIONS[1000]]
MESSAGE = frame(BINARY, bytes(16 * 1024))
READ, PAUSE_S = 16 * 1024, 0.05


@contextmanager
def slow_reader(port: int) -> Iterator[None]:
    """Have one more client, which says much and reads little, meanwhile."""
    with opened(port, receive_buffer=READ) as peer:
        peer.sock.setblocking(False)
        ended = threading.Event()
        thread = threading.Thread(target=_play, args=(peer.sock, ended))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _play(sock: socket.socket, ended: threading.Event) -> None:
    left = b""
    while not ended.is_set():
        try:
            for _ in range(64):
                left = left or MESSAGE
                left = left[sock.send(left) :]
        except BlockingIOError:
            pass
        except OSError:
            return  # it was given up, as max_send_buffer has it
        try:
            sock.recv(READ)
        except BlockingIOError:
            pass
        except OSError:
            return
        time.sleep(PAUSE_S)


def measure(name: str, rounds: int, options: Options) -> dict[str, list[list[float]]]:
    """Return what was found in pairs of rounds: without the slow reader, and with."""
    found: dict[str, list[list[float]]] = {}
    with server(TARGETS[name], options.server_core, options.nice) as running:
        for n in range(rounds):
            pair: dict[bool, dict[str, float]] = {}
            for slow in (False, True) if n % 2 else (True, False):
                with slow_reader(running.port) if slow else nullcontext():
                    sample = measure_server(CASE, running, options)
                pair[slow] = {**sample.latency_us, "cpu_us": sample.cpu_us}
            for what, value in pair[False].items():
                found.setdefault(what, []).append([value, pair[True][what]])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default="wsfast,wsfast-callback")
    parser.add_argument("--rounds", type=int, default=8, help="of each kind")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--nice", type=int, default=0)
    args = parser.parse_args()
    options = Options(seconds=args.seconds, nice=args.nice)
    for name in args.servers.split(","):
        found = measure(name, args.rounds, options)
        for what in ("p50", "p99", "cpu_us"):
            without, beside = (
                median(values) for values in zip(*found[what], strict=True)
            )
            change = median(two / one for one, two in found[what]) - 1
            figures = f"{without:9.1f} us without, {beside:9.1f} us with"
            print(f"{name:16} {what:7} {figures}: {change:+.1%}", flush=True)


if __name__ == "__main__":
    main()
