"""
What python-socketio gains: its mode "asgi" and ours, in turns.

``python -m bench.load.socketio [ROUNDS]`` starts both servers, has one connection echo
small events in windows, and prints the CPU time of each server per echo, the median of
the rounds, and the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from typing import Any

from wsfast import connect

WINDOW = 64
MESSAGES = 6400
EVENT = '42["echo","' + "x" * 52 + '"]'  # 64 octets
SERVERS = ("asgi", "wsfast")
TICK = os.sysconf("SC_CLK_TCK")


async def serve(kind: str) -> None:
    import socketio
    import uvicorn

    from wsfast.asgi.socketio import AsyncServer

    cls: Any = AsyncServer if kind == "wsfast" else socketio.AsyncServer
    sio = cls(async_mode=kind, async_handlers=False)

    async def echo(sid: str, data: str) -> None:
        await sio.emit("echo", data, to=sid)

    sio.on("echo", echo)
    ours = "wsfast.asgi.uvicorn:WebSocketProtocol"
    config = uvicorn.Config(
        socketio.ASGIApp(sio),
        port=0,
        ws=ours if kind == "wsfast" else "websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="warning",
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server._serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event)
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task


def cpu(process: subprocess.Popen[str]) -> float:
    """Return the CPU seconds that a process has used, of user and system."""
    with open(f"/proc/{process.pid}/stat") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def opened(port: int) -> Any:
    """Connect to the namespace of a server."""
    uri = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
    ws = await connect(uri, compression=None)
    await ws.recv()
    await ws.send("40")
    await ws.recv()
    return ws


async def echoes(ws: Any) -> None:
    """Have events echoed, a window at a time."""
    for _ in range(MESSAGES // WINDOW):
        for _ in range(WINDOW):
            await ws.send(EVENT)
        got = 0
        while got < WINDOW:
            packet = await ws.recv()
            if packet == "2":
                await ws.send("3")
            else:
                got += 1


async def measure(rounds: int, ports: list[int], processes: list[Any]) -> None:
    clients = [await opened(port) for port in ports]
    taken: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for side, (ws, process) in enumerate(zip(clients, processes, strict=True)):
            before = cpu(process)
            await echoes(ws)
            if number:  # the first warms up
                taken[side].append((cpu(process) - before) / MESSAGES * 1e6)
    for name, times in zip(SERVERS, taken, strict=True):
        print(f"{name:>7}: {statistics.median(times):6.1f} us of CPU per echo")
    ratios = [a / b for a, b in zip(*taken, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"  ratio: {statistics.median(ratios):6.2f} ({spread})")
    for ws in clients:
        await ws.close()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    command = [sys.executable, "-m", "bench.load.socketio", "--serve"]
    processes = [
        subprocess.Popen([*command, kind], stdout=subprocess.PIPE, text=True)
        for kind in SERVERS
    ]
    try:
        ports = [int(process.stdout.readline()) for process in processes]  # type: ignore[union-attr]
        asyncio.run(measure(rounds, ports, processes))
    finally:
        for process in processes:
            process.terminate()
            process.communicate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        import uvloop

        uvloop.run(serve(sys.argv[2]))
    else:
        main()
