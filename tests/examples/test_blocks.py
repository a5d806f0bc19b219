"""What the manual shows beside Python and the console is tried as well, all of it."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wsfast
from tests import needs
from tests.examples.pages import PAGES, ROOT, examples
from tests.examples.test_pages import serving, write
from tests.hub.daemons import daemon
from tests.interop.test_balancers import NGINX
from tests.support.ports import free_port
from wsfast import engine
from wsfast.cli import parser

BLOCK = re.compile(
    r"^ *```(?P<language>\S*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)

#: Languages of which every block is tried wherever it is: programs and what they print,
#: commands, and what Sphinx reads. Those without one are shapes, or a copy of output.
EVERYWHERE = {"python", "console", "text", "{eval-rst}", ""}

#: Page and language -> what tries all blocks there are of these.
TRIED = {
    "README.md sh": "examples/test_blocks.py test_shell",
    "docs/cli.md sh": "examples/test_blocks.py test_shell",
    "docs/cli.md shell-session": "cli/test_page.py test_what_the_page_shows",
    "docs/deployment.md dockerfile": "examples/test_blocks.py test_container",
    "docs/deployment.md ini": "examples/test_blocks.py test_unit_of_systemd",
    "docs/engine.md cython": "examples/test_blocks.py test_cython",
    "docs/fastapi.md nginx": "examples/test_around.py test_fastapi_behind_nginx",
    "docs/fastapi.md sh": "examples/test_blocks.py test_shell",
    "docs/proxies.md haproxy": "interop/test_balancers.py config",
    "docs/proxies.md nginx": "interop/test_balancers.py config",
    "docs/sockjs.md nginx": "examples/test_blocks.py test_sessions_of_sockjs_stay",
    "docs/tutorial.md js": "examples/test_blocks.py test_console_of_a_browser",
    "docs/uvicorn.md sh": "examples/test_blocks.py test_shell",
}


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language on a page."""
    text = page.read_text(encoding="utf-8")
    return [m["text"] for m in BLOCK.finditer(text) if m["language"] == language]


def block(name: str, language: str) -> str:
    """Return the only such block of a page in docs."""
    (found,) = blocks(ROOT / "docs" / name, language)
    return found


def test_every_block_is_tried() -> None:
    found = {
        f"{page.relative_to(ROOT).as_posix()} {match['language']}"
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["language"] not in EVERYWHERE
    }
    assert found == set(TRIED)
    for where in TRIED.values():
        file, name = where.split()
        assert re.search(rf"def {name}\b", (ROOT / "tests" / file).read_text())


# ---- commands ----

#: A program that writes down how it was called.
CALLED = f"""#!{sys.executable}
import json, sys
with open("called", "a") as file:
    print(json.dumps(sys.argv), file=file)
"""


def make(arguments: list[str]) -> None:
    (target,) = arguments
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", rules, re.MULTILINE)


def uvicorn(arguments: list[str]) -> None:
    main: Any = importlib.import_module("uvicorn.main").main
    options = main.make_context("uvicorn", arguments).params
    module, _, name = options["ws"].partition(":")
    assert hasattr(importlib.import_module(module), name)


def gunicorn(arguments: list[str]) -> None:
    config: Any = importlib.import_module("gunicorn.config").Config()
    options = config.parser().parse_args(arguments)
    module, _, name = options.worker_class.rpartition(".")
    worker = runpy.run_path(f"{module}.py")[name]
    uvicorn(["app:app", "--ws", worker.CONFIG_KWARGS["ws"]])


CHECKS: dict[str, Callable[[list[str]], object]] = {
    "make": make,
    "wsfast": lambda arguments: parser().parse_args(arguments),
    "uvicorn": uvicorn,
    "gunicorn": gunicorn,
}
SHELL = [(page, text) for page in PAGES for text in blocks(page, "sh")]


@pytest.mark.parametrize(("page", "text"), SHELL, ids=[p.stem for p, _ in SHELL])
def test_shell(page: Path, text: str, tmp_path: Path, monkeypatch: Any) -> None:
    """The shell takes it, and each program has the options that it is given."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in CHECKS:
        (programs / name).write_text(CALLED)
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", text], cwd=tmp_path, env=environment, check=True)
    monkeypatch.chdir(tmp_path)
    lines = (tmp_path / "called").read_text().splitlines()
    for line in lines:
        program, *arguments = json.loads(line)
        CHECKS[Path(program).name](arguments)
    assert len(lines) == len(re.findall(rf"^({'|'.join(CHECKS)}) ", text, re.MULTILINE))


# ---- deployment ----


def options_of_the_server() -> dict[str, float]:
    """Return what the page's server is given."""
    text = examples(ROOT / "docs" / "deployment.md")[0].text
    numbers = re.findall(r"(\w+)=([\d_]+),", text)
    return {name: float(value) for name, value in numbers}


def test_unit_of_systemd() -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("deployment.md", "ini"))
    service, given = unit["Service"], options_of_the_server()
    assert float(service["TimeoutStopSec"]) > given["drain_timeout"]
    assert float(service["LimitNOFILE"]) > given["max_connections"]
    for setting in service["Environment"].split():
        name, _, value = setting.partition("=")
        text = examples(ROOT / "docs" / "deployment.md")[0].text
        assert f'os.environ.get("{name}"' in text
        assert value
    program = service["ExecStart"].split()[-1]
    assert program.endswith("/server.py")


def test_container() -> None:
    lines = [
        line.split(None, 1) for line in block("deployment.md", "dockerfile").split("\n")
    ]
    said = {words[0]: words[1] for words in lines if words}
    program = json.loads(said["CMD"])  # no shell, which would keep signals for itself
    assert program[-1] in said["COPY"].split()
    assert "requirements.txt" in said["COPY"].split()
    assert said["EXPOSE"] == "8765"
    assert said["ENV"] == "HOST=0.0.0.0"


# ---- other languages ----


@pytest.mark.skipif(engine.KERNEL == "python", reason="there is nothing to cimport")
def test_cython(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is compiled as tests/cimport is, and finds the message in the octets."""
    (tmp_path / "page.pyx").write_text(block("engine.md", "cython"))
    setup = (ROOT / "tests" / "cimport" / "setup.py").read_text()
    (tmp_path / "setup.py").write_text(setup.replace("frame_echo", "page"))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=tmp_path,
        env={
            **os.environ,
            "CFLAGS": "-O0",
            "PYTHONPATH": str(Path(wsfast.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = tmp_path.glob("page*.so")
    spec = importlib.util.spec_from_file_location("page", built)
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    page.Inbound().feed(engine.encode_frame(1, b"Hello", mask=b"abcd"))
    assert capsys.readouterr().out == "1 Hello\n"


@pytest.mark.needs("node")
def test_console_of_a_browser(tmp_path: Path) -> None:
    """Node's console will do: the lines are those that one pastes."""
    from tests.support.node import HERE, Node

    Node().close()  # it fetches the packages, once
    chat = examples(ROOT / "docs" / "tutorial.md")[0]
    port = free_port()
    program = tmp_path / "console.js"
    text = block("tutorial.md", "js").replace("8765", str(port))
    package = json.dumps(str(HERE / "node_modules" / "ws"))
    program.write_text(
        f"globalThis.WebSocket = require({package});\nvar ws;\n{text}"
        "const log = console.log;\n"
        "console.log = (line) => { log(line); if (/is here/.test(line)) ws.close(); };"
    )
    node = shutil.which("node")
    assert node is not None
    with serving(write(chat, tmp_path, port), port):
        done = subprocess.run(
            [node, str(program)], capture_output=True, text=True, timeout=60
        )
    assert (done.stdout, done.stderr) == ("Who are you?\nGrace is here\n", "")


#: What each server of the page answers, and where the balancer itself listens.
AROUND = """
server {{ listen 127.0.0.1:{one}; return 200 one; }}
server {{ listen 127.0.0.1:{two}; return 200 two; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://sockjs; }} }}
"""


@pytest.mark.needs("nginx")
def test_sessions_of_sockjs_stay(tmp_path: Path) -> None:
    """All requests of a session reach the same server, and sessions are shared out."""
    one, two = free_port(), free_port()
    text = block("sockjs.md", "nginx")
    for told, real in (("10.0.0.1:8000", one), ("10.0.0.2:8000", two)):
        assert told in text
        text = text.replace(told, f"127.0.0.1:{real}")

    def nginx(port: int) -> list[str]:
        whole = text + AROUND.format(one=one, two=two, port=port)
        path = tmp_path / "nginx.conf"
        path.write_text(NGINX.format(folder=tmp_path, text=whole))
        program = needs.find("nginx")
        assert program is not None
        return [program, "-p", str(tmp_path), "-c", str(path)]

    with daemon(nginx) as proxy:

        def server_of(path: str) -> bytes:
            answer: bytes = urllib.request.urlopen(
                f"http://127.0.0.1:{proxy.port}{path}", timeout=20
            ).read()
            return answer

        reached = set()
        for n in range(40):
            for transport in ("xhr_streaming", "xhr_send", "websocket"):
                (server,) = {
                    server_of(f"/echo/{server:03}/session{n}/{transport}")
                    for server in (n, 999 - n)
                }
            reached.add(server)
    assert reached == {b"one", b"two"}
