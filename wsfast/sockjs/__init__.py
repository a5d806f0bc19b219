"""
SockJS: WebSockets for browsers behind what lets none through.

:class:`SockJS` is the server, an ASGI application; :func:`connect` is the client.
"""

from ._client_connection import ClientConnection
from .client import TransportsFailed, connect
from .server import SockJS
from .session import Prepared, Session

__all__ = [
    "ClientConnection",
    "Prepared",
    "Session",
    "SockJS",
    "TransportsFailed",
    "connect",
]
