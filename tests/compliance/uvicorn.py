"""The suite against an echo application in uvicorn, with our class."""

from __future__ import annotations

from pathlib import Path

from tests.asgi.process import serving
from tests.compliance.cases import SETS, Verdict, judge
from tests.compliance.suite import Run


def run_uvicorn(
    path: str, cases: str, *, loop: str, out: Path, limit_s: float = 7200
) -> Verdict:
    """
    Run a set of cases against uvicorn.

    Args:
        path: ``reactor`` or ``transport``.
        cases: Name of a set of `SETS`, or case patterns separated by commas.
        loop: ``asyncio`` or ``uvloop``.
        out: Directory for the suite's reports.
        limit_s: When to give up, in seconds.

    Returns:
        What the suite found.

    """
    agent = f"uvicorn-{path}-{loop}"
    patterns = SETS.get(cases) or tuple(cases.split(","))
    options = ("--loop", loop, "--ws-ping-interval", "600", "--lifespan", "off")
    with serving("tests.asgi.apps:echo", *options, path=path) as server:
        servers = [{"agent": agent, "url": server.uri}]
        spec = {"servers": servers, "cases": list(patterns)}
        run = Run("fuzzingclient", spec, out)
        try:
            run.process.wait(limit_s)
        finally:
            run.stop()
        return judge(agent, run.results(agent))
