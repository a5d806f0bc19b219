"""Types of `wsfast._events`; see `wsfast._pure_events`."""

from typing_extensions import Buffer

from wsfast._event_types import Event

class EventParser:
    last_event_id: str
    retry: int | None
    def __init__(
        self,
        *,
        max_line: int | None = ...,
        max_size: int | None = ...,
        last_event_id: str = "",
    ) -> None: ...
    def feed(self, data: Buffer) -> list[Event]: ...

def encode_event(
    data: str | Buffer | None,
    event: str | None = None,
    id: str | None = None,  # noqa: A002
    retry: int | None = None,
) -> bytes: ...
