"""
The house stands as it was drawn: who may import whom, and what a file may hold.

Imports are read, not run: Python with `ast`, Cython and C as text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wsfast"

#: Layer -> the layers that it may import. The order is that of the house, bottom first.
BELOW: dict[str, set[str]] = {
    "engine": set(),
    "protocol": {"engine"},
    "asyncio": {"engine", "protocol"},
    "sync": {"engine", "protocol"},
    "accelerate": {"engine", "protocol"},
}
for _layers in (
    ("asgi", "hub"),
    ("attach",),
    ("eventsource", "sockjs", "engineio"),
    ("socketio",),
    ("demo", "cli", "top"),
):
    _below = set(BELOW) - {"accelerate"}
    BELOW.update({layer: set(_below) for layer in _layers})
BELOW["cli"] |= {"accelerate"}
BELOW["top"] |= {"accelerate", "cli", "demo"}

#: Modules that lie directly in wsfast/, and the layer each belongs to. Private ones,
#: such as ``_frames``, are the engine's.
TOP_MODULES = {
    "engine": "engine",
    "exceptions": "protocol",
    "version": "engine",
    "websockets": "top",
    "__init__": "top",
    "__main__": "top",
}

#: What the two lowest layers must not know of: waiting is for those above.
FORBIDDEN = {"asyncio", "socket", "ssl", "threading", "time"}

SOURCES = sorted(
    path
    for suffix in ("py", "pyi", "pyx", "pxd")
    for path in PACKAGE.rglob(f"*.{suffix}")
)
C_SOURCES = sorted(
    path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".c", ".h")
)
SKIPPED = {"node_modules", "__pycache__", "build", "artifacts", ".hypothesis"}
LONGEST = 600  # lines of a file
WIDEST = 88  # columns of a line, but for what it tells a tool
PRAGMA = re.compile(r"\s+# (?:noqa|type: ignore).*")


def name_of(path: Path) -> str:
    """Return the dotted name of a module of wsfast."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def layer_of(module: str) -> str:
    """Return the layer that a module of wsfast belongs to."""
    head = [*module.split("."), "__init__"][1]
    private = head.startswith("_") and not head.startswith("__")
    layer = "engine" if private else TOP_MODULES.get(head, head)
    assert layer in BELOW, f"{module}: give it a place in BELOW or TOP_MODULES"
    return layer


def members(base: str, names: list[str]) -> Iterator[str]:
    """Yield the modules that ``from base import names`` reaches."""
    if base != "wsfast":
        yield base
        return
    for name in names:
        known = name.startswith("_") or name in TOP_MODULES or name in BELOW
        yield f"wsfast.{name}" if known else "wsfast"


def absolute(path: Path, level: int, module: str) -> str:
    """Return the absolute name of what an import statement names."""
    if not level:
        return module
    package = path.parent
    for _ in range(level - 1):
        package = package.parent
    return ".".join((*package.relative_to(ROOT).parts, *filter(None, [module])))


def python_imports(path: Path) -> Iterator[str]:
    """Yield the modules that a Python file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(path, node.level, node.module or "")
            yield from members(base, [alias.name for alias in node.names])


CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<base>[\w.]*)[ \t]+c?import[ \t]+"
    r"(?P<names>\([^)]*\)|[^\n#]*)|c?import[ \t]+(?P<modules>[^\n#]*))",
    re.MULTILINE,
)


def cython_imports(path: Path) -> Iterator[str]:
    """Yield the modules that a Cython file imports or cimports."""
    text = re.sub(r'"""(?:.|\n)*?"""', '""', path.read_text())
    for match in CIMPORT.finditer(text):
        listed = match["names"] or match["modules"]
        names = [
            part.split()[0] for part in listed.strip("()").split(",") if part.strip()
        ]
        if match["modules"]:
            yield from names
        else:
            base = absolute(path, len(match["dots"]), match["base"])
            yield from members(base, names)


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file of wsfast imports."""
    reader = python_imports if path.suffix in (".py", ".pyi") else cython_imports
    return reader(path)


def relative(path: Path) -> str:
    """Return a path as the test's name shows it."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_go_down_only(path):
    module = name_of(path)
    layer = layer_of(module)
    for imported in imports(path):
        if imported.split(".")[0] != "wsfast":
            continue
        other = layer_of(imported)
        assert other == layer or other in BELOW[layer], f"{module} imports {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_engine_and_protocol_never_wait(path):
    if layer_of(name_of(path)) in ("engine", "protocol"):
        found = {name.split(".")[0] for name in imports(path)} & FORBIDDEN
        assert not found, f"{relative(path)} imports {found}"


def test_c_core_is_declared_in_one_file():
    for path in SOURCES:
        if 'cdef extern from "wsf_' in path.read_text():
            assert path.name == "_csrc.pxd"


@pytest.mark.parametrize("path", C_SOURCES, ids=relative)
def test_c_core_knows_no_python_no_allocation_and_no_io(path):
    text = re.sub(r"/\*(?:.|\n)*?\*/|//[^\n]*", "", path.read_text())
    included = set(re.findall(r'#\s*include\s*[<"]([^>"]+)', text))
    io = {name for name in included if name.startswith("sys/")} | {
        "unistd.h",
        "errno.h",
    }
    assert "Python.h" not in included
    if path.name != "wsf_poller.c":
        assert not included & io, included & io
    assert not re.findall(r"\b(?:malloc|calloc|realloc|free|alloca)\s*\(", text)


@pytest.mark.parametrize("path", C_SOURCES, ids=relative)
def test_intrinsics_stay_in_the_kernels(path):
    text = path.read_text()
    if path.parent.name != "kernels" and path.stem not in ("wsf_cpu", "wsf_platform"):
        assert not re.search(r"#\s*include\s*<(?:immintrin|arm_neon)\.h>", text)


def written() -> Iterator[Path]:
    """Yield every file that people write and read."""
    for folder in ("csrc", "wsfast", "tests", "bench", "docs", ".ci", ".github"):
        for path in (ROOT / folder).rglob("*"):
            if not path.is_file() or SKIPPED & set(path.parts):
                continue
            generated = path.suffix == ".c" and PACKAGE in path.parents
            if not generated and path.suffix not in BINARY:
                yield path
    yield from (path for path in ROOT.glob("*") if path.is_file())


BINARY = {".so", ".pyd", ".pyc", ".png", ".o", ".a", ".gz"}
CODE = {
    ".py",
    ".pyi",
    ".pyx",
    ".pxd",
    ".c",
    ".h",
    ".js",
    ".mjs",
    ".css",
    ".html",
    ".sh",
}
CODE |= {".md", ".yml", ".toml"}
#: Somebody's own folder, whose name means nothing elsewhere.
OWN_FOLDERS = ("root", "home", "work", "Users")
MACHINE_PATH = re.compile(rf"(?<![\w.])/(?:{'|'.join(OWN_FOLDERS)})/\w")


def test_no_file_is_longer_than_one_can_read():
    long = {
        relative(path): lines
        for path in written()
        if path.suffix in CODE
        and (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert not long


def test_no_line_is_wider_than_the_page():
    wide = [
        f"{relative(path)}:{number}"
        for path in written()
        if path.suffix in {".py", ".pyx", ".pxd", ".pyi", ".c", ".h"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(PRAGMA.sub("", line)) > WIDEST
    ]
    assert not wide


def test_no_path_of_anybodys_machine():
    found = [
        f"{relative(path)}: {match[0]}"
        for path in written()
        for match in MACHINE_PATH.finditer(path.read_text(errors="replace"))
    ]
    assert not found


def test_readers_see_what_they_must():
    """The readers above find each form of import, else they prove little."""
    text = (
        "from libc.string cimport memcpy\n"
        "cimport cython, wsfast.asyncio.link as link\n"
        "from wsfast cimport _csrc\n"
        "from .protocol cimport (\n    messages,\n)\n"
        "import time\n"
    )
    scratch = PACKAGE / "_scratch.pyx"
    matches = list(CIMPORT.finditer(text))
    assert len(matches) == 5
    assert absolute(scratch, 1, "protocol") == "wsfast.protocol"
    assert absolute(PACKAGE / "asyncio" / "x.py", 2, "engine") == "wsfast.engine"
    assert list(members("wsfast", ["engine", "serve"])) == ["wsfast.engine", "wsfast"]
    assert layer_of("wsfast") == "top"
    assert layer_of("wsfast.protocol.http") == "protocol"
    assert "asyncio" not in BELOW["protocol"]
    assert MACHINE_PATH.search(f"see /{OWN_FOLDERS[0]}/somewhere")
