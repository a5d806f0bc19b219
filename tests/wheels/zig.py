"""The compiler of PyPI's ziglang, which holds a C library for every target."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["TARGETS", "Target", "compilers"]


class Target(NamedTuple):
    """A platform that wheels are built for."""

    zig: str  # the name for its compiler
    machine: str  # of the platform tag that setuptools gives
    abi: str  # in the names of extension modules
    tag: str  # what auditwheel has to accept

    @property
    def deserved(self) -> tuple[str, ...]:
        """Return the tags that are as good: those of the same C library or older."""
        if self.tag.startswith("musllinux_1_2"):
            return self.tag, self.tag.replace("_1_2_", "_1_1_")
        return (self.tag,)


TARGETS = {
    "x86_64-manylinux": Target(
        "x86_64-linux-gnu.2.17", "x86_64", "x86_64-linux-gnu", "manylinux_2_17_x86_64"
    ),
    "x86_64-musllinux": Target(
        "x86_64-linux-musl", "x86_64", "x86_64-linux-musl", "musllinux_1_2_x86_64"
    ),
    "aarch64-manylinux": Target(
        "aarch64-linux-gnu.2.17",
        "aarch64",
        "aarch64-linux-gnu",
        "manylinux_2_17_aarch64",
    ),
    "aarch64-musllinux": Target(
        "aarch64-linux-musl", "aarch64", "aarch64-linux-musl", "musllinux_1_2_aarch64"
    ),
}


#: zig calls the C library libc.so; where it is installed it has the name of a machine.
MUSL_LD = """\
{cc} -shared "$@" || exit
while [ "$1" != -o ]; do shift; done
exec patchelf --replace-needed libc.so libc.musl-{machine}.so.1 "$2"
"""


def write(path: Path, script: str) -> None:
    """Write a program for the shell."""
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def compilers(folder: Path, target: str, *flags: str) -> dict[str, str]:
    """
    Write a C compiler and an archiver for a target; return what build tools read.

    Args:
        folder: Where they are written.
        target: zig's name for it.
        flags: What the compiler is always given.

    """
    folder.mkdir(parents=True, exist_ok=True)
    # Not as a program debugs itself: zig's own default traps on undefined behaviour.
    always = ["-target", target, "-fno-sanitize=all", *flags]
    words = {"cc": ["cc", *always], "ar": ["ar"]}
    for name, arguments in words.items():
        command = " ".join([sys.executable, "-m", "ziglang", *arguments])
        write(folder / name, f'exec {command} "$@"\n')
    cc = str(folder / "cc")
    shared = f"{cc} -shared"
    if target.endswith("musl"):
        shared = str(folder / "ld")
        write(folder / "ld", MUSL_LD.format(cc=cc, machine=target.partition("-")[0]))
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CC": cc,
        "LDSHARED": shared,
        "AR": str(folder / "ar"),
        "ARFLAGS": "rcs",
        "ZIG_LOCAL_CACHE_DIR": str(folder / "cache"),
    }
