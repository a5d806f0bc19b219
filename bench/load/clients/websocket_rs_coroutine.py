"""
Request and response with websocket-rs, which needs Python 3.12.

A message is a view of octets there, and is compared without being decoded.
"""

from __future__ import annotations

import websocket_rs

from bench.load.clients._driving import Drive, main


async def open_one(drive: Drive) -> None:
    drive.expected = drive.payload.encode()
    ws = await websocket_rs.connect(drive.uri, ssl_context=drive.ssl)
    while True:
        ws.send(drive.payload)
        drive.check(await ws.recv())


if __name__ == "__main__":
    main(open_one)
