"""How far a run is: a bar on a terminal, a line for each sample elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

BAR = 24  # characters


class Progress:
    """
    The progress of a run.

    Args:
        samples: How many there are at most.
        seconds: How long the run may take, if it is bounded by that.
        stream: Where to show it; None for nowhere.

    """

    def __init__(
        self, samples: int, seconds: float | None, stream: TextIO | None = sys.stderr
    ) -> None:
        self._samples = samples
        self._seconds = seconds
        self._stream = stream
        self._begin = time.monotonic()
        self._done = 0
        self._bar = stream is not None and stream.isatty()

    def share(self) -> float:
        """Return how much of the run is done, as far as one can tell."""
        if self._seconds is None:
            return min(1.0, self._done / max(1, self._samples))
        return min(1.0, (time.monotonic() - self._begin) / self._seconds)

    def __call__(self, line: str) -> None:
        """Take note of a sample."""
        self._done += 1
        if self._stream is None:
            return
        if not self._bar:
            print(f"{self.share():4.0%} {line}", file=self._stream, flush=True)
            return
        share = self.share()
        passed = time.monotonic() - self._begin
        left = passed / share - passed if share > 0 else 0.0
        done = round(share * BAR)
        text = (
            f"[{'#' * done}{'.' * (BAR - done)}] {share:4.0%} "
            f"{int(left) // 60}:{int(left) % 60:02} left  {line}"
        )
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:{width}}", end="", file=self._stream, flush=True)

    def end(self) -> None:
        """Leave the terminal with an empty line."""
        if self._bar:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{'':{width}}\r", end="", file=self._stream, flush=True)
