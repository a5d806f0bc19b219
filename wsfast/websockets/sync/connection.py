"""Connections for threads, where the websockets library has them."""

from ...sync.connection import Connection

__all__ = ["Connection"]
