"""The suite against echo applications of `wsfast.sync`, in threads of this process."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.compliance.cases import SETS, Verdict, judge
from tests.compliance.suite import OPTIONS, Run, await_listener, free_port
from wsfast.exceptions import ConnectionClosed
from wsfast.sync import ClientConnection, ServerConnection, connect, serve


def echo(ws: ServerConnection | ClientConnection) -> None:
    """Send every message back, until the connection ends in whatever way."""
    try:
        for message in ws:
            ws.send(message)
    except ConnectionClosed:
        pass  # the suite is the judge


def drive_server(
    agent: str, cases: tuple[str, ...], out: Path, limit_s: float
) -> dict[str, Any]:
    """Run the fuzzing client against an echo server."""
    with serve(echo, "127.0.0.1", 0, **OPTIONS) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        servers = [{"agent": agent, "url": url}]
        run = Run("fuzzingclient", {"servers": servers, "cases": list(cases)}, out)
        try:
            run.process.wait(limit_s)
        finally:
            run.stop()
            server.shutdown()
            thread.join()
    return run.results(agent)


def drive_client(
    agent: str, cases: tuple[str, ...], out: Path, limit_s: float
) -> dict[str, Any]:
    """Run echo clients against the fuzzing server."""
    deadline = time.monotonic() + limit_s
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    run = Run("fuzzingserver", {"url": url, "cases": list(cases)}, out)
    try:
        await_listener(port, run)
        with connect(f"{url}/getCaseCount", proxy=None, **OPTIONS) as ws:
            count = int(ws.recv(30))
        for number in range(1, count + 1):
            assert time.monotonic() < deadline, f"case {number} of {count}"
            uri = f"{url}/runCase?case={number}&agent={quote(agent)}"
            with connect(uri, proxy=None, **OPTIONS) as ws:
                echo(ws)
        uri = f"{url}/updateReports?agent={quote(agent)}"
        with connect(uri, proxy=None, **OPTIONS) as ws:
            assert ws.wait_closed(120)
    finally:
        run.stop()
    return run.results(agent)


def run_threads(role: str, cases: str, *, out: Path, limit_s: float = 7200) -> Verdict:
    """
    Run a set of cases against one role of `wsfast.sync`.

    Args:
        role: ``server`` or ``client``.
        cases: Name of a set of `SETS`, or case patterns separated by commas.
        out: Directory for the suite's reports.
        limit_s: When to give up, in seconds.

    Returns:
        What the suite found.

    """
    agent = f"wsfast-{role}-threads"
    patterns = SETS.get(cases) or tuple(cases.split(","))
    drive = {"server": drive_server, "client": drive_client}[role]
    return judge(agent, drive(agent, patterns, out, limit_s))
