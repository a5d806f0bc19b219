"""Runs the command line: ``python -m wsfast``."""

from __future__ import annotations

import sys

from wsfast.cli import main

if __name__ == "__main__":
    sys.exit(main())
