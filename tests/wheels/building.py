"""Wheels of a clean tree, cross-built: one for each interpreter and target."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.wheels.zig import TARGETS, compilers

__all__ = ["ROOT", "build", "check_contents", "clean_tree", "interpreters", "run"]

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
TOOLS = ("setuptools>=77", "cython>=3.1", "wheel")


def run(
    command: list[str | Path], *, stderr: int = subprocess.STDOUT, **options: object
) -> str:
    """Run a command; return what it prints, or exit with all of it if it fails."""
    done = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        **options,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def interpreters() -> dict[str, Path]:
    """Return those of pyenv, or of the search path, that can be built for."""
    pyenv = shutil.which("pyenv")
    root = run([pyenv, "root"]).strip() if pyenv else ""
    found = {}
    for version in VERSIONS:
        kept = sorted(Path(root, "versions").glob(f"{version}.*/bin/python3"))
        path = kept[-1] if root and kept else shutil.which(f"python{version}")
        if path and has_headers(Path(path)):
            found[version] = Path(path)
    return found


def has_headers(python: Path) -> bool:
    """Return whether extension modules can be compiled for an interpreter."""
    code = (
        "import ensurepip, os, sysconfig;"
        "assert os.path.exists(sysconfig.get_path('include') + '/Python.h')"
    )
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def clean_tree(work: Path) -> Path:
    """Return the last commit's files, and the C that Cython made if it is here."""
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True)
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    for source in (*tree.rglob("wsfast/**/*.pyx"), *tree.rglob("wsfast/**/*.py")):
        here = ROOT / source.relative_to(tree)
        made = here.with_suffix(".c")
        if made.is_file() and made.stat().st_mtime > here.stat().st_mtime:
            shutil.copyfile(made, source.with_suffix(".c"))
    return tree


def builder(work: Path, version: str, python: Path) -> Path:
    """Return an interpreter that has what a build needs."""
    venv = work / f"builder-{version}"
    stamp = venv / ".have"
    if not stamp.exists():
        shutil.rmtree(venv, ignore_errors=True)
        run([python, "-m", "venv", venv])
        run([venv / "bin/python", "-m", "pip", "install", "-q", *TOOLS])
        stamp.touch()
    return venv / "bin/python"


def build(
    work: Path, tree: Path, version: str, python: Path, name: str, cflags: str
) -> Path:
    """
    Build a wheel.

    An aarch64 wheel is compiled against the headers of an x86-64 interpreter. Both are
    little-endian LP64, and what their pyconfig.h differ in (the assembler of x87, what
    a libc has) is nothing that Python.h, or what Cython makes, depends on.

    Args:
        work: A folder for all that is made.
        tree: Of `clean_tree`.
        version: Of the interpreter, "3.11".
        python: The interpreter.
        name: One of `TARGETS`.
        cflags: For the compiler, as setup.py takes them.

    Returns:
        The wheel, whose tag still is that of any Linux.

    """
    target = TARGETS[name]
    short = version.replace(".", "")
    made = work / f"made/{name}-{short}"
    shutil.rmtree(made, ignore_errors=True)
    environment = compilers(work / f"zig/{name}", target.zig)
    environment["CFLAGS"] = cflags
    environment["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{short}-{target.abi}.so"
    run(
        [
            *(builder(work, version, python), "setup.py", "-q"),
            *("build", "--build-base", made / "build"),
            *("build_ext", "--parallel", str(os.cpu_count() or 1)),
            *("bdist_wheel", "--plat-name", f"linux_{target.machine}"),
            *("--dist-dir", made),
        ],
        cwd=tree,
        env=environment,
    )
    (wheel,) = made.glob("*.whl")
    return wheel


def check_contents(wheel: Path, target: str) -> int:
    """Assert that a wheel holds what it must and nothing else; return its modules."""
    names = zipfile.ZipFile(wheel).namelist()
    suffix = f"-{TARGETS[target].abi}.so"
    stems = {name.split(".")[0] for name in names if name.endswith(suffix)}
    sources = [
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "wsfast").rglob("*.pyx")
    ]
    assert stems >= set(sources), set(sources) - stems
    for kept in ("py.typed", "_engine.pxd", "_engine.pyi", "include/wsf_kernels.h"):
        assert f"wsfast/{kept}" in names, kept
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"wsfast", wheel.name.partition("-cp")[0] + ".dist-info"}, folders
    unwanted = (".c", ".pyx", ".a", ".o", ".html.c")
    assert not [name for name in names if name.endswith(unwanted)]
    return len(stems)
