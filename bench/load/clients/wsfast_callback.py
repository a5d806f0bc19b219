"""Request and response with wsfast's callback class."""

from __future__ import annotations

import wsfast
from bench.load.clients._driving import Drive, main
from wsfast.asyncio import Connection, connect


class Echo(wsfast.Listener):
    def __init__(self, drive: Drive) -> None:
        self.drive = drive

    def on_open(self, ws: Connection) -> None:
        ws.send(self.drive.payload)

    def on_message(self, ws: Connection, message: str | bytes) -> None:
        self.drive.check(message)
        ws.send(self.drive.payload)


async def open_one(drive: Drive) -> None:
    listener = Echo(drive)
    async with connect(
        drive.uri, listener=listener, compression=None, proxy=None, ssl=drive.ssl
    ) as ws:
        await ws.wait_closed()
    raise AssertionError("disconnected")


if __name__ == "__main__":
    main(open_one)
