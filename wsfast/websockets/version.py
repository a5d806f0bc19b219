"""The version of the websockets library whose names are here."""

from __future__ import annotations

__all__ = ["version"]

version = "17.4"
