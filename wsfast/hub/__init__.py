"""
Fan-out: topics, over one process or many machines.

A :class:`Hub` has topics, to which connections of all kinds subscribe. Between nodes, a
:class:`Bus` carries what is published: Redis (``wsfast.hub.redis``) or NATS
(``wsfast.hub.nats``).
"""

from .bus import Bus, BusState, MemoryBus
from .envelope import Codec, Envelope, EnvelopeError, new_node_id
from .hub import Hub, TooManyTopics
from .members import GONE, QUEUED, SLOW, Member, Message, Policy
from .presence import Answers, Node, Presence
from .topic import Topic

__all__ = [
    "GONE",
    "QUEUED",
    "SLOW",
    "Answers",
    "Bus",
    "BusState",
    "Codec",
    "Envelope",
    "EnvelopeError",
    "Hub",
    "Member",
    "MemoryBus",
    "Message",
    "Node",
    "Policy",
    "Presence",
    "TooManyTopics",
    "Topic",
    "new_node_id",
]
