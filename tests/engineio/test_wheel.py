"""The timer wheel, on a clock that the test sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.engineio.wheel import Timed, Wheel


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self):
        self.now = 1000.0
        self.calls = []
        self.made = 0

    def time(self):
        return self.now

    def call_at(self, when, callback):
        self.made += 1
        handle = Handle(self, when, callback)
        self.calls.append(handle)
        return handle

    def go(self, until):
        """Let time pass, and call what is due."""
        while True:
            due = [each for each in self.calls if each.when <= until]
            if not due:
                break
            first = min(due, key=lambda each: each.when)
            self.calls.remove(first)
            self.now = max(self.now, first.when)
            first.callback()
        self.now = until


class Handle:
    def __init__(self, clock, when, callback):
        self.clock, self.when, self.callback = clock, when, callback

    def cancel(self):
        if self in self.clock.calls:
            self.clock.calls.remove(self)


class Timer(Timed):
    """Notes when it goes off; ``then`` says when again."""

    def __init__(self, then=None):
        super().__init__()
        self.times = []
        self.then = then

    def on_timer(self, now):
        self.times.append(now)
        return self.then(now) if self.then else 0.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wheel(clock):
    def failed(exc):
        raise exc

    return Wheel(clock, failed)


def test_to_the_millisecond(clock, wheel):
    timers = [Timer() for _ in range(500)]
    for n, timer in enumerate(timers):
        wheel.schedule(timer, 1000.0 + n / 1000)
    clock.go(1001.0)
    for n, timer in enumerate(timers):
        (when,) = timer.times
        assert 0 <= when - (1000.0 + n / 1000) < 0.0011
    assert len(wheel) == 0
    assert clock.calls == []


def test_one_timer_of_the_loop(clock, wheel):
    for n in range(1000):
        wheel.schedule(Timer(), 1000.0 + 0.001 * (n % 10) + 1)
    assert len(clock.calls) == 1
    assert clock.made == 1
    clock.go(1002.0)
    assert clock.made == 10  # as many as there were times


def test_heartbeat_of_300_ms(clock, wheel):
    timer = Timer(lambda now: now + 0.3)
    wheel.schedule(timer, 1000.3)
    clock.go(1003.1)
    assert timer.times == pytest.approx([1000.3 + 0.3 * n for n in range(10)], abs=0.02)


def test_moved_and_cancelled(clock, wheel):
    moved, cancelled, sooner = Timer(), Timer(), Timer()
    for timer in (moved, cancelled):
        wheel.schedule(timer, 1001.0)
    wheel.schedule(moved, 1002.0)
    wheel.cancel(cancelled)
    wheel.cancel(cancelled)
    wheel.schedule(sooner, 1000.5)
    clock.go(1003.0)
    assert cancelled.times == []
    assert moved.times == pytest.approx([1002.0], abs=0.0011)
    assert sooner.times == pytest.approx([1000.5], abs=0.0011)


def test_one_cancels_another_that_is_due(clock, wheel):
    second = Timer()
    first = Timer(lambda now: wheel.cancel(second) or 0.0)
    wheel.schedule(first, 1001.0)
    wheel.schedule(second, 1001.0)
    clock.go(1002.0)
    assert (len(first.times), second.times) == (1, [])


def test_one_that_fails_stops_no_other(clock):
    failures = []
    wheel = Wheel(clock, failures.append)

    def fail(now):
        raise RuntimeError("told to fail")

    second = Timer()
    wheel.schedule(Timer(fail), 1001.0)
    wheel.schedule(second, 1001.0)
    clock.go(1002.0)
    assert len(second.times) == len(failures) == 1


def test_stop(clock, wheel):
    timer = Timer()
    wheel.schedule(timer, 1001.0)
    wheel.stop()
    clock.go(1002.0)
    assert timer.times == []
    wheel.schedule(timer, 1003.0)
    clock.go(1004.0)
    assert len(timer.times) == 1


def test_stop_by_what_goes_off(clock, wheel):
    """An application may close its server in ``on_close``."""
    first = Timer(lambda now: wheel.stop() or 0.0)
    wheel.schedule(first, 1001.0)
    wheel.schedule(Timer(), 1002.0)
    clock.go(1003.0)
    assert len(first.times) == 1
    assert (len(wheel), clock.calls) == (0, [])


def test_a_timer_for_the_past_is_not_lost(clock, wheel):
    """It is of an earlier slot than the one that goes off."""
    late = Timer()
    first = Timer(lambda now: wheel.schedule(late, now - 0.5) or 0.0)
    wheel.schedule(first, 1001.0)
    clock.go(1002.0)
    assert (len(first.times), len(late.times)) == (1, 1)
    assert (len(wheel), clock.calls) == (0, [])


def test_clock_that_calls_early(wheel, clock):
    """An event loop may call as much too early as its clock is coarse."""
    timer = Timer()
    wheel.schedule(timer, 1001.0)
    clock.now = 1000.9991
    (handle,) = clock.calls
    clock.calls.clear()
    handle.callback()
    assert len(timer.times) == 1


STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 50))), max_size=60
)


@given(STEPS)
def test_whatever_is_scheduled_goes_off_once(steps):
    clock = Clock()
    failures = []
    wheel = Wheel(clock, failures.append)
    timers = [Timer() for _ in range(10)]
    due = {}
    for index, delay in steps:
        if delay is None:
            wheel.cancel(timers[index])
            due.pop(index, None)
        else:
            due[index] = clock.now + delay / 1000
            wheel.schedule(timers[index], due[index])
    clock.go(1001.0)
    for index, timer in enumerate(timers):
        expected = [due[index]] if index in due else []
        assert timer.times == pytest.approx(expected, abs=0.0011)
    assert failures == []
