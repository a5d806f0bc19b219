"""Sharded PUB/SUB over a real cluster of two servers, of which one slot moves."""

from __future__ import annotations

import contextlib

import pytest
from redis import Redis
from redis.crc import key_slot

from tests.hub.clusters import HALF, cluster, is_whole, move, server
from tests.hub.daemons import daemon
from tests.hub.waiting import until
from tests.support.ports import free_port
from wsfast.hub.redis import RedisShardedBus
from wsfast.hub.redis_log import RedisLog

NAMES = [f"c{n}" for n in range(100)]


@pytest.mark.needs("redis-server")
async def test_channels_are_where_their_slots_are():
    with cluster() as (servers, clients):
        await until(lambda: all(map(is_whole, clients)))
        one, two = (
            RedisShardedBus(f"redis://127.0.0.1:{each.port}", max_retry=0.5)
            for each in servers
        )
        async with one, two:
            seen = []
            for name in NAMES:
                two.subscribe(name, lambda channel, _: seen.append(channel))
            await one.synced()
            await two.synced()
            for name in NAMES:
                one.publish(name, b"")
            await until(lambda: len(seen) == len(NAMES))
            assert sorted(seen) == sorted(NAMES)

            moved = next(name for name in NAMES if key_slot(name.encode()) <= HALF)
            move(key_slot(moved.encode()), *clients)
            await until(lambda: two.outages)  # it is told that the channel has gone
            await two.synced()
            one.publish(moved, b"")  # this one is not, and asks the wrong server
            await until(lambda: one.outages)
            assert one.dropped == 1
            await one.synced()
            seen.clear()
            one.publish(moved, b"")
            await until(lambda: seen)
            assert seen == [moved]


@pytest.mark.needs("redis-server")
async def test_what_is_for_a_slot_without_a_server_is_dropped(tmp_path):
    here, nowhere = (
        next(name for name in NAMES if (key_slot(name.encode()) <= HALF) is there)
        for there in (True, False)
    )
    with daemon(server(str(tmp_path), free_port())) as redis:
        with contextlib.closing(Redis(port=redis.port)) as client:
            client.config_set("cluster-require-full-coverage", "no")
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, HALF)
        url = f"redis://127.0.0.1:{redis.port}"
        async with RedisShardedBus(url, max_retry=0.5, liveness=1.5) as bus:
            seen = []
            bus.subscribe(here, lambda _, octets: seen.append(octets))
            await bus.synced()
            for octets in (b"1", b"2"):
                bus.publish(nowhere, octets)
                bus.publish(here, octets)
            await until(lambda: seen == [b"1", b"2"])
            assert (bus.dropped, bus.uncertain, bus.outages) == (2, 0, 0)
            with contextlib.closing(Redis(port=redis.port)) as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", HALF + 1, 16383)
            await until(lambda: bus.publish(nowhere, b"") and bus.outages)
            await bus.synced()
            bus.subscribe(nowhere, lambda _, octets: seen.append(octets))
            await bus.synced()
            bus.publish(nowhere, b"3")
            await until(lambda: b"3" in seen)


@pytest.mark.needs("redis-server")
async def test_a_log_is_where_its_slot_is(caplog):
    with cluster() as (servers, clients):
        await until(lambda: all(map(is_whole, clients)))
        tag, plain = [n for n in NAMES if key_slot(n.encode()) > HALF][:2]
        name = f"{{{tag}}}:log"
        url = f"redis://127.0.0.1:{servers[0].port}"
        log = RedisLog(url, name=name, max_retry=0.5)
        seen = []
        log.follow(lambda _: None, lambda _, octets, __: seen.append(octets), seconds=9)
        async with log:
            await until(lambda: log.state == "up")
            await log.append(b"1")
            await log.put("key", b"value", 60)
            await until(lambda: seen == [b"1"])
            move(key_slot(name.encode()), *clients[::-1], servers[0].port)
            await until(lambda: log.state == "down")
            await until(lambda: log.state == "up")
            await log.append(b"2")
            assert await log.take("key") == b"value"
            await until(lambda: seen == [b"1", b"2"])
        async with RedisLog(url, name=plain) as log:
            log.follow(lambda _: None, lambda *_: None, seconds=9)
            await until(lambda: f"hash tag, unlike {plain!r}" in caplog.text)
