"""A Node process that runs what the tests send it; see ``interop/node_scripts.js``."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests import needs

__all__ = ["Node"]

HERE = Path(__file__).parents[1] / "interop"
WAIT_S = 30


class Node:
    """
    One process, for many tests: what they keep is in ``shared``.

    Raises:
        AssertionError: There is no Node.

    """

    def __init__(self) -> None:
        node, npm = needs.find("node"), shutil.which("npm")
        assert node is not None
        assert npm is not None
        if not (HERE / "node_modules" / "socket.io").is_dir():
            options = ["--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(
                [npm, "ci", *options], cwd=HERE, check=True, capture_output=True
            )
        self._process = subprocess.Popen(
            [node, str(HERE / "node_scripts.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ids = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, code: str, **args: Any) -> Future[Any]:
        """Run the body of an async function; return a future of what it returns."""
        future: Future[Any] = Future()
        number = next(self._ids)
        self._waiting[number] = future
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "code": code, "args": args})
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return future

    async def run(self, code: str, **args: Any) -> Any:
        """Do the same and wait for it, while the event loop goes on."""
        return await asyncio.wait_for(
            asyncio.wrap_future(self.start(code, **args)), WAIT_S
        )

    def do(self, code: str, **args: Any) -> Any:
        """Do the same without an event loop."""
        return self.start(code, **args).result(WAIT_S)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            future = self._waiting.pop(message["id"])
            if "error" in message:
                future.set_exception(RuntimeError(message["error"]))
            else:
                future.set_result(message.get("result"))
        for future in self._waiting.values():
            future.set_exception(RuntimeError("Node has ended"))
