"""One message to many sessions: quoted once, framed once for each transport."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ._sockets import SocketSession
from .session import Prepared, Session

__all__ = ["broadcast"]


def broadcast(sessions: Iterable[Session], message: str | Prepared) -> None:
    """
    Send a message to many sessions, at once: none waits for another.

    Sessions that have ended are skipped. One whose output passes its limit ends, or
    drops the message, as with ``send()``; the others go on.

    Args:
        sessions: For example ``app.sessions``; not to be changed meanwhile by others.
        message: The message, prepared or not.

    Raises:
        TypeError: ``message`` is not a ``str``.

    """
    prepared = message if isinstance(message, Prepared) else Prepared.of(message)
    piece, size = prepared.chunk
    frame = prepared.frame
    most = sys.maxsize
    for session in sessions:
        sink = session.sink
        try:
            if sink is not None and sink.shares:
                sink.send_piece(piece, size)
            elif type(session) is SocketSession:
                session.connection.offer(frame, most)
            else:
                session.offer(prepared, most)
        except Exception as exc:
            session.logger.warning("skipped broadcast: %s", exc)
