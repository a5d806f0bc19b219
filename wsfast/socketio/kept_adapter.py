"""Rooms over many nodes that keep events together: :class:`KeptAdapter`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .cluster import LOGGED, Cluster, ClusterAdapter, fields_of, target_of
from .handlers import logger
from .kept import KeptEvents, LogHistory, with_offset
from .packet import Packet, PacketError
from .targets import DONE, Target

if TYPE_CHECKING:
    from .namespace import Namespace
    from .parser import Parser
    from .recovery import ConnectionStateRecovery, History
    from .socket import Socket

__all__ = ["KeptAdapter"]


class KeptAdapter(ClusterAdapter):
    """
    The rooms of a namespace on this node, and a log that all nodes have.

    An event gets its number from the log, and each node hands it out as it reads it
    from there: all in the same order, so that the number of the last one that a client
    had says what it has missed, on whichever node it asks. It goes to those who are
    there when it is emitted, and to those who are there when it is read.

    While the log is away, events are handed out at once, with the number of the last
    one before: they are not recovered.

    Args:
        cluster: The cluster.
        kept: What its nodes keep.
        namespace: The namespace.

    """

    def __init__(
        self, cluster: Cluster, kept: KeptEvents, namespace: Namespace
    ) -> None:
        self._kept = kept
        super().__init__(cluster, namespace)
        self.recorder = None  # numbers are those of the log
        self._pending: dict[int, _Pending] = {}
        self._tokens = 0
        kept.attach(self)  # what is emitted here has to be read, too

    def make_history(
        self, options: ConnectionStateRecovery, parser: Parser, most: int | None
    ) -> History:
        """Return what recovery needs, that of all nodes."""
        return self._kept.history(self.namespace.name, self.namespace.server)

    async def fetch_session(self, pid: str, offset: Any) -> None:
        """Have the history know of a client that comes back, from whichever node."""
        fetching = asyncio.ensure_future(self._kept.fetch(self, pid, offset))
        self._kept.fetching.add(fetching)
        fetching.add_done_callback(self._kept.fetching.discard)
        try:
            await asyncio.shield(fetching)
        except asyncio.CancelledError:  # others may want it
            fetching.add_done_callback(lambda _: self._give_back(pid))
            raise

    def _give_back(self, pid: str) -> None:
        """Keep a session that was fetched for nobody."""
        if self.history is not None:
            self.history.give_back(pid)

    async def start(self) -> None:
        """Listen to the others."""
        await super().start()
        self.cluster.presence.answer(f"settle {self.channel}", self._settle)

    def close(self) -> None:
        """Listen no longer."""
        self._kept.detach(self)
        self.flush_all()
        if self.listening:
            self.cluster.presence.answer(f"settle {self.channel}", None)
        super().close()

    async def _settle(self, node: str, body: Any) -> bool:
        """Answer whether a client was here, whose session is saved then."""
        return await self._kept.settle(self, body)

    def tell(self, kind: str, to: str = "", **fields: Any) -> None:
        """Tell all other nodes by the log, if it is there, or one by the bus."""
        if to or kind not in LOGGED or self._kept.append(self, kind, fields) is None:
            super().tell(kind, to, **fields)

    def broadcast(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Send an event to the clients of all nodes; wait until it is handed out."""
        if target.volatile:
            return super().broadcast(packet, target)
        if target.local:
            self._unkept(packet, target)
            return DONE
        return self._keep(packet, target)

    def told(self, packet: Packet, target: Target) -> None:
        """Hand out an event of another node that is not kept."""
        if target.volatile:
            super().told(packet, target)
        else:
            self._unkept(packet, target)

    def emit_to(
        self, socket: Socket, packet: Packet, compress: bool | None
    ) -> Awaitable[Any]:
        """Send an event to one socket, which may ask for it again, on any node."""
        target = Target(frozenset((socket.id,)), compress=compress)
        return self._keep(packet, target)

    def _keep(self, packet: Packet, target: Target) -> Awaitable[None]:
        """Append an event to the log; it is handed out as it is read from there."""
        written = self.written(packet)
        fields = {**written, **fields_of(target)}
        token = self._tokens = self._tokens + 1
        appended = self._kept.append(self, "event", {**fields, "token": token})
        if appended is None:  # at most once, and not kept
            octets = self.cluster.codec.encode("event", **fields)
            self.cluster.bus.publish(self.channel, octets)
            self._unkept(packet, target)
            return DONE
        sockets = dict.fromkeys(self.sockets(target))
        pending = self._pending[token] = _Pending(packet, target, sockets)
        appended.add_done_callback(partial(self._appended, token))
        return pending.done

    def _appended(self, token: int, appended: asyncio.Future[Any]) -> None:
        """See whether an event could be appended."""
        if appended.cancelled() or appended.exception() is not None:
            self._hand_out_pending(token)

    def take_kept(
        self,
        number: int,
        messages: list[str | bytes],
        fields: dict[str, Any],
        own: bool,
    ) -> None:
        """Hand out what was read from the log."""
        target = target_of(fields)
        sockets = dict.fromkeys(self.sockets(target))
        if own:
            pending = self._pending.pop(fields["token"], None)
            if pending is None:
                return  # it could not be waited for
            said = pending.packet.data
            sockets = pending.sockets | {
                each: None for each in sockets if each not in pending.flushed
            }
            pending.end()
        else:
            try:
                said = self.read(fields).data
            except PacketError as exc:
                logger.warning("the log has something else in it: %s", exc)
                return
        self.hand_out(sockets, messages, said, target, number)

    def _unkept(
        self, packet: Packet, target: Target, sockets: Iterable[Socket] | None = None
    ) -> None:
        """Send an event that has no number; the offset is that of those before."""
        messages = self.namespace.server.parser.encode(packet)
        if self._kept.position >= 0:
            offset = LogHistory.offset_of(self._kept.position)
            messages = with_offset(self.namespace.server.parser, messages, offset)
        if sockets is None:
            sockets = self.sockets(target)
        self.hand_out(sockets, messages, packet.data, target)

    def _hand_out_pending(self, token: int) -> None:
        """Wait for an event no longer: the log has gone."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            self._unkept(pending.packet, pending.target, pending.sockets)
            pending.end()

    def flush_all(self) -> None:
        """Send all that waits for the log."""
        for token in list(self._pending):
            self._hand_out_pending(token)

    def flush(self, socket: Socket) -> None:
        """Send a socket what waits for the log: it is about to be disconnected."""
        for pending in self._pending.values():
            if socket in pending.sockets:
                del pending.sockets[socket]
                pending.flushed.add(socket)
                self._unkept(pending.packet, pending.target, (socket,))


class _Pending:
    """An event of this node on its way through the log, and whom it is for."""

    __slots__ = ("done", "flushed", "packet", "sockets", "target")

    def __init__(
        self, packet: Packet, target: Target, sockets: dict[Socket, None]
    ) -> None:
        self.packet = packet
        self.target = target
        self.sockets = sockets
        self.flushed: set[Socket] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Tell who waits that it is done."""
        if not self.done.done():
            self.done.set_result(None)
