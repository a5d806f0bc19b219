"""Each threat has a test, and each test that is said to be there is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.faults.rows import ELSEWHERE, ROWS

TESTS = Path(__file__).parents[1]


def named(row: str) -> list[str]:
    """Return the tests here whose names begin with a row."""
    pattern = re.compile(rf"def (test_{row.replace('-', '').lower()}_\w+)")
    files = Path(__file__).parent.glob("test_*.py")
    return [name for file in files for name in pattern.findall(file.read_text())]


@pytest.mark.parametrize("row", ROWS)
def test_row_has_its_test(row: str) -> None:
    elsewhere = ELSEWHERE.get(row, [])
    assert named(row) or elsewhere
    for entry in elsewhere:
        file, name, *cases = entry.split()
        assert re.search(rf"\b{name}\b", (TESTS / file).read_text()), entry
        for case in cases:
            module = f"tests.{file.removesuffix('.py').replace('/', '.')}"
            ids = importlib.import_module(module).IDS
            assert any(case == each.split()[0] for each in ids), entry


def test_no_row_is_made_up() -> None:
    assert set(ELSEWHERE) <= set(ROWS)
