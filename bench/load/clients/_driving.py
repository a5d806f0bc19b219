"""What the Python clients of the load benchmark share: arguments, clock and answer."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Drive:
    """One run: what to send, and how many echoes have come."""

    uri: str
    port: int
    connections: int
    payload: str
    #: what an echo has to be equal to
    expected: str | bytes
    #: for TLS; the server's certificate is one that nobody vouches for
    ssl: ssl.SSLContext | None = None
    messages: int = 0

    def check(self, message: object) -> None:
        """Count an echo; a wrong one ends the run."""
        if message != self.expected:
            print("wrong echo", file=sys.stderr, flush=True)
            os._exit(1)
        self.messages += 1


#: opens one connection and keeps one message in flight on it, for ever
Open = Callable[[Drive], Awaitable[None]]


def waited_s() -> float:
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def peak_mib() -> float:
    """Return the most memory that this program has had."""
    # getrusage() has that of the process from before it became this program, too
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def _run(open_one: Open, drive: Drive, warmup_s: float, seconds: float) -> None:
    ready = [asyncio.ensure_future(open_one(drive)) for _ in range(drive.connections)]
    # an event would cost each message a look at it
    while drive.messages < drive.connections:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.sleep(warmup_s)
    count, waited = drive.messages, waited_s()
    wall, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    found = {
        "messages": drive.messages - count,
        "wall_s": wall,
        "client_cpu_s": cpu,
        "client_wait_s": waited_s() - waited,
        "peak_mib": peak_mib(),
    }
    for task in ready:
        if task.done():
            task.result()  # a connection that failed fails the run
    print(json.dumps(found), flush=True)


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def arguments_of() -> tuple[Drive, argparse.Namespace]:
    """Read the command line, and stay on the core that it names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, default=-1)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    args = parser.parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    letters = "".join(chr(32 + i % 94) for i in range(args.size))
    uri = f"{'wss' if args.tls else 'ws'}://127.0.0.1:{args.port}/"
    context = _context() if args.tls else None
    return Drive(uri, args.port, args.connections, letters, letters, context), args


def main(open_one: Open) -> None:
    """Run ``open_one`` for each connection and print one JSON object."""
    drive, args = arguments_of()
    run = asyncio.run
    if args.loop == "uvloop":
        import uvloop

        run = uvloop.run
    try:
        run(_run(open_one, drive, args.warmup, args.seconds))
    finally:
        code = 1 if sys.exc_info()[0] is not None else 0
        if code:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(code)
