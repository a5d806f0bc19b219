"""
Build of the C extensions; everything declarative is in pyproject.toml.

Environment: ``WSFAST_PURE=1`` builds no extension at all and needs no compiler;
``WSFAST_WERROR=1`` makes the warnings of csrc/ errors; ``WSFAST_ANNOTATE=1`` writes
Cython's annotated HTML beside each source; ``CFLAGS=-g`` keeps what debuggers need, and
an ``-O`` in CFLAGS is taken instead of ours.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CCompilerError, PlatformError

PURE = bool(os.environ.get("WSFAST_PURE")) or sys.implementation.name != "cpython"
WINDOWS = sys.platform == "win32"
CORE = sorted(map(str, Path("csrc").rglob("*.c")))
HEADERS = sorted(map(str, Path("csrc").rglob("*.h")))
CFLAGS = os.environ.get("CFLAGS", "").split()
DEBUG = "-g" if "-g" in CFLAGS else "-g0"
OPTIMIZE = next((flag for flag in reversed(CFLAGS) if flag.startswith("-O")), "-O3")
GCC = [OPTIMIZE, "-std=c11", "-fvisibility=hidden", "-Wno-unused-function", DEBUG]
FLAGS = ["/O2", "/std:c11"] if WINDOWS else GCC
STRICT = ["/W4", "/WX"] if WINDOWS else ["-Wall", "-Wextra", "-Wconversion", "-Werror"]

#: module -> its source
MODULES = {
    "wsfast._engine": "wsfast/_engine.pyx",
    "wsfast._storage": "wsfast/_storage.pyx",
    "wsfast._frames": "wsfast/_frames.pyx",
    "wsfast._frame_parser": "wsfast/_frame_parser.pyx",
    "wsfast._writer": "wsfast/_writer.pyx",
    "wsfast._events": "wsfast/_events.pyx",
    "wsfast._sockjs": "wsfast/_sockjs.pyx",
    "wsfast.accelerate._primitives": "wsfast/accelerate/_primitives.pyx",
    "wsfast.accelerate._octets": "wsfast/accelerate/_octets.pyx",
    "wsfast.accelerate._wsproto": "wsfast/accelerate/_wsproto.py",
    "wsfast.protocol.options": "wsfast/protocol/options.py",
    "wsfast.protocol.lifecycle": "wsfast/protocol/lifecycle.py",
    "wsfast.protocol.messages": "wsfast/protocol/messages.py",
    "wsfast.asyncio.link": "wsfast/asyncio/link.py",
    "wsfast.asyncio.waiter": "wsfast/asyncio/waiter.py",
    "wsfast.asyncio.ledger": "wsfast/asyncio/ledger.py",
    "wsfast.asyncio.prepared": "wsfast/asyncio/prepared.py",
    "wsfast.asyncio.inbound": "wsfast/asyncio/inbound.py",
    "wsfast.asyncio.fragments": "wsfast/asyncio/fragments.py",
    "wsfast.asyncio.outbound": "wsfast/asyncio/outbound.py",
    "wsfast.asyncio.fanout": "wsfast/asyncio/fanout.py",
    "wsfast.asyncio.connection": "wsfast/asyncio/connection.py",
    "wsfast.asyncio._broadcast": "wsfast/asyncio/_broadcast.py",
    "wsfast.asyncio._members": "wsfast/asyncio/_members.py",
    "wsfast.asyncio._slots": "wsfast/asyncio/_slots.pyx",
    "wsfast.asyncio._reactor": "wsfast/asyncio/_reactor.pyx",
    "wsfast.asyncio._reactor_link": "wsfast/asyncio/_reactor_link.pyx",
    "wsfast.asyncio._tls": "wsfast/asyncio/_tls.pyx",
    "wsfast.asyncio._tls_link": "wsfast/asyncio/_tls_link.pyx",
    "wsfast.asgi.channel": "wsfast/asgi/channel.py",
    "wsfast.sockjs._fanout": "wsfast/sockjs/_fanout.py",
    "wsfast.sockjs._pushed": "wsfast/sockjs/_pushed.py",
    "wsfast.socketio._codec": "wsfast/socketio/_codec.pyx",
}
POSIX_ONLY = {
    "wsfast.asyncio._reactor",
    "wsfast.asyncio._reactor_link",
    "wsfast.asyncio._tls",
    "wsfast.asyncio._tls_link",
}
DIRECTIVES = {
    "language_level": "3",
    "annotation_typing": False,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
}

HINT = """
Building the C core of wsfast failed; the compiler's words are above.
  - No C compiler, or no Python headers? On Debian: apt-get install gcc python3-dev
  - To install without them, in pure Python (slower, same behaviour):
        WSFAST_PURE=1 pip install .
"""


@contextmanager
def explained():
    """Let a build that fails end with a hint instead of a traceback."""
    try:
        yield
    except (CCompilerError, PlatformError) as error:
        raise SystemExit(f"{error}\n{HINT}") from error


class BuildCore(build_clib):
    """Builds csrc/ as a static library."""

    def run(self):
        """Compile, with a hint if that fails."""
        with explained():
            super().run()


class BuildModules(build_py):
    """Adds the C headers, for those who cimport the engine: `wsfast.get_include()`."""

    def run(self):
        """Copy the modules, then what their .pxd files include."""
        super().run()
        if PURE or self.editable_mode:
            return
        folder = Path(self.build_lib, "wsfast", "include")
        self.mkpath(str(folder))
        for header in sorted(Path("csrc").glob("*.h")):
            self.copy_file(str(header), str(folder / header.name))


class BuildExtensions(build_ext):
    """Runs Cython only when something is built: metadata needs none."""

    def finalize_options(self):
        """Compile on every core unless told how many."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count()

    def run(self):
        """Translate and compile, with a hint if that fails."""
        with explained():
            super().run()

    def build_extensions(self):
        """Translate all sources to C before the compilers start."""
        from Cython.Build import cythonize

        made = cythonize(
            list(self.extensions),
            annotate=bool(os.environ.get("WSFAST_ANNOTATE")),
            compiler_directives=DIRECTIVES,
        )
        for extension, translated in zip(self.extensions, made, strict=True):
            extension.sources = translated.sources
            extension.depends = translated.depends
        super().build_extensions()


def core() -> tuple[str, dict]:
    """Return the C core as a static library that every extension is linked with."""
    strict = STRICT if os.environ.get("WSFAST_WERROR") else []
    return (
        "wsfcore",
        {
            "sources": CORE,
            "include_dirs": ["csrc"],
            "obj_deps": {"": HEADERS},
            "cflags": FLAGS + strict,
        },
    )


def extensions() -> list[Extension]:
    """Return the extension modules."""
    return [
        Extension(
            name,
            [source],
            include_dirs=["csrc"],
            depends=HEADERS + CORE,
            extra_compile_args=FLAGS,
        )
        for name, source in MODULES.items()
        if Path(source).exists() and not (WINDOWS and name in POSIX_ONLY)
    ]


setup(
    ext_modules=[] if PURE else extensions(),
    libraries=[] if PURE else [core()],
    cmdclass={
        "build_clib": BuildCore,
        "build_ext": BuildExtensions,
        "build_py": BuildModules,
    },
)
