"""Starts the demo: ``python -m wsfast.demo [--port PORT]``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from wsfast.demo.server import main


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m wsfast.demo",
        description="Serve a chat and a live gauge on 127.0.0.1.",
    )
    parser.add_argument(
        "--port",
        type=int,
        help="TCP port, 0 for any that is free (default: 8765 unless taken)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(arguments().port))
