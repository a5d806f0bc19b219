"""The end of a connection, keepalive, and what the keeper does meanwhile."""

from __future__ import annotations

import gc
import logging
import threading
import time

import pytest

from tests.faults.rawpeer import (
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    opened,
)
from tests.sync.conftest import WAIT_S, running, threaded, wired
from wsfast.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
)
from wsfast.protocol import State
from wsfast.sync import connect


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_close_waits_for_the_peer(client):
    with wired(client, close_timeout=WAIT_S) as (ws, peer):
        with threaded(ws.close, 3456, "so long"):
            closing = peer.recv()
            assert (closing.opcode, closing.code) == (CLOSE, 3456)
            assert ws.state is State.CLOSING
            peer.close(3456, "so long")
            peer.half_close()
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (3456, "so long")
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv()
        assert "sent 3456 (registered) so long; then received" in str(caught.value)


def test_close_is_answered_while_nobody_receives():
    with wired() as (ws, peer):
        peer.close(1000, "bye")
        closing = peer.recv()
        assert (closing.code, closing.payload[2:]) == (1000, b"bye")
        assert peer.ended() == "eof"
        assert ws.wait_closed(WAIT_S)


def test_pings_are_answered_while_nobody_receives():
    with wired() as (ws, peer):
        for payload in (b"1", b"2"):
            time.sleep(0.25)  # so that the keeper watches
            peer.frame(PING, payload)
            assert peer.recv()[:2] == (PONG, payload)
        assert ws.state is State.OPEN


def test_close_may_be_called_again_and_by_several_threads():
    with running() as server, connect(server.uri, proxy=None) as ws:
        threads = [threading.Thread(target=ws.close) for _ in range(5)]
        with threaded(ws.recv) as got:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WAIT_S)
        assert isinstance(got[0], ConnectionClosedOK)
        ws.close()
        assert ws.close_code == 1000


def test_close_wakes_a_thread_in_recv_when_the_peer_is_silent():
    with wired(close_timeout=0.3) as (ws, peer), threaded(ws.recv) as got:
        started = time.monotonic()
        ws.close()
        assert 0.2 < time.monotonic() - started < WAIT_S
    assert isinstance(got[0], ConnectionClosedError)
    assert ws.close_code == 1006
    assert peer is not None


def test_close_with_much_unread():
    with wired(max_queue=2) as (ws, peer):

        def pour():
            for _ in range(2000):
                peer.frame(TEXT, "x" * 1000)
            while peer.recv().opcode != CLOSE:
                pass
            peer.close()
            peer.half_close()

        with threaded(pour):
            ws.close()
        assert ws.close_code == 1000


def test_with_statement_closes():
    with running() as server:
        with connect(server.uri, proxy=None) as ws:
            ws.send("x")
        assert ws.close_code == 1000
        with pytest.raises(KeyError), connect(server.uri, proxy=None) as ws:
            raise KeyError
        assert ws.begin_ending().sent.code == 1011


def test_abort():
    with wired() as (ws, peer), threaded(ws.recv) as got:
        ws.abort()
        assert peer.ended() == "eof"
    assert isinstance(got[0], ConnectionClosedError)
    assert str(got[0]) == "no close frame received or sent"


def test_keepalive_keeps_quiet_while_the_peer_answers():
    with wired(ping_interval=0.1, ping_timeout=WAIT_S) as (ws, peer):
        for _ in range(3):
            ping = peer.recv()
            assert ping.opcode == PING
            peer.frame(PONG, ping.payload)
        peer.frame(TEXT, "x")
        assert ws.recv(WAIT_S) == "x"
        assert ws.latency > 0


@pytest.mark.parametrize("receiving", [False, True])
def test_keepalive_gives_up_on_a_silent_peer(receiving):
    limits = {"ping_interval": 0.1, "ping_timeout": 0.2, "close_timeout": 0.2}
    with wired(**limits) as (ws, peer):
        if receiving:
            with pytest.raises(ConnectionClosedError) as caught:
                ws.recv()
            text = "sent 1011 (internal error) keepalive ping timeout; "
            assert str(caught.value) == text + "no close frame received"
        else:
            _, closing, _ = peer.until_close()
            assert closing.code == 1011
            assert ws.wait_closed(WAIT_S)


def test_keepalive_ends_a_thread_that_sends_to_nobody():
    limits = {"ping_interval": 0.1, "ping_timeout": 0.3, "close_timeout": 0.2}
    with wired(**limits) as (ws, peer):
        with pytest.raises(ConnectionClosedError):
            while True:
                ws.send(bytes(100_000))
        assert peer is not None


def test_bad_frame_fails_the_connection():
    with wired() as (ws, peer):
        peer.send(frame(TEXT, "good") + frame(TEXT, b"\xff"))
        assert ws.recv(WAIT_S) == "good"
        ws.send("answer")
        with threaded(peer.until_close) as got, pytest.raises(ConnectionClosedError):
            ws.recv()
        before, closing, _ = got[0]
        assert [f.payload for f in before] == [b"answer"]
        assert closing.code == 1007


def test_frame_without_a_mask():
    with wired() as (ws, peer):
        peer.frame(TEXT, "x", key=None)
        with threaded(peer.until_close) as got:
            with pytest.raises(ConnectionClosedError) as caught:
                ws.recv()
        assert isinstance(caught.value.__cause__, ProtocolError)
        assert got[0][1].code == 1002


def test_a_failed_peer_that_stays_is_cut():
    with wired(close_timeout=60) as (ws, peer):
        peer.frame(TEXT, b"\xff")
        started = time.monotonic()
        with pytest.raises(ConnectionClosedError):
            ws.recv()
        assert time.monotonic() - started < WAIT_S


def test_nothing_is_left_of_connections():
    with running() as server:
        for _ in range(20):
            with connect(server.uri, proxy=None) as ws:
                ws.send("x")
                assert ws.recv(WAIT_S) == "x"
        del ws
        deadline = time.monotonic() + WAIT_S
        while server.server._connections or server.server._threads:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    gc.collect()
    from wsfast.sync._keeper import keeper

    found = keeper()
    assert not (found._awake or found._watched or found._timer_of)


def test_a_mistake_in_lost_does_not_end_the_keeper(caplog):
    def lost():
        raise RuntimeError("mistake")

    with wired() as (ws, peer), wired() as (_, other):
        ws.lost, ws.logger = lost, logging.getLogger("application")
        time.sleep(0.25)  # so that the keeper watches
        peer.sock.close()
        deadline = time.monotonic() + WAIT_S
        while ws.state is not State.CLOSED or "lost() failed" not in caplog.messages:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        other.frame(PING, b"1")
        assert other.recv()[:2] == (PONG, b"1")


def test_close_frame_and_end_in_one_go():
    with wired() as (ws, peer):
        peer.send(frame(TEXT, "x") + close_frame(4000, "y", key=KEY))
        peer.half_close()
        assert ws.recv(WAIT_S) == "x"
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv(WAIT_S)
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "y")


def test_a_peer_that_breaks_a_rule_is_one_line_of_the_log(caplog):
    caplog.set_level(logging.INFO, "wsfast")
    with running() as server, opened(server.port) as peer:
        peer.frame(3, b"bad")
        peer.until_close()
    (line,) = [message for message in caplog.messages if "failed" in message]
    assert line.startswith("('127.0.0.1', ")
    assert line.endswith(") failed with 1002: reserved opcode")
