"""
WebSockets under asyncio: for coroutines and for callbacks, clients and servers.

The names, parameters and exceptions are those of the asyncio API of the websockets
library, with more beside them.
"""

from ._broadcast import broadcast
from ._threaded import ReconnectingThread
from .client import ClientConnection, connect, unix_connect
from .connection import Connection
from .listener import Listener
from .prepared import Prepared
from .reconnecting import Reconnecting
from .server import Server, ServerConnection, basic_auth, serve, unix_serve

__all__ = [
    "ClientConnection",
    "Connection",
    "Listener",
    "Prepared",
    "Reconnecting",
    "ReconnectingThread",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
