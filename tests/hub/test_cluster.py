"""Sharded PUB/SUB over a real cluster of two servers, of which one slot moves."""

from __future__ import annotations

import contextlib
import tempfile

import pytest
from redis import Redis
from redis.crc import key_slot

from tests.hub.daemons import daemon, redis_command
from tests.hub.waiting import until
from tests.support.ports import free_port
from wsfast.hub.redis import RedisShardedBus

LAST = 16383
HALF = LAST // 2
NAMES = [f"c{n}" for n in range(100)]


def server(folder, bus_port):
    """Return how a server of a cluster is started."""
    options = ["--cluster-enabled", "yes", "--dir", folder]
    options += ["--cluster-port", str(bus_port)]
    return lambda port: redis_command(port, *options)


@contextlib.contextmanager
def cluster():
    """Run two servers with half of the slots each; yield them and their clients."""
    with contextlib.ExitStack() as stack:
        servers, clients = [], []
        for first, last in ((0, HALF), (HALF + 1, LAST)):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            bus_port = free_port()
            servers.append(stack.enter_context(daemon(server(folder, bus_port))))
            client = Redis(port=servers[-1].port, decode_responses=True)
            clients.append(stack.enter_context(contextlib.closing(client)))
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        address = "127.0.0.1", servers[1].port, bus_port
        clients[0].execute_command("CLUSTER MEET", *address)
        yield servers, clients


def is_whole(client):
    """Return whether a server knows both, and that all slots are served."""
    info = client.execute_command("CLUSTER INFO")
    known, state = info["cluster_known_nodes"], info["cluster_state"]
    return (int(known), state) == (2, "ok")


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
