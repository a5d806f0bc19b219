"""
Engine.IO 4: sessions over HTTP polling and WebSockets, beneath Socket.IO.

:class:`Server` is an ASGI application, and serves WebSockets directly as well. Each
session has a :class:`Socket` to send by, and a :class:`Listener` of the application's.
:func:`connect` is the client for asyncio, :class:`SyncClient` that for threads.
"""

from __future__ import annotations

from .client import ClientSocket, connect
from .cookie import Cookie
from .exceptions import (
    BadPacket,
    BadReply,
    ErrorCode,
    Refused,
    SessionClosed,
)
from .listener import Listener
from .prepared import Prepared
from .request import Request
from .server import Server
from .session import Socket
from .sync_client import SyncClient

__all__ = [
    "BadPacket",
    "BadReply",
    "ClientSocket",
    "Cookie",
    "ErrorCode",
    "Listener",
    "Prepared",
    "Refused",
    "Request",
    "Server",
    "SessionClosed",
    "Socket",
    "SyncClient",
    "connect",
]
