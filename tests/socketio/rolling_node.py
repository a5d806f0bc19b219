"""
A node that clients come back to: ``python -m tests.socketio.rolling_node URL PORT``.

All nodes listen on one port, and the system spreads clients over them. Each emits
events with numbers, one for all and one for a room in turn, from SIGUSR1 on to SIGUSR2
or SIGTERM; then it prints how many there were.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys

from wsfast import socketio
from wsfast.hub.redis import RedisBus
from wsfast.hub.redis_log import RedisLog

ROOMS = 10
PAUSE_S = 0.2


async def emit(sio: socketio.Server, enough: asyncio.Event) -> None:
    """Emit events until there are enough, and say how many there were."""
    number = 0
    while not enough.is_set():
        room = number // 2 % ROOMS if number % 2 else None
        to = None if room is None else f"room {room}"
        await sio.emit("n", (os.getpid(), number, room), to=to)
        number += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(enough.wait(), PAUSE_S)
    say(source=os.getpid(), emitted=number)


async def main(url: str, port: int) -> None:
    """Serve until SIGTERM."""
    async with (
        RedisBus(url) as bus,
        socketio.Cluster(bus, log=RedisLog(url)) as cluster,
    ):
        sio = socketio.Server(adapter=cluster, connection_state_recovery=True)

        @sio.event
        def connect(sid: str, environ: object, auth: dict[str, int]) -> None:
            sio.enter_room(sid, f"room {auth['room']}")

        await cluster.synced()
        serving = sio.serve("127.0.0.1", port, reuse_port=True, backlog=1024)
        async with serving as server:
            loop = asyncio.get_running_loop()
            go, enough = asyncio.Event(), asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, go.set)
            loop.add_signal_handler(signal.SIGUSR2, enough.set)
            say(up=os.getpid())
            await go.wait()
            emitting = asyncio.ensure_future(emit(sio, enough))
            await server.serve_forever()
            enough.set()
            await emitting
        await sio.close()


def say(**what: object) -> None:
    """Tell the test."""
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
