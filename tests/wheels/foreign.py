"""The C of core and extension modules, compiled for Windows and macOS; not linked."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["FOREIGN", "compile_for"]

HERE = Path(__file__).parent
#: zig's names. Python's headers are those of this machine: their pyconfig.h does for
#: macOS, which is LP64 as well; for Windows there is one in windows/.
FOREIGN = (
    "x86_64-windows-gnu",
    "x86-windows-gnu",
    "aarch64-windows-gnu",
    "x86_64-macos",
    "aarch64-macos",
)
POSIX_ONLY = ("_reactor", "_reactor_link", "_tls", "_tls_link", "wsf_poller")


def compile_for(target: str, tree: Path, made: Path, jobs: int) -> int:
    """
    Compile every C file of a tree that Cython has been through.

    Returns:
        How many there were.

    Raises:
        SystemExit: One of them does not compile, with the compiler's words.

    """
    sources = [*tree.glob("csrc/**/*.c"), *tree.glob("wsfast/**/*.c")]
    if "windows" in target:
        sources = [path for path in sources if path.stem not in POSIX_ONLY]
    shutil.rmtree(made, ignore_errors=True)
    headers = made / "include"
    shutil.copytree(sysconfig.get_path("include"), headers)
    if "windows" in target:
        shutil.copy(HERE / "windows/pyconfig.h", headers)
    includes = [headers, tree / "csrc"]
    flags = ["-std=c11", "-O0", "-g0", "-w", "-fno-sanitize=all"]

    def compile_one(source: Path) -> str:
        where = made / f"{source.parent.name}-{source.stem}.o"
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags]
        command += [f"-I{folder}" for folder in includes]
        done = subprocess.run(
            [*command, "-c", str(source), "-o", str(where)],
            capture_output=True,
            text=True,
        )
        return f"{source}: {done.stderr}" if done.returncode else ""

    with ThreadPoolExecutor(jobs) as pool:
        failed = [words for words in pool.map(compile_one, sources) if words]
    if failed:
        raise SystemExit("\n".join(failed))
    return len(sources)
