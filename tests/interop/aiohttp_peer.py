"""
The peer aiohttp, as a server that obeys and as a client that tours.

The steps are those of `tests.support.tour`, but for fragments: aiohttp sends none.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiohttp import ClientSession, WSMsgType, web

from tests.support.tour import BURST, SIZES, octets_of, text_of


def emit(event: str, **fields: Any) -> None:
    """Write an event."""
    print(json.dumps({"event": event, **fields}), flush=True)


async def send(ws: Any, message: str | bytes) -> None:
    """Send a message as what it is."""
    await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))


async def obey(request: web.Request) -> web.WebSocketResponse:
    """Send back each message, but for orders."""
    deflate = request.app[DEFLATE]
    ws = web.WebSocketResponse(autoping=False, compress=deflate, max_msg_size=0)
    await ws.prepare(request)
    while True:
        message = await ws.receive()
        if message.type is WSMsgType.PING:
            await ws.pong(message.data)
        elif message.type is WSMsgType.PONG:
            await ws.send_str(f"pong {message.data.decode()}")
        elif message.type is WSMsgType.TEXT and message.data.startswith("!"):
            order, _, rest = message.data[1:].partition(" ")
            if order == "close":
                code, _, text = rest.partition(" ")
                await ws.close(code=int(code), message=text.encode())
            elif order == "fragments":
                await ws.send_str(text_of(int(rest)))
            else:
                await ws.ping(rest.encode())
        elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            await send(ws, message.data)
        else:
            closing = message.type is WSMsgType.CLOSE
            code = message.data if closing else ws.close_code
            emit("end", path=request.path, code=code, reason=message.extra or "")
            return ws


DEFLATE = web.AppKey("deflate", bool)


async def serve(deflate: bool) -> None:
    """Serve until standard input ends."""
    app = web.Application()
    app[DEFLATE] = deflate
    app.router.add_get("/{tail:.*}", obey)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    emit("listening", port=runner.addresses[0][1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


async def tour(uri: str, deflate: bool, end: str) -> None:
    """Go through the steps."""
    bits = 15 if deflate else 0
    async with (
        ClientSession() as session,
        session.ws_connect(uri, compress=bits, max_msg_size=0, autoping=False) as ws,
    ):
        for size in SIZES:
            for message in (text_of(size), octets_of(size)):
                await send(ws, message)
                assert (await ws.receive()).data == message, f"{size} came back bad"
        await ws.send_str("!fragments 5000")
        assert await ws.receive_str() == text_of(5000)
        for payload in (b"are you there", b""):
            await ws.ping(payload)
            pong = await ws.receive()
            assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, payload)
        await ws.send_str("!ping 1234")
        ping = await ws.receive()
        assert (ping.type, bytes(ping.data)) == (WSMsgType.PING, b"1234")
        await ws.pong(ping.data)
        assert await ws.receive_str() == "pong 1234"
        for number in range(BURST):
            await ws.send_str(f"{number} of many")
        for number in range(BURST):
            assert await ws.receive_str() == f"{number} of many"
        emit("toured", extensions="permessage-deflate" if ws.compress else "")
        if end == "client":
            await ws.close(code=3456, message=b"so long")
            reason = ""
        else:
            await ws.send_str("!close 4321 farewell")
            reason = str((await ws.receive()).extra)
        emit("end", code=ws.close_code, reason=reason)


if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    asyncio.run(serve(**options) if sys.argv[1] == "server" else tour(**options))
