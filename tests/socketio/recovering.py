"""A node with recovery, for tests of the log that it keeps."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from tests.socketio.conftest import Place, Raw, until
from wsfast import socketio


class RecoveringNode:
    """A server with connection state recovery, in a cluster, and clients of it."""

    async def begin(
        self, stack: AsyncExitStack, cluster: socketio.Cluster, **recovery: Any
    ) -> None:
        """Serve until the stack ends, by a cluster that was entered."""
        self.cluster, self.kept = cluster, cluster.kept
        self.sio = socketio.Server(
            adapter=cluster,
            connection_state_recovery=socketio.ConnectionStateRecovery(**recovery),
        )
        self.sio.on("echo", lambda sid, *args: args)
        self.place = Place()
        await stack.enter_async_context(self.place.stack)
        await self.place.start(self.sio)

    async def enter(self, **auth: Any) -> tuple[Raw, dict[str, Any]]:
        """Return a client, and what it was told."""
        raw = await self.place.raw()
        return raw, await raw.enter("", auth or None)

    async def away(self, raw: Raw) -> None:
        """Cut a connection, and wait until the server has seen it."""
        left = len(self.sio.of("/").sockets) - 1
        raw.ws.transport.abort()
        await until(lambda: len(self.sio.of("/").sockets) == left)
