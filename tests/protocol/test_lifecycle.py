"""Control frames, the closing handshake and keepalive: no I/O, and no clock."""

from __future__ import annotations

from typing import Any

import pytest

from wsfast import engine
from wsfast.exceptions import ConnectionClosed, ConnectionClosedError, ProtocolError
from wsfast.protocol import Options, Protocol, State

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
KEY = b"\1\2\3\4"
START = 1000.0


class Clocked(Protocol):
    """A server that notes what it asks of whoever has the clock and the stream."""

    def __init__(self, **options: Any) -> None:
        super().__init__(client=False, options=Options(**options), now=START)
        self.asked: list[Any] = []

    def timer_changed(self, when: float) -> None:
        self.asked.append(when)

    def must_abort(self) -> None:
        self.asked.append("abort")

    def must_end(self, at_once: bool) -> None:
        self.asked.append("end" if at_once else "await the end")


def frame(opcode: int, payload: bytes = b"") -> bytes:
    return engine.encode_frame(opcode, payload, mask=KEY)


def sent(end: Protocol) -> list[tuple[int, bytes]]:
    """Return opcode and payload of the frames that were queued since the last call."""
    parser = engine.FrameParser(client=True)
    return [(f.opcode, bytes(f.payload)) for f in parser.feed(end.data_to_send())]


def events(end: Protocol) -> list[tuple[str, Any]]:
    """Return kind and data of the events since the last call."""
    return [(event.kind, event.data) for event in end.events_received()]


def first_ping(end: Protocol) -> tuple[float, bytes]:
    """Let the time pass until the first ping is due; return when, and its payload."""
    due = end.check_time(START)
    assert sent(end) == []
    assert end.check_time(due) > due
    [(opcode, payload)] = sent(end)
    assert opcode == PING
    return due, payload


# ---- keepalive, with the time as an argument


def test_pings_have_jitter():
    dues = [Clocked(ping_interval=20).check_time(START) - START for _ in range(100)]
    assert all(18 <= due <= 20 for due in dues)
    assert max(dues) - min(dues) > 0.2


def test_pings_go_on_while_they_are_answered():
    end = Clocked(ping_interval=20, ping_timeout=20)
    due, payload = first_ping(end)
    assert len(payload) == 4
    end.now = due + 0.25
    end.receive_data(frame(PONG, payload))
    assert end.latency == 0.25
    again = end.check_time(due + 1)
    assert due + 18 <= again <= due + 20
    end.check_time(again)
    assert [opcode for opcode, _ in sent(end)] == [PING]
    assert end.state is State.OPEN


def test_any_octet_is_life():
    end = Clocked(ping_interval=20, ping_timeout=5)
    due, _ = first_ping(end)
    end.now = due + 4
    end.receive_data(frame(TEXT, b"a long message")[:3])
    end.check_time(due + 5)
    assert end.state is State.OPEN
    assert end.latency == 0


def test_silence_is_the_end():
    end = Clocked(ping_interval=20, ping_timeout=5, close_timeout=3)
    due, _ = first_ping(end)
    assert end.check_time(due + 4.9) == due + 5
    assert end.check_time(due + 5) == pytest.approx(due + 8)
    assert end.failure.reason_code == "keepalive_ping_timeout"
    assert sent(end) == [(CLOSE, (1011).to_bytes(2, "big") + b"keepalive ping timeout")]
    assert end.asked == [pytest.approx(due + 8), "end"]
    end.connection_ended()
    assert end.close_code == 1006
    assert end.check_time(due + 100) == 0


def test_pings_that_follow_do_not_put_the_end_off():
    end = Clocked(ping_interval=2, ping_timeout=10)
    due, _ = first_ping(end)
    now = due
    while (now := end.check_time(now)) < due + 10:
        assert end.state is State.OPEN
    assert now == due + 10
    assert {opcode for opcode, _ in sent(end)} == {PING}
    end.check_time(now)
    assert end.failure.reason_code == "keepalive_ping_timeout"


def test_silence_does_not_count_while_we_do_not_listen():
    end = Clocked(ping_interval=20, ping_timeout=5)
    due, _ = first_ping(end)
    end.reading_paused = True
    end.check_time(due + 5)
    end.check_time(due + 9)
    assert end.state is State.OPEN
    end.reading_paused = False
    end.check_time(due + 15)
    assert end.state is State.CLOSING


@pytest.mark.parametrize(
    "options", [{"ping_interval": None}, {"ping_interval": 20, "ping_timeout": None}]
)
def test_keepalive_is_off(options: dict[str, Any]):
    end = Clocked(**options)
    now = START
    for _ in range(50):
        end.check_time(now)
        now += 20
    pings = [opcode for opcode, _ in sent(end)]
    assert bool(pings) == (options["ping_interval"] is not None)
    assert end.state is State.OPEN


# ---- control frames


def test_pings_are_answered_in_order():
    end = Clocked()
    end.receive_data(frame(PING, b"1") + frame(PONG, b"x") + frame(PING, b"2"))
    assert sent(end) == [(PONG, b"1"), (PONG, b"2")]
    assert events(end) == [("ping", b"1"), ("pong", b"x"), ("ping", b"2")]


def test_only_the_newest_ping_is_answered_while_the_peer_does_not_read():
    """F-11."""
    end = Clocked(write_limit=100)
    end.send_message(TEXT, "x" * 200)
    for number in range(50):
        end.receive_data(frame(PING, b"%d" % number))
    assert sent(end) == [(TEXT, b"x" * 200), (PONG, b"49")]


def test_control_frames_are_counted_over_ten_seconds():
    end = Clocked(max_control_rate=3)
    end.receive_data(frame(PONG) * 3)
    end.now = START + 10
    end.receive_data(frame(PING) * 3)
    assert end.state is State.OPEN
    end.now = START + 19.9
    end.receive_data(frame(PONG))
    assert (end.failure.code, end.failure.reason_code) == (1008, "control_frame_flood")


@pytest.mark.parametrize("send", ["send_ping", "send_pong"])
def test_control_frames_have_125_octets(send: str):
    end = Clocked()
    getattr(end, send)(bytes(125))
    with pytest.raises(ValueError, match="at most 125 octets, got 126"):
        getattr(end, send)(bytes(126))
    assert len(sent(end)) == 1
    end.send_close()
    with pytest.raises(ConnectionClosed):
        getattr(end, send)(b"")


# ---- the closing handshake


def test_close_that_is_answered_in_time():
    end = Clocked(close_timeout=3)
    end.send_close(4000, "enough")
    assert sent(end) == [(CLOSE, (4000).to_bytes(2, "big") + b"enough")]
    assert end.check_time(START + 2) == START + 3
    end.receive_data(frame(CLOSE, (4000).to_bytes(2, "big")))
    assert end.asked[-1] == "end"
    end.connection_ended()
    assert (end.state, end.close_code, end.close_reason) == (State.CLOSED, 4000, "")
    assert sent(end) == []


@pytest.mark.parametrize("timeout", [3, None])
def test_close_that_is_not_answered(timeout: float | None):
    end = Clocked(close_timeout=timeout)
    end.send_close()
    if timeout is None:
        assert end.check_time(START + 1e6) == 0
        assert end.asked == []
        return
    assert end.asked == [START + 3]
    assert end.check_time(START + 2.9) == START + 3
    assert end.check_time(START + 3) == 0
    assert end.asked == [START + 3, "abort"]


def test_close_frame_of_the_peer_is_echoed_and_nothing_follows():
    end = Clocked()
    end.receive_data(frame(CLOSE, b"\x03\xe9bye") + frame(TEXT, b"late") + frame(PING))
    assert sent(end) == [(CLOSE, b"\x03\xe9bye")]
    assert events(end) == []
    with pytest.raises(ConnectionClosed):
        end.send_message(TEXT, "too late")
    end.send_close(1000)
    assert sent(end) == []


def test_what_came_before_a_bad_frame_is_delivered():
    end = Clocked()
    bad = b"\x83" + frame(TEXT)[1:]
    end.receive_data(frame(TEXT, b"one") + frame(PING, b"two") + bad)
    assert events(end) == [("message", "one"), ("ping", b"two")]
    first, last = sent(end)
    assert first == (PONG, b"two")
    assert last[1][:2] == (1002).to_bytes(2, "big")
    error = end.closed_error()
    assert isinstance(error, ConnectionClosedError)
    assert isinstance(error.__cause__, ProtocolError)
    end.receive_data(frame(TEXT, b"three") * 100)
    assert events(end) == []
