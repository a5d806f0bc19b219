"""Nodes are restarted one after the other under 1,000 clients: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.socketio.rolling_node import ROOMS
from tests.support.process import Child
from wsfast import socketio
from wsfast.asyncio._timeout import timeout

CLIENTS = 1000
IN_NODE = 30  # so many beside them are npm's
COMING_AT_ONCE = 100
WAIT_S = 90  # there is much to do, and machines are slow at times

JAVASCRIPT = """
const { io } = require("socket.io-client");
shared.clients = [];
const connected = [];
for (let i = 0; i < args.count; i++) {
  const socket = io(args.url, {
    transports: ["websocket"], forceNew: true, auth: { room: i % args.rooms },
    reconnectionDelay: 50, reconnectionDelayMax: 500,
  });
  const client = { socket, room: i % args.rooms, seen: [], comebacks: 0, anew: 0 };
  let first = true;
  connected.push(new Promise((resolve) => socket.on("connect", () => {
    if (!first) socket.recovered ? client.comebacks++ : client.anew++;
    first = false;
    resolve();
  })));
  socket.on("n", (source, number) => client.seen.push([source, number]));
  shared.clients.push(client);
}
await Promise.all(connected);
"""
RESULT = """
return shared.clients.map(({ room, seen, comebacks, anew }) =>
  ({ room, seen, comebacks, anew }));
"""
END = "shared.clients.forEach(({ socket }) => socket.disconnect());"


async def until(condition):
    """Wait until a condition holds."""
    async with timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.05)


class Client:
    """A client that counts what it hears."""

    def __init__(self, room):
        self.room = room
        self.seen = []
        self.comebacks = self.anew = 0
        self.sio = socketio.Client(
            transports=["websocket"],
            reconnection_delay=0.05,
            reconnection_delay_max=0.5,
        )
        self.sio.on("n", self.heard)
        self.sio.on("connect", self.connected)

    def heard(self, source, number, room):
        self.seen.append((source, number))

    def connected(self):
        if self.socket.recovered:
            self.comebacks += 1
        else:
            self.anew += 1

    def has_heard_of(self, source):
        return any(each[0] == source for each in self.seen)

    @property
    def socket(self):
        return self.sio.manager.sockets["/"]

    async def connect(self, url):
        await self.sio.connect(url, auth={"room": self.room})


class RollingNode(Child):
    """A process of `tests.socketio.rolling_node`."""

    def __init__(self, redis, port):
        module = "tests.socketio.rolling_node"
        super().__init__([sys.executable, "-m", module, redis, str(port)])

    async def said(self, what):
        """Return the line that has something in it."""
        lines = []

        def found():
            over = self.over
            lines[:] = [line for line in map(json.loads, self.lines) if what in line]
            assert lines or not over, self.log
            return lines

        try:
            await until(found)
        except TimeoutError:
            raise AssertionError((what, self.lines, self.log)) from None
        return lines[0]

    async def up(self):
        """Wait until it serves, and have it emit."""
        await self.said("up")
        os.kill(self.pid, signal.SIGUSR1)

    async def emitted(self, sign):
        """Have it stop to emit; return its name and how many events there were."""
        os.kill(self.pid, sign)
        ended = await self.said("emitted")
        return ended["source"], ended["emitted"]

    async def end(self):
        """Wait for its end."""
        await until(lambda: self.process.poll() is not None)
        assert self.stop() == 0
        assert not [line for line in self.log if "Traceback" in line], self.log


@pytest.fixture
def redis():
    """Return the URL of a Redis."""
    with daemon(redis_command) as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture
def port():
    """Return a port that several processes can listen on."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.needs("redis-server", "node")
async def test_rolling_restart(redis, port, node):
    url = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        nodes = [RollingNode(redis, port) for _ in range(2)]
        for each in nodes:
            stack.callback(each.stop)
        for each in nodes:
            await each.said("up")
        clients = [Client(number % ROOMS) for number in range(CLIENTS)]
        for start in range(0, CLIENTS, COMING_AT_ONCE):
            some = clients[start : start + COMING_AT_ONCE]
            for client in some:
                stack.push_async_callback(client.sio.disconnect)
            await asyncio.gather(*(client.connect(url) for client in some))
        await node.run(JAVASCRIPT, url=url, count=IN_NODE, rooms=ROOMS)
        stack.callback(node.do, END)
        for each in nodes:
            await each.up()

        ended = []
        for number, old in enumerate(nodes):
            await until(lambda pid=old.pid: clients[0].has_heard_of(pid))
            ended.append(await old.emitted(signal.SIGTERM))
            await old.end()
            new = nodes[number] = RollingNode(redis, port)
            stack.callback(new.stop)
            await new.up()
            await until(lambda: all(client.socket.connected for client in clients))
        for each in nodes:
            await until(lambda pid=each.pid: clients[0].has_heard_of(pid))
        ended += [await each.emitted(signal.SIGUSR2) for each in nodes]
        await check(clients, node, dict(ended))
        for each in nodes:
            os.kill(each.pid, signal.SIGTERM)
        for each in nodes:
            await each.end()


async def check(clients, node, emitted):
    """See that each client has had each event that was for it, once."""
    assert min(emitted.values()) > 0
    for_all = [
        (source, number)
        for source, count in emitted.items()
        for number in range(0, count, 2)
    ]
    wanted = []
    for room in range(ROOMS):
        for_room = [
            (source, number)
            for source, count in emitted.items()
            for number in range(1, count, 2)
            if number // 2 % ROOMS == room
        ]
        wanted.append(sorted(for_all + for_room))
    for client in clients:
        await until(lambda c=client: len(c.seen) >= len(wanted[c.room]))
        assert sorted(client.seen) == wanted[client.room]
        assert client.anew == 1
    assert sum(client.comebacks for client in clients) >= CLIENTS
    theirs = await node.run(RESULT)
    for client in theirs:
        seen = sorted(map(tuple, client["seen"]))
        assert seen == wanted[client["room"]]
        assert client["anew"] == 0
    assert sum(client["comebacks"] for client in theirs) >= IN_NODE // 2
