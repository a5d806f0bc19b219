"""Request and response with aiohttp's client."""

from __future__ import annotations

import aiohttp

from bench.load.clients._driving import Drive, main


async def open_one(drive: Drive) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(drive.uri, compress=0, ssl=drive.ssl or True) as ws,
    ):
        while True:
            await ws.send_str(drive.payload)
            drive.check(await ws.receive_str())


if __name__ == "__main__":
    main(open_one)
