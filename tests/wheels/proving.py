"""What is shown of a wheel: its tags, and that the tests pass on it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.wheels.building import run
from tests.wheels.debian import unpack
from tests.wheels.zig import TARGETS

__all__ = [
    "EMULATED",
    "TESTS",
    "audit",
    "prove_emulated",
    "prove_here",
    "unknown_to_musl",
]

BIN = Path(sys.executable).parent
#: What the tests of the first layers want; peers and tools are not for here.
REQUIRED = (
    *("hypothesis", "pytest", "pytest-asyncio", "pytest-timeout", "mypy"),
    *("websockets", "zlib-ng", "isal", "uvloop", "python-socks[asyncio]", "wsproto"),
)
TESTS = ("engine", "protocol", "asyncio")
EMULATED = "3.11"  # the version that Debian has
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Debian's names
#: Looked for by what every compiler links in, and not missed.
WEAK = {
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__cxa_finalize",
    "__deregister_frame_info",
    "__register_frame_info",
}
SUPPORT = ("__init__.py", "conftest.py", "needs.py", "support")
#: They read the work tree, which is not there.
SOURCES = ("tests/engine/test_stubs.py",)


def audit(wheel: Path, target: str, folder: Path) -> Path:
    """
    Let auditwheel say what tag a wheel deserves, and give it the one of its target.

    `auditwheel repair` works only for the machine that it runs on. Nothing would have
    to be repaired: a wheel that is linked with more than the C library is refused.

    Returns:
        The wheel with its final tag.

    Raises:
        SystemExit: It deserves less than that tag.

    """
    tag = TARGETS[target].tag
    said = json.loads(
        run([BIN / "auditwheel", "show", "--json", wheel], stderr=subprocess.DEVNULL)
    )
    if said["overall_tag"] not in TARGETS[target].deserved or said["external_libs"]:
        raise SystemExit(f"{wheel.name}: not {tag}, {json.dumps(said, indent=1)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy = shutil.copy(wheel, folder)
    python = [sys.executable, "-m", "wheel", "tags", "--remove"]
    run([*python, "--platform-tag", tag, copy])
    (audited,) = folder.glob("*.whl")
    assert audited.stem.endswith(f"-{tag}"), audited
    return audited


def away(tree: Path, folder: Path, tests: tuple[str, ...]) -> Path:
    """Copy the tests of a tree to where no sources are; return the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "tests").mkdir(parents=True)
    shutil.copy(tree / "pyproject.toml", folder)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "build")
    for name in (*SUPPORT, *tests, "wheels"):
        path = tree / "tests" / name
        if path.is_dir():
            shutil.copytree(path, folder / "tests" / name, ignore=ignored)
        else:
            shutil.copy(path, folder / "tests")
    return folder


def pytest_words(tests: tuple[str, ...]) -> list[str]:
    """Return the arguments that run what needs no tool and no sources."""
    left_out = [f"--ignore={name}" for name in SOURCES]
    where = [f"tests/{name}" for name in tests]
    return ["-q", "-p", "no:cacheprovider", "-m", "not slow and not needs", *left_out,
            *where]  # fmt: skip


def prove_here(
    work: Path, python: Path, wheel: Path, tests: tuple[str, ...] = TESTS
) -> str:
    """
    Install a wheel where there is no compiler, and run the tests on it.

    Returns:
        The last line of pytest.

    """
    venv = work / "clean"
    shutil.rmtree(venv, ignore_errors=True)
    run([python, "-m", "venv", venv])
    path = venv / "bin"
    environment = {**os.environ, "PATH": str(path), "CC": "/nonexistent/cc"}
    environment.pop("VIRTUAL_ENV", None)
    for compiler in ("cc", "gcc", "clang", "zig"):
        assert shutil.which(compiler, path=str(path)) is None
    pip = [path / "python", "-m", "pip", "install", "-q", "--only-binary=:all:"]
    run([*pip, wheel, *REQUIRED], env=environment)
    folder = away(work / "tree", work / "away", tests)
    run([path / "python", "tests/wheels/smoke.py"], cwd=folder, env=environment)
    command = [path / "python", "-m", "pytest", *pytest_words(tests)]
    return run(command, cwd=folder, env=environment).strip().splitlines()[-1]


def unknown_to_musl(work: Path, wheel: Path, target: str) -> set[str]:
    """
    Return the symbols that neither an interpreter nor Debian's musl defines.

    musl has no versions of symbols that auditwheel could look at, and there is no
    Python here that is linked with it.
    """
    root = unpack(work, ARCHITECTURES[TARGETS[target].machine], "musl")
    (library,) = root.glob("**/*-linux-musl/libc.so")
    known = dynamic_symbols(library.read_bytes(), defined=True)
    wanted = set()
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if name.endswith(".so"):
                wanted |= dynamic_symbols(packed.read(name), defined=False)
    assert "PyModuleDef_Init" in wanted
    return {
        name for name in wanted - known if not name.startswith(("Py", "_Py"))
    } - WEAK


def dynamic_symbols(octets: bytes, *, defined: bool) -> set[str]:
    """Return the names that a library defines for others, or wants of them."""
    table = ELFFile(io.BytesIO(octets)).get_section_by_name(".dynsym")
    return {
        symbol.name
        for symbol in table.iter_symbols()
        if symbol.name and (symbol["st_shndx"] != "SHN_UNDEF") == defined
    }


def prove_emulated(work: Path, wheel: Path, tests: tuple[str, ...]) -> str:
    """Install an aarch64 wheel for Debian's Python 3.11 and run the tests, emulated."""
    root = unpack(work, "arm64", "python3.11-minimal", "libpython3.11-stdlib")
    site = work / "aarch64-site"
    shutil.rmtree(site, ignore_errors=True)
    tags = ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_28_aarch64")
    run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--target", site),
            *("--only-binary=:all:", "--implementation", "cp"),
            *("--python-version", "3.11", *(f"--platform={tag}" for tag in tags)),
            *(wheel, *REQUIRED),
        ]
    )
    folder = away(work / "tree", work / "away-aarch64", tests)
    # Python is a script that starts the emulator, and knows itself by that name: so the
    # tests can start it again.
    python = work / "python-aarch64"
    binary = root / "usr/bin/python3.11"
    command = f"qemu-aarch64 -0 {python} -L {root} {binary}"
    python.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    python.chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"},
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(site),
    }
    done = run([python, "tests/wheels/smoke.py"], cwd=folder, env=environment)
    command = [python, "-m", "pytest", "--timeout=600", *pytest_words(tests)]
    done += run(command, cwd=folder, env=environment)
    return f"{done.splitlines()[0]}; {done.strip().splitlines()[-1]}"
