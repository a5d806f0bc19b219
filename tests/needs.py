"""
What the tests need beside Python, and what is left out where it is missing.

``python -m tests.needs`` prints one line for each missing tool, and
``python -m tests.needs TOOL... -- COMMAND`` runs a command unless one of its tools is
missing. With ``CI=true`` or ``WSFAST_REQUIRE_ALL=1`` nothing may be left out: a missing
tool is a failure, here and in each test marked ``needs``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Tool(NamedTuple):
    """A tool: what runs with it, how one gets it, how it is found."""

    runs: str
    install: str
    find: Callable[[], str | None]


def _program(*names: str) -> Callable[[], str | None]:
    """Return a finder of the first program of these names that is on PATH."""
    return lambda: next(filter(None, map(shutil.which, names)), None)


def _server(*names: str) -> Callable[[], str | None]:
    """Return a finder of a server's program, which is not on everybody's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return lambda: next(
        filter(None, (shutil.which(name, path=path) for name in names)), None
    )


def _node() -> str | None:
    """Return Node, if npm is there to fetch packages for it."""
    return shutil.which("node") if shutil.which("npm") else None


def _python27() -> str | None:
    """Return a Python 2.7 that runs, on PATH or kept by pyenv."""
    candidates = [shutil.which("python2.7"), shutil.which("python2")]
    pyenv = shutil.which("pyenv")
    if pyenv is not None:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout
        if root.strip():
            versions = Path(root.strip()) / "versions"
            candidates += map(str, sorted(versions.glob("2.7*/bin/python2.7")))
    code = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "-c", code], capture_output=True)
        if done.returncode == 0:
            return candidate
    return None


def _sanitizers(compiler: str) -> Callable[[], str | None]:
    """Return a finder of this compiler with its address sanitizer's library."""

    def find() -> str | None:
        path = shutil.which(compiler)
        if path is None:
            return None
        done = subprocess.run(
            [path, "-fsanitize=address,undefined", "-x", "c", "-", "-o", os.devnull],
            input=b"int main(void) { return 0; }",
            capture_output=True,
        )
        return path if done.returncode == 0 else None

    return find


@cache
def _libraries() -> str | None:
    """Return the C compiler, if it finds what the load benchmark is linked with."""
    path = shutil.which(os.environ.get("CC", "cc"))
    if path is None:
        return None
    includes = b"#include <openssl/ssl.h>\n#include <zlib.h>\n"
    done = subprocess.run(
        [path, "-x", "c", "-", "-o", os.devnull, "-lssl", "-lcrypto", "-lz"],
        input=includes + b"int main(void) { return 0; }",
        capture_output=True,
    )
    return path if done.returncode == 0 else None


def _cross(triple: str, machine: str) -> Callable[[], str | None]:
    """Return a finder of a cross compiler, its C library and an emulator."""

    def find() -> str | None:
        path = shutil.which(f"{triple}-gcc")
        if path is None or not shutil.which(f"qemu-{machine}"):
            return None
        done = subprocess.run(
            [path, "-static", "-x", "c", "-", "-o", os.devnull],
            input=b"#include <stdio.h>\nint main(void) { return 0; }",
            capture_output=True,
        )
        return path if done.returncode == 0 else None

    return find


def _debug_python() -> str | None:
    """Return an interpreter that counts all references, with what a build needs."""
    code = "import sys, venv, ensurepip; sys.gettotalrefcount()"
    path = shutil.which("python3-dbg")
    if (
        path is None
        or subprocess.run([path, "-c", code], capture_output=True).returncode
    ):
        return None
    return path


def _cibuildwheel() -> str | None:
    """Return cibuildwheel of this virtual environment; it wants Python 3.11."""
    return shutil.which("cibuildwheel", path=str(Path(sys.executable).parent))


def _suites() -> str | None:
    """Return where the source packages of other libraries are."""
    from tests.support import suites  # a wheel is tested without that folder

    return suites.find_all()


def _faketime() -> str | None:
    """Return libfaketime, which is loaded before others."""
    found = Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1")
    return next(map(str, found), None)


@cache
def _netns() -> str | None:
    """Return ``unshare`` if this user may make a network, and lose octets in it."""
    path = shutil.which("unshare")
    if path is None or shutil.which("nsenter") is None:
        return None
    script = (
        "ip link set lo up && nft add table inet t && nft add chain inet t c "
        "'{ type filter hook input priority 0; }' && "
        "nft add rule inet t c 'numgen random mod 100 < 3 drop'"
    )
    done = subprocess.run([path, "--net", "sh", "-c", script], capture_output=True)
    return path if done.returncode == 0 else None


TOOLS = {
    "gcc": Tool("C tests under gcc's sanitizers", "gcc", _sanitizers("gcc")),
    "clang": Tool("C tests under clang's sanitizers", "clang", _sanitizers("clang")),
    "qemu-aarch64": Tool(
        "C tests of the NEON kernels",
        "qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        _cross("aarch64-linux-gnu", "aarch64"),
    ),
    "qemu-s390x": Tool(
        "C tests on a big-endian machine",
        "qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross",
        _cross("s390x-linux-gnu", "s390x"),
    ),
    "qemu-riscv64": Tool(
        "C tests on RISC-V",
        "qemu-user gcc-riscv64-linux-gnu libc6-dev-riscv64-cross",
        _cross("riscv64-linux-gnu", "riscv64"),
    ),
    "qemu-ppc64le": Tool(
        "C tests on POWER",
        "qemu-user gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross",
        _cross("powerpc64le-linux-gnu", "ppc64le"),
    ),
    "qemu-i386": Tool(
        "C tests on 32-bit x86",
        "qemu-user gcc-i686-linux-gnu libc6-dev-i386-cross",
        _cross("i686-linux-gnu", "i386"),
    ),
    "qemu-arm": Tool(
        "C tests on 32-bit ARM",
        "qemu-user gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
        _cross("arm-linux-gnueabihf", "arm"),
    ),
    "valgrind": Tool("C tests under valgrind", "valgrind", _program("valgrind")),
    "node": Tool("interop with ws of npm", "nodejs npm", _node),
    "chromium": Tool(
        "the demo's page and interop in a browser",
        "chromium",
        _program("chromium", "chromium-browser", "google-chrome"),
    ),
    "python2.7": Tool("the Autobahn suite", "a CPython 2.7", cache(_python27)),
    "tinyproxy": Tool(
        "clients through an HTTP proxy", "tinyproxy", _program("tinyproxy")
    ),
    "libssl-dev": Tool(
        "the load benchmark's client", "gcc libssl-dev zlib1g-dev", _libraries
    ),
    "openssl": Tool(
        "TLS with new keys and renegotiation", "openssl", _program("openssl")
    ),
    "microsocks": Tool(
        "clients through a SOCKS5 proxy", "microsocks", _program("microsocks")
    ),
    "danted": Tool(
        "clients through a SOCKS4 proxy", "dante-server", _server("danted", "sockd")
    ),
    "redis-server": Tool("nodes over Redis", "redis-server", _server("redis-server")),
    "nats-server": Tool("nodes over NATS", "nats-server", _server("nats-server")),
    "nginx": Tool("servers behind nginx", "nginx-light", _server("nginx")),
    "haproxy": Tool("servers behind HAProxy", "haproxy", _server("haproxy")),
    "suites": Tool(
        "other libraries' own tests, with what we put into them",
        "python -m tests.support.suites",
        _suites,
    ),
    "tmux": Tool("the command line in a terminal", "tmux", _program("tmux")),
    "python3-dbg": Tool(
        "counting references", "python3-dbg python3-dev python3-venv", _debug_python
    ),
    "cibuildwheel": Tool(
        "the rows of wheels", "pip install cibuildwheel", _cibuildwheel
    ),
    "faketime": Tool("servers whose clock is set", "libfaketime", cache(_faketime)),
    "netns": Tool(
        "loss and black holes in a network of its own",
        "nftables iproute2 util-linux, and root",
        _netns,
    ),
    "strace": Tool("failing system calls", "strace", _program("strace")),
}


def find(name: str) -> str | None:
    """Return where a tool of `TOOLS` is, None if it is missing."""
    return TOOLS[name].find()


def required() -> bool:
    """Return whether a missing tool is a failure."""
    return os.environ.get("CI") == "true" or bool(os.environ.get("WSFAST_REQUIRE_ALL"))


def missing_line(name: str) -> str:
    """Return the one line that says what a missing tool leaves out."""
    tool = TOOLS[name]
    return f"left out, no {name}: {tool.runs} (needs: {tool.install})"


def main(arguments: list[str]) -> int:
    """Print what is missing, run the command if there is one; return the status."""
    names, command = list(TOOLS), []
    if "--" in arguments:
        cut = arguments.index("--")
        names, command = arguments[:cut], arguments[cut + 1 :]
    missing = [name for name in names if find(name) is None]
    for name in missing:
        print(missing_line(name))
    if missing:
        return 1 if required() else 0
    return subprocess.run(command).returncode if command else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
