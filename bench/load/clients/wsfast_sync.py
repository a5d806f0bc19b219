"""Request and response with wsfast's client for threads."""

from __future__ import annotations

from collections.abc import Callable

from bench.load.clients._driving import Drive
from bench.load.clients._sync_driving import main
from wsfast.sync import connect


def open_one(drive: Drive) -> Callable[[], None]:
    ws = connect(
        drive.uri, compression=None, ping_interval=None, proxy=None, ssl=drive.ssl
    )

    def trip() -> None:
        ws.send(drive.payload)
        drive.check(ws.recv())

    return trip


if __name__ == "__main__":
    main(open_one)
