"""Two nodes over a real Redis and a real NATS, killed, stopped, restarted."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.hub.waiting import until

#: Names with what means something in a subject, or in a pattern.
NAMES = ["plain", "a.b", "a.*", ">", "*", "é/[x]?%41", "x" * 512]


@contextlib.asynccontextmanager
async def pair(engine, **options):
    """Run two buses over a server, both up."""
    async with engine.bus(**options) as one, engine.bus(**options) as two:
        await one.synced()
        await two.synced()
        yield one, two


def collect(bus, channel):
    """Subscribe; return the list of what arrives."""
    seen = []
    bus.subscribe(channel, lambda _, octets: seen.append(octets))
    return seen


async def test_everything_arrives_once_and_in_order(engine):
    async with pair(engine) as (one, two):
        there, here = collect(two, "x"), collect(one, "x")
        await one.synced()
        await two.synced()
        sent = [b"%d" % n for n in range(2000)] + [bytes(range(256)) * 1000]
        for octets in sent:
            assert one.publish("x", octets)
        await until(lambda: len(there) == len(here) == len(sent))
        assert there == here == sent
        assert (one.dropped, one.uncertain, one.outages) == (0, 0, 0)


async def test_names_of_channels_are_taken_as_they_are(engine):
    async with pair(engine) as (one, two):
        seen = {name: collect(two, name) for name in NAMES}
        await two.synced()
        for n, name in enumerate(NAMES):
            one.publish(name, b"%d" % n)
        await until(lambda: all(seen.values()))
        assert [seen[name] for name in NAMES] == [[b"%d" % n] for n in range(7)]


async def test_channels_come_and_go(engine):
    async with pair(engine) as (one, two):
        seen = []
        callbacks = [lambda *_, n=n: seen.append(n) for n in range(1200)]
        for n, callback in enumerate(callbacks):
            two.subscribe(f"many:{n}", callback)
        await two.synced()
        for n in range(0, 1200, 2):
            two.unsubscribe(f"many:{n}", callbacks[n])
        await two.synced()
        for n in range(1200):
            one.publish(f"many:{n}", b"")
        await until(lambda: len(seen) >= 600)
        assert sorted(seen) == list(range(1, 1200, 2))


async def test_l8_killed_and_restarted(engine):
    async with pair(engine, max_queue=10, max_retry=0.5) as (one, two):
        seen = collect(two, "x")
        await two.synced()
        one.publish("x", b"before")
        await until(lambda: seen)
        engine.server.kill()
        await until(lambda: one.state == two.state == "down")
        later = collect(two, "y")
        for n in range(100):
            assert one.publish("x", b"%d" % n)
        assert (one.queued, one.dropped) == (10, 90)
        for _ in range(2):  # it flaps
            engine.server.start()
            await one.synced()
            engine.server.kill()
            await until(lambda: one.state == "down")
        engine.server.start()
        await one.synced()
        await two.synced()
        await until(lambda: not one.queued)
        one.publish("x", b"after")
        one.publish("y", b"new")
        await until(lambda: b"after" in seen and later)
        # Of those that waited, none came twice, and all that came were in order.
        waited = [int(octets) for octets in seen[1:-1]]
        assert waited == sorted(set(waited))
        assert set(waited) <= set(range(90, 100))
        assert one.outages == 3
        assert later == [b"new"]


async def test_l8_stopped_and_continued(engine):
    async with pair(engine, liveness=1.0, max_retry=0.5) as (one, two):
        seen = collect(two, "x")
        await two.synced()
        with engine.server.stopped():
            for n in range(500):
                one.publish("x", b"%d" % n)
            await until(lambda: one.state == two.state == "down")
            for n in range(500, 1000):
                one.publish("x", b"%d" % n)
        await one.synced()
        await two.synced()
        one.publish("x", b"1000")
        await until(lambda: b"1000" in seen)
        numbers = [int(octets) for octets in seen]
        assert len(numbers) == len(set(numbers))
        assert one.outages >= 1
        assert one.dropped == 0


async def test_l8_away_from_the_start(engine):
    engine.server.kill()
    try:
        async with engine.bus(max_retry=0.5) as bus:
            seen = collect(bus, "x")
            bus.publish("x", b"1")
            assert bus.state == "down"
            engine.server.start()
            await bus.synced()
            await until(lambda: seen)
            assert bus.outages == 0
    finally:
        if engine.server.process is None:
            engine.server.start()


async def test_closing_is_quick_while_the_server_is_stopped(engine):
    async with pair(engine, liveness=1.0) as (one, _):
        with engine.server.stopped():
            one.publish("x", bytes(1 << 20))
            loop = asyncio.get_running_loop()
            began = loop.time()
            await one.close()
            assert loop.time() - began < 20
            assert one.dropped + one.uncertain == 1


@pytest.mark.needs("nats-server")
@pytest.mark.parametrize("engine", ["nats"], indirect=True)
async def test_what_the_server_does_not_take_is_counted(engine):
    attempts = 1
    while await refused_with_an_outage(engine):  # the machine stood still for seconds
        attempts += 1
        assert attempts < 5


async def refused_with_an_outage(engine):
    """Have NATS refuse a message; return whether there was an outage, too."""
    drops = []
    options = {"max_size": 2 << 20, "on_drop": lambda *args: drops.append(args)}
    async with pair(engine, **options) as (one, two):
        seen = collect(two, "x")
        await two.synced()
        one.publish("x", bytes(2 << 20))
        one.publish("x", b"short")
        await until(lambda: seen or one.outages or two.outages)
        if one.outages or two.outages:
            return True
        assert seen == [b"short"]
        assert drops == [(1, "refused")]
        assert one.dropped == 1
    return False
