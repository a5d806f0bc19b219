"""
Fan-out: topics, over one process or many machines.

A :class:`Hub` has topics, to which connections of all kinds subscribe. Between nodes, a
:class:`Bus` carries what is published: Redis (``wsfast.hub.redis``) or NATS
(``wsfast.hub.nats``).
"""

from .bus import Bus, BusState, MemoryBus
from .envelope import Codec, Envelope, EnvelopeError, new_node_id

__all__ = [
    "Bus",
    "BusState",
    "Codec",
    "Envelope",
    "EnvelopeError",
    "MemoryBus",
    "new_node_id",
]
