"""The load benchmark without a load: what belongs together, and what is said of it."""

from __future__ import annotations

import io
import re

import pytest

from bench.load import __main__ as program
from bench.load.cases import BY_CONNECTIONS, CASES
from bench.load.compare import compare
from bench.load.dialects import DIALECTS
from bench.load.fleet import ROOT, Fleet
from bench.load.page import page
from bench.load.progress import Progress
from bench.load.report import as_json, markdown
from bench.load.runner import Result, Sample
from bench.load.sets import SETS
from bench.load.targets import TARGETS, Target


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_servers_that_suit_its_cases_and_their_references(name):
    for case_name, servers in SETS[name].items():
        case = CASES[case_name]
        assert case.reference in servers or case.reference == "wsfast"
        for server in servers:
            assert TARGETS[server].suits(case), (server, case_name)


def test_every_case_has_a_reference_that_can_be_measured_in_it():
    for case in CASES.values():
        assert TARGETS[case.reference].suits(case), case.name
        assert not case.dialect or case.dialect in DIALECTS
    assert sorted(BY_CONNECTIONS) == [1, 10, 100, 1000, 10000]


def result(case: str, **cpu: list[float]) -> Result:
    """Return what measuring a case might have found, for ``server=[us, us]``."""
    samples = {
        name: [
            Sample(us, 1e6 / us, 1.0, 0.0, {"p50": 9.0, "p99": 20.0, "p999": 30.0})
            for us in found
        ]
        for name, found in cpu.items()
    }
    return Result(CASES[case], samples, dict.fromkeys(cpu, 0), {})


def document(facts: dict[str, str], *results: Result) -> dict[str, object]:
    text = markdown(results, [*TARGETS.values()], facts)
    return as_json(results, facts, {"rounds": 2}, text)


def test_a_comparison_tells_changes_from_noise():
    before = document(
        {"Python": "3.11"}, result("echo64", floor=[5.0, 4.0], wsfast=[6.0, 5.0])
    )
    after = document(
        {"Python": "3.12"}, result("echo64", floor=[5.0, 4.0], wsfast=[5.5, 4.2])
    )
    text = compare(before, after)
    assert "- Python: 3.11, then 3.12" in text
    row = r"\| echo64 \| wsfast \| 5.5 \| 4.85 \| -11.8% \| 1.23 \| 1.08 \| lower \|"
    assert re.search(row, text)
    assert re.search(r"\| echo64 \| floor .* \| 1.00 \| 1.00 \|  \|", text)


def test_the_page_has_what_the_report_has():
    found = document({"CPU": "a & b"}, result("echo64", floor=[5.0], wsfast=[6.0]))
    html = page(found["markdown"], found["facts"], ["<?xml?><svg>chart</svg>"])
    assert "<li>CPU: a &amp; b</li>" in html and "<svg>chart</svg>" in html
    assert '<tr class="ours"><td>wsfast, coroutine</td><td>6</td>' in html


def test_rates_are_messages_per_second_of_cpu_time():
    found = document({}, result("tls64", floor=[10.0], wsfast=[12.5]))
    assert "| wsfast, coroutine | 80,000 | 0.80 |" in found["markdown"]


def test_the_manual_keeps_what_is_around_the_figures(tmp_path):
    path = tmp_path / "benchmark.md"
    path.write_text(f"# A\n{program.DOCS_BEGIN}\nold\n{program.DOCS_END}\n## Clients\n")
    program._into_docs(path, "# Load benchmark\n\n- new\n", [tmp_path / "a.svg"])
    assert path.read_text() == (
        f"# A\n{program.DOCS_BEGIN}\n\n![a](a.svg)\n\n- new\n\n{program.DOCS_END}\n"
        "## Clients\n"
    )
    assert program.DOCS_BEGIN in (ROOT / "docs" / "benchmark.md").read_text()


def test_progress_is_a_line_for_each_sample_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = Progress(4, None, stream)
    for name in ("a", "b"):
        progress(name)
    progress.end()
    assert stream.getvalue() == " 25% a\n 50% b\n"


def test_a_server_that_does_not_start_says_why():
    bad = Target("bad", "", ("/bin/sh", "-c", "echo no such thing >&2; exit 1"))
    with (
        Fleet(0, 0) as fleet,
        pytest.raises(RuntimeError, match="did not start: no such thing"),
    ):
        fleet.get(bad)
