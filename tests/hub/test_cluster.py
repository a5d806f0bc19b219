"""Sharded PUB/SUB over a real cluster of two servers, of which one slot moves."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from tests.hub.clusters import HALF, cluster, is_whole
from tests.hub.waiting import until
from wsfast.hub.redis import RedisShardedBus

NAMES = [f"c{n}" for n in range(100)]


def move(slot, source, target):
    """Move a slot from one server to the other."""
    ids = [one.execute_command("CLUSTER MYID") for one in (source, target)]
    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
    source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
    for one in (target, source):
        one.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])


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
