"""When one iteration over a client tries again (THREATS K-10)."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest

from wsfast.protocol.retrying import Retrying, process_exception


def delays() -> Generator[float, None, None]:
    yield from (1.0, 2.0, 4.0)


def retrying() -> Retrying:
    return Retrying(process_exception, delays, logging.getLogger("wsfast.client"))


def test_delays_grow_until_a_connection_was_healthy():
    again = retrying()
    assert [again.delay("why", lasted_s) for lasted_s in (0, 9.9)] == [1, 2]
    assert again.delay("why", 10) == 0
    assert [again.delay("why", 0) for _ in range(3)] == [1, 2, 4]


def test_what_will_not_go_away_is_raised():
    again = retrying()
    assert again.failed(OSError("away")) == "OSError: away"
    with pytest.raises(ZeroDivisionError):
        again.failed(ZeroDivisionError())


def test_process_exception_may_fail_itself():
    def fails(exc: Exception) -> None:
        raise KeyError("mine") from None

    again = Retrying(fails, delays, logging.getLogger("wsfast.client"))
    with pytest.raises(KeyError) as caught:
        again.failed(OSError("away"))
    assert isinstance(caught.value.__cause__, OSError)
