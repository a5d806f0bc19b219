"""
Event streams (server-sent events, WHATWG HTML §9.2), both sides.

:class:`EventSource` is one at its server, for any server; :class:`History` keeps events
for clients that come back. :class:`EventSourceClient` is the client for asyncio,
:class:`SyncEventSourceClient` that for threads.
"""

from __future__ import annotations

from ..engine import Event, EventError, EventParser, encode_event
from .client import EventSourceClient
from .exceptions import EventSourceClosed, InvalidContentType, UnexpectedStatus
from .history import EncodedEvent, History
from .reading import read_request
from .server import EventSource
from .sync_client import SyncEventSourceClient

__all__ = [
    "EncodedEvent",
    "Event",
    "EventError",
    "EventParser",
    "EventSource",
    "EventSourceClient",
    "EventSourceClosed",
    "History",
    "InvalidContentType",
    "SyncEventSourceClient",
    "UnexpectedStatus",
    "encode_event",
    "read_request",
]
