"""``python -m wsfast bench``: put a load on a server, and say how it bears it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from wsfast.version import version

from ._arguments import (
    add_client_arguments,
    client_arguments,
    natural,
    positive,
    seconds,
    uri_of,
)
from ._chart import chart
from ._errors import CommandError, error_of, without_password
from ._histogram import Histogram
from ._load import Plan, Result
from ._terminal import Bar, Style, one_line
from ._workers import run_here, run_in_workers

__all__ = ["add", "document", "make_plan", "run"]

EPILOG = """
examples:
  wsfast bench ws://localhost:8765 -c 100 -d 10
  wsfast bench localhost:8765 --size 16384 --binary --depth 8
  wsfast bench localhost:8765 --rate 5000 --svg latency.svg

The server must answer each message with one message, as "wsfast serve" does.

Without --rate, an answer is followed by the next message at once: that measures what
the server can do. With it, messages are due at regular times, and the corrected latency
counts from then: what users see who do not wait for each other, stalls of the server
included.

exit status: 0 if all went well; 1 if connections failed, were lost or messages had no
answer, the figures being printed all the same; 2 for a wrong command line.
"""

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
BUSY = 0.9  # share of a core from which on the client may be what limits
LATE_S = 1e-3  # so late, at worst in a hundred, that the client limits with a rate


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "bench",
        help="put a load on a server, and measure",
        description="Send messages on many connections, and measure the answers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="without a scheme, ws:// is meant")
    group = parser.add_argument_group("the load")
    group.add_argument(
        "-c", "--connections", type=positive, default=10, metavar="N", help="(10)"
    )
    group.add_argument(
        "--depth",
        type=positive,
        default=1,
        metavar="N",
        help="messages in flight on each connection (1)",
    )
    group.add_argument(
        "--size", type=natural, default=64, metavar="OCTETS", help="of a message (64)"
    )
    group.add_argument("--binary", action="store_true", help="binary messages")
    group.add_argument(
        "-d", "--duration", type=seconds, default=10.0, metavar="SECONDS", help="(10)"
    )
    group.add_argument(
        "--warmup",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="the same load before, not measured (1)",
    )
    group.add_argument(
        "-r",
        "--rate",
        type=rate,
        metavar="N",
        help="messages a second on all connections together (as many as go)",
    )
    group.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="processes (1)"
    )
    group.add_argument(
        "--compression",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="offer permessage-deflate (default: no)",
    )
    group = parser.add_argument_group("the report")
    group.add_argument("--json", action="store_true", help="print it as JSON")
    group.add_argument("--svg", metavar="FILE", help="draw the latency")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tracebacks of what went wrong"
    )
    add_client_arguments(parser)
    parser.set_defaults(run=run)


def rate(text: str) -> float:
    """Read a rate."""
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no rate")
    return number


def make_plan(options: argparse.Namespace) -> Plan:
    """Return the load that the options ask for."""
    uri = uri_of(options.url)
    arguments = client_arguments(options, uri)
    arguments.update(ping_interval=None, max_size=None, max_send_buffer=None)
    message: str | bytes = bytes(i & 0xFF for i in range(256)) * (
        options.size // 256 + 1
    )
    if not options.binary:
        message = "The quick brown fox jumps over the lazy dog. " * (
            options.size // 45 + 1
        )
    return Plan(
        uri,
        arguments,
        options.connections,
        options.depth,
        message[: options.size],
        options.warmup,
        options.duration,
        options.rate,
    )


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    plan = make_plan(options)
    if options.svg:
        _check_writable(Path(options.svg))
    if not 0 < plan.duration < 1e6 or not plan.warmup < 1e6:
        raise CommandError(
            "--duration and --warmup take a number of seconds, at most 1e6", 2
        )
    workers = min(options.workers, plan.connections)
    _allow_descriptors(plan.connections // workers)
    progress = Progress(Bar())
    try:
        if workers == 1:
            result = run_here(plan, progress)
        else:
            options.run = None
            result = run_in_workers(make_plan, options, workers, progress)
    except Exception as exc:
        progress.bar.clear()
        raise error_of(exc, plan.uri, plan.arguments["proxy"]) from exc
    progress.bar.clear()
    early = result.seconds < plan.duration and not result.failures
    if early and not result.latency.count:
        raise CommandError("ended before anything was measured")
    facts = document(plan, workers, result)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        _print(facts, Style(sys.stdout))
    if options.svg and result.latency.count:
        Path(options.svg).write_text(_drawing(plan, result, facts), encoding="utf-8")
    if not result.latency.count and not result.failures:
        raise CommandError(
            "the server answers nothing; bench needs one that answers each message"
        )
    return 1 if facts["failures"] or result.unanswered else 0


class Progress:
    """
    Draws how far a load is.

    Args:
        bar: Where.

    """

    def __init__(self, bar: Bar) -> None:
        self.bar = bar
        self.last = (time.monotonic(), 0)
        self.speed = 0.0

    def __call__(self, phase: str, done: float, answers: int) -> None:
        """Take a report of the load."""
        now = time.monotonic()
        since, before = self.last
        if now - since >= 0.25:
            self.speed = (answers - before) / (now - since)
            self.last = (now, answers)
        text = f"{phase} {100 * done:3.0f} %"
        if answers:
            text += f"  {self.speed:,.0f} answers/s"
        self.bar.show(done, text)


def _check_writable(path: Path) -> None:
    """Find out before the measuring whether its chart can be written."""
    try:
        with path.open("a"):
            pass
    except OSError as exc:
        raise CommandError(f"--svg {path}: {exc.strerror}", 2) from exc


def _allow_descriptors(connections: int) -> None:
    """Raise the limit of open files, as far as this user may, if that takes it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = connections + 64
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, soft), hard))


# ---- the report ----


def document(plan: Plan, workers: int, result: Result) -> dict[str, Any]:
    """Return the report as ``--json`` prints it; durations in milliseconds."""
    measured = result.seconds or 1.0
    latency = {"measured": _table(result.latency)}
    if plan.rate is not None:
        latency["corrected"] = _table(result.corrected)
    facts: dict[str, Any] = {
        "wsfast": version,
        "uri": without_password(plan.uri),
        "load": {
            "connections": plan.connections,
            "depth": plan.depth,
            "octets": len(plan.message),
            "kind": "text" if isinstance(plan.message, str) else "binary",
            "rate": plan.rate,
            "seconds": round(result.seconds, 3),
            "workers": workers,
        },
        "opened": result.opened,
        "answers": result.answers,
        "answers_per_s": round(result.answers / measured, 1),
        "octets_per_s": round(result.octets / measured),
        "connecting_ms": _table(result.connecting),
        "latency_ms": latency,
        "client_cpu": round(result.cpu, 3),
        "failures": dict(result.failures),
        "unanswered": result.unanswered,
    }
    if plan.rate is not None:
        facts["unsent"] = result.unsent
        facts["sent_late_ms"] = _table(result.late)
    facts["notes"] = list(_notes(plan, workers, result))
    return facts


def _table(histogram: Histogram) -> dict[str, float]:
    """Return percentiles, mean and maximum, in milliseconds."""
    values = dict(zip(SHARES, histogram.quantiles(SHARES.values()), strict=True))
    values.update(max=histogram.longest, mean=histogram.mean)
    return {name: round(1e3 * value, 4) for name, value in values.items()}


def _notes(plan: Plan, workers: int, result: Result) -> Any:
    """Yield what one must know to read the figures."""
    if plan.rate is None:
        if result.cpu >= BUSY:
            yield (
                f"the client was the limit: its CPU was at {100 * result.cpu:.0f} %; "
                f"--workers {workers + 1} may show more of the server"
                f" ({os.cpu_count()} CPUs here)"
            )
    else:
        late = result.late.quantiles([0.99])[0]
        if late >= LATE_S:
            yield (
                f"the client was the limit: it sent up to {1e3 * late:.1f} ms late "
                f"(p99); a lower --rate, or --workers {workers + 1}"
            )
        if result.unsent:
            yield (
                f"{result.unsent} messages were due and had to wait for a connection "
                "to the end; they count in the corrected latency"
            )
    if result.unasked:
        yield f"{result.unasked} messages came that answer none: are figures of use?"
    if result.answers and result.octets != result.answers * len(plan.message):
        yield "the answers are not as long as the messages"


def _print(facts: dict[str, Any], style: Style) -> None:
    load = facts["load"]
    paced = f", {load['rate']:g}/s asked for" if load["rate"] else ""
    many = f", {load['workers']} workers" if load["workers"] > 1 else ""
    print(style("bold", one_line(facts["uri"])))
    print(
        f"{load['connections']} connections, {load['depth']} in flight on each, "
        f"{load['octets']} octets of {load['kind']}, {load['seconds']:g} s{paced}{many}"
    )
    print()
    mib = facts["octets_per_s"] / (1 << 20)
    print(f"answers      {facts['answers']:>12,}")
    print(f"per second   {facts['answers_per_s']:>12,.0f}   {mib:,.2f} MiB/s")
    print(f"client's CPU {100 * facts['client_cpu']:>10.0f} %")
    print()
    tables = {"handshake": facts["connecting_ms"]}
    for name, table in facts["latency_ms"].items():
        tables["latency" if len(facts["latency_ms"]) == 1 else name] = table
    columns = [*SHARES, "max", "mean"]
    print(style("faint", f"{'ms':<10}" + "".join(f"{name:>10}" for name in columns)))
    for name, table in tables.items():
        cells = "".join(f"{_short(table[column]):>10}" for column in columns)
        print(f"{name:<10}{cells}")
    problems = [
        f"{count} of {load['connections']} connections: {one_line(why)}"
        for why, count in facts["failures"].items()
    ]
    if facts["unanswered"]:
        problems.append(f"{facts['unanswered']} messages had no answer")
    if problems or facts["notes"]:
        print()
    for line in problems:
        print(style("red", f"- {line}"))
    for line in facts["notes"]:
        print(f"- {line}")


def _short(ms: float) -> str:
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def _drawing(plan: Plan, result: Result, facts: dict[str, Any]) -> str:
    """Return the chart."""
    curves = {"latency": result.latency}
    if plan.rate is not None:
        curves = {
            "latency from when it was due (corrected)": result.corrected,
            "latency from when it was sent": result.latency,
        }
    load = facts["load"]
    return chart(
        f"{one_line(facts['uri'])}: {facts['answers_per_s']:,.0f} answers a second",
        f"{load['connections']} connections, {load['depth']} in flight on each, "
        f"{load['octets']} octets of {load['kind']}, {load['seconds']:g} s",
        curves,
    )
