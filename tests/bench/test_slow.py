"""The slow reader of the load benchmark: what it asks for, and what is made of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from select import select

import pytest

from bench.load.slow import FILL, MESSAGE, READ, Four, described, slow_reader
from tests.faults.rawpeer import Listening


def test_it_asks_for_as_much_as_it_has_read():
    with Listening() as server, ThreadPoolExecutor() as pool, ExitStack() as stack:
        accepted = pool.submit(server.opened)
        with slow_reader(server.port):
            peer = stack.enter_context(accepted.result(10))  # it outlasts the reader
            for _ in range(-(-FILL // len(MESSAGE))):
                assert len(peer.recv().payload) == READ
            # As long as it has nothing to read nothing comes, however long one waits.
            assert not peer.buffer and not select([peer.sock], [], [], 0.2)[0]
            peer.send(MESSAGE)
            assert len(peer.recv().payload) == READ


def test_a_round_without_it_does_not_count():
    with Listening() as server, ThreadPoolExecutor() as pool:
        accepted = pool.submit(server.opened)
        with (
            pytest.raises(RuntimeError, match="given the slow reader up"),
            slow_reader(server.port) as given_up,
        ):
            accepted.result(10).reset()
            assert given_up.wait(10)


def test_what_drifts_evenly_is_not_the_slow_readers():
    drift = Four(100.0, 110.0, 120.0, 130.0)
    assert drift.growth == 0 and drift.noise == pytest.approx(0.3)
    worse = Four(100.0, 150.0, 150.0, 100.0)
    assert worse.growth == pytest.approx(0.5) and worse.noise == 0
    line = described([drift, worse, worse])
    assert "100.0 us without,     150.0 us with: +50.0%" in line
    assert "differ by 0.0%" in line
