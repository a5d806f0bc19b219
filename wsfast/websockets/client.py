"""What clients of the websockets library have in common, under both its APIs."""

from ..asyncio.client import backoff, process_exception

__all__ = ["backoff", "process_exception"]
