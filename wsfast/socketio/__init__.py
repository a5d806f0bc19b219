"""
Socket.IO 5, server and client: namespaces, rooms, acknowledgements, recovery.

:class:`Server` is an ASGI application. Its methods are those of python-socketio where
that has them.
"""

from __future__ import annotations

from .adapter import Adapter
from .classes import AsyncNamespace
from .exceptions import (
    AckTimeout,
    ConnectionError,  # noqa: A004
    ConnectionRefusedError,  # noqa: A004
    Disconnected,
    SocketIOError,
    TooManyRooms,
)
from .namespace import Namespace, ParentNamespace
from .packet import Packet, PacketError
from .parser import JSONParser, Parser, parser_of
from .recovery import ConnectionStateRecovery
from .server import Server
from .socket import Handshake, Socket
from .targets import Operator

#: The name that python-socketio has for it.
AsyncServer = Server

__all__ = [
    "AckTimeout",
    "Adapter",
    "AsyncNamespace",
    "AsyncServer",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionStateRecovery",
    "Disconnected",
    "Handshake",
    "JSONParser",
    "Namespace",
    "Operator",
    "Packet",
    "PacketError",
    "ParentNamespace",
    "Parser",
    "Server",
    "Socket",
    "SocketIOError",
    "TooManyRooms",
    "parser_of",
]
