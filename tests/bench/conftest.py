"""The load benchmark is for Linux, and what it is made of for POSIX."""

from __future__ import annotations

import sys

collect_ignore = ["test_load.py"] if sys.platform == "win32" else []
if not sys.platform.startswith("linux"):
    collect_ignore += ["test_client.py", "test_runner.py", "test_slow.py"]
