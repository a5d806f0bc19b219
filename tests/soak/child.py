"""What all processes of a soak have in common: commands, and samples of themselves."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")


class Notes:
    """
    What a process counts, from any of its threads.

    Attributes:
        counts: How often what happened.
        wrong: What must not happen: the first few in words.

    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.lock = threading.Lock()

    def count(self, what: str, by: int = 1) -> None:
        """Count something."""
        with self.lock:
            self.counts[what] += by

    def complain(self, what: str) -> None:
        """Note something that must not happen."""
        with self.lock:
            self.counts["wrong"] += 1
            if len(self.wrong) < 20:
                self.wrong.append(what)


def unique_kib() -> int:
    """Return the memory that is this process's alone (USS), in KiB."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(
        int(line.split()[1])
        for line in rollup.splitlines()
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )


def sample(notes: Notes) -> dict[str, Any]:
    """Return what this process holds now."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return {
        "rss_kib": resident >> 10,
        "uss_kib": unique_kib(),
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks()),
        "objects": len(gc.get_objects()),
        "cpu_s": round(sum(os.times()[:2]), 2),
        "counts": dict(notes.counts),
        "wrong": notes.wrong,
    }


def emit(**fields: Any) -> None:
    """Write one line to the process that started this one."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def obey(notes: Notes, **commands: Callable[[], Awaitable[None]]) -> None:
    """
    Do what standard input says, one word a line, until it ends.

    ``sample`` is known to all, each other word is one of ``commands``.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while line := await reader.readline():
            word = line.decode().strip()
            if word == "sample":
                emit(answer=word, **sample(notes))
            else:
                await commands[word]()
                emit(answer=word)
    finally:
        pipe.close()
