"""A connection between pipes: lines in, lines out."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Iterator

from wsfast.exceptions import ConnectionClosed
from wsfast.sync.client import ClientConnection

from ._errors import CommandError
from ._messages import Format

__all__ = ["Pipe"]

CHUNK = 64 * 1024  # octets read at a time


class Pipe:
    """
    What carries lines to a connection, and its messages to standard output.

    The main thread receives; another one sends.

    Args:
        ws: The connection.
        form: How messages look.
        wait: Seconds without a message after which to close, when the input has ended.
        count: Messages after which to close, or None.

    """

    def __init__(
        self, ws: ClientConnection, form: Format, wait: float, count: int | None
    ) -> None:
        self.ws = ws
        self.form = form
        self.wait = wait
        self.count = count
        self.heard_at = time.monotonic()
        self.failure: BaseException | None = None
        self.unsent = False
        self.enough = False

    def run(self, messages: list[str | bytes], take_input: bool) -> None:
        """
        Send and print until the connection is closed.

        Args:
            messages: What to send first.
            take_input: Whether to send standard input then.

        Raises:
            CommandError: The input is not what it should be, or not all of it was sent.

        """
        sender = threading.Thread(
            target=self._send_all, args=(messages, take_input), daemon=True
        )
        sender.start()
        with contextlib.suppress(ConnectionClosed):  # the caller will tell of it
            self._print_all()
        if self.failure is not None:
            raise self.failure
        if self.unsent and not self.enough:
            raise CommandError("the server closed before all of the input was sent")

    def _print_all(self) -> None:
        # Straight to the descriptor: what is read by a program has to come at once.
        for number, message in enumerate(self.ws, 1):
            self.heard_at = math.inf  # whoever reads our output may be slow
            _write(self.form.octets(message))
            self.heard_at = time.monotonic()
            if number == self.count:
                self.enough = True
                return

    def _send_all(self, messages: list[str | bytes], take_input: bool) -> None:
        ws = self.ws
        try:
            for message in messages:
                ws.send(message)
            if take_input:
                for message in self._input():
                    self.unsent = True
                    ws.send(message)
                    self.unsent = False
            self._await_silence()
        except ConnectionClosed:
            return
        except Exception as exc:
            self.failure = exc
        with contextlib.suppress(ConnectionClosed):
            ws.start_closing()

    def _input(self) -> Iterator[str | bytes]:
        """Yield what standard input has."""
        number = 0
        begun: list[bytes] = []  # a line whose end has not come yet
        while data := _read():
            if self.form.binary == "raw":
                yield data
                continue
            *lines, rest = data.split(b"\n")
            for line in lines:
                number += 1
                yield self._message(b"".join((*begun, line)), number)
                begun = []
            begun.append(rest)
        if line := b"".join(begun):
            yield self._message(line, number + 1)

    def _message(self, line: bytes, number: int) -> str | bytes:
        return self.form.outgoing(line.removesuffix(b"\r"), f"line {number}")

    def _await_silence(self) -> None:
        """Wait until no message has come for so long."""
        self.heard_at = time.monotonic()
        if self.wait == math.inf:
            self.ws.wait_closed()
        while (left := self.heard_at + self.wait - time.monotonic()) > 0:
            if self.ws.wait_closed(min(left, self.wait)):
                return


def _read() -> bytes:
    """Read what there is of standard input; nothing at its end."""
    # Not through sys.stdin: its lock would be held when the program ends.
    if sys.stdin is None:
        return b""
    return os.read(sys.stdin.fileno(), CHUNK)


def _write(data: bytes) -> None:
    """Write to standard output, all of it, now."""
    stream = sys.stdout.buffer
    stream.write(data)
    stream.flush()
