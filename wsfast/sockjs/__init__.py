"""
SockJS: WebSockets for browsers behind what lets none through.

:class:`SockJS` is the server, an ASGI application; :func:`serve` serves it without an
ASGI server; :func:`connect` is the client.
"""

from ._client_connection import ClientConnection
from ._fanout import broadcast
from .client import TransportsFailed, connect
from .server import SockJS
from .serving import Server, serve
from .session import Prepared, Session

__all__ = [
    "ClientConnection",
    "Prepared",
    "Server",
    "Session",
    "SockJS",
    "TransportsFailed",
    "broadcast",
    "connect",
    "serve",
]
