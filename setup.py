"""Build of the C extensions; everything declarative is in pyproject.toml."""

import os
import sys
from glob import glob

from setuptools import Extension, setup

PURE = bool(os.environ.get("WSFAST_PURE")) or sys.implementation.name != "cpython"
CORE = sorted(glob("csrc/*.c") + glob("csrc/kernels/*.c"))
HEADERS = sorted(glob("csrc/*.h") + glob("csrc/kernels/*.h"))

#: module, its source, whether it needs the reactor's system calls
MODULES = {
    "wsfast._engine": "wsfast/_engine.pyx",
    "wsfast._frames": "wsfast/_frames.pyx",
    "wsfast.protocol.messages": "wsfast/protocol/messages.py",
    "wsfast.asyncio.link": "wsfast/asyncio/link.py",
    "wsfast.asyncio.waiter": "wsfast/asyncio/waiter.py",
    "wsfast.asyncio.connection": "wsfast/asyncio/connection.py",
    "wsfast.asyncio._reactor": "wsfast/asyncio/_reactor.pyx",
}


def extensions() -> list[Extension]:
    """Return the extension modules, or none for the pure build."""
    if PURE:
        return []
    from Cython.Build import cythonize

    msvc = sys.platform == "win32"
    found = [
        Extension(
            name,
            [source],
            include_dirs=["csrc"],
            libraries=[],
            depends=HEADERS,
            extra_compile_args=["/O2", "/std:c11"] if msvc else ["-O3", "-std=c11"],
        )
        for name, source in MODULES.items()
        if os.path.exists(source)
    ]
    return cythonize(
        found,
        annotate=bool(os.environ.get("WSFAST_ANNOTATE")),
        compiler_directives={
            "language_level": "3",
            "annotation_typing": False,
            "binding": True,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "embedsignature": False,
        },
    )


setup(
    ext_modules=extensions(),
    libraries=[] if PURE else [("wsfcore", {"sources": CORE, "include_dirs": ["csrc"]})],
)
