"""Connection state recovery: what a client has missed while it was away."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._limits import limits

if TYPE_CHECKING:
    from .packet import Packet
    from .parser import Parser
    from .socket import Socket

__all__ = ["RECOVERABLE", "ConnectionStateRecovery", "History", "Missed", "Session"]

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
    The limits are those of one namespace. What is beyond them goes, the oldest first;
    who comes back for it begins anew. None turns one of the last three off.

    """

    #: Seconds that sessions and events are kept.
    max_disconnection_duration: float = 120.0
    #: Do not run the middlewares of the namespace for a client that is recovered.
    skip_middlewares: bool = True
    #: Events that are kept at most.
    max_events: int | None = 100_000
    #: Octets of them at most, as they are sent; text counts by its characters.
    max_size: int | None = 16 << 20
    #: Clients that have gone whose state is kept at most.
    max_sessions: int | None = 10_000


class Session(NamedTuple):
    """What is kept of a client that has gone."""

    sid: str
    pid: str
    rooms: list[str]
    data: dict[str, Any]
    #: Number of the first event that it was sent; None if there was none.
    first: int | None
    #: Number of the last one that it was sent; None if there was none.
    last: int | None
    #: Number of the event after the last one before it went.
    end: int
    at: float


class _Event(NamedTuple):
    number: int
    at: float
    rooms: frozenset[str]
    except_: frozenset[str]
    messages: list[str | bytes]
    size: int


class Missed(NamedTuple):
    """What a client that comes back gets."""

    session: Session
    #: Number of the first event that it has missed; None if there was none.
    first: int | None
    #: Number of the last event that it has, or is sent now; None if there was none.
    last: int | None
    #: The messages of each.
    events: list[list[str | bytes]]


class History:
    """
    The events and sessions of one namespace that may be asked for again.

    Args:
        options: How long and how many.
        parser: Makes messages of events: what is kept is what was sent, whatever
            becomes of the objects in it.
        most_missed: Octets that can be sent to a client at once; None for no limit.
        clock: Returns seconds.

    Raises:
        ValueError: An option makes no sense.

    """

    def __init__(
        self,
        options: ConnectionStateRecovery,
        parser: Parser,
        most_missed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if options.max_disconnection_duration < 0:
            raise ValueError("max_disconnection_duration must be >= 0")
        self._age = options.max_disconnection_duration
        self._most_events, self._most_octets, self._most_sessions = limits(
            0,
            max_events=options.max_events,
            max_size=options.max_size,
            max_sessions=options.max_sessions,
        )
        (self._most_missed,) = limits(0, most_missed=most_missed)
        self.parser = parser
        self._clock = clock
        self._events: deque[_Event] = deque()
        self._size = 0
        self._sessions: dict[str, Session] = {}
        self._next = 0
        self._kept_from = 0  # all events from this number on are there

    @staticmethod
    def offset_of(number: int) -> str:
        """Return the offset of an event, as clients send it back."""
        return offset_of(number)

    @staticmethod
    def number_of(offset: Any) -> int | None:
        """Return the number of an event, None for what is no offset of ours."""
        return number_of(offset)

    def add(
        self, packet: Packet, rooms: frozenset[str], except_: frozenset[str]
    ) -> tuple[int, list[str | bytes]]:
        """
        Keep an event; its number, which clients call the offset, goes behind its data.

        Args:
            packet: The event; the offset is put into it.
            rooms: The rooms that it is for; none for everybody.
            except_: Those that are left out.

        Returns:
            The number, and its messages.

        Raises:
            PacketError, TypeError, ValueError: It cannot be written; it is not kept.

        """
        number = self._next
        packet.data.append(self.offset_of(number))
        messages = self.parser.encode(packet)
        self.keep_event(number, rooms, except_, messages)
        return number, messages

    def keep_event(
        self,
        number: int,
        rooms: frozenset[str],
        except_: frozenset[str],
        messages: list[str | bytes],
    ) -> None:
        """Keep an event with its number, which is above those before."""
        self._next = number + 1
        size = sum(map(len, messages))
        self._size += size
        self._events.append(
            _Event(number, self._clock(), rooms, except_, messages, size)
        )
        self._forget_old()

    def persist(self, socket: Socket) -> None:
        """Keep the session of a socket that has gone."""
        pid = socket.pid
        assert pid is not None
        self.keep(
            Session(
                socket.id,
                pid,
                sorted(socket.rooms),
                socket.data,
                socket.first_offset,
                socket.last_offset,
                self._next,
                self._clock(),
            )
        )

    def keep(self, session: Session) -> None:
        """Keep a session, or keep it again: its client was not let in."""
        self._sessions[session.pid] = session
        self._forget_old()

    def give_back(self, pid: str) -> None:
        """Keep a session that was not asked for after all: it is kept anyway."""

    def lasts(self) -> float:
        """Return for how many seconds from now on somebody may come back."""
        newest = max((each.at for each in self._sessions.values()), default=None)
        return 0.0 if newest is None else newest + self._age - self._clock()

    def restore(self, pid: str, offset: Any) -> Missed | None:
        """
        Take out a session and what it has missed.

        Args:
            pid: Its private id.
            offset: What came behind the last event that the client had; None if it
                had none.

        Returns:
            None if there is no such session any more, or not all that it missed, or
            more than can be sent.

        """
        self._forget_old()
        session = self._sessions.get(pid)
        if session is None or session.at < self._clock() - self._age:
            return None
        last = session.last
        if offset is None:
            # What it was sent, if anything, was lost: all of it is sent again.
            start = session.end if session.first is None else session.first
        else:
            number = self.number_of(offset)
            if number is None or not 0 <= number < self._next:
                return None
            # It may be that all that it was sent since is nothing.
            start = number + 1
            if number == last:
                start = max(start, session.end)
            last = number
        if start < self._kept_from:
            return None
        rooms = frozenset(session.rooms)
        missed = [
            event
            for event in self._events
            if event.number >= start
            and (not event.rooms or not rooms.isdisjoint(event.rooms))
            and rooms.isdisjoint(event.except_)
        ]
        if sum(event.size for event in missed) > self._most_missed:
            return None
        del self._sessions[pid]
        first = missed[0].number if missed else None
        last = missed[-1].number if missed else last
        return Missed(session, first, last, [event.messages for event in missed])

    def _forget_old(self) -> None:
        """Forget what is too old or too much; what is added pays for it."""
        oldest = self._clock() - self._age
        events, sessions = self._events, self._sessions
        while events and (
            events[0].at < oldest
            or len(events) > self._most_events
            or self._size > self._most_octets
        ):
            self._kept_from = events[0].number + 1
            self._size -= events.popleft().size
        while sessions:
            pid = next(iter(sessions))
            if sessions[pid].at >= oldest and len(sessions) <= self._most_sessions:
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
