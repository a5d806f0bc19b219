"""
SockJS: WebSockets for browsers behind what lets none through.

:class:`SockJS` is the server, an ASGI application.
"""

from .server import SockJS
from .session import Prepared, Session

__all__ = ["Prepared", "Session", "SockJS"]
