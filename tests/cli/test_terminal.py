"""The commands in a terminal, which tmux is: keys go in, the screen comes out."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, WAIT_S
from wsfast.cli._interactive import history_file
from wsfast.cli._terminal import one_line, printable, rows, width_of
from wsfast.sync import connect

COMMAND = f"{sys.executable} -W error -m wsfast"


class Terminal:
    """A terminal with a shell command in it."""

    def __init__(self, folder) -> None:
        self.tmux = [
            *(shutil.which("tmux"), "-u", "-S", str(folder / "tmux"), "-f", "/dev/null")
        ]
        self.history = folder / "history"

    def do(self, *words: str) -> str:
        """Run a command of tmux."""
        done = subprocess.run(
            [*self.tmux, *words], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, arguments: str, columns: int = 80, **env: str) -> None:
        """Run a command of ours, and say with which status it has ended."""
        env |= {"WSFAST_HISTORY": str(self.history), "TERM": "screen"}
        words = " ".join(f"{name}='{value}'" for name, value in env.items())
        shell = f"env {words} {COMMAND} {arguments}; echo status $?; exec sleep 1000"
        size = ["-x", str(columns), "-y", "24"]
        self.do("new-session", "-d", *size, "-c", str(ROOT), shell)

    def keys(self, *keys: str) -> None:
        """Press keys, or type texts."""
        self.do("send-keys", *keys)

    def screen(self, *options: str) -> str:
        """Return what is on the screen."""
        return self.do("capture-pane", "-p", *options)

    def see(self, pattern: str, again: Callable[[], object] | None = None) -> str:
        """Wait until the screen matches, doing something meanwhile; return it."""
        deadline = time.monotonic() + WAIT_S
        while not re.search(pattern, screen := self.screen(), re.MULTILINE):
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{screen}"
            if again is not None:
                again()
            time.sleep(0.1)
        return screen


@pytest.fixture
def terminal(tmp_path):
    """Return a terminal; whatever runs in it is ended with it."""
    found = Terminal(tmp_path)
    yield found
    subprocess.run([*found.tmux, "kill-server"], capture_output=True)


@pytest.mark.needs("tmux")
def test_a_conversation(server, terminal):
    terminal.start(f"connect {server.uri} --no-proxy")
    terminal.see("^connected to ws://127.0.0.1")
    terminal.keys("hello", "Enter")
    terminal.see("^> hello\n< hello\n>")
    terminal.keys("Up")
    terminal.see("^> hello$")
    terminal.keys(" again", "Enter")
    terminal.see("^> hello again\n< hello again\n>")
    terminal.keys("/ping", "Enter")
    terminal.see(r"^pong after \d+\.\d\d ms\n>")
    terminal.keys("/nothing", "Enter")
    terminal.see("^there is no command /nothing; //nothing would send it")
    terminal.keys("//slash", "Enter")
    terminal.see("^< /slash")
    terminal.keys("/binary 00ff", "Enter")
    terminal.see("^< binary, 2 octets: 00 ff\n>")
    # What comes while somebody types does not disturb that, the cursor included.
    terminal.keys("helo", "Left")
    terminal.see("^> helo$")
    with connect(server.uri, proxy=None) as other:
        other.send("all from elsewhere\x1b[2J")
        terminal.see(r"^< from elsewhere\\x1b\[2J\n> helo$")
        terminal.do("resize-window", "-x", "30", "-y", "12")
        terminal.keys("l")
        terminal.see("^> hello$")
        # tmux tells of a new size only after a while.
        terminal.see(
            "^< 0123456789012345678901234567\n890123456789\n> hello$",
            lambda: other.send("all " + "0123456789" * 4),
        )
    assert "\x1b[34m<" in terminal.screen("-e")  # in colour
    terminal.keys("C-c")
    terminal.see(r"^wsfast: closed with 1000 \(OK\)\nstatus 0$")
    remembered = terminal.history.read_text().splitlines()
    assert remembered[:3] == ["hello", "hello again", "/ping"]


@pytest.mark.needs("tmux")
def test_an_end_by_the_server_while_somebody_types(server, terminal):
    terminal.history.write_text("bye 4001\n")
    terminal.start(f"connect {server.uri} --no-proxy -x first", NO_COLOR="1")
    terminal.see("^< first$")
    terminal.keys("Up", "Enter")  # of an earlier conversation
    terminal.see("closed by the server with 4001 .* as you wish\nstatus 1$")
    assert "\x1b" not in terminal.screen("-e")


@pytest.mark.needs("tmux")
def test_the_progress_of_a_load(server, terminal):
    terminal.start(f"bench {server.uri} -d 2 --warmup 0.5 --no-proxy")
    terminal.see(r"^\[#*-*\] measuring +\d+ %  [\d,]+ answers/s")
    screen = terminal.see("^status 0$")
    assert "measuring" not in screen
    assert re.search(r"^answers +[\d,]+$", screen, re.MULTILINE)


def test_where_the_history_is(monkeypatch, tmp_path):
    monkeypatch.setenv("WSFAST_HISTORY", "")
    assert history_file() is None
    monkeypatch.setenv("WSFAST_HISTORY", str(tmp_path / "mine"))
    assert history_file() == tmp_path / "mine"
    monkeypatch.delenv("WSFAST_HISTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_file() == tmp_path / "wsfast" / "history"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert history_file() == Path.home() / ".local/state/wsfast/history"


def test_what_a_terminal_must_not_obey():
    assert printable("a\x1b[2J\x00\x9b\r\u202eb\n\tc") == (
        "a\\x1b[2J\\x00\\x9b\\x0d\\u202eb\n\tc"
    )
    assert one_line(" a\r\n\x85b\u2028 c\x07 ") == "a b c\\x07"


def test_rows_of_a_width():
    assert rows("", 4) == [""]
    assert rows("abcdefghi", 4) == ["abcd", "efgh", "i"]
    assert rows("ab\n\ncd", 4) == ["ab", "", "cd"]
    assert rows("多字节", 4) == ["多字", "节"]
    assert rows("a多字", 4) == ["a多", "字"]
    assert rows("e\u0301e\u0301e\u0301", 2) == ["e\u0301e\u0301", "e\u0301"]
    assert rows("\tx", 8) == [" " * 8, "x"]
    assert width_of("a多e\u0301") == 4
