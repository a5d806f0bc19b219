"""What protocols above WebSocket put around a message, for the native load client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """
    A protocol above WebSocket, as octets.

    Attributes:
        path: Target of the opening handshake; ``%u`` is the connection's number.
        steps: What comes before the first message, in order: a text message that the
            client says, or the beginning of one that it expects.
        before: What is in front of each payload that the client sends.
        after: What is behind it.
        back_before: The same of what comes back, if that is something else.
        back_after: And behind it.
        room: What is in front of each payload that is for everybody, both ways.

    """

    path: str
    steps: tuple[tuple[Literal["say", "expect"], str], ...] = ()
    before: str = ""
    after: str = ""
    back_before: str | None = None
    back_after: str | None = None
    room: str = ""

    def options(self, broadcast: bool = False) -> list[str]:
        """Return the load client's options for it."""
        before = self.room if broadcast else self.before
        found = ["--path", self.path, "--before", before, "--after", self.after]
        for kind, text in self.steps:
            found += [f"--{kind}", text]
        if self.back_before is not None:
            found += ["--back-before", self.back_before]
        if self.back_after is not None:
            found += ["--back-after", self.back_after]
        return found


#: dialect -> its octets; a server of one echoes every message, or event "echo", and
#: sends event "all" to a room that all are in
DIALECTS = {
    "engineio": Dialect(
        path="/engine.io/?EIO=4&transport=websocket",
        steps=(("expect", "0{"),),
        before="4",
    ),
    "socketio": Dialect(
        path="/socket.io/?EIO=4&transport=websocket",
        steps=(("expect", "0{"), ("say", "40"), ("expect", "40{")),
        before='42["echo","',
        after='"]',
        room='42["all","',
    ),
    "sockjs": Dialect(
        path="/echo/000/%u/websocket",
        steps=(("expect", "o"),),
        before='["',
        after='"]',
        back_before='a["',
    ),
}
