"""Runs the Autobahn testsuite, ``wstest``, against an endpoint of a target."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests import needs
from tests.compliance.cases import SETS, Verdict, judge
from tests.support.ports import free_port
from tests.support.process import ROOT, Host, hosting
from tests.support.targets import Target

SETUP = ROOT / "tests" / "compliance" / "setup-wstest.sh"

#: What an echo endpoint needs to pass: messages of 16 MiB, sent back in their time.
OPTIONS = {
    "max_size": None,
    "ping_interval": None,
    "open_timeout": 60,
    "close_timeout": 5,
}


class SuiteMissingError(Exception):
    """The suite is not there and cannot be set up."""


def wstest() -> Path:
    """
    Return the suite's program, setting it up first where that is possible.

    Raises:
        SuiteMissingError: There is no Python 2.7 to run it on.

    """
    venv = Path(os.environ.get("WSTEST_VENV", ROOT / "build" / "wstest"))
    if not (venv / "ready").exists():
        python = os.environ.get("PYTHON27") or needs.find("python2.7") or ""
        done = subprocess.run(
            [SETUP, venv],
            env={**os.environ, "PYTHON27": python},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SuiteMissingError(done.stderr.strip().rpartition("\n")[2])
    return venv / "bin" / "wstest"


class Run:
    """
    One run of ``wstest`` in a directory of its own.

    Args:
        mode: ``fuzzingclient`` or ``fuzzingserver``.
        spec: Specification of the run, without the output directory.
        out: Directory for the reports; emptied first.

    """

    def __init__(self, mode: str, spec: dict[str, Any], out: Path) -> None:
        program = wstest()
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        self.out = out
        (out / "spec.json").write_text(json.dumps({**spec, "outdir": str(out)}))
        command = [str(program), "--mode", mode, "--spec", str(out / "spec.json")]
        if mode == "fuzzingserver":
            command += ["--webport", "0"]
        self.log = (out / "wstest.log").open("w")
        self.process = subprocess.Popen(
            command, cwd=out, stdout=self.log, stderr=subprocess.STDOUT
        )

    def results(self, agent: str) -> dict[str, Any]:
        """Return the agent's results from the report."""
        index = self.out / "index.json"
        if not index.exists():
            raise RuntimeError(f"the suite wrote no report: see {self.log.name}")
        results: dict[str, Any] = json.loads(index.read_text()).get(agent, {})
        return results

    def stop(self) -> None:
        """End the suite if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def drive_server(
    host: Host,
    agent: str,
    cases: tuple[str, ...],
    out: Path,
    script: str,
    limit_s: float,
) -> Verdict:
    """Run the fuzzing client against an echo server in the host."""
    options = dict(OPTIONS, compression="deflate")
    server = host.serve(script, **options)
    servers = [{"agent": agent, "url": f"ws://127.0.0.1:{server.port}"}]
    run = Run("fuzzingclient", {"servers": servers, "cases": list(cases)}, out)
    try:
        run.process.wait(limit_s)
    finally:
        run.stop()
    return judge(agent, run.results(agent))


def drive_client(
    host: Host,
    agent: str,
    cases: tuple[str, ...],
    out: Path,
    script: str,
    limit_s: float,
) -> Verdict:
    """Run echo clients in the host against the fuzzing server."""
    deadline = time.monotonic() + limit_s
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    run = Run("fuzzingserver", {"url": url, "cases": list(cases)}, out)
    try:
        await_listener(port, run)
        count = host.connect(f"{url}/getCaseCount", "sink", **OPTIONS)
        cases_left = int(count.event("end")["first"].strip("'"))
        name = quote(agent)
        for number in range(1, cases_left + 1):
            uri = f"{url}/runCase?case={number}&agent={name}"
            client = host.connect(uri, script, compression="deflate", **OPTIONS)
            # What the client makes of the peer is its affair; the suite is the judge.
            client.event("done", max(1.0, deadline - time.monotonic()))
        update = host.connect(f"{url}/updateReports?agent={name}", "sink", **OPTIONS)
        update.event("done", 120)
    finally:
        run.stop()
    return judge(agent, run.results(agent))


def await_listener(port: int, run: Run) -> None:
    """Wait until the suite's server accepts connections."""
    deadline = time.monotonic() + 30
    while run.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"the suite's server does not answer: see {run.log.name}")


ROLES: dict[str, Callable[[Host, str, tuple[str, ...], Path, str, float], Verdict]] = {
    "server": drive_server,
    "client": drive_client,
}


def run_suite(
    target: Target,
    role: str,
    path: str,
    cases: str,
    *,
    loop: str = "asyncio",
    script: str = "echo_for",
    out: Path | None = None,
    limit_s: float = 7200,
) -> Verdict:
    """
    Run a set of cases against one role of a target on one path.

    Args:
        target: Library under test.
        role: ``server`` or ``client``.
        path: ``reactor`` or ``transport``.
        cases: Name of a set of `SETS`, or case patterns separated by commas.
        loop: ``asyncio`` or ``uvloop``.
        script: What the application does: ``echo_for``, or ``callback`` for a server.
        out: Directory for the suite's reports; None for one under the system's.
        limit_s: When to give up, in seconds.

    Returns:
        What the suite found.

    """
    agent = f"{target.name}-{role}-{path}"
    if out is None:
        out = Path(tempfile.gettempdir()) / f"wsfast-autobahn-{os.getpid()}" / agent
    patterns = SETS.get(cases) or tuple(cases.split(","))
    with hosting(target, path, loop) as host:
        verdict = ROLES[role](host, agent, patterns, out, script, limit_s)
        (out / "endpoint.log").write_text("\n".join(host.log))
        if host.tracebacks():
            verdict.failures["log"] = f"{len(host.tracebacks())} tracebacks"
        return verdict
