"""No state is shared by accident: the core has none, modules what is listed here."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "csrc").rglob("*.c"))

GUARDED = "by the GIL; without one it is a thread's own, or nothing is kept"
#: Variables of modules but for constants, which have capitals, and what keeps threads
#: from harm.
GLOBALS = {
    "_engine.pyx": {"_kernels": "written when the module is imported, never after"},
    "_storage.pyx": dict.fromkeys(("_spares", "_kept", "_oldest"), GUARDED),
    "_writer.pyx": dict.fromkeys(("_kept", "_n_kept"), GUARDED),
    "asyncio/_reactor.pyx": {
        "_reactors": "a dictionary of loops, each of which uses its own entry"
    },
    "asyncio/_slots.pyx": {"_any": "only asked for its type"},
}
#: ``cdef TYPE NAME``, perhaps with a value: at the margin, and not a function.
GLOBAL = re.compile(
    r"^cdef (?!class|enum|extern|struct|inline)[\w .*\[\]]*?"
    r"\b(\w+)(?:\[\w+\])?(?: = .*)?$",
    re.MULTILINE,
)


@pytest.mark.needs("gcc")
def test_the_core_has_no_variable(tmp_path):
    nm = shutil.which("nm")
    assert nm is not None  # it comes with gcc
    flags = ["-std=c11", "-O0", "-fno-pic", "-fno-pie", "-Icsrc"]
    for source in CORE:
        made = tmp_path / f"{source.stem}.o"
        command = ["gcc", *flags, "-c", str(source), "-o", str(made)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)
        listed = subprocess.run(
            [nm, str(made)], capture_output=True, text=True, check=True
        ).stdout
        variables = re.findall(r" [bBdDcCgGsS] (\S+)", listed)
        assert not variables, f"{source.name} has {variables}"


def test_the_globals_of_modules_are_known():
    found = {}
    for path in sorted((ROOT / "wsfast").rglob("*.p[yx][xd]")):
        names = {n for n in GLOBAL.findall(path.read_text()) if not n.isupper()}
        if names:
            found[path.relative_to(ROOT / "wsfast").as_posix()] = names
    assert found == {path: set(names) for path, names in GLOBALS.items()}
