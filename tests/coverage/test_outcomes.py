"""Figures: what is counted where, and when a run has fallen behind."""

import subprocess

import pytest

from tests.coverage import gcov
from tests.coverage.core import HERE, reasons
from tests.coverage.outcomes import Figure, Outcome, fallen, figures, merge


def test_taken_once_is_taken():
    one, other = Outcome("csrc/a.c", 1, "0"), Outcome("csrc/a.c", 1, "1")
    merged = merge([{one: False, other: False}, {one: True}, {one: False}])
    assert merged == {one: True, other: False}


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("csrc/kernels/mask_tpl.h", "csrc"),
        ("wsfast/protocol/http.py", "protocol"),
        ("wsfast/asyncio/_reactor.pyx", "cython"),
        ("wsfast/asyncio/link.py", "python"),
    ],
)
def test_each_file_is_in_one_group_and_in_all(file, group):
    now = figures({Outcome(file, 1, "0"): True, Outcome(file, 1, "1"): False})
    assert now == {group: Figure(1, 2), "all": Figure(1, 2)}


def test_a_hundred_is_all_of_them():
    assert str(Figure(99_999, 100_000)).startswith(" 99.99 %")
    assert str(Figure(5, 5)).startswith("100.00 %")


def test_a_figure_that_fell():
    now = {"csrc": Figure(999, 1000), "python": Figure(996, 1000)}
    assert fallen(now, {"csrc": 99.9, "python": 100.0}) == []
    (line,) = fallen(now, {"csrc": 100.0, "python": 100.0})
    assert line.startswith("csrc: 99.90 %")
    assert len(fallen({"all": Figure(9, 10)}, {"all": 95.0})) == 1


def test_lines_that_are_not_counted_say_why():
    text = "if (a)\nwhile (b) { /* uncounted: c is so */\n/* counted */\n"
    assert gcov.uncounted(text) == {2: "c is so"}
    for line in reasons():
        assert len(line.partition(": ")[2]) > 10


@pytest.mark.needs("gcc")
def test_gcov_counts_each_condition(tmp_path):
    (tmp_path / "a.c").write_text(
        "static int both(int a, int b)\n"
        "{\n"
        "    if (a && b) /* a is never 0, b is both */\n"
        "        return 1;\n"
        "    return 0;\n"
        "}\n"
        "int main(void) { return both(1, 0) + both(2, 3) - 1; }\n"
    )
    for command in (["-c", "a.c"], ["a.o", "-o", "a"]):
        _run(tmp_path, HERE.compiler, *gcov.FLAGS, *command)
    _run(tmp_path, "./a")
    (line,) = gcov.read(HERE.gcov, tmp_path, tmp_path / "a.gcda")
    assert (line.file, line.line, line.function) == ("a.c", 3, "both")
    assert sorted(line.counts) == [0, 1, 1, 2]


def _run(folder, *command):
    subprocess.run(command, cwd=folder, check=True)
