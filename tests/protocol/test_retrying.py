"""When a client that is iterated over connects again."""

from __future__ import annotations

import logging
from collections.abc import Generator

from wsfast.protocol.retrying import HEALTHY_S, Retrying, process_exception


def delays() -> Generator[float, None, None]:
    yield from (1.0, 2.0, 3.0)


def test_a_healthy_connection_sets_the_delays_back():
    retrying = Retrying(process_exception, delays, logging.getLogger("test"))
    assert retrying.delay("refused", 0.0) == 1.0
    assert retrying.delay("lost", HEALTHY_S - 0.1) == 2.0
    assert retrying.delay("lost", HEALTHY_S) == 0.0
    assert retrying.delay("refused", 0.0) == 1.0
