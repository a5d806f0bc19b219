"""Connections under asyncio, where the websockets library has them."""

from ...asyncio.connection import Connection

__all__ = ["Connection"]
