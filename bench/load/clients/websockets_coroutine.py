"""Request and response with websockets: no compression, no keepalive."""

from __future__ import annotations

from websockets.asyncio.client import connect

from bench.load.clients._driving import Drive, main


async def open_one(drive: Drive) -> None:
    async with connect(
        drive.uri,
        compression=None,
        ping_interval=None,
        max_queue=None,
        proxy=None,
        ssl=drive.ssl,
    ) as ws:
        while True:
            await ws.send(drive.payload)
            drive.check(await ws.recv())


if __name__ == "__main__":
    main(open_one)
