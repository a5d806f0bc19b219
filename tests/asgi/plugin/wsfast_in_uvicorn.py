"""
Has uvicorn's own tests run with wsfast's class in the place of websockets-sansio.

A plugin of pytest, for a process of its own: see `tests.asgi.test_uvicorn_suite`. Some
tests look at what that class has inside, and some drive it over a transport of theirs
with no more than what it calls; they get names and methods for that here.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from uvicorn.protocols.websockets import websockets_sansio_impl

from wsfast.asgi.uvicorn import WebSocketProtocol


class UnderTest(WebSocketProtocol):
    """wsfast's class, with the insides that the tests read by name."""

    @property
    def ping_timer(self) -> Any:
        """Whether keepalive is at work."""
        assert self.connection is not None
        return True if self.connection.timer_slot else None

    @property
    def ping_sent_at(self) -> float:
        """When the last keepalive ping was sent, if it was answered."""
        assert self.connection is not None
        return self.connection.latency

    @property
    def close_timer(self) -> Any:
        """Whether the peer's close frame is awaited."""
        connection = self.connection
        assert connection is not None
        waits = connection.ready_state == 2 and not connection.ended
        return connection.close_deadline if waits else None


websockets_sansio_impl.WebSocketsSansIOProtocol = UnderTest


def complete(transport: type[Any]) -> None:
    """Give a transport the rest of the methods of :class:`asyncio.Transport`."""

    def ignore(self: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: this transport takes whatever it gets."""

    def write_eof(self: Any) -> None:
        raise NotImplementedError

    transport.set_write_buffer_limits = ignore
    transport.set_protocol = ignore
    transport.get_protocol = ignore
    transport.get_write_buffer_size = lambda self: 0
    transport.can_write_eof = lambda self: False
    transport.write_eof = write_eof
    transport.abort = transport.close


@pytest.hookimpl
def pytest_collection_modifyitems() -> None:
    """Complete the transport of the tests, now that they are imported."""
    complete(sys.modules["tests.protocols.test_websocket"].MockWriteTransport)
