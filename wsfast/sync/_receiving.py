"""What a connection for threads receives beside messages: fragments and pongs."""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Fragment", "Pong", "fragments_of"]


class Fragment:
    """A fragment of a message among the messages of a queue."""

    __slots__ = ("data", "fin")

    def __init__(self, data: Any, fin: bool) -> None:
        self.data = data
        self.fin = fin

    def __len__(self) -> int:
        return len(self.data)


def fragments_of(
    take: Callable[[], Fragment], decode: bool | None
) -> Iterator[tuple[str | bytes, bool]]:
    """
    Yield the fragments of one message, each with whether it is the last.

    Args:
        take: Returns the next fragment.
        decode: True for ``str``, False for ``bytes``, None for what they are.

    """
    decoder: codecs.IncrementalDecoder | None = None
    fin = False
    while not fin:
        fragment = take()
        data, fin = fragment.data, fragment.fin
        if decode is True and isinstance(data, bytes):
            if decoder is None:
                decoder = codecs.getincrementaldecoder("utf-8")()
            data = decoder.decode(data, fin)
        elif decode is False and isinstance(data, str):
            data = data.encode()
        yield data, fin


class Pong(threading.Event):
    """
    What ``ping()`` returns: an event that is set when the pong has arrived.

    Waiting for it reads the connection if no other thread does.

    Args:
        wait_pong: Called with this event and a timeout to wait.
        ack_on_close: Set it when the connection ends, too.

    """

    def __init__(
        self, wait_pong: Callable[[Pong, float | None], bool], ack_on_close: bool
    ) -> None:
        super().__init__()
        self._wait_pong = wait_pong
        self.ack_on_close = ack_on_close
        self.sent_at = time.monotonic()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the pong has arrived; return whether it has."""
        return self.is_set() or self._wait_pong(self, timeout)
