"""
Attaching to what runs: one class for the WebSockets of every server, and of clients.

:class:`WebSocket` is for coroutines: ASGI, aiohttp, streams of asyncio, sockets.
:class:`SyncWebSocket` is for threads: WSGI, sockets. Both have the same callbacks,
methods and attributes.
"""

from __future__ import annotations

from .requests import is_websocket
from .threads import SyncWebSocket
from .websocket import WebSocket

__all__ = ["SyncWebSocket", "WebSocket", "is_websocket"]
