"""Request and response with websocket-client, which takes wsaccel if it is there."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import wsaccel  # noqa: F401 - without it, this would not be the fastest it can be
from websocket import create_connection

from bench.load.clients._driving import Drive
from bench.load.clients._sync_driving import main


def open_one(drive: Drive) -> Callable[[], None]:
    ws = create_connection(
        drive.uri,
        sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False},
    )

    def trip() -> None:
        ws.send(drive.payload)
        drive.check(ws.recv())

    return trip


if __name__ == "__main__":
    main(open_one)
