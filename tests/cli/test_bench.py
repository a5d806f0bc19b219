"""``wsfast bench``: the figures, what they leave out, what it says of itself."""

from __future__ import annotations

import json
import random
import re
import signal
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import HERE
from wsfast.cli import _load, bench
from wsfast.cli._histogram import Histogram
from wsfast.sync import connect

SHORT = ("-d", "0.8", "--warmup", "0.1", "--no-proxy")


def test_a_table(run, server):
    done = run("bench", server.uri, "-c", "3", "--depth", "4", *SHORT)
    assert (done.status, done.err) == (0, "")
    text = done.out.decode()
    assert "3 connections, 4 in flight on each, 64 octets of text, 0.8 s\n" in text
    assert int(re.search(r"answers +([\d,]+)\n", text)[1].replace(",", "")) > 0
    columns = ["ms", "p50", "p90", "p99", "p99.9", "max", "mean"]
    assert columns in [line.split() for line in text.splitlines()]
    row = re.search(r"^latency (.*)$", text, re.MULTILINE)[1].split()
    p50, p90, p99, p999, longest, mean = map(float, row)
    assert 0 < p50 <= p90 <= p99 <= p999 <= longest
    assert 0 < mean < longest
    assert "\x1b" not in text


def test_json_and_a_chart(run, server, tmp_path):
    chart = tmp_path / "chart.svg"
    words = ["--rate", "200", "--binary", "--size", "1000", "--svg", str(chart)]
    done = run("bench", server.uri, "-c", "4", *words, "--json", *SHORT)
    found = json.loads(done.out)
    assert found["load"]["kind"] == "binary"
    assert found["opened"] == 4
    assert found["answers"] > 0
    assert found["octets_per_s"] / found["answers_per_s"] == pytest.approx(1000, 0.01)
    both = found["latency_ms"]
    assert both["corrected"]["max"] >= both["measured"]["max"] > 0
    assert found["connecting_ms"]["max"] > 0
    root = ElementTree.fromstring(chart.read_text())
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert any("octets of binary" in (element.text or "") for element in root)


def test_a_stall_is_not_left_out(start):
    """A server that sleeps for half a second: who had to wait is counted."""
    server = start("serve", str(HERE), "--port", "0", "-q")
    uri = server.see(r"on (ws://\S+)")[1]
    with connect(uri, proxy=None) as ws:
        words = ("--rate", "200", "-d", "2", "--warmup", "0", "--json", "--no-proxy")
        load = start("bench", uri, *words)
        server.see("under load")
        ws.send("stall 0.5")
        assert load.end() == 0, load.err
    assert server.end(signal.SIGTERM) == 0
    latency = json.loads(load.out)["latency_ms"]
    assert latency["corrected"]["max"] > 450
    # Measured, one message in all was late; in truth, each that was due meanwhile.
    assert latency["corrected"]["mean"] > latency["measured"]["mean"] + 40


def test_workers_share_the_load(start, server):
    words = ["-c", "5", "--workers", "2", "--rate", "100", "--json"]
    process = start("bench", server.uri, *words, *SHORT)
    assert process.end() == 0, process.err
    found = json.loads(process.out)
    assert (found["opened"], found["load"]["workers"]) == (5, 2)
    assert 0 < found["answers"] <= 100
    assert found["failures"] == {}


def test_an_interrupted_one_reports(start, server):
    since = len(server.out)
    process = start("bench", server.uri, "-d", "1000", "--warmup", "0", "--json")
    server.see("under load: 100", since=since)
    assert process.end(signal.SIGINT) == 0, process.err
    assert json.loads(process.out)["load"]["seconds"] < 900


def test_a_server_that_does_not_answer(run, server, monkeypatch):
    monkeypatch.setattr(_load, "LAST_S", 0.1)
    monkeypatch.setattr(bench, "make_plan", _hushing(bench.make_plan))
    done = run("bench", server.uri, "-c", "2", *SHORT)
    assert done.status == 1
    assert "2 messages had no answer" in done.out.decode()
    assert done.err.startswith("wsfast: the server answers nothing; bench needs one")


def test_connections_that_are_lost(run, server, monkeypatch):
    monkeypatch.setattr(bench, "make_plan", _hushing(bench.make_plan, "bye 4001"))
    done = run("bench", server.uri, "-c", "2", "--json", *SHORT)
    assert done.status == 1
    found = json.loads(done.out)
    assert found["failures"] == {"closed with 4001 as you wish": 2}
    assert found["unanswered"] == 2


def _hushing(make_plan, message="hush"):
    """Return a maker of the same plan with a message that the handler obeys."""

    def make(options):
        plan = make_plan(options)
        plan.message = message
        return plan

    return make


def test_where_nobody_is(run):
    done = run("bench", "ws://127.0.0.1:1/", "--no-proxy")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "ws://127.0.0.1:1/: nobody listens there" in done.err


def test_wrong_command_lines(run, tmp_path):
    for words, said in (
        (["--rate", "0"], "0 is no rate"),
        (["-c", "0"], "0 is below 1"),
        (["-d", "inf"], "--duration and --warmup take a number of seconds"),
        (["--svg", str(tmp_path / "no" / "file")], "No such file or directory"),
    ):
        done = run("bench", "x", *words)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert said in done.err


def test_the_client_says_when_it_was_the_limit():
    result = _load.Result(opened=1, answers=10, octets=640, seconds=1.0, cpu=0.97)
    plan = _load.Plan("ws://x/", {}, 1, 1, "x" * 64, 0, 1, None)
    assert "its CPU was at 97 %; --workers 2" in next(bench._notes(plan, 1, result))
    result.cpu = 0.5
    assert list(bench._notes(plan, 1, result)) == []
    plan.rate = 10.0
    result.late.add(0.004)
    assert "it sent up to 4.0 ms late" in next(bench._notes(plan, 1, result))


def test_histogram_against_sorting():
    made = random.Random(1)
    values = sorted(made.lognormvariate(-7, 2) for _ in range(20_000))
    histogram, other = Histogram(), Histogram()
    for value in values:
        (histogram if made.random() < 0.5 else other).add(value)
    histogram.merge(other)
    shares = [0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0]
    for share, found in zip(shares, histogram.quantiles(shares), strict=True):
        exact = values[max(0, min(len(values) - 1, int(share * len(values)) - 1))]
        assert found == pytest.approx(exact, rel=0.01)
    assert histogram.longest == values[-1]
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert Histogram().quantiles([0.5]) == [0.0]
    histogram.add(1e9)  # far beyond what it tells apart
    assert histogram.longest == 1e9
