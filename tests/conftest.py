"""What all tests share: the tools that some of them need, logging as it was."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from typing import TypeVar

import pytest

from tests import needs

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out, or fail it, when a tool it is marked with is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if needs.find(name) is None:
                if needs.required():
                    pytest.fail(needs.missing_line(name), pytrace=False)
                pytest.skip(needs.missing_line(name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that wants a package where none may be missing."""
    return _nothing_left_out((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    """Do the same for a file of tests."""
    return _nothing_left_out((yield))


def _nothing_left_out(report: _Report) -> _Report:
    if report.skipped and needs.required() and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if "could not import" in reason:
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: {reason}"
    return report


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a test, or a framework in it, does to the levels of loggers."""
    before = _levels()
    yield
    for name, now in _levels().items():
        level, disabled = before.get(name, (logging.NOTSET, False))
        if now != (level, disabled):
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.disabled = disabled


def _levels() -> dict[str | None, tuple[int, bool]]:
    """Return the levels of the root logger and ours, and which are disabled."""
    names = [None, *(n for n in logging.root.manager.loggerDict if n[:6] == "wsfast")]
    loggers = {name: logging.getLogger(name) for name in names}
    return {name: (found.level, found.disabled) for name, found in loggers.items()}
