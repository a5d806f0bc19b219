"""What ``recv()`` and its relatives give, against a peer that is a plain socket."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from tests.faults.rawpeer import BINARY, CONT, PING, PONG, TEXT, frame
from tests.sync.conftest import WAIT_S, threaded, wired
from wsfast.exceptions import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
)


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_messages_of_both_kinds(client):
    with wired(client) as (ws, peer):
        peer.frame(TEXT, "héllo")
        peer.frame(BINARY, b"\x00\xff")
        assert ws.recv(WAIT_S) == "héllo"
        assert ws.recv(WAIT_S) == b"\x00\xff"


def test_decode_overrides_the_kind():
    with wired() as (ws, peer):
        for _ in range(2):
            peer.frame(TEXT, "é")
            peer.frame(BINARY, "è".encode())
        assert ws.recv(decode=False) == "é".encode()
        assert ws.recv(decode=True) == "è"
        assert ws.recv(decode=True) == "é"
        assert ws.recv(decode=False) == "è".encode()


def test_timeout_loses_no_message():
    with wired() as (ws, peer):
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0)
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.02)
        peer.frame(TEXT, "half", fin=False)
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0.02)
        peer.frame(CONT, " and half")
        assert ws.recv(WAIT_S) == "half and half"


class Taken(deque):
    """A queue of which all is taken while another thread finds it full."""

    def __init__(self, ws):
        super().__init__()
        self.ws = ws
        self.taken = []

    def __len__(self):
        size = super().__len__()
        if size == 2 and not self.taken:
            self.taken = [self.ws._take(), self.ws._take()]
        return size


def test_a_queue_that_is_emptied_while_it_is_found_to_be_full():
    with wired(max_queue=2) as (ws, peer):
        ws._queue = queue = Taken(ws)
        peer.send(b"".join(frame(TEXT, text) for text in "abc"))
        assert ws.recv(WAIT_S) == "c"
        assert queue.taken == ["a", "b"]


def test_timeout_of_none_waits():
    with wired() as (ws, peer), threaded(ws.recv) as got:
        time.sleep(0.05)
        peer.frame(TEXT, "late")
    assert got == ["late"]


def test_iteration_ends_on_a_normal_closure():
    with wired() as (ws, peer):
        peer.frame(TEXT, "1")
        peer.frame(TEXT, "2")
        peer.close(1000, "done")
        with threaded(peer.until_close):
            assert list(ws) == ["1", "2"]
            peer.half_close()
        assert (ws.close_code, ws.close_reason) == (1000, "done")


def test_iteration_raises_on_any_other_end():
    with wired() as (ws, peer):
        peer.frame(TEXT, "1")
        peer.close(1011, "oops")
        peer.half_close()
        got = []
        with pytest.raises(ConnectionClosedError) as caught:
            got.extend(ws)
        assert str(caught.value) == (
            "received 1011 (internal error) oops; then sent 1011 (internal error) oops"
        )


def test_end_without_a_close_frame():
    with wired() as (ws, peer):
        peer.half_close()
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv()
        assert str(caught.value) == "no close frame received or sent"
        assert ws.close_code == 1006


def test_what_came_before_the_end_is_received_first():
    with wired() as (ws, peer):
        peer.frame(TEXT, "last words")
        peer.close(1001)
        peer.half_close()
        assert ws.recv() == "last words"
        with pytest.raises(ConnectionClosedOK):
            ws.recv()
        with pytest.raises(ConnectionClosedOK):
            ws.recv(timeout=0)


def test_what_came_before_the_end_can_be_answered():
    with wired() as (ws, peer):
        from tests.faults.rawpeer import KEY, close_frame, frame

        peer.send(frame(TEXT, "question") + close_frame(1000, key=KEY))
        assert ws.recv(WAIT_S) == "question"
        ws.send("answer")
        with threaded(peer.until_close) as got:
            with pytest.raises(ConnectionClosedOK):
                ws.recv()
        before, closing, _ = got[0]
        assert [f.payload for f in before] == [b"answer"]
        assert closing.code == 1000


def test_one_thread_at_a_time():
    with wired() as (ws, peer):
        with threaded(ws.recv) as got:
            while not ws._receiving.locked():
                time.sleep(0.001)
            with pytest.raises(ConcurrencyError, match="already running recv"):
                ws.recv()
            with pytest.raises(ConcurrencyError, match="cannot call recv_streaming"):
                next(ws.recv_streaming())
            peer.frame(TEXT, "one")
        assert got == ["one"]


def test_all_that_has_arrived():
    with wired(max_queue=None) as (ws, peer):
        with pytest.raises(TimeoutError):
            ws.recv_many(timeout=0)
        for number in range(10):
            peer.frame(TEXT, str(number))
        pong = ws.ping(b"behind them")
        assert peer.recv().opcode == PING
        peer.frame(PONG, b"behind them")
        assert pong.wait(WAIT_S)
        assert ws.recv_many(limit=3) == ["0", "1", "2"]
        assert ws.recv_many() == [str(number) for number in range(3, 10)]
        peer.frame(BINARY, b"more")
        assert ws.recv_many(timeout=WAIT_S) == [b"more"]
        peer.close(1000)
        with pytest.raises(ConnectionClosedOK):
            ws.recv_many()


def test_streaming_that_was_interrupted_loses_nothing():
    class SignalledError(Exception):
        """Raised as by a signal, while nothing has come."""

    def interrupt(what, deadline):
        del ws._wait
        raise SignalledError

    for receive in (lambda: ws.recv(WAIT_S), lambda: "".join(ws.recv_streaming())):
        with wired() as (ws, peer):
            ws._wait = interrupt
            with pytest.raises(SignalledError):
                next(ws.recv_streaming())
            peer.frame(TEXT, "a", fin=False)
            with pytest.raises(TimeoutError):
                ws.recv(0.1)
            peer.frame(CONT, "b", fin=False)
            peer.frame(CONT, "c")
            assert receive() == "abc"
            peer.frame(TEXT, "next")
            assert ws.recv_many(timeout=WAIT_S) == ["next"]


def test_streaming():
    with wired() as (ws, peer):
        peer.frame(TEXT, "a", fin=False)
        fragments = ws.recv_streaming()
        assert next(fragments) == "a"
        peer.frame(CONT, "", fin=False)
        assert next(fragments) == ""
        peer.frame(PING, "in between")
        peer.frame(CONT, "b")
        assert list(fragments) == ["b"]
        assert peer.recv()[:2] == (PONG, b"in between")
        peer.frame(TEXT, "whole")
        assert ws.recv(WAIT_S) == "whole"


def test_streaming_decodes_across_fragments():
    with wired() as (ws, peer):
        octets = "née".encode()
        peer.frame(BINARY, octets[:2], fin=False)
        peer.frame(CONT, octets[2:])
        assert "".join(ws.recv_streaming(decode=True)) == "née"
        peer.frame(TEXT, "née")
        assert b"".join(ws.recv_streaming(decode=False)) == octets


def test_streaming_that_is_left_drops_the_rest():
    with wired() as (ws, peer):
        peer.frame(TEXT, "a", fin=False)
        fragments = ws.recv_streaming()
        assert next(fragments) == "a"
        with pytest.raises(ConcurrencyError):
            ws.recv(timeout=0)
        fragments.close()
        peer.frame(CONT, "b", fin=False)
        peer.frame(CONT, "c")
        peer.frame(TEXT, "next")
        assert ws.recv(WAIT_S) == "next"


def test_reading_stops_when_the_queue_is_full_and_goes_on():
    with wired(max_queue=4) as (ws, peer):
        with threaded(lambda: [peer.frame(TEXT, str(n)) for n in range(5000)]):
            deadline = time.monotonic() + WAIT_S
            while len(ws._queue) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)  # the keeper reads, since nobody else does
            time.sleep(0.3)
            assert len(ws._queue) == 4
            assert [ws.recv(WAIT_S) for _ in range(5000)] == [
                str(n) for n in range(5000)
            ]


def test_octets_that_wait_are_bounded_too():
    with wired(max_queue=None, max_queue_size=10_000) as (ws, peer):
        with threaded(lambda: [peer.frame(BINARY, bytes(6000)) for _ in range(100)]):
            deadline = time.monotonic() + WAIT_S
            while not ws._full and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(ws._queue) == 2
            assert sum(len(ws.recv(WAIT_S)) for _ in range(100)) == 600_000


def test_one_octet_at_a_time():
    from tests.faults.rawpeer import frame

    with wired() as (ws, peer), threaded(ws.recv) as got:
        peer.send_slowly(frame(TEXT, "slowly " * 30))
    assert got == ["slowly " * 30]


def test_a_thread_that_reads_on_keeps_no_message_back():
    """It may get the lock again before the thread whose message it has read."""
    with wired() as (ws, peer), threaded(ws.wait_closed):
        for number in range(10):
            later = threading.Timer(0.02, peer.frame, (TEXT, str(number)))
            later.start()
            assert ws.recv(WAIT_S) == str(number)
            later.join()
        peer.close()
        peer.half_close()
