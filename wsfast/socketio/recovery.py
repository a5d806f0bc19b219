"""Connection state recovery: what a client has missed while it was away."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from .socket import Socket

__all__ = ["RECOVERABLE", "ConnectionStateRecovery", "History", "Session"]

#: Reasons of an end that a client may come back from; leaving on purpose is none.
RECOVERABLE: Final = frozenset(
    (
        "transport error",
        "transport close",
        "forced close",
        "ping timeout",
        "server shutting down",
        "forced server close",
    )
)


class ConnectionStateRecovery(NamedTuple):
    """
    How recovery works; given to the server as ``connection_state_recovery``.

    A client that comes back in time has its id, rooms and data as before, and is sent
    the events that it missed: those without an acknowledgement that were not volatile.
    """

    #: Seconds that sessions and events are kept.
    max_disconnection_duration: float = 120.0
    #: Do not run the middlewares of the namespace for a client that is recovered.
    skip_middlewares: bool = True
    #: Events of a namespace that are kept at most; the oldest go first.
    max_events: int = 100_000


class Session(NamedTuple):
    """What is kept of a client that has gone."""

    sid: str
    pid: str
    rooms: list[str]
    data: dict[str, Any]
    #: Number of the first event that it was sent; None if there was none.
    first: int | None
    #: Number of the event after the last one before it went.
    end: int
    at: float


class _Event(NamedTuple):
    number: int
    at: float
    rooms: frozenset[str]
    except_: frozenset[str]
    data: list[Any]


class History:
    """
    The events and sessions of one namespace that may be asked for again.

    Args:
        options: How long and how many.
        clock: Returns seconds.

    """

    def __init__(
        self,
        options: ConnectionStateRecovery,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._clock = clock
        self._events: deque[_Event] = deque()
        self._sessions: dict[str, Session] = {}
        self._next = 0

    @property
    def next_number(self) -> int:
        """The number of the next event."""
        return self._next

    def add(
        self, data: list[Any], rooms: frozenset[str], except_: frozenset[str]
    ) -> int:
        """
        Keep an event; its number, which clients call the offset, goes behind its data.

        Returns:
            The number.

        """
        number, self._next = self._next, self._next + 1
        data.append(offset_of(number))
        self._events.append(_Event(number, self._clock(), rooms, except_, data))
        self._forget_old()
        return number

    def withdraw(self) -> None:
        """Forget the event that was added last: it could not be written."""
        if self._events:
            self._events.pop()

    def persist(self, socket: Socket) -> None:
        """Keep the session of a socket that has gone."""
        self._forget_old()
        pid = socket.pid
        assert pid is not None
        self._sessions[pid] = Session(
            socket.id,
            pid,
            sorted(socket.rooms),
            socket.data,
            socket.first_offset,
            self._next,
            self._clock(),
        )

    def restore(self, pid: str, offset: Any) -> tuple[Session, list[list[Any]]] | None:
        """
        Return a session and what it has missed, once.

        Args:
            pid: Its private id.
            offset: What came behind the last event that the client had; None if it
                had none.

        Returns:
            None if there is no such session any more, or not all that it missed.

        """
        self._forget_old()
        session = self._sessions.get(pid)
        if session is None:
            return None
        if offset is None:
            # What it was sent, if anything, was lost: all of it is sent again.
            start = session.end if session.first is None else session.first
        else:
            number = number_of(offset)
            if number is None or not 0 <= number < self._next:
                return None
            start = number + 1
        kept_from = self._events[0].number if self._events else self._next
        if start < kept_from:
            return None
        del self._sessions[pid]
        rooms = frozenset(session.rooms)
        missed = [
            event.data
            for event in self._events
            if event.number >= start
            and (not event.rooms or not rooms.isdisjoint(event.rooms))
            and rooms.isdisjoint(event.except_)
        ]
        return session, missed

    def _forget_old(self) -> None:
        """Forget what is too old or too much; what is added pays for it."""
        oldest = self._clock() - self._options.max_disconnection_duration
        events, sessions = self._events, self._sessions
        while events and (
            events[0].at < oldest or len(events) > self._options.max_events
        ):
            events.popleft()
        while sessions:
            pid = next(iter(sessions))
            if sessions[pid].at >= oldest:
                break
            del sessions[pid]


def offset_of(number: int) -> str:
    """Return the offset of an event, as clients send it back."""
    return f"{number:x}"


def number_of(offset: Any) -> int | None:
    """Return the number of an event, None for what is no offset of ours."""
    if type(offset) is not str or not 0 < len(offset) <= 16:
        return None
    try:
        number = int(offset, 16)
    except ValueError:
        return None
    return number if number >= 0 and offset_of(number) == offset else None
