"""Connecting to a name that has several addresses (RFC 8305), from threads."""

from __future__ import annotations

import socket
import time

import pytest

from tests.support.ports import never_accepting
from tests.sync.conftest import WAIT_S
from wsfast.exceptions import HandshakeTimeout
from wsfast.sync import _sockets, connect
from wsfast.sync._sockets import Deadline, open_tcp


def info(host: str, port: int):
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))


@pytest.fixture
def named(monkeypatch):
    """Return a function that says which addresses the name "some.host" has."""

    def name(*addresses):
        infos = [info(*address) for address in addresses]
        monkeypatch.setattr(_sockets, "_resolve", lambda *_: list(infos))

    return name


def open_some():
    return open_tcp("some.host", 1, Deadline(WAIT_S))


def test_silent_address_does_not_hold_up_the_next(named):
    with never_accepting() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        named(("127.0.0.1", silent), good.getsockname())
        with open_some() as sock:
            assert sock.getpeername() == good.getsockname()
            assert sock.gettimeout() is None


def test_refusal_does_not_wait_for_the_delay(named, monkeypatch):
    monkeypatch.setattr(_sockets, "ATTEMPT_DELAY_S", 20)
    with (
        socket.socket() as bound,  # and not listening
        socket.create_server(("127.0.0.1", 0)) as good,
    ):
        bound.bind(("127.0.0.1", 0))
        named(*[bound.getsockname()] * 3, good.getsockname())
        start = time.monotonic()
        with open_tcp("some.host", 1, Deadline(None)) as sock:
            assert sock.getpeername() == good.getsockname()
        assert time.monotonic() - start < 15


def test_no_address_answers(named):
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        named(one.getsockname(), two.getsockname())
        with pytest.raises(ConnectionRefusedError):
            open_some()


def test_time_is_one_for_all_addresses(named):
    """K-3."""
    with never_accepting() as one, never_accepting() as two:
        named(("127.0.0.1", one), ("127.0.0.1", two))
        with pytest.raises(HandshakeTimeout):
            connect("ws://some.host/", proxy=None, open_timeout=0.6)


def test_losers_of_the_race_are_closed(named, monkeypatch):
    made = []

    class Noted(socket.socket):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(_sockets, "ATTEMPT_DELAY_S", 0.01)
    with never_accepting() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        named(*[("127.0.0.1", silent)] * 2, good.getsockname())
        monkeypatch.setattr(_sockets.socket, "socket", Noted)
        with open_some() as sock:
            assert [one.fileno() != -1 for one in made] == [one is sock for one in made]
        assert len(made) == 3


def test_address_of_ours_for_each_attempt(named):
    with socket.socket() as bound, socket.create_server(("127.0.0.1", 0)) as good:
        bound.bind(("127.0.0.1", 0))
        named(bound.getsockname(), good.getsockname())
        with open_tcp("some.host", 1, Deadline(WAIT_S), ("127.0.0.2", 0)) as sock:
            assert sock.getsockname()[0] == "127.0.0.2"
