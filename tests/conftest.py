"""What all tests share: the tools that some of them need."""

from __future__ import annotations

import pytest

from tests import needs


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out, or fail it, when a tool it is marked with is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if needs.find(name) is None:
                if needs.required():
                    pytest.fail(needs.missing_line(name), pytrace=False)
                pytest.skip(needs.missing_line(name))
