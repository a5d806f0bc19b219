"""Where the C headers are that modules compiled against the engine need."""

from __future__ import annotations

from pathlib import Path

__all__ = ["get_include"]


def get_include() -> str:
    """
    Return the folder for ``include_dirs`` of an extension that cimports the engine.

    Returns:
        That of the installed package or, in a work tree, that of the C core.

    Raises:
        FileNotFoundError: This is the pure wheel, which has no C headers.

    """
    here = Path(__file__).resolve().parent
    for folder in (here / "include", here.parent / "csrc"):
        if (folder / "wsf_kernels.h").is_file():
            return str(folder)
    raise FileNotFoundError("no C headers: this is a pure installation of wsfast")
