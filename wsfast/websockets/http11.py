"""Requests and responses, where the websockets library has them."""

from ..protocol.http import SERVER, USER_AGENT, Request, Response

__all__ = ["SERVER", "USER_AGENT", "Request", "Response"]
