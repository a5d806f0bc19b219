"""What all buses have in common: the queue, its limits, coming back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.hub.waiting import until
from wsfast.hub import Bus, MemoryBus


class Gate(Bus):
    """A bus whose other end comes and goes as the test says, and takes what it says."""

    def __init__(self, **options):
        super().__init__(min_retry=0.001, max_retry=0.001, **options)
        self.there = asyncio.Event()
        self.cut = asyncio.Event()
        self.taking = True
        self.taken = []
        self.subscribed = []

    async def _serve(self):
        if not self.there.is_set():
            raise OSError("nobody is there")
        self.cut.clear()
        self.subscribed.append(sorted(self._callbacks))
        self._confirm(self._version)
        self._is_up()
        while not self.cut.is_set():
            await self._wake.wait()
            batch = self._next_batch()
            if not self.taking:
                await self.cut.wait()
            for item in batch:
                self.taken.append(item)
                self._handed_over()
        raise OSError("cut")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_queue": 0}, "must be positive"),
        ({"max_size": 10, "max_queue_size": 9}, "max_size"),
        ({"liveness": 5.1}, "at most 5 s"),
        ({"liveness": 0}, "at most 5 s"),
        ({"min_retry": 0}, "min_retry"),
        ({"min_retry": 2, "max_retry": 1}, "min_retry"),
    ],
)
def test_limits_are_checked(options, text):
    with pytest.raises(ValueError, match=text):
        MemoryBus(**options)


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "\x00", "é" * 257])
def test_names_of_channels(name):
    bus = MemoryBus()
    with pytest.raises(ValueError, match="channel"):
        bus.publish(name, b"")
    with pytest.raises(ValueError, match="channel"):
        bus.subscribe(name, print)


async def test_memory_bus_delivers_to_each_subscriber_in_order():
    seen = []
    async with MemoryBus() as bus:
        bus.subscribe("a", lambda channel, octets: seen.append((1, channel, octets)))
        bus.subscribe("a", lambda channel, octets: seen.append((2, channel, octets)))
        bus.subscribe("b", lambda channel, octets: seen.append((3, channel, octets)))
        await bus.synced()
        bus.publish("a", b"x")
        bus.publish("b", b"y")
        assert seen == []  # later, as with any other bus
        await until(lambda: len(seen) == 3)
    assert seen == [(1, "a", b"x"), (2, "a", b"x"), (3, "b", b"y")]


async def test_callback_that_fails_is_logged_and_others_are_called(caplog):
    seen = []
    async with MemoryBus() as bus:
        bus.subscribe("a", lambda *_: 1 / 0)
        bus.subscribe("a", lambda *_: seen.append(1))
        bus.publish("a", b"x")
        await until(lambda: seen)
    assert "a callback of the bus failed" in caplog.text


async def test_unsubscribed():
    seen = []
    first, second = (lambda *_: seen.append(1)), (lambda *_: seen.append(2))
    async with MemoryBus() as bus:
        bus.subscribe("a", first)
        bus.subscribe("a", second)
        bus.unsubscribe("a", first)
        bus.unsubscribe("a", print)  # never was
        bus.publish("a", b"")
        await until(lambda: seen)
        bus.unsubscribe("a", second)
        bus.publish("a", b"")
        bus.subscribe("b", lambda *_: seen.append(3))
        bus.publish("b", b"")
        await until(lambda: 3 in seen)
    assert seen == [2, 3]


async def test_l8_oldest_are_dropped_beyond_the_number():
    drops = []
    bus = Gate(max_queue=3, on_drop=lambda count, why: drops.append((count, why)))
    async with bus:
        for n in range(5):
            assert bus.publish("a", b"%d" % n)
        assert (bus.queued, bus.queued_size, bus.dropped) == (3, 3, 2)
        assert drops == [(1, "full")] * 2
        bus.there.set()
        await until(lambda: len(bus.taken) == 3)
    assert [octets for _, octets in bus.taken] == [b"2", b"3", b"4"]


async def test_l8_oldest_are_dropped_beyond_the_octets():
    async with Gate(max_queue_size=10, max_size=10) as bus:
        for size in (4, 4, 4, 10):
            bus.publish("a", bytes(size))
        assert (bus.queued, bus.queued_size, bus.dropped) == (1, 10, 3)
        with pytest.raises(ValueError, match="11 octets, limit is 10"):
            bus.publish("a", bytes(11))
    assert bus.dropped == 4  # it was closed with one in it


def test_l8_defaults():
    bus = MemoryBus()
    assert (bus.max_queue, bus.max_queue_size) == (10_000, 8 << 20)
    assert bus.liveness <= 5


async def test_l8_what_was_under_way_is_uncertain_and_never_sent_again():
    bus = Gate()
    async with bus:
        bus.there.set()
        await bus.synced()
        bus.taking = False
        for n in range(3):
            bus.publish("a", b"%d" % n)
        await until(lambda: not bus.queued)
        bus.publish("a", b"3")  # waits behind them
        bus.taking = True
        bus.cut.set()
        await until(lambda: bus.taken)
        assert bus.outages == 1
    # The gate took the batch after all: nothing of it may come twice.
    assert [octets for _, octets in bus.taken] == [b"0", b"1", b"2", b"3"]


async def test_l8_uncertain_are_counted():
    drops = []

    class Broken(Gate):
        async def _serve(self):
            self._is_up()
            await self._wake.wait()
            self._next_batch()
            raise OSError("broken pipe")

    async with Broken(on_drop=lambda *args: drops.append(args)) as bus:
        bus.publish("a", b"1")
        bus.publish("a", b"2")
        await until(lambda: bus.uncertain)
        assert (bus.uncertain, bus.dropped, bus.queued) == (2, 0, 0)
    assert drops == [(2, "broken")]


async def test_l8_all_subscriptions_are_made_again():
    states = []
    async with Gate(on_state=states.append) as bus:
        bus.subscribe("a", print)
        waiting = asyncio.ensure_future(bus.synced())
        await asyncio.sleep(0)
        assert not waiting.done()
        bus.there.set()
        await waiting
        bus.subscribe("b", print)
        bus.cut.set()
        bus.publish("a", b"")  # so that it looks
        await until(lambda: len(bus.subscribed) == 2)
    assert bus.subscribed == [["a"], ["a", "b"]]
    assert states == ["down", "up", "down", "up", "closed"]


async def test_an_outage_is_one_line_of_the_log(caplog):
    caplog.set_level(logging.INFO, "wsfast.hub")
    async with Gate(max_queue=1) as bus:
        for _ in range(100):
            bus.publish("a", b"")
        await asyncio.sleep(0.02)
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [
        "the bus drops messages, full",
        "the bus cannot be reached: OSError: nobody is there",
    ]


async def test_closed():
    bus = MemoryBus()
    assert not bus.publish("a", b"")
    with pytest.raises(ConnectionError):
        await bus.synced()
    async with bus:
        with pytest.raises(RuntimeError, match="has been started"):
            await bus.start()
    await bus.close()
    assert bus.state == "closed"
    assert not bus.publish("a", b"")
    assert bus.dropped == 2


async def test_close_hands_over_what_waits_if_it_can():
    bus = Gate()
    bus.there.set()
    async with bus:
        await bus.synced()
        for n in range(200):
            bus.publish("a", b"%d" % n)
    assert len(bus.taken) == 200
    assert bus.dropped == 0


async def test_close_tells_who_waits():
    bus = Gate()
    await bus.start()
    waiting = asyncio.ensure_future(bus.synced())
    await asyncio.sleep(0)
    await bus.close()
    with pytest.raises(ConnectionError):
        await waiting


async def test_it_can_be_started_again():
    seen = []
    bus = MemoryBus()
    bus.subscribe("a", lambda *_: seen.append(1))
    for expected in (1, 2):
        async with bus:
            await bus.synced()
            bus.publish("a", b"")
        assert len(seen) == expected


async def test_who_waits_no_longer_leaves_nothing():
    async with Gate() as bus:
        for _ in range(50):
            waiting = asyncio.ensure_future(bus.synced())
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        assert not bus._awaiting


async def test_closed_twice_at_once():
    bus = Gate(liveness=0.1)
    bus.there.set()
    bus.taking = False
    await bus.start()
    await bus.synced()
    bus.publish("a", b"x")
    await asyncio.gather(bus.close(), bus.close())
    assert bus.state == "closed"


async def test_callbacks_come_and_go():
    states, others = [], []
    bus = MemoryBus(on_state=states.append)
    bus.on_state(others.append)
    await bus.start()
    bus.off_state(others.append)
    bus.off_state(others.append)
    await bus.close()
    assert (states[0], states[-1], others) == ("down", "closed", ["down"])
