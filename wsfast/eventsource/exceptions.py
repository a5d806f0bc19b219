"""What goes wrong with event streams, in words of their own."""

from __future__ import annotations

from ..exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

__all__ = ["EventSourceClosed", "InvalidContentType", "UnexpectedStatus"]


class EventSourceClosed(ConnectionClosed):
    """
    The event stream has ended: by :meth:`close`, or because the client has gone.

    A :exc:`~wsfast.ConnectionClosed`, as handlers of WebSockets expect it.

    Attributes:
        ours: We have ended it; otherwise the other side has.

    """

    reason_code = "event_source_closed"

    def __init__(self, ours: bool = True) -> None:
        super().__init__(None, None)
        self.args = (ours,)
        self.ours = ours

    def __str__(self) -> str:
        return "the event stream was closed" if self.ours else "the peer has gone"


class UnexpectedStatus(InvalidStatus):
    """
    The server answered with another status than 200.

    Attributes:
        response: The response, with as much of its body as was read.

    """

    reason_code = "unexpected_status"

    def __str__(self) -> str:
        response = self.response
        text = bytes(response.body[:200]).decode("utf-8", "replace").strip()
        line = f"server refused the event stream: HTTP {response.status_code:d}"
        return f"{line}: {text.splitlines()[0]}" if text else line


class InvalidContentType(InvalidHandshake):
    """The response is no event stream."""

    reason_code = "invalid_content_type"

    def __init__(self, content_type: str | None) -> None:
        super().__init__(content_type)
        self.content_type = content_type

    def __str__(self) -> str:
        if self.content_type is None:
            return "the response has no Content-Type, expected text/event-stream"
        return f"the response is {self.content_type}, expected text/event-stream"
