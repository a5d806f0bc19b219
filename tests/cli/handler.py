"""What `wsfast serve` serves in the tests: it obeys, and echoes the rest."""

from __future__ import annotations

import time

from wsfast import broadcast


async def handler(ws):
    loaded = 0
    async for message in ws:
        order, rest = "", ""
        if isinstance(message, str):
            order, _, rest = message.partition(" ")
        if order == "The":  # as messages of bench begin
            loaded += 1
            if loaded in (1, 100):
                print(f"under load: {loaded}", flush=True)
        if order == "bye":
            await ws.close(int(rest), "as you wish")
        elif order == "cut":
            ws.transport.abort()
        elif order == "all":
            broadcast(ws.server.connections, rest)
        elif order == "stall":
            time.sleep(float(rest))  # noqa: ASYNC251 - it is a bad server
        elif order != "hush":
            await ws.send(message)


async def silent(ws):
    await ws.wait_closed()


def process_request(connection, request):
    if request.path == "/nothing":
        return connection.respond(404, "There is nothing here.\nNothing at all.\n")
    return None
