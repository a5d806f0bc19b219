"""Echo with picows' listener, its fastest interface."""

from __future__ import annotations

import socket

import picows

from bench.load.servers._serving import arguments, main, ssl_context

args = arguments().parse_args()


class Echo(picows.WSListener):
    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def serve(sock: socket.socket) -> object:
    server = await picows.ws_create_server(
        lambda request: Echo(),
        sock=sock,
        ssl=ssl_context(args),
        backlog=4096,
        enable_auto_ping=False,
        max_frame_size=64 << 20,
        websocket_handshake_timeout=30,
    )
    await server.start_serving()
    return server


if __name__ == "__main__":
    main(serve, args)
