"""
A process that serves and connects on command, for a test to watch from outside.

Started by `tests.support.process.Host`. Commands come in on standard input and events
go out on standard output, one JSON object a line; the log goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import json
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.support import scripts
from tests.support.targets import TARGETS, Target

HERE = Path(__file__).parent


def emit(event: str, **fields: Any) -> None:
    """Write one event, whole, to standard output."""
    line = json.dumps({"event": event, **fields}, default=repr) + "\n"
    data = line.encode()
    while data:
        data = data[os.write(1, data) :]


def server_tls() -> ssl.SSLContext:
    """Return a context with the test certificate, for ``localhost`` and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "localhost.pem")
    return context


def client_tls() -> ssl.SSLContext:
    """Return a context that trusts the test certificate and nothing else."""
    return ssl.create_default_context(cafile=str(HERE / "localhost.pem"))


class Turns:
    """
    How much processor time the event loop takes from one turn to the next.

    Attributes:
        longest: The most, in seconds.
        count: How many turns were looked at.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.longest = 0.0
        self.count = 0
        self.last = time.thread_time()
        self.timer = loop.call_later(0.001, self.turn)

    def turn(self) -> None:
        """Look at the clock, and again after a moment: a timer has each turn."""
        now = time.thread_time()
        self.longest = max(self.longest, now - self.last)
        self.last = now
        self.count += 1
        self.timer = self.loop.call_later(0.001, self.turn)

    def stop(self) -> None:
        """Look once more, for the last time."""
        self.turn()
        self.timer.cancel()


class Host:
    """
    Commands and what they do.

    Args:
        target: Library under test.

    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.servers: dict[int, Any] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.connections: dict[int, Any] = {}
        self.number = 0
        self.turns: Turns | None = None

    async def serve(self, command: dict[str, Any]) -> None:
        """Start a server; answers ``listening`` with its port."""
        server_id = command["id"]
        options = dict(command["options"])
        script = scripts.SCRIPTS.get(command["script"])
        if options.pop("tls", False):
            options["ssl"] = server_tls()

        async def handler(ws: Any) -> None:
            self.number += 1
            number = self.number
            self.connections[number] = ws
            emit(
                "open",
                id=server_id,
                conn=number,
                path=ws.request.path,
                subprotocol=ws.subprotocol,
                link=link_of(ws),
            )
            try:
                assert script is not None
                await self.play(server_id, number, script, ws)
            finally:
                del self.connections[number]

        server = await self.target.serve()(
            self.listener(command["script"], server_id) if script is None else handler,
            **{"host": "127.0.0.1", "port": 0, **options},
        )
        self.servers[server_id] = server
        port = next(iter(server.sockets)).getsockname()[1]
        emit("listening", id=server_id, port=port)

    def listener(self, name: str, server_id: int) -> Any:
        """Return the callback class of the given name, reporting as this server."""
        return scripts.listener(name, self.target.module(""), emit, server_id)

    async def play(
        self,
        ident: int,
        number: int,
        script: Callable[..., Awaitable[None]],
        ws: Any,
        argument: Any = None,
    ) -> None:
        """Run a script on a connection; the event ``end`` says how it ended."""
        tally = scripts.Tally(
            lambda event, **kw: emit(event, id=ident, conn=number, **kw)
        )
        error: BaseException | None = None
        try:
            await script(ws, tally, argument)
        except asyncio.CancelledError as exc:
            error = exc
            raise
        except Exception as exc:
            error = exc
            if isinstance(exc, scripts.PassedOnError):
                raise
        finally:
            emit("end", id=ident, conn=number, **tally.fields(), **describe(error, ws))

    async def connect(self, command: dict[str, Any]) -> None:
        """Connect and run a script: ``open``, ``end`` or ``refused``, then ``done``."""
        try:
            await self.connect_and_play(command)
        finally:
            emit("done", id=command["id"])

    async def connect_and_play(self, command: dict[str, Any]) -> None:
        """Do what `connect` says, but for the last event."""
        ident = command["id"]
        options = dict(command["options"])
        if options.pop("tls", False):
            options["ssl"] = client_tls()
        script = scripts.SCRIPTS[command["script"]]
        options.setdefault("proxy", None)
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            ws = await self.target.connect()(command["uri"], **options)
        except (Exception, asyncio.CancelledError) as exc:
            taken = loop.time() - start
            emit("refused", id=ident, seconds=taken, **describe(exc, None))
            return
        emit("open", id=ident, conn=ident, subprotocol=ws.subprotocol, link=link_of(ws))
        self.connections[-ident] = ws
        try:
            await self.play(ident, ident, script, ws, command.get("argument"))
            await ws.close()
        finally:
            del self.connections[-ident]

    async def follow(self, command: dict[str, Any]) -> None:
        """Connect again and again, until cancelled; ``open`` each time."""
        connect = self.target.connect()(command["uri"], proxy=None)
        async for ws in connect:
            emit("open", id=command["id"], link=link_of(ws))
            with contextlib.suppress(Exception):
                await ws.recv()

    async def close_server(self, command: dict[str, Any]) -> None:
        """Close a server; ``closed`` says how long it took."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        server = self.servers.pop(command["id"])
        server.close()
        await server.wait_closed()
        emit("closed", id=command["id"], seconds=loop.time() - start)

    async def forever(self, command: dict[str, Any]) -> None:
        """Serve until a signal says otherwise: ``forever``, in the end ``served``."""
        loop = asyncio.get_running_loop()
        serving = loop.create_task(self.servers[command["of"]].serve_forever())
        await asyncio.sleep(0)  # the signals are caught from here on
        emit("forever", id=command["id"])
        await serving
        emit("served", id=command["id"], at=loop.time())

    async def cancel(self, command: dict[str, Any]) -> None:
        """Cancel the task of an earlier command."""
        self.tasks[command["of"]].cancel()

    async def watch(self, command: dict[str, Any]) -> None:
        """Begin to measure the turns of the loop."""
        self.turns = Turns(asyncio.get_running_loop())
        emit("watching", id=command["id"])

    async def watched(self, command: dict[str, Any]) -> None:
        """Report what was measured since ``watch``."""
        assert self.turns is not None
        self.turns.stop()
        emit(
            "watched",
            id=command["id"],
            longest=self.turns.longest,
            turns=self.turns.count,
        )

    async def stats(self, command: dict[str, Any]) -> None:
        """Report what this process holds."""
        gc.collect()
        emit(
            "stats",
            id=command["id"],
            connections=len(self.connections),
            tasks=len(asyncio.all_tasks()),
        )

    async def perform(self, command: dict[str, Any]) -> None:
        """Run one command, reporting what it raises."""
        try:
            await getattr(self, command["do"])(command)
        except Exception as exc:
            emit("failed", id=command.get("id"), **describe(exc, None))

    async def run(self) -> None:
        """Obey until standard input ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
        )
        emit("ready", id=0, loop=type(loop).__module__)
        while line := await reader.readline():
            command = json.loads(line)
            task = loop.create_task(self.perform(command))
            self.tasks[command["id"]] = task


def link_of(ws: Any) -> str:
    """Return the kind of way to the octets that a connection has."""
    return type(getattr(ws, "link", None)).__name__


def describe(exc: BaseException | None, ws: Any) -> dict[str, Any]:
    """Return what is worth knowing about the end of a connection."""
    fields: dict[str, Any] = {"error": None}
    if exc is not None:
        fields["error"] = type(exc).__name__
        fields["kinds"] = [kind.__name__ for kind in type(exc).__mro__]
        fields["text"] = str(exc)
        fields["reason_code"] = getattr(exc, "reason_code", None)
        response = getattr(exc, "response", None)
        if response is not None:
            fields["status"] = response.status_code
            fields["body"] = len(response.body or b"")
        for side in ("rcvd", "sent"):
            close = getattr(exc, side, None)
            fields[side] = None if close is None else [int(close.code), close.reason]
    if ws is not None:
        fields["close_code"] = None if ws.close_code is None else int(ws.close_code)
        fields["close_reason"] = ws.close_reason
    return fields


def main() -> None:
    """Start the loop that the first argument names and obey."""
    faulthandler.register(signal.SIGUSR1)
    target, loop_name = TARGETS[sys.argv[1]], sys.argv[2]
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(levelname)s %(name)s %(message)s",
    )
    host = Host(target)
    if loop_name == "uvloop":
        import uvloop

        uvloop.run(host.run())
    else:
        asyncio.run(host.run())


if __name__ == "__main__":
    main()
