"""Request and response with websockets' client for threads."""

from __future__ import annotations

from collections.abc import Callable

from websockets.sync.client import connect

from bench.load.clients._driving import Drive
from bench.load.clients._sync_driving import main


def open_one(drive: Drive) -> Callable[[], None]:
    ws = connect(
        drive.uri,
        compression=None,
        ping_interval=None,
        proxy=None,
        legacy=True,
        ssl=drive.ssl,
    )

    def trip() -> None:
        ws.send(drive.payload)
        drive.check(ws.recv())

    return trip


if __name__ == "__main__":
    main(open_one)
