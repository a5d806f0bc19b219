"""
Socket.IO 5, server and client: namespaces, rooms, acknowledgements, recovery.

:class:`Server` is an ASGI application. Its methods are those of python-socketio where
that has them. :class:`Client` is for asyncio, :class:`SyncClient` for threads, and
:func:`io` as JavaScript has it.
"""

from __future__ import annotations

from .adapter import Adapter
from .classes import AsyncNamespace
from .client import Client, io
from .client_socket import ClientSocket
from .cluster import Cluster
from .exceptions import (
    AckTimeout,
    ConnectionError,  # noqa: A004
    ConnectionRefusedError,  # noqa: A004
    Disconnected,
    NodeGone,
    SocketIOError,
    TooManyRooms,
)
from .manager import Manager
from .namespace import Namespace, ParentNamespace
from .packet import Packet, PacketError
from .parser import JSONParser, Parser, parser_of
from .recovery import ConnectionStateRecovery
from .remote import RemoteSocket
from .server import Server
from .socket import Handshake, Socket
from .sync_client import SyncClient
from .targets import Operator

#: The names that python-socketio has for them.
AsyncServer = Server
AsyncClient = Client

__all__ = [
    "AckTimeout",
    "Adapter",
    "AsyncClient",
    "AsyncNamespace",
    "AsyncServer",
    "Client",
    "ClientSocket",
    "Cluster",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionStateRecovery",
    "Disconnected",
    "Handshake",
    "JSONParser",
    "Manager",
    "Namespace",
    "NodeGone",
    "Operator",
    "Packet",
    "PacketError",
    "ParentNamespace",
    "Parser",
    "RemoteSocket",
    "Server",
    "Socket",
    "SocketIOError",
    "SyncClient",
    "TooManyRooms",
    "io",
    "parser_of",
]
