"""What all tests share: the tools that some of them need."""

from __future__ import annotations

import pytest

from tests import needs

LEFT_OUT = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the count of tests left out, by tool."""
    config.stash[LEFT_OUT] = {}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out, or fail it, when a tool it is marked with is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if needs.find(name) is not None:
                continue
            line = needs.missing_line(name)
            if needs.required():
                pytest.fail(line, pytrace=False)
            counts = item.config.stash[LEFT_OUT]
            counts[name] = counts.get(name, 0) + 1
            pytest.skip(line)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line for each tool what was left out without it."""
    for name, count in config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"{needs.missing_line(name)}: {count} tests")
