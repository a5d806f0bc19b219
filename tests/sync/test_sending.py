"""What ``send()`` and its relatives put on the wire."""

from __future__ import annotations

import select
import signal
import socket
import sys
import threading
import time

import pytest

from tests.faults.rawpeer import BINARY, CONT, PING, PONG, TEXT, EndedError
from tests.sync.conftest import WAIT_S, threaded, wired
from wsfast.exceptions import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from wsfast.sync import broadcast


@pytest.mark.parametrize(
    ("message", "text", "opcode", "payload"),
    [
        ("é", None, TEXT, "é".encode()),
        ("é", False, BINARY, "é".encode()),
        (b"\xff", None, BINARY, b"\xff"),
        (b"ascii", True, TEXT, b"ascii"),
        (bytearray(b"a"), None, BINARY, b"a"),
        (memoryview(b"abc")[::2], None, BINARY, b"ac"),
    ],
)
@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_kinds(message, text, opcode, payload, client):
    if isinstance(message, memoryview):
        message = memoryview(bytes(message))
    with wired(client) as (ws, peer):
        ws.send(message, text=text)
        frame = peer.recv()
        assert (frame.opcode, frame.payload, frame.fin) == (opcode, payload, True)
        assert (frame.key is not None) == client


def test_fragments():
    with wired() as (ws, peer):
        ws.send(["a", "b"])
        got = [peer.recv() for _ in range(3)]
        assert [(f.opcode, f.payload, f.fin) for f in got] == [
            (TEXT, b"a", False),
            (CONT, b"b", False),
            (CONT, b"", True),
        ]
        ws.send([])
        ws.send(iter([b"x"]), text=True)
        assert peer.recv()[:3] == (TEXT, b"x", False)


@pytest.mark.parametrize("message", [{"a": 1}, 42, None])
def test_what_is_no_message(message):
    with wired() as (ws, peer):
        with pytest.raises(TypeError):
            ws.send(message)
        ws.send("still open")
        assert peer.recv().payload == b"still open"


@pytest.mark.parametrize("fragments", [["a", b"b"], [b"a", "b"], ["a", 1]])
def test_mixed_fragments_fail_the_connection(fragments):
    with wired() as (ws, peer), threaded(peer.until_close) as got:
        with pytest.raises(TypeError, match="iterable must contain"):
            ws.send(fragments)
    assert got[0][1].code == 1011


def test_no_message_between_fragments():
    with wired() as (ws, peer):
        inside, go_on = threading.Event(), threading.Event()

        def slowly():
            yield "a"
            inside.set()
            assert go_on.wait(WAIT_S)
            yield "b"

        with threaded(ws.send, slowly()):
            assert inside.wait(WAIT_S)
            with pytest.raises(ConcurrencyError, match="already running send"):
                ws.send("between")
            with pytest.raises(ConcurrencyError):
                ws.send(["between"])
            ws.ping(b"control frames may")
            go_on.set()
        kinds = [peer.recv().opcode for _ in range(4)]
        assert kinds == [TEXT, PING, CONT, CONT]


def test_fragments_by_hand():
    with wired() as (ws, peer):
        ws.send("a", fin=False)
        with pytest.raises(TypeError, match="uniform types"):
            ws.send(b"b")
        with pytest.raises(UnicodeEncodeError):
            ws.send("\ud800")
        with threaded(ws.send, "of another thread") as got:
            pass
        assert isinstance(got[0], ConcurrencyError)
        assert not ws.send_nowait("neither")
        ws.ping(b"control frames may")
        ws.send("", fin=False)
        ws.send("c")
        ws.send("whole")
        got = [peer.recv()[:3] for _ in range(5)]
        assert got == [
            (TEXT, b"a", False),
            (PING, b"control frames may", True),
            (CONT, b"", False),
            (CONT, b"c", True),
            (TEXT, b"whole", True),
        ]
        with pytest.raises(TypeError, match="fin=False"):
            ws.send(["a"], fin=False)
        ws.send(b"half", fin=False)
        with threaded(peer.until_close) as got:
            ws.close()
    assert got[0][1].code == 1011


def test_many_messages_in_one_go():
    with wired() as (ws, peer):
        ws.send_many(["é", b"\xff", bytearray(b"b"), memoryview(b"c")])
        ws.send_many([])
        for wrong in (["not sent", 42], ["not sent", "\ud800"]):
            with pytest.raises((TypeError, UnicodeEncodeError)):
                ws.send_many(wrong)
        ws.send("last")
        assert [peer.recv()[:2] for _ in range(5)] == [
            (TEXT, "é".encode()),
            (BINARY, b"\xff"),
            (BINARY, b"b"),
            (BINARY, b"c"),
            (TEXT, b"last"),
        ]


def test_send_without_waiting():
    with wired() as (ws, peer):
        sent = 0
        while ws.send_nowait(bytes(50_000)):
            sent += 1
            assert sent < 1000
        assert ws.buffered_amount > 64 * 1024
        for _ in range(sent):
            assert len(peer.recv().payload) == 50_000
        with pytest.raises(TypeError):
            ws.send_nowait(["a"])
        peer.close(1000)
        peer.half_close()
        ws.wait_closed(WAIT_S)
        with pytest.raises(ConnectionClosedOK):
            ws.send_nowait("x")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no signals")
def test_nothing_follows_a_frame_that_was_interrupted():
    class SignalledError(Exception):
        """Raised by the signal."""

    def interrupt(number, frame):
        raise SignalledError

    main = threading.get_ident()
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with wired() as (ws, peer):

            def send_signal():
                assert select.select([peer.sock], [], [], WAIT_S)[0]  # half is sent
                signal.pthread_kill(main, signal.SIGUSR1)

            with threaded(send_signal), pytest.raises(SignalledError):
                ws.send(bytes(50_000_000))
            with pytest.raises(ConnectionClosedError):
                ws.send("behind half a frame")
            with pytest.raises(EndedError):
                peer.recv()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_many_threads_send_whole_frames():
    with wired() as (ws, peer):
        texts = [f"{n}-" * 2000 for n in range(8)]

        def send(text):
            for _ in range(50):
                ws.send(text)

        threads = [threading.Thread(target=send, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        got = [peer.recv() for _ in range(400)]
        for thread in threads:
            thread.join(WAIT_S)
        assert sorted(f.payload.decode() for f in got) == sorted(texts * 50)


def test_send_waits_for_a_slow_reader_and_is_woken_by_close():
    with wired(close_timeout=0.5) as (ws, peer):
        sent = []

        def pour():
            while True:
                ws.send(bytes(200_000))
                sent.append(1)

        with threaded(pour) as got:
            count = -1
            while count != len(sent):
                count = len(sent)
                time.sleep(0.3)
            assert len(sent) < 100
            started = time.monotonic()
            ws.close()
            assert time.monotonic() - started < WAIT_S
        assert isinstance(got[0], ConnectionClosedError)
        assert peer is not None


def test_both_ends_send_much_at_once():
    with wired() as (ws, peer):
        size = 4 << 20

        def receive():
            return len(ws.recv(WAIT_S))

        ws.parser.max_size = None
        with threaded(ws.send, bytes(size)), threaded(receive) as got:
            sender = threading.Thread(
                target=peer.frame, args=(BINARY, b"\x01" * size), kwargs={"form": 8}
            )
            sender.start()
            assert len(peer.recv().payload) == size
            sender.join(WAIT_S)
        assert got == [size]


def test_send_after_the_end():
    with wired() as (ws, peer):
        peer.close(1000)
        peer.half_close()
        with pytest.raises(ConnectionClosedOK):
            while True:
                ws.send("x")
                time.sleep(0.01)
        with pytest.raises(ConnectionClosedOK):
            ws.ping()
        with pytest.raises(ConnectionClosedOK):
            ws.pong()


def test_send_to_a_peer_that_is_gone():
    with wired() as (ws, peer):
        peer.sock.close()
        with pytest.raises(ConnectionClosedError) as caught:
            for _ in range(1000):
                ws.send(bytes(10_000))
        assert caught.value.rcvd is None
        assert ws.close_code == 1006


def test_ping_and_latency():
    with wired() as (ws, peer):
        pong = ws.ping("data")
        assert not pong.is_set()
        assert not pong.wait(0.02)
        assert peer.recv()[:2] == (PING, b"data")
        with pytest.raises(ConcurrencyError, match="same data"):
            ws.ping(b"data")
        peer.frame(PONG, "data")
        assert pong.wait(WAIT_S)
        assert ws.latency > 0


def test_a_pong_answers_the_pings_before_it():
    with wired() as (ws, peer):
        pongs = [ws.ping() for _ in range(3)]
        payloads = [peer.recv().payload for _ in range(3)]
        assert len(set(payloads)) == 3
        peer.frame(PONG, payloads[1])
        assert pongs[1].wait(WAIT_S)
        assert pongs[0].is_set()
        assert not pongs[2].is_set()


def test_waiting_for_a_pong_leaves_messages():
    with wired() as (ws, peer):
        pong = ws.ping(b"1")
        peer.frame(TEXT, "before")
        peer.frame(PONG, "1")
        assert pong.wait(WAIT_S)
        assert ws.recv(WAIT_S) == "before"


@pytest.mark.parametrize("acknowledged", [False, True])
def test_waiting_for_a_pong_ends_with_the_connection(acknowledged):
    with wired() as (ws, peer):
        pong = ws.ping(ack_on_close=acknowledged)
        peer.half_close()
        assert pong.wait() is acknowledged


def test_ping_of_another_type():
    with wired() as (ws, _), pytest.raises(TypeError):
        ws.ping(3.5)


def test_broadcast_waits_for_nobody():
    with wired() as (slow, _), wired() as (quick, peer), wired() as (other, _):
        other.abort()
        message = bytes(300_000)
        with threaded(lambda: [peer.recv() for _ in range(20)]) as got:
            for _ in range(20):
                broadcast([slow, other, quick], message, max_buffered=1 << 24)
        assert [f.payload for f in got[0]] == [message] * 20
        assert slow.buffered_amount > 1 << 20


def test_broadcast_skips_the_slow(caplog):
    with wired() as (slow, _):
        for _ in range(20):
            broadcast([slow], bytes(300_000))
        assert slow.buffered_amount < (1 << 20) + 310_000
        assert "skipped broadcast: over 1048576 octets" in caplog.text


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="ExceptionGroup is there")
def test_broadcast_cannot_raise_several_exceptions():
    with wired() as (ws, _), pytest.raises(ValueError, match="requires at least"):
        broadcast([ws], "x", raise_exceptions=True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no ExceptionGroup")
def test_broadcast_raises_what_failed_at_the_end():
    with wired() as (slow, _), wired() as (quick, peer), wired() as (busy, _):
        busy.send("a", fin=False)
        while slow.buffered_amount <= 1 << 19:
            broadcast([slow], bytes(300_000))
        group = ExceptionGroup  # noqa: F821 - ruff knows no version checks
        limits = {"raise_exceptions": True, "max_buffered": 1 << 19}
        with pytest.raises(group, match="skipped broadcast") as caught:
            broadcast([slow, busy, quick], "hello", **limits)
        first, second = caught.value.exceptions
        assert type(first) is RuntimeError
        assert isinstance(first.__cause__, OSError)
        assert isinstance(second, ConcurrencyError)
        assert peer.recv().payload == b"hello"
        broadcast([quick], "all is well", raise_exceptions=True)


def test_broadcast_skips_who_sends_fragments(caplog):
    with wired() as (ws, peer):
        ws.send("a", fin=False)
        broadcast([ws], "between")
        ws.send("b")
        broadcast([ws], "behind")
        assert "skipped broadcast: sending a fragmented message" in caplog.text
        assert [peer.recv().payload for _ in range(3)] == [b"a", b"b", b"behind"]


def test_broadcast_of_what_is_no_message():
    with wired() as (ws, _), pytest.raises(TypeError):
        broadcast([ws], 42)


def test_what_broadcast_left_is_sent_by_the_keeper():
    with wired() as (ws, peer):
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(3):
            broadcast([ws], bytes(300_000))
        assert ws.buffered_amount > 0
        assert [len(peer.recv().payload) for _ in range(3)] == [300_000] * 3


def test_output_that_gets_stuck_while_the_keeper_is_at_work():
    with wired() as (ws, peer):
        serve, left = ws.service, [bytes(900_000)]

        def service():
            events = serve()
            if left:
                ws.offer(BINARY, left.pop(), 1 << 20)
            return events

        ws.service = service
        time.sleep(0.3)  # the keeper watches
        peer.frame(PING, "wake up")
        assert peer.recv().opcode == PONG
        assert len(peer.recv().payload) == 900_000
