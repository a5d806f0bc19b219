"""A real cluster of two Redis servers."""

from __future__ import annotations

import contextlib
import tempfile

from redis import Redis

from tests.hub.daemons import daemon, redis_command
from tests.support.ports import free_port

LAST = 16383
HALF = LAST // 2


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


def move(slot, source, target, port=None):
    """Move a slot from one server to the other, and its keys to that of this port."""
    ids = [one.execute_command("CLUSTER MYID") for one in (source, target)]
    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
    source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
    keys = source.execute_command("CLUSTER GETKEYSINSLOT", slot, 100)
    if keys:
        source.migrate("127.0.0.1", port, keys, 0, 5000)
    for one in (target, source):
        one.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])
