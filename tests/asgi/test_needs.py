"""Without what a module is for, or with another release of it, it says what to do."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from wsfast.asgi._needs import need

#: Module -> what it is for, a release that will not do, and the ones that will.
MODULES = {
    "wsfast.asgi.uvicorn": ("uvicorn", "0.29.0", ">=0.30"),
    "wsfast.asgi.aiohttp": ("aiohttp", "3.10.11", ">=3.11"),
    "wsfast.asgi.sanic": ("sanic", "26.3.0", ">=25.12,<26"),
    "wsfast.asgi.engineio": ("python-engineio", "4.14.2", ">=4.15,<4.16"),
    "wsfast.asgi.socketio": ("python-socketio", "6.0.0", ">=5.18,<6"),
}

TRY = """
import importlib, json, sys

told = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ImportError as error:
        told[name] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""


def told(folder: Path) -> dict[str, str]:
    """Return what the modules say where packages of a folder are found first."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{TRY}"
    command = [sys.executable, "-c", code, json.dumps(list(MODULES))]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_another_release(tmp_path: Path):
    for distribution, version, _ in MODULES.values():
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
    found = told(tmp_path)
    # It runs on the other one, which is looked for first.
    assert found.pop("wsfast.asgi.socketio") == found["wsfast.asgi.engineio"]
    assert found == {
        module: f"ImportError: {module} is for {name}{known}, and {version} is "
        f"installed; install one by: python -m pip install '{name}{known}'"
        for module, (name, version, known) in MODULES.items()
        if module in found
    }
    assert len(found) == len(MODULES) - 1


def test_a_library_that_does_not_import(tmp_path: Path):
    for name in ("uvicorn", "aiohttp", "sanic", "engineio", "socketio"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('it is broken')\n")
    found = told(tmp_path)
    for module, (name, _, known) in MODULES.items():
        if module == "wsfast.asgi.socketio":
            continue
        assert found[module] == (
            f"ImportError: {module} cannot import {name} {metadata.version(name)}: "
            f"it is broken; install one by: python -m pip install '{name}{known}'"
        )


def test_a_library_that_is_missing():
    with pytest.raises(ModuleNotFoundError) as missing, need("ours", "no-such", "1.2"):
        pass
    assert str(missing.value) == (
        "ours needs no-such, which is not installed; "
        "install one by: python -m pip install 'no-such>=1.2'"
    )


@pytest.mark.parametrize("module", MODULES)
def test_what_is_installed_will_do(module: str):
    assert importlib.import_module(module).__name__ == module
