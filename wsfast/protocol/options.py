"""Limits and habits of a connection, in one object that any number of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["NO_LIMIT", "Options"]

#: Stands for "no limit" where a number is compared.
NO_LIMIT = 1 << 62


class Options:
    """
    Limits and habits of a connection; one object serves any number of connections.

    Args:
        max_size: Largest message accepted, in octets, after inflation and over all its
            fragments; ``None`` for no limit. Beyond it the connection fails with 1009.
            A pair adds a limit of each fragment, which the largest of the two bounds
            as well; frames are then looked at one by one, which is slower.
        max_fragments: How far the fragments of one message may outnumber its octets;
            ``None`` for no limit. Beyond it the connection fails with 1008.
        max_control_rate: Control frames accepted in ten seconds; ``None`` for no limit.
            Beyond it the connection fails with 1008.
        max_queue: Messages that wait for ``recv()`` before reading stops; ``None`` for
            no limit, or a pair of high and low-water marks.
        max_queue_size: The same, in octets.
        write_limit: Octets in the output above which ``send()`` waits, or a pair of
            high and low-water marks.
        max_send_buffer: Octets in the output above which ``overflow`` says what becomes
            of one more message; ``None`` for no limit.
        overflow: ``"close"`` fails the connection with 1008, and ``send()`` raises
            ``SlowConsumer``; ``"drop"`` drops the message, and what ``send()`` returned
            gives False; ``"wait"`` queues it all the same, for senders that await.
        ping_interval: Seconds between keepalive pings; ``None`` for none.
        ping_timeout: Seconds without any octet from the peer after a keepalive ping
            until the connection fails with 1011; ``None`` to wait for ever.
        close_timeout: Seconds that the closing handshake may take.
        auto_pong: Answer pings.
        text: ``"bytes"`` delivers text messages as ``bytes``, ``"str"`` as ``str``.
        validate_utf8: False leaves it to the application to check that text is UTF-8
            (RFC 6455 §8.1); only together with ``text="bytes"``.
        binary: ``"memoryview"`` delivers binary messages as views of which parts can
            be taken without a copy, ``"bytes"`` as ``bytes``.
        mask: Where a client takes its masking-keys from (RFC 6455 §5.3): ``"random"``,
            ``"zero"``, or a callable that returns 4 octets. All but ``"random"`` is for
            tests, and for paths without anything in between that can be confused.
        ledger: Of connections under asyncio: the byte budget that they share, or None.

    Raises:
        ValueError: A limit or habit is none that there is.

    """

    def __init__(
        self,
        *,
        max_size: int | tuple[int | None, int | None] | None = 1 << 20,
        max_fragments: int | None = 4096,
        max_control_rate: int | None = 10_000,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        max_queue_size: int | None = 1 << 20,
        write_limit: int | tuple[int, int | None] = 64 * 1024,
        max_send_buffer: int | None = 1 << 20,
        overflow: str = "close",
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float | None = 10.0,
        auto_pong: bool = True,
        text: str = "str",
        validate_utf8: bool = True,
        binary: str = "bytes",
        mask: str | Callable[[], bytes] = "random",
        ledger: Any = None,
    ) -> None:
        fragment: int | None = None
        if isinstance(max_size, tuple):
            max_size, fragment = max_size
        for name, limit in (
            ("max_size", max_size),
            ("max_size", fragment),
            ("max_fragments", max_fragments),
            ("max_control_rate", max_control_rate),
            ("max_queue_size", max_queue_size),
            ("max_send_buffer", max_send_buffer),
            ("ping_interval", ping_interval),
            ("ping_timeout", ping_timeout),
            ("close_timeout", close_timeout),
        ):
            if limit is not None and limit < 0:
                raise ValueError(f"{name} must not be negative, got {limit}")
        self.max_size = -1 if max_size is None else max_size
        self.max_fragment_size = -1 if fragment is None else fragment
        if fragment is not None and max_size is not None and fragment >= max_size:
            self.max_fragment_size = -1  # no message has such a fragment
        self.max_fragments = -1 if max_fragments is None else max_fragments
        self.max_control_rate = -1 if max_control_rate is None else max_control_rate
        high, low = _marks("max_queue", max_queue)
        self.queue_high, self.queue_low = max(high, 1), low  # room for one there is
        self.queue_size = NO_LIMIT if max_queue_size is None else max(max_queue_size, 1)
        self.write_high, self.write_low = _marks("write_limit", write_limit)
        _check("overflow", overflow, ("close", "drop", "wait"))
        if max_send_buffer is None or overflow == "wait":
            max_send_buffer = NO_LIMIT
        self.max_send_buffer = max_send_buffer
        self.drop_overflow = overflow == "drop"
        self.ping_interval = 0.0 if ping_interval is None else float(ping_interval)
        self.ping_timeout = 0.0 if ping_timeout is None else float(ping_timeout)
        self.close_timeout = -1.0 if close_timeout is None else float(close_timeout)
        self.auto_pong = auto_pong
        _check("text", text, ("str", "bytes"))
        _check("binary", binary, ("bytes", "memoryview"))
        self.text_as_bytes = text == "bytes"
        self.validate_utf8 = validate_utf8
        self.binary_views = binary == "memoryview"
        if not (validate_utf8 or self.text_as_bytes):
            raise ValueError('validate_utf8=False needs text="bytes"')
        self.ledger = ledger
        self.mask: Callable[[], bytes] | None = None
        if callable(mask):
            self.mask = mask
        else:
            _check("mask", mask, ("random", "zero"))
            if mask == "zero":
                self.mask = _zero_key
        #: Something here is not for the common parser and writer.
        self.special = (
            self.mask is not None or self.binary_views or self.max_fragment_size >= 0
        )


def _check(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        last = len(known) - 1
        words = f"{', '.join(known[:last])} or {known[last]}"
        raise ValueError(f"{name} must be {words}, got {value!r}")


def _zero_key() -> bytes:
    """Return a masking-key that changes nothing."""
    return b"\0\0\0\0"


def _marks(
    name: str, limit: int | tuple[int | None, int | None] | None
) -> tuple[int, int]:
    """Return high and low-water marks as whole numbers."""
    high, low = limit if isinstance(limit, tuple) else (limit, None)
    if high is None:
        return NO_LIMIT, NO_LIMIT
    if low is None:
        low = high // 4
    if high < 0 or not 0 <= low <= high:
        raise ValueError(
            f"{name}: water marks must be 0 <= low <= high, got {low} and {high}"
        )
    return high, low
