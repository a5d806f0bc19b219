"""Events that are kept for clients that come back (WHATWG HTML §9.2.4)."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from ..engine import encode_event

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["EncodedEvent", "History"]


class EncodedEvent(bytes):
    """
    An event as it is sent, encoded once for all clients: what :meth:`send` takes too.

    Attributes:
        id: Its ID, ``""`` if it has none.

    """

    id: str = ""

    @classmethod
    def of(
        cls,
        data: str | Buffer | None,
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002 - the name of the field
        retry: float | None = None,
    ) -> EncodedEvent:
        """
        Encode an event.

        Args:
            data: Text, or its UTF-8; None to send ``id`` and ``retry`` alone.
            event: Its type, without line ends.
            id: Its ID, without line ends and NUL.
            retry: Seconds after which the client shall connect again.

        Raises:
            ValueError: A field would become two, or would be ignored.

        """
        text = id if id is None else str(id)
        ms = None if retry is None else round(retry * 1000)
        self = cls(encode_event(data, event, text, ms))
        self.id = text or ""
        return self


class History:
    """
    The last events of a topic, for the clients that missed some of them.

    Bounded in number and in octets: the oldest make room. It may be used from several
    threads.

    Args:
        count: Most events.
        size: Most octets of all of them, as they are sent.

    Raises:
        ValueError: A limit is negative.

    """

    def __init__(self, count: int = 1000, size: int = 1 << 20) -> None:
        if count < 0 or size < 0:
            raise ValueError("count and size must be >= 0")
        self.count: Final = count
        self.size: Final = size
        self._events: deque[EncodedEvent] = deque()
        self._octets = 0
        self._first = 0  # number of the oldest event that is kept
        self._number_of: dict[str, int] = {}
        # IDs of another process, or of another topic, must not be taken for ours.
        self._prefix = secrets.token_hex(4)
        self._made = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._events)

    def add(
        self,
        data: str | Buffer,
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002 - the name of the field
    ) -> EncodedEvent:
        """
        Encode an event and keep it.

        Args:
            data: Text, or its UTF-8.
            event: Its type.
            id: Its ID; None for one that is made. It should be new.

        Returns:
            The event, to be sent to those who are here.

        Raises:
            ValueError: A field would become two, or would be ignored; or the ID is
                empty.

        """
        with self._lock:
            if id is None:
                self._made += 1
                id = f"{self._prefix}-{self._made}"  # noqa: A001
            encoded = EncodedEvent.of(data, event, id)
            if not encoded.id:
                raise ValueError("an event that is kept needs an ID")
            self._number_of[encoded.id] = self._first + len(self._events)
            self._events.append(encoded)
            self._octets += len(encoded)
            while len(self._events) > self.count or self._octets > self.size:
                oldest = self._events.popleft()
                self._octets -= len(oldest)
                if self._number_of.get(oldest.id) == self._first:
                    del self._number_of[oldest.id]
                self._first += 1
        return encoded

    def since(self, last_event_id: str) -> list[EncodedEvent] | None:
        """
        Return what a client has missed.

        Args:
            last_event_id: What it saw last; ``""`` for a client that is new, which has
                missed nothing.

        Returns:
            The events after that one, in order; None if that one is not kept, so that
            nobody knows what is missing.

        """
        if not last_event_id:
            return []
        with self._lock:
            number = self._number_of.get(last_event_id)
            if number is None:
                return None
            return list(self._events)[number + 1 - self._first :]

    def all(self) -> list[EncodedEvent]:
        """Return all events that are kept, in order."""
        with self._lock:
            return list(self._events)
