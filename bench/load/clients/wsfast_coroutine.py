"""Request and response with wsfast's coroutine interface."""

from __future__ import annotations

from bench.load.clients._driving import Drive, main
from wsfast.asyncio import connect


async def open_one(drive: Drive) -> None:
    async with connect(drive.uri, compression=None, proxy=None, ssl=drive.ssl) as ws:
        while True:
            await ws.send(drive.payload)
            drive.check(await ws.recv())


if __name__ == "__main__":
    main(open_one)
