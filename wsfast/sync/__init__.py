"""
WebSockets for threads: clients and servers.

The names, parameters and exceptions are those of the threading API of the websockets
library, with more beside them.
"""

from ._broadcast import broadcast
from .auth import basic_auth
from .client import (
    ClientConnection,
    connect,
    reconnect,
    unix_connect,
    unix_reconnect,
)
from .connection import Connection
from .server import Server, ServerConnection, serve, unix_serve

__all__ = [
    "ClientConnection",
    "Connection",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "reconnect",
    "serve",
    "unix_connect",
    "unix_reconnect",
    "unix_serve",
]
