"""
Compression of messages: permessage-deflate (RFC 7692 §7).

`DeflateOptions` is what an application wants and serves any number of connections;
`Deflate` is what one connection agreed upon and holds its two contexts. Which of the
two parameters of each kind is whose: *local* is what we send, *remote* what we receive.
How the parameters are agreed upon is in `wsfast.protocol.extensions`.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Generator, Iterator
from typing import Any, Final, NamedTuple

from ..exceptions import InvalidPayload, PayloadTooBig, ProtocolError

__all__ = ["BACKENDS", "STEP", "Deflate", "DeflateOptions", "DeflateParameters"]

#: What a sender leaves out at the end of a message (RFC 7692 §7.2.1).
TAIL: Final = b"\x00\x00\xff\xff"
#: An empty block: what remains of an empty message without its tail (§7.2.3.6).
EMPTY: Final = b"\x00"

#: Octets that one step inflates at most, so that others have their turn in between.
STEP: Final = 256 << 10
#: Octets that the inflater is given at once: it copies what it did not use.
SLICE: Final = 64 << 10
#: Deflate streams that may follow each other in one message (§7.2.3.4 has two). Each
#: costs an inflater, for two octets.
MAX_STREAMS: Final = 64
#: Compressors kept at rest; more are in use at once only within fragmented messages.
MAX_IDLE: Final = 4

#: Module of each backend. It has ``compressobj``, ``decompressobj`` and ``error``, with
#: the arguments that they have in the standard library's ``zlib``.
BACKENDS: Final = {
    "zlib": "zlib",
    "zlib-ng": "zlib_ng.zlib_ng",
    "isal": "isal.isal_zlib",
}
_DEFAULT_LEVELS: Final = {"isal": 2}
_MAX_LEVELS: Final = {"isal": 3}
_DEFLATED: Final = 8
_SYNC_FLUSH: Final = 2
_FULL_FLUSH: Final = 3


class DeflateParameters(NamedTuple):
    """
    What two endpoints agreed upon, as one of them sees it (RFC 7692 §7.1).

    Attributes:
        local_no_context_takeover: Whether each message we send stands alone.
        remote_no_context_takeover: Whether each message we receive stands alone.
        local_max_window_bits: Window of what we send, 8 to 15.
        remote_max_window_bits: Window of what we receive, 8 to 15.

    """

    local_no_context_takeover: bool
    remote_no_context_takeover: bool
    local_max_window_bits: int
    remote_max_window_bits: int


class DeflateOptions:
    """
    How to compress, for a client or a server.

    Args:
        level: Level of compression, from 0 (none) over 1 (fast) to 9 (small), to 3
            with isal; None for the backend's default.
        mem_level: Memory of a compressor, from 1 to 9.
        strategy: Strategy of the compressor, for example ``zlib.Z_FIXED``.
        server_max_window_bits: Window of what the server sends, 8 to 15. None means
            12 to a server, and to a client not to ask for a limit.
        client_max_window_bits: Window of what the client sends, 8 to 15. None means
            12 to a server, which asks the client for it if the client understands
            that; to a client, to say that it does (as True). False: do not say so.
        server_no_context_takeover: Whether the server is to forget each message.
        client_no_context_takeover: Whether the client is to forget each message.
        require_client_max_window_bits: Refuse to compress if the client does not
            understand ``client_max_window_bits``. For servers.
        threshold: Octets from which on a message is compressed.
        backend: A name of `BACKENDS`, or a module in the manner of ``zlib``.

    Raises:
        ValueError: An argument is out of its range.
        ImportError: The backend is not installed.

    """

    def __init__(
        self,
        *,
        level: int | None = None,
        mem_level: int = 5,
        strategy: int = 0,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | bool | None = None,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        require_client_max_window_bits: bool = False,
        threshold: int = 64,
        backend: Any = "zlib",
    ) -> None:
        name = backend if isinstance(backend, str) else ""
        if level is None:
            level = _DEFAULT_LEVELS.get(name, -1)
        elif not 0 <= level <= _MAX_LEVELS.get(name, 9):
            highest = _MAX_LEVELS.get(name, 9)
            raise ValueError(f"level must be between 0 and {highest}")
        if not 1 <= mem_level <= 9:
            raise ValueError("mem_level must be between 1 and 9")
        _check_window_bits("server_max_window_bits", server_max_window_bits)
        if not isinstance(client_max_window_bits, bool):
            _check_window_bits("client_max_window_bits", client_max_window_bits)
        if threshold < 0:
            raise ValueError("threshold must not be negative")
        self.level = level
        self.mem_level = mem_level
        self.strategy = strategy
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.require_client_max_window_bits = require_client_max_window_bits
        self.threshold = threshold
        self.backend = backend
        self._module = _load(backend)
        #: Answers to offers seen before; browsers all send the same.
        self._answers: dict[bytes, tuple[bytes, DeflateParameters] | None] = {}
        #: Compressors at rest, by window, shared by the connections without context
        #: takeover: each is as good as new, its last message having been flushed full.
        self._idle: dict[int, list[Any]] = {}

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not name.startswith("_")
        )
        return f"DeflateOptions({shown})"

    def _compressor(self, bits: int) -> Any:
        module = self._module
        if bits == 8:
            # No library makes a window of 256 octets. zlib's window of 512 never
            # reaches back further than 250, since it keeps 262 octets for the match.
            module, bits = zlib, 9
        level = self.level if module is self._module else min(self.level, 9)
        return module.compressobj(
            level, _DEFLATED, -bits, self.mem_level, self.strategy
        )

    def _borrow(self, bits: int) -> Any:
        try:
            return self._idle[bits].pop()
        except (KeyError, IndexError):
            return self._compressor(bits)

    def _give_back(self, bits: int, compressor: Any) -> None:
        idle = self._idle.setdefault(bits, [])
        if len(idle) < MAX_IDLE:
            idle.append(compressor)

    def _decompressor(self, bits: int) -> Any:
        # A wider window than agreed upon does no harm, and some refuse one of 8 bits.
        return self._module.decompressobj(-max(bits, 9))


def _check_window_bits(name: str, bits: int | None) -> None:
    if bits is not None and not 8 <= bits <= 15:
        raise ValueError(f"{name} must be between 8 and 15")


def _load(backend: Any) -> Any:
    if not isinstance(backend, str):
        return backend
    if backend not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise ValueError(f"unknown backend {backend!r}; there are {known}")
    try:
        return importlib.import_module(BACKENDS[backend])
    except ImportError as error:
        raise ImportError(
            f"the backend {backend!r} needs the package {backend!r}, "
            f"which is not installed"
        ) from error


def _broken() -> InvalidPayload:
    return InvalidPayload("decompression failed", "invalid_deflate_data")


class Deflate:
    """
    Compression of one connection.

    Both contexts are made when they are first needed. A context that failed is thrown
    away: of the messages behind the bad one, none can be read.

    Args:
        parameters: What was agreed upon.
        options: What it was agreed upon for.

    """

    __slots__ = (
        "_broken",
        "_decoder",
        "_encoder",
        "_options",
        "_streams",
        "_used",
        "parameters",
        "threshold",
    )

    name = "permessage-deflate"
    chained = False  # it is the only extension

    def __init__(self, parameters: DeflateParameters, options: DeflateOptions) -> None:
        self.parameters = parameters
        self.threshold = options.threshold
        self._options = options
        self._encoder: Any = None
        self._decoder: Any = None
        self._broken = False
        self._used = False
        self._streams = 0

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.parameters._asdict().items())
        return f"Deflate({shown})"

    def wants(self, size: int) -> bool:
        """Tell whether a message of so many octets is worth compressing."""
        return size >= self.threshold

    def encode(self, data: bytes | bytearray | memoryview, final: bool = True) -> bytes:
        """
        Compress a message, or the next fragment of one (RFC 7692 §7.2.1).

        Args:
            data: Octets of the message.
            final: Whether this ends the message.

        Returns:
            Payload of a frame. RSV1 must be set on the first frame of the message.

        """
        local_no_takeover, _, bits, _ = self.parameters
        encoder = self._encoder
        options = self._options
        # Whatever goes wrong below, what this encoder holds is lost to the receiver.
        # A new one needs nothing of the old one, even in the middle of a message.
        self._encoder = None
        self._used = True
        if encoder is None:
            make = options._borrow if local_no_takeover else options._compressor
            encoder = make(bits)
        forget = final and local_no_takeover
        out: bytes = encoder.compress(data)
        out += encoder.flush(_FULL_FLUSH if forget else _SYNC_FLUSH)
        if forget:
            options._give_back(bits, encoder)
        else:
            self._encoder = encoder
        if not final:
            return out
        # A flush right behind another gives nothing at all.
        return out[:-4] if len(out) > 4 else EMPTY

    @property
    def alone_key(self) -> tuple[DeflateOptions, int]:
        """What :meth:`encode_alone` depends on: the same for the same result."""
        return self._options, self.parameters.local_max_window_bits

    def encode_alone(self, data: bytes | bytearray | memoryview) -> bytes:
        """
        Compress a message that stands alone, for any connection with this key.

        Args:
            data: Octets of the message.

        Returns:
            Payload of a frame; after sending it, :meth:`sent_alone` is to be called.

        """
        bits = self.parameters.local_max_window_bits
        compressor = self._options._borrow(bits)
        out: bytes = compressor.compress(data) + compressor.flush(_FULL_FLUSH)
        self._options._give_back(bits, compressor)
        return out[:-4] if len(out) > 4 else EMPTY

    def sent_alone(self) -> None:
        """Start afresh: the receiver's window has a message that ours has not."""
        self._encoder = None

    def decode(
        self,
        data: bytes | bytearray | memoryview,
        max_size: int | None = None,
        final: bool = True,
    ) -> bytes:
        """
        Inflate a message, or the next fragment of one (RFC 7692 §7.2.2).

        Args:
            data: Payload of a frame, or of all frames of a message.
            max_size: Octets that it may give, None for no limit.
            final: Whether this ends the message.

        Returns:
            What was compressed: ``max_size`` octets at most.

        Raises:
            PayloadTooBig: It would give more (1009). No more than `STEP` octets above
                the limit were ever held.
            InvalidPayload: It is not deflated data (1007).
            ProtocolError: An earlier call failed.

        """
        out = self.begin(data, max_size, final)
        return out if isinstance(out, bytes) else b"".join(out)

    def begin(
        self,
        data: bytes | bytearray | memoryview,
        max_size: int | None = None,
        final: bool = True,
    ) -> bytes | Iterator[bytes]:
        """
        Inflate like `decode`, but no more than one step at once.

        Returns:
            All of it, if that was one step; otherwise what `steps` returns.

        Raises:
            PayloadTooBig, InvalidPayload, ProtocolError: As `decode`, which the
                iterator raises too.

        """
        if self._broken or not final or len(data) > SLICE:
            return self.steps(data, max_size, final)
        # Nearly every message needs one call of the inflater, and no iterator.
        decoder = self._decoder
        _, remote_no_takeover, _, bits = self.parameters
        if decoder is None:
            decoder = self._options._decompressor(bits)
        bound = STEP if max_size is None or max_size >= STEP else max(max_size, 0) + 1
        self._broken = True  # until it is proved not to be
        self._decoder = None
        try:
            out: bytes = decoder.decompress(bytes(data) + TAIL, bound)
        except self._options._module.error as error:
            raise _broken() from error
        self._broken = False
        if decoder.eof or len(out) == bound or decoder.unconsumed_tail:
            return self._steps(b"", max_size, final, decoder, out)
        if not remote_no_takeover:
            self._decoder = decoder
        self._streams = 0
        return out

    def steps(
        self,
        data: bytes | bytearray | memoryview,
        max_size: int | None = None,
        final: bool = True,
    ) -> Iterator[bytes]:
        """
        Inflate like `decode`, in pieces, so that a caller can let others work between.

        The iterator must be used up before the next call.

        Yields:
            The next octets, at most `STEP`, of at most `SLICE` that were compressed;
            there may be none.

        """
        return self._steps(bytes(data), max_size, final)

    def _steps(
        self,
        data: bytes,
        max_size: int | None,
        final: bool,
        decoder: Any = None,
        out: bytes | None = None,
    ) -> Iterator[bytes]:
        """Inflate; go on with a decoder behind a call that gave ``out``, if any."""
        if self._broken:
            raise ProtocolError("compression failed before", "broken_deflate_context")
        self._broken = True  # until it is proved not to be
        if decoder is None:
            decoder = self._decoder
        self._decoder = None
        try:
            decoder = yield from self._inflate(data, max_size, final, decoder, out)
        except self._options._module.error as error:
            raise _broken() from error
        self._broken = False
        if final:
            self._streams = 0
        if not (final and self.parameters.remote_no_context_takeover):
            self._decoder = decoder

    def _inflate(
        self,
        data: bytes,
        max_size: int | None,
        final: bool,
        decoder: Any,
        out: bytes | None,
    ) -> Generator[bytes, None, Any]:
        bits = self.parameters.remote_max_window_bits
        left = 0 if max_size is None else max(max_size, 0)
        last = max(len(data) - 1, 0) // SLICE * SLICE
        for start in range(0, last + 1, SLICE):
            chunk = data[start : start + SLICE] if last else data
            if final and start == last:
                chunk += TAIL
            while True:
                # One octet more than is allowed shows that there is one.
                bound = STEP if max_size is None else min(STEP, left + 1)
                if out is None:
                    if decoder is None:
                        decoder = self._options._decompressor(bits)
                    out = decoder.decompress(chunk, bound)
                if max_size is not None:
                    left -= len(out)
                    if left < 0:
                        raise PayloadTooBig(None, max_size)
                yield out  # even if empty: a block of nothing takes time as well
                full = len(out) >= bound
                out = None
                if decoder.eof:
                    # A final block, behind which another stream may follow (§7.2.3.4).
                    chunk = decoder.unused_data
                    decoder = None
                    self._streams += 1
                    if self._streams > MAX_STREAMS:
                        raise _broken()
                    if not chunk or chunk == TAIL:
                        break
                else:
                    chunk = decoder.unconsumed_tail
                    if not chunk and not full:
                        break
        return decoder

    def rest(self) -> None:
        """
        Free what we compress with, if it was not used since the last call.

        To be called now and then. What we compress next starts afresh, which any
        message may, even in its middle: it refers to nothing then. What the peer
        compresses next may refer to what it sent before, so that context stays, unless
        the peer agreed to forget each message; then there is none between messages.
        """
        if not self._used:
            self._encoder = None
        self._used = False
