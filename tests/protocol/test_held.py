"""An end that waits for the application, and what the end of a connection undoes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.test_lifecycle import (
    CLOSE,
    KEY,
    PING,
    START,
    Clocked,
    events,
    frame,
    sent,
)
from wsfast import engine
from wsfast.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PolicyViolation,
    ProtocolError,
)
from wsfast.protocol import Options, Protocol, State

BAD = bytes([0x83, 0x80, *KEY])  # an opcode that there is not
BYE = frame(CLOSE, b"\x03\xe8bye")
MESSAGE = frame(1, b"before")


class Waiting(Protocol):
    """A server whose application has yet to act on what came before the end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(client=False, options=Options(**options))
        self.waits = True
        self.why: list[tuple[type, int]] = []

    def hold_end(self) -> bool:
        return self.waits

    def failed(self, failure: Any, code: int) -> None:
        self.why.append((type(failure), code))


# ---- the end is held


@pytest.mark.parametrize("end", [BYE, BAD])
def test_an_end_has_no_effect_before_it_is_released(end: bytes):
    server = Waiting()
    server.receive_data(MESSAGE + end + MESSAGE)
    assert server.state is State.OPEN
    assert sent(server) == []
    server.receive_data(MESSAGE)  # dropped: nothing comes behind an end
    assert events(server) == [("message", "before")]
    server.send_message(1, "in between")
    server.release_end()
    assert server.state is State.CLOSING
    assert [opcode for opcode, _ in sent(server)] == [1, CLOSE]
    server.release_end()  # there is none any more
    assert sent(server) == []


def test_a_close_frame_that_is_released_is_answered():
    server = Waiting()
    server.receive_data(BYE)
    assert server.close_rcvd is None
    server.release_end()
    assert sent(server) == [(CLOSE, b"\x03\xe8bye")]
    assert isinstance(server.closed_error(), ConnectionClosedOK)
    assert server.why == []


def test_a_bad_frame_that_is_released_fails_the_connection():
    server = Waiting()
    server.receive_data(BAD)
    assert server.failure is None
    server.receive_eof()
    [(opcode, payload)] = sent(server)
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xea")
    assert server.why == [(ProtocolError, 1002)]


def test_nothing_is_held_when_the_application_is_quick():
    server = Waiting()
    server.waits = False
    server.receive_data(BAD)
    assert server.why == [(ProtocolError, 1002)]
    server.release_end()


def test_a_close_frame_behind_ours_is_not_held():
    server = Waiting()
    server.send_close(1001)
    server.receive_data(BYE)
    assert server.close_rcvd is not None
    server.connection_ended()
    assert (server.close_code, server.close_reason) == (1000, "bye")


@pytest.mark.parametrize("end", [BYE, BAD])
def test_an_end_that_is_held_is_reported_though_the_stream_is_gone(end: bytes):
    server = Waiting()
    server.receive_data(end)
    server.connection_ended()
    assert server.state is State.CLOSED
    assert sent(server) == []
    if end is BYE:
        assert (server.close_code, server.why) == (1000, [])
    else:
        assert (server.close_code, server.why) == (1006, [(ProtocolError, 1002)])
        assert isinstance(server.closed_error().__cause__, ProtocolError)


def test_a_failure_of_ours_counts_before_the_one_that_is_held():
    server = Waiting()
    server.receive_data(BAD)
    server.fail(1011, "ours")
    server.connection_ended()
    assert server.why == []
    assert str(server.failure) == "ours"


# ---- states


def test_no_code_and_no_reason_before_the_end():
    server = Clocked()
    assert (server.close_code, server.close_reason) == (None, None)
    server.connection_ended()
    assert (server.close_code, server.close_reason) == (1006, "")
    assert isinstance(server.closed_error(), ConnectionClosedError)
    assert server.check_time(START) == 0.0


def test_a_stream_that_ends_behind_our_close_frame_is_no_clean_end():
    server = Clocked()
    server.send_close()
    assert isinstance(server.closed_error(), ConnectionClosedOK)
    server.connection_ended()
    assert isinstance(server.closed_error(), ConnectionClosedError)


@pytest.mark.parametrize("code", [1000, 1011])
def test_both_codes_say_whether_the_end_was_clean(code: int):
    server = Clocked()
    server.receive_data(frame(CLOSE, code.to_bytes(2, "big")))
    kind = ConnectionClosedOK if code == 1000 else ConnectionClosedError
    assert type(server.closed_error()) is kind


def test_abandoned():
    server = Clocked()
    server.receive_data(MESSAGE[:3])
    server.abandon()
    assert server.state is State.CLOSING
    server.receive_data(MESSAGE)
    assert events(server) == []
    server.fail(1011)  # too late: nothing is sent
    server.receive_eof()
    assert sent(server) == []
    server.connection_ended()
    server.abandon()
    assert server.state is State.CLOSED


def test_a_connection_fails_once_and_sends_one_close_frame():
    server = Clocked()
    server.send_close(1001)
    server.fail(1002, "one")
    server.fail(1002, "two")
    assert str(server.failure) == "one"
    assert sent(server) == [(CLOSE, b"\x03\xe9")]


def test_failed_without_a_close_frame():
    server = Clocked()
    server.fail(1006, "gone")
    assert server.state is State.CLOSING
    assert sent(server) == []
    assert server.asked[-1] == "end"


def test_no_deadline_without_a_timeout():
    server = Clocked(close_timeout=None)
    server.send_close()
    assert server.asked == []
    assert server.check_time(START + 1e9) == 0.0


# ---- control frames


def test_control_frames_may_come_without_limit():
    server = Clocked(max_control_rate=None)
    for _ in range(3):
        server.receive_data(frame(PING) * 5000)
    assert len(events(server)) == 15_000
    assert server.failure is None


def test_control_frames_are_counted_anew_after_a_while():
    server = Clocked(max_control_rate=2)
    server.receive_data(frame(PING) * 2)
    server.now += 10
    server.receive_data(frame(PING) * 2)
    assert server.failure is None
    server.receive_data(frame(PING))
    assert isinstance(server.failure, PolicyViolation)


def test_control_frames_to_send():
    server = Clocked()
    with pytest.raises(ValueError, match="125 octets, got 126"):
        server.send_pong(b"x" * 126)
    server.send_pong(b"x" * 125)
    assert sent(server) == [(10, b"x" * 125)]
    server.fail(1011)
    with pytest.raises(ConnectionClosed):
        server.send_ping(b"")


def test_a_ping_behind_our_close_frame_is_not_answered():
    server = Clocked()
    server.send_close()
    server.receive_data(frame(PING, b"x"))
    assert [opcode for opcode, _ in sent(server)] == [CLOSE]
    assert events(server) == [("ping", b"x")]


def test_only_the_newest_ping_is_answered_behind_much_output():
    server = Clocked(write_limit=10)
    server.send_message(2, b"x" * 20)
    server.receive_data(frame(PING, b"1") + frame(PING, b"2"))
    assert [payload for _, payload in sent(server)] == [b"x" * 20, b"2"]
    server.output_flushed()
    assert sent(server) == []


def test_keepalive_without_a_timeout_pings_on():
    server = Clocked(ping_timeout=None)
    due = server.check_time(START)
    later = server.check_time(due)
    assert later > due
    assert server.check_time(later) > later
    assert [opcode for opcode, _ in sent(server)] == [PING, PING]


def test_keepalive_behind_much_output_sends_no_ping():
    server = Clocked(write_limit=10, ping_timeout=20)
    server.send_message(2, b"x" * 20)
    server.check_time(server.check_time(START))
    assert [opcode for opcode, _ in sent(server)] == [2]


def test_keepalive_while_we_do_not_listen():
    server = Clocked(ping_interval=10, ping_timeout=1)
    due = server.check_time(START)
    server.check_time(due)
    server.reading_paused = True
    assert server.check_time(due + 5) == due + 6
    assert server.failure is None
    server.reading_paused = False
    server.check_time(due + 6)
    assert server.failure is not None


class Compressor:
    """A permessage-deflate that counts its rests."""

    chained = False
    rested = 0

    def rest(self) -> None:
        self.rested += 1


def test_what_compresses_rests_from_ping_to_ping():
    deflate = Compressor()
    server = Protocol(client=False, deflate=deflate, options=Options(), now=START)
    due = server.check_time(START)
    assert deflate.rested == 0
    server.check_time(due)
    assert deflate.rested == 1


def test_pings_are_left_to_the_application():
    server = Clocked(auto_pong=False)
    server.receive_data(frame(PING, b"x"))
    assert events(server) == [("ping", b"x")]
    assert sent(server) == []


def test_no_keepalive():
    assert Clocked(ping_interval=None).check_time(START) == 0.0


def test_a_pong_that_nobody_asked_for():
    server = Clocked()
    server.receive_data(engine.encode_frame(10, b"x", mask=KEY))
    assert events(server) == [("pong", b"x")]
    assert server.latency == 0.0
