"""python-socketio on wsfast: its server, over :mod:`wsfast.asgi.engineio`."""

from __future__ import annotations

from . import engineio
from ._needs import need

with need("wsfast.asgi.socketio", "python-socketio", "5.18", below="6"):
    import socketio

__all__ = ["AsyncServer"]


class AsyncServer(socketio.AsyncServer):  # type: ignore[misc]
    """
    python-socketio's server, with ``async_mode="wsfast"`` as its default.

    It takes the arguments of ``socketio.AsyncServer``. Serve ``socketio.ASGIApp(sio)``
    by uvicorn, or give ``sio.handle_request`` to :func:`wsfast.serve`, for WebSockets
    alone; see :class:`wsfast.asgi.engineio.AsyncServer`.
    """

    def _engineio_server_class(self) -> type[engineio.AsyncServer]:
        return engineio.AsyncServer
