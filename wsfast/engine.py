"""
The engine: for authors of libraries.

Masking, UTF-8, frames, messages; event streams, and what SockJS sends.

Its functions and classes come from the C extension or, where that is not built, from
their pure Python twins; ``KERNEL`` tells which. Two environment variables, read once,
change the choice: ``WSFAST_PURE=1`` selects pure Python, ``WSFAST_KERNEL=name`` one
of the C kernels (``KERNELS`` lists those that this processor runs) or ``python``.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wsfast._event_types import Event, EventError
from wsfast._frame_types import (
    BINARY,
    CLOSE,
    COMPRESSED,
    ERROR,
    FRAGMENT,
    NEED_DATA,
    OP_BINARY,
    OP_CLOSE,
    OP_CONT,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    PING,
    PONG,
    TEXT,
    Control,
    Frame,
    FrameError,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "COMPRESSED",
    "ERROR",
    "FRAGMENT",
    "KERNEL",
    "KERNELS",
    "NEED_DATA",
    "OP_BINARY",
    "OP_CLOSE",
    "OP_CONT",
    "OP_PING",
    "OP_PONG",
    "OP_TEXT",
    "PING",
    "PONG",
    "TEXT",
    "Control",
    "Event",
    "EventError",
    "EventParser",
    "Frame",
    "FrameError",
    "FrameParser",
    "FrameWriter",
    "MessageParser",
    "Utf8Validator",
    "decode_sockjs",
    "decode_utf8",
    "encode_event",
    "encode_frame",
    "encode_header",
    "encode_sockjs",
    "is_valid_utf8",
    "mask",
    "mask_into",
    "masking_key",
    "quote_sockjs",
    "unmask_inplace",
]


def _is_pure() -> bool:
    """Tell whether pure Python was asked for, or is all there is."""
    kernel = os.environ.get("WSFAST_KERNEL", "")
    pure = (
        os.environ.get("WSFAST_PURE", "") not in ("", "0")
        or kernel == "python"
        or find_spec("wsfast._engine") is None
    )
    if pure and kernel not in ("", "python"):
        raise ImportError(
            f"WSFAST_KERNEL={kernel}: no such kernel runs in pure Python;"
            " it can run: python"
        )
    return pure


if not TYPE_CHECKING and _is_pure():
    from wsfast._pure import *  # noqa: F403
    from wsfast._pure_events import *  # noqa: F403
    from wsfast._pure_frames import *  # noqa: F403
    from wsfast._pure_sockjs import *  # noqa: F403
    from wsfast._pure_writer import *  # noqa: F403
else:
    from wsfast._engine import (
        KERNEL,
        KERNELS,
        Utf8Validator,
        decode_utf8,
        encode_frame,
        encode_header,
        is_valid_utf8,
        mask,
        mask_into,
        masking_key,
        unmask_inplace,
    )
    from wsfast._events import EventParser, encode_event
    from wsfast._frame_parser import FrameParser
    from wsfast._frames import MessageParser
    from wsfast._sockjs import decode_sockjs, encode_sockjs, quote_sockjs
    from wsfast._writer import FrameWriter
