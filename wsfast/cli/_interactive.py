"""
A conversation in a terminal.

The main thread sits in ``input()``, where readline edits the line and keeps the
history; another one prints what comes, on rows that it inserts above that line. That
needs no knowledge of what readline has drawn, as long as it is one row: readline is
told to scroll long lines sideways.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from wsfast.exceptions import ConcurrencyError, ConnectionClosed
from wsfast.sync.client import ClientConnection

from ._errors import CommandError, without_password
from ._messages import Format
from ._terminal import Style, columns_of, printable, rows

__all__ = ["Talk", "Talking"]

PROMPT = "> "
REMEMBERED = 1000  # lines of history

HELP = """\
/ping [TEXT]           send a ping; the time until its answer is shown
/binary HEX            send a binary message
/close [CODE [REASON]] close the connection
/help                  this list
//TEXT                 send a text that begins with a slash
Ctrl-C, Ctrl-D         close the connection and end"""


class _OverError(Exception):
    """The connection has ended while the main thread waited for a line."""


class Talking(ClientConnection):
    """A connection that tells a `Talk` of the pongs that it asked for."""

    talk: Talk | None = None

    def pong_received(self, payload: bytes) -> None:
        """Tell of a pong."""
        super().pong_received(payload)
        if self.talk is not None:
            self.talk.pong_received(payload)


class Talk:
    """
    A conversation in a terminal.

    Args:
        ws: The connection.
        form: How messages look.
        count: Messages after which to close, or None.

    """

    def __init__(self, ws: Talking, form: Format, count: int | None) -> None:
        self.ws = ws
        self.form = form
        self.count = count
        self.style = Style(sys.stdout)
        self._asking = False
        self._over = threading.Event()
        self._printing = threading.RLock()
        self._pings: set[bytes] = set()
        ws.talk = self

    def run(self, uri: str, messages: list[str | bytes]) -> None:
        """
        Talk until the user, or the server, ends it.

        Args:
            uri: What is connected to.
            messages: What to send first.

        """
        self._greet(uri)
        threading.Thread(target=self._receive, daemon=True).start()
        with history(), self._woken(), contextlib.suppress(ConnectionClosed):
            for message in messages:
                self.ws.send(message)
                self.show(PROMPT, self.form.incoming(message))
            while (line := self._ask()) is not None:
                self._obey(line)
        self.ws.talk = None

    def _greet(self, uri: str) -> None:
        facts = [f"connected to {without_password(uri)}"]
        if self.ws.subprotocol is not None:
            facts.append(f"subprotocol {self.ws.subprotocol}")
        facts += [str(extension.name) for extension in self.ws.extensions]
        facts.append("/help helps, Ctrl-C ends")
        print(self.style("faint", "; ".join(facts)))

    # ---- what the user types ----

    def _ask(self) -> str | None:
        """Return the next line, None if there will be none."""
        try:
            self._asking = True
            if self._over.is_set():
                return None
            return input(PROMPT)
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()
            raise
        except _OverError:
            sys.stdout.write("\r\x1b[K")
            return None
        finally:
            self._asking = False

    def _obey(self, line: str) -> None:
        """Send a line, or do what it commands."""
        if not line:
            return
        if line.startswith("/") and not line.startswith("//"):
            name, _, rest = line[1:].partition(" ")
            command = getattr(self, f"_do_{name}", None)
            if command is None:
                self.tell(f"there is no command /{name}; //{name} would send it")
            else:
                command(rest.strip())
            return
        try:
            message = self.form.outgoing(line.removeprefix("/"), "that")
        except CommandError as error:
            self.tell(str(error))
        else:
            self.ws.send(message)

    def _do_help(self, _: str) -> None:
        self.tell(HELP)

    def _do_ping(self, text: str) -> None:
        data = (text or f"{time.monotonic_ns():x}").encode("utf-8", "surrogateescape")
        if len(data) > 125:
            self.tell(f"a ping has at most 125 octets, and these are {len(data)}")
            return
        self._pings.add(data)
        try:
            self.ws.ping(data)
        except ConcurrencyError:
            self.tell("such a ping has not been answered yet")

    def _do_binary(self, text: str) -> None:
        try:
            self.ws.send(bytes.fromhex(text))
        except ValueError:
            self.tell("write it as /binary 00 01 fe ff")

    def _do_close(self, text: str) -> None:
        code, _, reason = text.partition(" ")
        try:
            self.ws.start_closing(int(code or 1000), reason.strip())
        except ValueError:
            self.tell("write it as /close CODE REASON, with a CODE such as 1000")
        except Exception as exc:  # a code that may not be sent, a reason too long
            self.tell(str(exc))
        else:
            self._over.wait()

    # ---- what the server sends ----

    def _receive(self) -> None:
        try:
            for number, message in enumerate(self.ws, 1):
                arrow = "< "
                if isinstance(message, bytes):
                    arrow = f"< binary, {len(message)} octets: "
                self.show(arrow, self.form.incoming(message))
                if number == self.count:
                    break
        except ConnectionClosed:
            pass
        except Exception as exc:
            self.tell(f"cannot print a message: {exc!r}")
        self._over.set()
        while self._asking and not _wake_main_thread():
            time.sleep(0.05)

    def pong_received(self, payload: bytes) -> None:
        """Show a pong that `/ping` asked for."""
        if payload in self._pings:
            self._pings.discard(payload)
            self.tell(f"pong after {1e3 * self.ws.latency:.2f} ms")

    # ---- printing ----

    def tell(self, text: str) -> None:
        """Show something of our own."""
        self.show("", text, "faint")

    def show(self, arrow: str, text: str, colour: str = "") -> None:
        """
        Print a text above the line that is being typed.

        Args:
            arrow: Stands before its first row.
            text: The text.
            colour: Of the text; by default the terminal's own.

        """
        lines = rows(arrow + printable(text), columns_of(sys.stdout))
        if colour:
            lines = [self.style(colour, line) for line in lines]
        elif arrow:
            mark = self.style("blue" if arrow.startswith("<") else "green", arrow)
            lines[0] = mark + lines[0][len(arrow) :]
        with self._printing:
            if not self._asking or os.name == "nt":
                print("\n".join(lines))
                return
            for line in lines:
                # Keep the place; make room below; insert a row here; go back, and down
                # with what was here.
                sys.stdout.write(f"\x1b7\n\x1b[A\r\x1b[L{line}\x1b8\x1b[B")
            sys.stdout.flush()

    # ---- being told that it is over, while in input() ----

    @contextlib.contextmanager
    def _woken(self) -> Iterator[None]:
        """Let another thread's signal end ``input()``."""
        if not hasattr(signal, "SIGUSR1"):
            yield
            return
        before = signal.signal(signal.SIGUSR1, self._signalled)
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, before)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._asking:
            raise _OverError


def _wake_main_thread() -> bool:
    """Interrupt the main thread; return whether there is no use in trying again."""
    if not hasattr(signal, "pthread_kill"):
        print("\n(the connection has ended: press Enter)")
        return True
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGUSR1)
    return False


def history_file() -> Path | None:
    """Return where the history is kept; None if it is not."""
    named = os.environ.get("WSFAST_HISTORY")
    if named is not None:
        return Path(named) if named else None
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "wsfast" / "history"


@contextlib.contextmanager
def history() -> Iterator[None]:
    """Have lines of earlier conversations, and keep those of this one."""
    try:
        readline: Any = importlib.import_module("readline")
    except ImportError:  # Windows, whose console edits lines by itself
        yield
        return
    if "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set horizontal-scroll-mode on")
    path = history_file()
    readline.clear_history()
    if path is not None:
        with contextlib.suppress(OSError, UnicodeError):
            readline.read_history_file(path)
    readline.set_history_length(REMEMBERED)
    try:
        yield
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600)  # nobody else need read it
                readline.write_history_file(path)
