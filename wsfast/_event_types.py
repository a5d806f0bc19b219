"""What the C parser of event streams and the pure one share: their value types."""

from __future__ import annotations

from typing import Any, NamedTuple


class Event(NamedTuple):
    """
    One event of an event stream (WHATWG HTML §9.2.6).

    Attributes:
        event: Its type, ``"message"`` where the stream names none.
        data: Its data; its lines are separated by LF.
        id: The last event ID at this event, its own or an earlier one.

    """

    event: str
    data: str
    id: str


class EventError(ValueError):
    """
    An event stream goes beyond a limit.

    Attributes:
        reason_code: ``"line_too_long"`` or ``"event_too_big"``.
        events: What was complete before that in the same call.

    """

    def __init__(
        self, text: str, reason_code: str, events: list[Event] | None = None
    ) -> None:
        super().__init__(text)
        self.reason_code = reason_code
        self.events: list[Event] = [] if events is None else events

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with every argument, which Exception alone would not do."""
        return type(self), (str(self), self.reason_code, self.events)
