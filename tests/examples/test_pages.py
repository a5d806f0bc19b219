"""Every example of the manual runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.examples.pages import PAGES, ROOT, Example, commands, examples
from tests.support.ports import free_port

AROUND = ("redis server", "redis client", "redis run")  # run by test_around.py
PORT = "8765"  # what the pages say; each test takes a port of its own


def unavailable(example: Example) -> str | None:
    """Return a package that an example imports and that Python 3.10 cannot have."""
    if sys.version_info >= (3, 11):
        return None  # all of them are installed, or the example fails
    for name in re.findall(r"^ *(?:import|from) (\w+)", example.text, re.MULTILINE):
        if importlib.util.find_spec(name) is None:
            return str(name)
        if name == "websockets" and version(name) < "17":
            return "websockets 17"
    return None


def write(example: Example, folder: Path, port: int) -> Path:
    """Write an example as a program that uses the given port."""
    program = folder / f"line{example.line}.py"
    program.write_text(example.text.replace(PORT, str(port)), encoding="utf-8")
    return program


def answers(port: int) -> bool:
    """Return whether somebody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def serving(program: Path, port: int) -> Iterator[None]:
    """Run a server for the length of a block; it must end well, and say nothing."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", program], cwd=ROOT, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 15
        while not answers(port):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=15)
    other = re.sub(rb"Traceback(?:.|\n)*\nKeyboardInterrupt\n", b"", complaints)
    assert other == b""


def run(program: Path) -> str:
    """Run a program to its end and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def run_tests(program: Path) -> None:
    """Run an example that is a file of tests."""
    options = ["asyncio_default_fixture_loop_scope=function", "filterwarnings=error"]
    arguments = [word for option in options for word in ("-o", option)]
    arguments += ["-q", "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "-c", os.devnull, program.name],
        cwd=program.parent,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_do_what_the_page_says(page, tmp_path):
    port = 0
    with contextlib.ExitStack() as servers:
        for example in examples(page):
            where = f"{page.name}, line {example.line}"
            if package := unavailable(example):
                pytest.skip(f"{where}: {package} wants Python 3.11")
            if example.kind == "server":
                servers.close()
                port = free_port()
                servers.enter_context(serving(write(example, tmp_path, port), port))
                continue
            if example.kind == "pytest":
                run_tests(write(example, tmp_path, port))
                continue
            if example.kind in AROUND:
                continue
            assert example.kind in ("client", "run"), f"{where}: how is it run?"
            assert run(write(example, tmp_path, port)) == (example.output or ""), where


def test_the_manual_has_examples():
    kinds = [example.kind for page in PAGES for example in examples(page)]
    assert kinds.count("server") >= 6
    assert kinds.count("client") >= 6


def targets(page: Path) -> list[str]:
    """Return what a page links to in this repository."""
    links = re.findall(
        r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")
    )
    return [link for link in links if not link.startswith("http")]


OTHERS = [
    *(ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"),
    ROOT / "bench" / "README.md",
]


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    missing = [link for link in targets(page) if not (page.parent / link).exists()]
    assert not missing


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    text = re.sub(
        r"^```.*?^```$",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.stem)
def test_anchors_are_headings(page):
    links = re.findall(r"\]\(([^():\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = [
        f"{path}#{anchor}"
        for path, anchor in links
        if anchor not in anchors(page.parent / path if path else page)
    ]
    assert not missing


@pytest.mark.parametrize(
    "index", sorted((ROOT / "docs").rglob("index.md")), ids=lambda p: p.parent.name
)
def test_the_index_names_every_page(index):
    pages = {page.name for page in index.parent.glob("*.md")}
    pages |= {
        f"{page.parent.name}/index.md" for page in index.parent.glob("*/index.md")
    }
    assert pages - {"index.md"} <= set(targets(index))


COMMANDS = [(page, command) for page in PAGES for command in commands(page)]


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{p.stem}: {c}" for p, c in COMMANDS]
)
def test_commands_end_well(page, command):
    program, *words = shlex.split(command)
    assert program == "python", page
    if "accelerate" in words and sys.version_info < (3, 11):
        pytest.skip("most of what is accelerated wants Python 3.11")
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
