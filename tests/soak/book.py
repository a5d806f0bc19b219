"""
A talk in which each side numbers what it says, so that nothing is lost or doubled.

A message is ``NUMBER WHAT LENGTH PADDING``; the numbers of each side begin at 0 and
leave none out. What a client says is how many answers it wants; they are as long as the
question. The last message of a client is ``bye-N``, and so is the one answer to it: N
messages have come from the other side. Text and binary mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator

SHORTEST = 40  # octets of a message


class WrongError(Exception):
    """A message was lost, doubled or changed."""


class Book:
    """
    What one side has said and heard.

    Attributes:
        said: Messages that were sent.
        heard: Messages that came.
        done: Whether the other side has said goodbye, and the counts agree.

    """

    def __init__(self) -> None:
        self.said = 0
        self.heard = 0
        self.done = False

    def say(self, what: object, size: int = 0) -> str:
        """Return the next message, of at least ``size`` characters."""
        size = max(size, SHORTEST)
        text = f"{self.said} {what} {size} "
        self.said += 1
        return text.ljust(size, "x")

    def goodbye(self) -> str:
        """Return the last message of this side."""
        return self.say(f"bye-{self.heard}")

    def hear(self, message: str | bytes) -> str:
        """
        Take a message in.

        Returns:
            What it says.

        Raises:
            WrongError: It is not the next one, or not as it was sent.

        """
        text = message if isinstance(message, str) else bytes(message).decode()
        try:
            number, what, size, padding = text.split(" ", 3)
            whole = len(text) == int(size) and not padding.strip("x")
        except ValueError:
            whole = False
        if not whole:
            raise WrongError(f"a message has changed: {text[:80]!r}")
        if int(number) != self.heard:
            raise WrongError(f"message {number} came as number {self.heard}")
        self.heard += 1
        if what.startswith("bye-"):
            if what != f"bye-{self.said}":
                raise WrongError(f"{what} after {self.said} messages")
            self.done = True
        return what

    def answers(self, message: str | bytes) -> Iterator[str | bytes]:
        """Take a client's message in, and generate the server's answers to it."""
        if self.done:
            raise WrongError("something came behind the goodbye")
        what = self.hear(message)
        if self.done:
            yield self.goodbye()
            return
        for _ in range(int(what)):
            answer = self.say("answer", len(message))
            yield answer if isinstance(message, str) else answer.encode()
