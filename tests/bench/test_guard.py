"""The regression guard: what it reads from callgrind, and what it says of growth."""

from __future__ import annotations

import json

import pytest

from bench.guard.__main__ import HERE
from bench.guard.counts import LIMIT, Count, compare, function_name, parse

#: A dump as callgrind 3.19 writes it, of ten messages.
DUMP = """\
# callgrind format
desc: Trigger: Client Request: echo, 64 octets
positions: line
events: Ir
summary: 900

ob=/usr/lib/wsfast/_frames.cpython-311-x86_64-linux-gnu.so
fl=???
fn=__pyx_f_6wsfast_7_frames_13MessageParser_feed
0 500
cob=/usr/lib/libpython3.11.so.1.0
cfi=Objects/unicodeobject.c
cfn=PyUnicode_New
calls=10 0
0 300
0 100

ob=/usr/lib/libpython3.11.so.1.0
fl=Objects/unicodeobject.c
fn=PyUnicode_New
12 200
fi=Include/object.h
+1 100
"""


def test_a_dump_is_read_without_what_functions_call():
    name, count = parse(DUMP.replace("+1 ", "1 "), units=10)
    assert name == "echo, 64 octets"
    assert count.total == 90.0
    assert count.functions == {
        "_frames: MessageParser.feed": 60.0,
        "libpython3: PyUnicode_New": 30.0,
    }


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_6wsfast_7asyncio_8_reactor_7Reactor__pass", "Reactor._pass"),
        ("__pyx_pw_6wsfast_7_engine_1mask", "_engine.mask"),
        ("wsf_mask.constprop.0", "wsf_mask"),
        ("_PyEval_EvalFrameDefault'2", "_PyEval_EvalFrameDefault"),
        ("__pyx_f_99x", "__pyx_f_99x"),
    ],
)
def test_symbols_are_given_names_that_people_know(symbol, name):
    assert function_name(symbol) == name


def test_growth_above_the_limit_is_wrong_and_names_what_grew():
    before = {"echo": Count(100.0, {"a: parse": 60.0, "b: send": 40.0})}
    within = {"echo": Count(100.0 * (1 + LIMIT) - 0.1, {"a: parse": 64.9})}
    assert compare(within, before)[0] == []
    now = {"echo": Count(107.0, {"a: parse": 60.0, "b: send": 40.0, "c: log": 7.0})}
    (wrong,), table = compare(now, before)
    assert "+7.00%" in wrong and "+7  c: log  (was 0)" in wrong
    assert "parse" not in wrong and len(table) == 1


def test_a_workload_on_one_side_only_is_wrong():
    wrong, _ = compare({"new": Count(1.0)}, {"old": Count(1.0)})
    assert wrong == ["new: not in the baseline", "old: only in the baseline"]


def test_every_baseline_says_with_what_it_was_made():
    baselines = sorted((HERE / "baselines").glob("*.json"))
    assert baselines
    for path in baselines:
        document = json.loads(path.read_text())
        assert {"python", "compiler", "cython", "valgrind"} <= set(document["facts"])
        assert all(found["total"] > 0 for found in document["workloads"].values())
