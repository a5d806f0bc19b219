"""
The life of a connection after the opening handshake.

Control frames, the closing handshake, keepalive (RFC 6455 §5.5, §7). What has to do
with messages is in :mod:`wsfast.protocol.messages`.
"""

from __future__ import annotations

import random
from typing import Any

from .. import engine
from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    PolicyViolation,
    ProtocolError,
    SlowConsumer,
    WebSocketException,
)
from .closing import OK_CLOSE_CODES, Close, CloseCode, State
from .events import Event
from .extension_frames import special_parser, special_writer
from .options import Options

__all__ = ["PASS_BUDGET", "Ending", "Lifecycle"]

_OPEN = 1
_CLOSING = 2
_CLOSED = 3

#: Control frames are counted over windows of this length, in seconds.
_CONTROL_WINDOW_S = 10.0

#: Messages, or 256 octets of inflated payload each, that one call delivers at most.
PASS_BUDGET = 1000


class Ending:
    """
    How a connection ends; one that is open has none of this.

    Attributes:
        rcvd: The close frame received, or None.
        sent: The close frame sent, or None.
        rcvd_then_sent: With both, whether the received one came first.
        failure: Why the connection was failed, or None.
        lost_by: The error with which the stream ended, or None.
        held: What ended it, until the application has acted on what came before.
        deadline: Time until which the peer may end the stream, or 0.0.

    """

    def __init__(self) -> None:
        self.rcvd: Close | None = None
        self.sent: Close | None = None
        self.rcvd_then_sent: bool | None = None
        self.failure: WebSocketException | None = None
        self.lost_by: BaseException | None = None
        self.held: tuple[Any, ...] | None = None
        self.deadline = 0.0


class Lifecycle:
    """
    The state of a connection, and everything that changes it (RFC 6455 §7).

    The base of :class:`~wsfast.protocol.messages.Protocol`, which documents it.
    """

    def _begin(
        self, client: bool, options: Options | None, deflate: Any, now: float
    ) -> None:
        self.client = client
        self.options = Options() if options is None else options
        self.deflate = deflate
        self.parser = self.make_parser()
        if self.options.special or (deflate is not None and deflate.chained):
            self.writer = special_writer(self.options, client, deflate)
        else:
            self.writer = engine.FrameWriter(client=client)
        self.ready_state = _OPEN
        self.budget = PASS_BUDGET
        self.stop = False
        self.now = now
        self.latency = 0.0
        self.ended = False
        self.reading_paused = False
        self._ending: Ending | None = None
        self._alive_at = now
        self._ping_at = self._next_ping(now)
        self._pinged_at = 0.0
        self._pong_due = 0.0
        self._ping_payload: bytes | None = None
        self._late_pong: bytes | None = None
        self._control_since = now
        self._control_count = 0
        self._events: list[Event] | None = None
        self._inflating: Any = None

    def make_parser(self) -> Any:
        """Return a parser for what the peer sends."""
        options, deflate = self.options, self.deflate
        if options.special or (deflate is not None and deflate.chained):
            return special_parser(options, self.client, deflate)
        return engine.MessageParser(
            client=self.client,
            max_size=None if options.max_size < 0 else options.max_size,
            max_fragments=None if options.max_fragments < 0 else options.max_fragments,
            rsv1=deflate is not None,
            text_as_bytes=options.text_as_bytes,
            validate_utf8=options.validate_utf8,
        )

    # ---- state ----

    @property
    def state(self) -> State:
        """State of the connection."""
        return State(self.ready_state)

    @property
    def close_rcvd(self) -> Close | None:
        """The close frame received, or None."""
        return None if self._ending is None else self._ending.rcvd

    @property
    def close_sent(self) -> Close | None:
        """The close frame sent, or None."""
        return None if self._ending is None else self._ending.sent

    @property
    def failure(self) -> WebSocketException | None:
        """Why the connection was failed, or None."""
        return None if self._ending is None else self._ending.failure

    @property
    def lost_by(self) -> BaseException | None:
        """The error with which the stream ended, or None."""
        return None if self._ending is None else self._ending.lost_by

    @property
    def close_deadline(self) -> float:
        """Time until which the peer may end the stream; 0.0 while it need not."""
        return 0.0 if self._ending is None else self._ending.deadline

    @property
    def close_code(self) -> int | None:
        """
        Close code received, 1005 if the close frame had none, 1006 without one.

        None before the connection is closed (RFC 6455 §7.1.5).
        """
        if self.ready_state != _CLOSED:
            return None
        rcvd = self.close_rcvd
        return int(CloseCode.ABNORMAL_CLOSURE) if rcvd is None else rcvd.code

    @property
    def close_reason(self) -> str | None:
        """Close reason received; None before the connection is closed (§7.1.6)."""
        if self.ready_state != _CLOSED:
            return None
        rcvd = self.close_rcvd
        return "" if rcvd is None else rcvd.reason

    def closed_error(self) -> ConnectionClosed:
        """Return the exception that says how the connection was closed."""
        ending = self.begin_ending()
        rcvd, sent = ending.rcvd, ending.sent
        clean = sent is not None and sent.code in OK_CLOSE_CODES
        if rcvd is not None:
            clean = clean and rcvd.code in OK_CLOSE_CODES
        elif self.ready_state == _CLOSED:
            clean = False
        kind: type[ConnectionClosed] = ConnectionClosedError
        if clean:
            kind = ConnectionClosedOK
        elif isinstance(ending.failure, SlowConsumer):
            return ending.failure
        exc = kind(rcvd, sent, ending.rcvd_then_sent)
        cause = ending.failure if ending.failure is not None else ending.lost_by
        exc.__cause__ = cause
        return exc

    def _closed_both_ways(self) -> bool:
        """Tell whether a close frame has gone each way (RFC 6455 §7.1.4)."""
        ending = self._ending
        return ending is not None and not (ending.rcvd is None or ending.sent is None)

    def begin_ending(self) -> Ending:
        """Return where to note how the connection ends."""
        if self._ending is None:
            self._ending = Ending()
        return self._ending

    # ---- control frames that arrive ----

    def _control_received(self, event: int, payload: bytes) -> None:
        limit = self.options.max_control_rate
        if limit >= 0:
            if self.now - self._control_since >= _CONTROL_WINDOW_S:
                self._control_since = self.now
                self._control_count = 0
            self._control_count += 1
            if self._control_count > limit:
                self._bad_input(
                    PolicyViolation(
                        f"over {limit} control frames in {_CONTROL_WINDOW_S:g} s",
                        "control_frame_flood",
                    )
                )
                return
        if event == 9:
            if self.options.auto_pong:
                self._pong(payload)
            self.ping_received(payload)
        elif event == 10:
            if payload == self._ping_payload:
                self._ping_payload = None
                self._pong_due = 0.0  # even if the clock has not moved since the ping
                self.latency = self.now - self._pinged_at
            self.pong_received(payload)
        else:
            self._close_received(payload)

    def _pong(self, payload: bytes) -> None:
        """Answer a ping; only the newest while the peer does not read (§5.5.3)."""
        if self.ready_state != _OPEN:
            return
        if self.writer.queued > self.options.write_high:
            self._late_pong = payload
            return
        self.writer.frame(10, payload)
        self._wrote()

    def _close_received(self, payload: bytes) -> None:
        # The parser has checked both.
        rcvd = Close(self.parser.code, str(payload[2:], "utf-8"))
        if self.close_sent is None and self.hold_end():
            self._hold((rcvd,))
        else:
            self._answer_close(rcvd)

    def _answer_close(self, rcvd: Close) -> None:
        ending = self.begin_ending()
        ending.rcvd = rcvd
        ending.rcvd_then_sent = ending.sent is None
        if ending.sent is None:
            self._send_close(rcvd)
        self._end(not self.client)

    # ---- the end, behind what came before it ----

    def hold_end(self) -> bool:
        """
        Return whether the application has yet to act on what came before the end.

        If so, neither a bad frame nor a close frame has an effect before
        :meth:`release_end` is called; input that follows is dropped.
        """
        return False

    def _hold(self, end: tuple[Any, ...]) -> None:
        self.begin_ending().held = end
        self.budget = 0
        self._discard_input()

    def _is_held(self) -> bool:
        return self._ending is not None and self._ending.held is not None

    def _bad_input(
        self, failure: WebSocketException, code: int = 0, reason: str | None = None
    ) -> None:
        """Fail the connection for what the peer sent."""
        if self.hold_end():
            self._hold((failure, code, reason))
        else:
            self._fail(failure, code, reason)

    def _discard_input(self) -> None:
        """Drop what has arrived and is not delivered yet."""
        self.parser.discard()
        self._inflating = None

    def release_end(self) -> None:
        """Let the end that is held have its effect, if there is one."""
        ending = self._ending
        if ending is None or ending.held is None:
            return
        end, ending.held = ending.held, None
        if len(end) == 1:
            self._answer_close(end[0])
        else:
            self._fail(end[0], end[1], end[2])

    def receive_eof(self) -> None:
        """Take the news that the peer will send no more octets (RFC 6455 §7.1.5)."""
        self.release_end()
        self._end(True)

    def abandon(self) -> None:
        """Take nothing more from the peer and send nothing: the stream is being cut."""
        self.ended = True
        self.budget = 0
        self._discard_input()
        if self.ready_state != _CLOSED:
            self.ready_state = _CLOSING

    def connection_ended(self) -> None:
        """Take the news that the stream of octets is gone."""
        ending = self._ending
        if ending is not None and ending.held is not None:
            # too late to answer, not to report
            end, ending.held = ending.held[0], None
            if isinstance(end, Close):
                ending.rcvd = end
            elif ending.failure is None:
                ending.failure = end
                self.failed(end, end.code)
        self.ended = True
        self.ready_state = _CLOSED
        self._discard_input()

    # ---- what happens; for a subclass to override ----

    def time(self) -> float:
        """Return the current time, where :attr:`now` may be that of old input."""
        return self.now

    def ping_received(self, payload: bytes) -> None:
        """Take a ping, which has been answered already."""
        self._record(Event("ping", payload))

    def pong_received(self, payload: bytes) -> None:
        """Take a pong, asked for or not."""
        self._record(Event("pong", payload))

    def wrote(self) -> None:
        """Note that there is something to send."""

    def _wrote(self) -> None:
        # Overridden where no method of Python is to be looked for at each message.
        self.wrote()

    def must_end(self, at_once: bool) -> None:
        """
        Note that nothing more will be sent, and that the stream should end.

        Args:
            at_once: End it as soon as everything is sent; else give the peer the time
                up to :attr:`close_deadline` to end it first, as a client does.

        """

    def timer_changed(self, when: float) -> None:
        """Note that :meth:`check_time` wants to be called at ``when``."""

    def failed(self, failure: WebSocketException, code: int) -> None:
        """
        Note that the connection fails because of the peer, and not by :meth:`fail`.

        Args:
            failure: Why.
            code: The close code that says so.

        """

    def must_abort(self) -> None:
        """Note that the peer let the closing handshake time out: cut the stream."""

    def _record(self, event: Event) -> None:
        if self._events is None:
            self._events = []
        self._events.append(event)

    def events_received(self) -> list[Event]:
        """Return the events since the last call, and forget them."""
        events, self._events = self._events, None
        return events or []

    # ---- control frames to send ----

    def output_flushed(self) -> None:
        """Note that output went out: what had to wait for room can follow."""
        if self._late_pong is not None:
            payload, self._late_pong = self._late_pong, None
            self._pong(payload)

    def output_moved(self) -> None:
        """Note that the peer made room for output that was stuck: it is alive."""
        self._alive_at = self.time()

    def send_ping(self, payload: bytes) -> None:
        """Queue a ping; ``payload`` has at most 125 octets (RFC 6455 §5.5.2)."""
        self._send_control(9, payload)

    def send_pong(self, payload: bytes) -> None:
        """Queue a pong; ``payload`` has at most 125 octets (RFC 6455 §5.5.3)."""
        self._send_control(10, payload)

    def _send_control(self, opcode: int, payload: bytes) -> None:
        if len(payload) > 125:
            raise ValueError(
                f"a control frame holds at most 125 octets, got {len(payload)}"
            )
        if self.ready_state != _OPEN:
            raise self.closed_error()
        self.writer.frame(opcode, payload)
        self._wrote()

    # ---- closing ----

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        """
        Start the closing handshake (RFC 6455 §7.1.2); does nothing if it has started.

        Args:
            code: Close code; 1005 sends a close frame without one.
            reason: At most 123 octets of UTF-8.

        Raises:
            ProtocolError: The code must not be sent, or the reason is too long.

        """
        if self.ready_state != _OPEN:
            return
        self._send_close(Close(code, reason))
        self._expect_end()

    def _expect_end(self) -> None:
        """Have the stream cut, unless it ends within the time for that."""
        if self.options.close_timeout >= 0:
            deadline = self.time() + self.options.close_timeout
            self.begin_ending().deadline = deadline
            self.timer_changed(deadline)

    def _send_close(self, close: Close) -> None:
        # "No code" is a code for reports, and an empty payload on the wire (§7.1.5).
        self.writer.frame(8, b"" if close.code == 1005 else close.serialize())
        self.begin_ending().sent = close
        self.ready_state = _CLOSING
        self._late_pong = None
        self._wrote()

    def fail(self, code: int, reason: str = "") -> None:
        """
        Fail the connection (RFC 6455 §7.1.7): send a close frame, then end the stream.

        Args:
            code: Close code; 1006 sends no close frame.
            reason: At most 123 octets of UTF-8.

        """
        self._fail(ProtocolError(reason, "failed", code), code, reason)

    def _fail(
        self, failure: WebSocketException, code: int = 0, reason: str | None = None
    ) -> None:
        if self.ended:
            return
        code = code or failure.code
        ending = self.begin_ending()
        ending.failure = failure  # the first: it ends the connection
        if self.ready_state == _OPEN and code != CloseCode.ABNORMAL_CLOSURE:
            text = str(failure) if reason is None else reason
            text = text.encode()[:123].decode(errors="ignore")
            self._send_close(Close(code, text))
        if isinstance(failure, SlowConsumer):
            failure.sent = ending.sent
        if failure.reason_code != "failed":
            self.failed(failure, code)
        self._end(True)

    def _too_slow(self) -> None:
        """Give up on a peer that does not read (policy violation, 1008)."""
        limit = self.options.max_send_buffer
        failure = SlowConsumer(self.close_rcvd, self.close_sent)
        failure.__cause__ = PolicyViolation(
            f"over {limit} octets wait to be sent", "slow_consumer"
        )
        self._fail(failure, int(CloseCode.POLICY_VIOLATION), "slow consumer")

    def _end(self, at_once: bool) -> None:
        """Read no more, and have the stream ended."""
        if self.ended:
            return
        self.ended = True
        self.budget = 0
        self._discard_input()
        if self.ready_state == _OPEN:
            self.ready_state = _CLOSING
        self._expect_end()
        self.must_end(at_once)

    # ---- keepalive, with the time as an argument ----

    def _next_ping(self, now: float) -> float:
        """Choose when to ping next: with jitter, so that peers spread out."""
        return now + self.options.ping_interval * (0.9 + 0.1 * random.random())

    def check_time(self, now: float) -> float:
        """
        Do what is due: ping, or give up on a peer that is silent.

        Args:
            now: Current time in seconds.

        Returns:
            The time at which to call again, or 0.0 for never.

        """
        self.now = now
        if self.ready_state == _CLOSED:
            return 0.0
        if self.ready_state == _CLOSING:
            if now >= self.close_deadline > 0:
                self.must_abort()
                return 0.0
            return self.close_deadline
        options = self.options
        if options.ping_interval <= 0:
            return 0.0
        if self._pong_due > 0:
            if self._alive_at > self._pinged_at:
                self._pong_due = 0.0  # any octet is a sign of life
            elif self.reading_paused or self._inflating is not None:
                self._pong_due = now + options.ping_timeout  # we do not listen
            elif now >= self._pong_due:
                self._fail(
                    ProtocolError(
                        "keepalive ping timeout",
                        "keepalive_ping_timeout",
                        int(CloseCode.INTERNAL_ERROR),
                    )
                )
                return self.close_deadline
        if now >= self._ping_at:
            self._ping_at = self._next_ping(now)
            self._pinged_at = now
            if self.deflate is not None:
                self.deflate.rest()
            if self._pong_due <= 0 and options.ping_timeout > 0:
                self._pong_due = now + options.ping_timeout
            if self.writer.queued <= options.write_high:
                self._ping_payload = engine.masking_key()
                self.send_ping(self._ping_payload)
            else:  # it would wait behind all that: see output_moved()
                self._ping_payload = None
        if self._pong_due > 0:
            return min(self._ping_at, self._pong_due)
        return self._ping_at
