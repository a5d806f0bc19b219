"""Who an event is for, and what is done with all of them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from .handlers import as_arguments
from .packet import EVENT, RESERVED_EVENTS, Packet

if TYPE_CHECKING:
    from .adapter import Adapter

__all__ = ["DONE", "Operator", "Target", "event_packet", "names"]


class _Done:
    """What is awaited where nothing is waited for."""

    __slots__ = ()

    def __await__(self) -> Any:
        return iter(())


#: Returned by an ``emit()`` to many: it may be awaited, and waits for nobody.
DONE: Awaitable[None] = _Done()


def names(rooms: str | Iterable[str] | None) -> frozenset[str]:
    """Return rooms that are given as one name, several, or None."""
    if rooms is None:
        return frozenset()
    return frozenset((rooms,) if isinstance(rooms, str) else rooms)


def event_packet(namespace: str, event: str, args: tuple[Any, ...]) -> Packet:
    """
    Return the packet of an event.

    Raises:
        ValueError: The name is reserved.
        TypeError: It is not a string.

    """
    if type(event) is not str:
        raise TypeError(f"the name of an event is a str, not {type(event).__name__}")
    if event in RESERVED_EVENTS:
        raise ValueError(f"{event!r} is a reserved event")
    return Packet(EVENT, namespace, [event, *as_arguments(args)])


class Target:
    """
    The sockets of a namespace that an operation is for, and how.

    Args:
        rooms: Rooms; none of them means everybody.
        except_: Rooms whose sockets are left out.
        volatile: Leave out whoever is not ready for more.
        compress: Whether to compress; None to leave it to the server.
        local: This node alone.
        timeout: Seconds for acknowledgements, or None.

    """

    __slots__ = ("compress", "except_", "local", "rooms", "timeout", "volatile")

    def __init__(
        self,
        rooms: frozenset[str] = frozenset(),
        except_: frozenset[str] = frozenset(),
        volatile: bool = False,
        compress: bool | None = None,
        local: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.rooms = rooms
        self.except_ = except_
        self.volatile = volatile
        self.compress = compress
        self.local = local
        self.timeout = timeout

    def but(self, **changes: Any) -> Target:
        """Return another one that differs in this."""
        return Target(**{**{n: getattr(self, n) for n in self.__slots__}, **changes})


class Operator:
    """
    Sockets that are chosen step by step: ``namespace.to("a").except_("b").emit(...)``.

    Each step returns another operator; none changes.

    Args:
        adapter: That of the namespace.
        target: What was chosen so far.

    """

    __slots__ = ("_adapter", "_target")

    def __init__(self, adapter: Adapter, target: Target) -> None:
        self._adapter = adapter
        self._target = target

    def to(self, *rooms: str) -> Operator:
        """Choose the sockets of these rooms, beside those of others named before."""
        return self._but(rooms=self._target.rooms | frozenset(rooms))

    in_ = to

    def except_(self, *rooms: str) -> Operator:
        """Leave out the sockets of these rooms."""
        return self._but(except_=self._target.except_ | frozenset(rooms))

    @property
    def volatile(self) -> Operator:
        """Leave out whoever is not ready for more."""
        return self._but(volatile=True)

    @property
    def local(self) -> Operator:
        """Choose the sockets of this node alone."""
        return self._but(local=True)

    def compress(self, compress: bool) -> Operator:
        """Compress what is sent, or do not."""
        return self._but(compress=compress)

    def timeout(self, seconds: float) -> Operator:
        """Wait so long for acknowledgements."""
        return self._but(timeout=seconds)

    def emit(self, event: str, *args: Any) -> Awaitable[None]:
        """Send an event to all of them."""
        packet = event_packet(self._adapter.namespace.name, event, args)
        return self._adapter.broadcast(packet, self._target)

    def send(self, *args: Any) -> Awaitable[None]:
        """Send the event ``message`` to all of them."""
        return self.emit("message", *args)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """
        Send an event, and wait for all acknowledgements.

        Returns:
            The replies in the order of their coming: None, a value, or a tuple.

        Raises:
            AckTimeout: Some have not come within :meth:`timeout`.

        """
        packet = event_packet(self._adapter.namespace.name, event, args)
        return await self._adapter.broadcast_with_ack(packet, self._target)

    async def fetch_sockets(self) -> list[Any]:
        """Return the sockets: those of other nodes as :class:`RemoteSocket`."""
        return await self._adapter.fetch_sockets(self._target)

    def sockets_join(self, *rooms: str) -> None:
        """Have them join rooms."""
        self._adapter.add_sockets(self._target, frozenset(rooms))

    def sockets_leave(self, *rooms: str) -> None:
        """Have them leave rooms."""
        self._adapter.del_sockets(self._target, frozenset(rooms))

    def disconnect_sockets(self, close: bool = False) -> None:
        """Have them leave the namespace; ``close`` ends their connections as well."""
        self._adapter.disconnect_sockets(self._target, close)

    def _but(self, **changes: Any) -> Operator:
        return Operator(self._adapter, self._target.but(**changes))
