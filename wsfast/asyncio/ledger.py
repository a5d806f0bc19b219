"""
The byte budget of a server: octets that all its connections hold together.

Each connection has limits of its own, and a server has many connections. A
:class:`Ledger` is what the connections of one server share if it has a budget. A
connection tells it what it holds whenever that has changed at the end of a pass, so a
message that is delivered and answered in one pass costs nothing here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from ..exceptions import ProtocolError
from ..protocol.closing import CloseCode
from ..protocol.messages import Protocol

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Holding", "Ledger", "ledger_of"]

_OPEN = 1
_CLOSED = 3

#: How long there may be too much, and nothing become less, in seconds.
STUCK_S = 1.0


class Ledger:
    """
    What the connections of one server hold, in octets, and who is to hold no more.

    From three quarters of the limit on, a connection that holds something is not read
    any more, but for the one that has held something longest: it can finish. When the
    limit itself is passed, connections are given up until three quarters are left;
    when for `STUCK_S` nothing became less, until one half is. Those come first that
    hold most of what depends on their peers: of a message that is incomplete, or of
    output that is not read. What waits for the application is never dropped, and a
    connection that holds nothing is read.

    Args:
        limit: Most octets.

    Attributes:
        total: Octets that are held.
        given_up: Connections that were given up.

    Raises:
        ValueError: The limit is not positive.

    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_buffered must be positive, got {limit}")
        self.limit = limit
        self.high = limit - limit // 4
        self.total = 0
        self.given_up = 0
        # in the order in which they began to
        self._holders: OrderedDict[Holding, None] = OrderedDict()
        self._held_back: OrderedDict[Holding, None] = OrderedDict()
        self._watching = False  # a turn of the clock is due
        self._releasing = False  # so is the next of those that are held back
        self._less = False  # something became less since the last turn
        self._hopeless = False  # nobody was left to be given up
        self._giving_up = False

    def is_full(self) -> bool:
        """Tell whether there is no room for one more connection."""
        return self.total > self.limit

    def charge(self, holder: Holding, before: int, after: int) -> None:
        """Note that ``holder`` holds ``after`` octets, and no longer ``before``."""
        self.total += after - before
        if after < before:
            self._less = True
        if before == 0:
            self._holders[holder] = None
        elif after == 0:
            del self._holders[holder]
            self._let_go(holder)
        if self.total <= self.high:
            self._hopeless = False
            if self._held_back:
                self._release_soon(holder)
            return
        self._watch(holder)
        if self._giving_up:
            return
        if self.total > self.limit and not self._hopeless:
            self._give_up(self.high)
        first = next(iter(self._holders), None)
        if first is not None and first in self._held_back:
            self._let_go(first)
        if holder is not first and holder in self._holders and holder.hold_back():
            self._held_back[holder] = None

    def _let_go(self, holder: Holding) -> None:
        if holder in self._held_back:
            del self._held_back[holder]
            holder.go_on()

    def _release_soon(self, holder: Holding) -> None:
        # One at a time: each may read as much as a pass allows.
        if not self._releasing:
            self._releasing = True
            holder.link.driver.loop.call_soon(self._release)

    def _release(self) -> None:
        self._releasing = False
        if self._held_back and self.total <= self.high:
            holder = next(iter(self._held_back))
            self._let_go(holder)
            if self._held_back:
                self._release_soon(holder)

    def _watch(self, holder: Holding) -> None:
        if not self._watching:
            self._watching = True
            self._less = False
            holder.link.driver.loop.call_later(STUCK_S, self._turn)

    def _turn(self) -> None:
        self._watching = False
        self._hopeless = False
        if self.total <= self.high:
            return
        if not self._less:
            self._give_up(self.limit // 2)
        holder = next(iter(self._holders), None)
        if holder is not None and self.total > self.high:
            self._watch(holder)

    def _give_up(self, most: int) -> None:
        """Give connections up, the worst first, until no more than ``most`` is left."""
        self._giving_up = True
        try:
            worst = sorted(self._holders, key=_of_its_peer, reverse=True)
            for holder in worst:
                if self.total <= most or holder.of_its_peer() == 0:
                    break
                self.given_up += 1
                self._held_back.pop(holder, None)
                holder.give_up()
        finally:
            self._giving_up = False
        self._hopeless = self.total > self.high
        if self._held_back and not self._hopeless:
            self._release_soon(next(iter(self._held_back)))


def ledger_of(max_buffered: int | None) -> Ledger | None:
    """Return the ledger of a server, None if it has no budget."""
    return None if max_buffered is None else Ledger(max_buffered)


def _of_its_peer(holder: Holding) -> int:
    return holder.of_its_peer()


class Holding(Protocol):
    """
    A protocol that knows how many octets it holds.

    What is queued for ``recv()``, what has arrived of a message that is incomplete, and
    what was sent and not taken by the system at the end of a pass.
    """

    link: Link
    _octets: int
    _paused: bool
    _pause_asked: bool

    def _hold_nothing(self) -> None:
        """Begin."""
        self._charged = 0  # octets that the ledger knows of
        self._unsent = 0  # of these, output
        self._held_back = False
        self._kept = False

    def account(self) -> None:
        """Tell the ledger, if there is one, what is held now."""
        ledger = self.options.ledger
        if ledger is None:
            return
        held = self._octets
        if self.ready_state == _CLOSED:
            if not self._kept:
                held = 0
        else:
            held += self.parser.held() + self._unsent
            if self._inflating is not None or self._streamed is not None:
                held += self._in_pieces()
        before = self._charged
        if held != before:
            self._charged = held
            ledger.charge(self, before, held)

    def _in_pieces(self) -> int:
        size = 0
        if self._inflating is not None:
            size = sum(map(len, self._inflating.pieces))
        if self._streamed is not None and self._streamed.parts is not None:
            size += sum(map(len, self._streamed.parts))
        return size

    def output_left(self, unsent: int) -> None:
        """Note how much of the output the system has not taken."""
        if self.options.ledger is not None and self.ready_state != _CLOSED:
            self._unsent = unsent
            self.account()

    def keep_counting(self) -> None:
        """Count what is queued beyond the end, for a handler that may still take it."""
        self._kept = True

    def stop_counting(self) -> None:
        """Count what is queued up to the end only: nobody will take it any more."""
        self._kept = False
        if self._charged != 0:
            self.account()

    # ---- what the ledger calls ----

    def of_its_peer(self) -> int:
        """Return how many of the octets charged only the peer can make less."""
        return max(self._charged - self._octets, 0)

    def hold_back(self) -> bool:
        """Read no more from the peer; return whether that is so."""
        if self.ready_state == _OPEN and not self._held_back:
            self._held_back = True
            if not self._paused:
                self._pause()
        return bool(self._held_back)

    def go_on(self) -> None:
        """Undo :meth:`hold_back`."""
        if self._held_back:
            self._held_back = False
            if self._paused and not self._pause_asked and not self._is_full():
                self._resume()

    def give_up(self) -> None:
        """End the connection (1013), and hold nothing but what the application gets."""
        self._held_back = False
        limit = self.options.ledger.limit
        self._fail(
            ProtocolError(
                f"the connections of this server hold over {limit} octets",
                "server_full",
                int(CloseCode.TRY_AGAIN_LATER),
            ),
            0,
            "too much is buffered",
        )
        self.parser = self.make_parser()  # with nothing of a message in it
        if self._streamed is not None:
            self._streamed.parts = None
        if self._unsent != 0:  # no close frame will go out behind that
            self._unsent = 0
            self.link.driver.loop.call_soon(self._cut)
        self.account()

    def _cut(self) -> None:
        self.link.abort()

    # ---- for a subclass to override ----

    def _is_full(self) -> bool:
        raise NotImplementedError

    def _pause(self) -> None:
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError
