"""Request and response with picows' listener, its fastest interface."""

from __future__ import annotations

import picows

from bench.load.clients._driving import Drive, main


class Echo(picows.WSListener):
    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.payload = drive.payload.encode()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.send(picows.WSMsgType.TEXT, self.payload)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.drive.check(frame.get_payload_as_utf8_text())
        transport.send(picows.WSMsgType.TEXT, self.payload)


async def open_one(drive: Drive) -> None:
    transport, _ = await picows.ws_connect(
        lambda: Echo(drive), drive.uri, ssl_context=drive.ssl
    )
    await transport.wait_disconnected()
    raise AssertionError("disconnected")


if __name__ == "__main__":
    main(open_one)
