# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
Frames in C: octets to frames and to messages (RFC 6455 §5).

What each class promises is written down once, in ``wsfast._pure_frames``; this module
does the same faster. Payload octets are touched once on the way in: unmasked from the
read buffer into the storage of the ``str`` or ``bytes`` that is delivered.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport UINT64_MAX, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from . cimport _csrc
from ._csrc cimport (
    WSF_E_UTF8,
    WSF_FIN,
    WSF_NEED_MORE,
    WSF_OK,
    WSF_OP_CLOSE,
    WSF_OP_TEXT,
    WSF_RSV1,
)
from ._engine cimport decode_wide, kernels, octets_of
from ._storage cimport (
    KEEP_MIN,
    cut_storage,
    keep_storage,
    storage_octets,
    take_storage,
)

from ._frame_types import Control, Frame, FrameError


cdef extern from *:
    """
    /* Storage for n ASCII characters, to be filled in by the caller. */
    static PyObject *wsf_new_ascii(Py_ssize_t n, unsigned char **octets)
    {
        PyObject *s = PyUnicode_New(n, 127);

        if (s != NULL)
            *octets = (unsigned char *)PyUnicode_1BYTE_DATA(s);
        return s;
    }
    """
    object wsf_new_ascii(Py_ssize_t n, uint8_t **octets)


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t size) except -1
    int PyUnicode_Resize(PyObject **text, Py_ssize_t size) except -1
    void *PyUnicode_1BYTE_DATA(PyObject *text)


# Events of MessageParser.next(): the numbers of wsfast._frame_types.
cdef enum:
    EV_ERROR = -1
    EV_NEED_DATA = 0
    EV_TEXT = 1
    EV_BINARY = 2
    EV_COMPRESSED = 3
    EV_FRAGMENT = 4
    EV_CLOSE = 8
    EV_PING = 9
    EV_PONG = 10

cdef enum:
    # A message in progress has room for at most this many times what has arrived ...
    GROWTH = 4
    # ... but for this many octets at least, if its frame says that they will come.
    FIRST_ROOM = 4096
    # A frame in progress is worth reading straight into its message from here on.
    DIRECT_MIN = 16384
    CONTROL_MAX = 125


cdef object _limit_of(uint64_t value):
    return None if value == UINT64_MAX else value


cdef uint64_t _limit(object value, str name) except? 0:
    if value is None:
        return UINT64_MAX
    if value < 0:
        raise ValueError(f"{name} must be >= 0 or None, got {value}")
    return value


cdef object _error(_csrc.wsf_status status, list frames):
    return FrameError(
        _csrc.wsf_status_text(status).decode(),
        _csrc.wsf_status_close_code(status),
        _csrc.wsf_status_reason_code(status).decode(),
        frames,
    )


cdef class MessageParser:
    """Frames to messages; see ``wsfast._pure_frames.MessageParser``."""

    def __init__(self, *, bint client, max_size=1 << 20, max_fragments=4096,
                 bint rsv1=False, bint text_as_bytes=False):
        _csrc.wsf_parser_init(&self._state, not client)
        self.max_size = max_size
        self.max_fragments = max_fragments
        self._state.allow_rsv1 = rsv1
        self._text_as_bytes = text_as_bytes

    @property
    def max_size(self):
        return _limit_of(self._state.max_size)

    @max_size.setter
    def max_size(self, value):
        cdef uint64_t limit = _limit(value, "max_size")
        self._state.max_size = limit
        if limit < UINT64_MAX // 2:
            limit += (limit >> 8) + 1024  # deflate can make a message longer
        self._state.max_wire_size = limit

    @property
    def max_fragments(self):
        return _limit_of(self._state.max_fragments)

    @max_fragments.setter
    def max_fragments(self, value):
        self._state.max_fragments = _limit(value, "max_fragments")

    @property
    def rsv1(self):
        return self._state.allow_rsv1

    @property
    def pending(self):
        """Octets of the window that were not consumed yet."""
        return self._end - self._pos

    # ---- errors ----

    @property
    def error(self):
        return <int>self._state.error

    @property
    def error_code(self):
        return _csrc.wsf_status_close_code(self._state.error)

    @property
    def error_reason_code(self):
        return _csrc.wsf_status_reason_code(self._state.error).decode()

    @property
    def error_text(self):
        return _csrc.wsf_status_text(self._state.error).decode()

    cdef int _fail(self, wsf_status status) noexcept:
        self._state.error = status
        self._pos = self._end = NULL
        self._window = None
        self._drop_target()
        return EV_ERROR

    # ---- input ----

    def feed(self, data):
        """Make ``data`` the input window."""
        if self._pos != self._end:
            raise RuntimeError("the input window has octets left: use next() first")
        self._set_bytes(octets_of(data))

    cdef void set_window(self, const uint8_t *data, size_t size) noexcept:
        """Make octets of the caller's the window, until used up or stashed."""
        self._pos = data
        self._end = data + size

    cpdef object stash(self):
        """Keep a copy of what is left of the window, so that its buffer may go."""
        cdef object copy
        if self._pos == self._end:
            self._window = None
            self._pos = self._end = NULL
        elif self._window is None:
            copy = PyBytes_FromStringAndSize(<const char *>self._pos,
                                             self._end - self._pos)
            self._set_bytes(copy)

    cpdef object discard(self):
        """Drop what is left of the window."""
        self._window = None
        self._pos = self._end = NULL

    cdef int _set_bytes(self, bytes data) except -1:
        self._window = data
        self._pos = <const uint8_t *>PyBytes_AS_STRING(data)
        self._end = self._pos + len(data)
        return 0

    # ---- events ----

    cpdef object take_payload(self):
        """Return the event's payload and keep no reference."""
        cdef object payload = self.payload
        self.payload = None
        return payload

    cpdef int next(self) except -2:
        """Return the next event; see ``wsfast._pure_frames.MessageParser.next``."""
        cdef wsf_piece piece
        cdef wsf_status status
        cdef int event

        if (self._pos == self._end and self._state.error == WSF_OK
                and not (self._state.in_frame and self._state.remaining == 0)):
            self._window = None
            return EV_NEED_DATA
        if _csrc.wsf_parser_short(&self._state, &self._pos, self._end, &piece):
            return self._whole(&piece)
        while True:
            status = _csrc.wsf_parser_next(&self._state, &self._pos, self._end, &piece)
            if status != WSF_OK:
                if status == WSF_NEED_MORE:
                    if self._window is not None:
                        self._window = None
                    return EV_NEED_DATA
                return self._fail(status)
            if piece.opcode >= WSF_OP_CLOSE:
                event = self._control(&piece)
            elif (piece.frame_end and piece.offset == 0 and self._target is NULL
                    and _csrc.wsf_parser_fin(&self._state)
                    and self._state.fragments == 1 and not self._state.compressed):
                return self._whole(&piece)
            else:
                event = self._part(&piece)
            if event != EV_NEED_DATA:
                return event

    cdef int _whole(self, const wsf_piece *piece) except -2:
        """Deliver a message that is one frame and has arrived in one go."""
        cdef uint8_t *dst = NULL
        cdef object message

        self.opcode = piece.opcode
        if piece.opcode == WSF_OP_TEXT and not self._text_as_bytes:
            message = wsf_new_ascii(piece.len, &dst)
            if piece.len != 0 and not _csrc.wsf_mask_ascii(
                    kernels(), dst, piece.data, piece.len, self._state.frame.key, 0):
                message = decode_wide(dst, piece.len)
                if message is None:
                    return self._fail(WSF_E_UTF8)
            self.payload = message
            return EV_TEXT
        message = PyBytes_FromStringAndSize(NULL, piece.len)
        if piece.len != 0:
            dst = <uint8_t *>PyBytes_AS_STRING(message)
            _csrc.wsf_mask(kernels(), dst, piece.data, piece.len,
                           self._state.frame.key, 0)
        if piece.opcode == WSF_OP_TEXT:
            if not _csrc.wsf_utf8_valid(kernels(), dst, piece.len):
                return self._fail(WSF_E_UTF8)
            self.payload = message
            return EV_TEXT
        self.payload = message
        return EV_BINARY

    # ---- messages that come in parts ----

    cdef int _part(self, const wsf_piece *piece) except -2:
        """Add a piece to the message in progress; deliver it if that completes it."""
        cdef bint text = piece.opcode == WSF_OP_TEXT and not self._state.compressed
        cdef bint fin

        if self._target is NULL:
            self.opcode = piece.opcode
            self._begin(text and not self._text_as_bytes, piece.len)
        if piece.len != 0:
            self._reserve(piece.len)
            if self._unmask(self._dst + self._have, piece.data, piece.len,
                            piece.offset, text) < 0:
                return EV_ERROR
        if not piece.frame_end:
            return EV_NEED_DATA
        fin = _csrc.wsf_parser_fin(&self._state)
        if not fin and not self.streaming:
            return EV_NEED_DATA
        if fin and text and not _csrc.wsf_utf8_complete(&self._utf8):
            return self._fail(WSF_E_UTF8)
        self.opcode = piece.opcode
        return self._deliver(text, fin)

    cdef int _begin(self, bint as_str, size_t first) except -1:
        """Make storage for a message whose first piece has ``first`` octets."""
        cdef object target
        cdef size_t room

        self._have = 0
        self._ascii = _csrc.wsf_utf8_complete(&self._utf8)
        self._target = take_storage(as_str, first + self._state.remaining, &room)
        if self._target is not NULL:
            cut_storage(self._target, room)
            self._dst = storage_octets(self._target)
            self._room = room
            return 0
        room = self._room_for(first)
        if as_str:
            target = wsf_new_ascii(room, &self._dst)
        else:
            target = PyBytes_FromStringAndSize(NULL, room)
            self._dst = <uint8_t *>PyBytes_AS_STRING(target)
        self._room = room
        Py_INCREF(target)
        self._target = <PyObject *>target
        return 0

    cdef size_t _room_for(self, size_t more) noexcept:
        """
        Say how much room to have once ``more`` octets have been added.

        What has arrived decides, not what a header declares: no more than a few times
        as much, and never more than the frame in progress and a step for later ones.
        """
        cdef uint64_t have = self._have + more
        cdef uint64_t whole = have + self._state.remaining
        cdef uint64_t most = max(have * GROWTH, <uint64_t>FIRST_ROOM)

        if whole > most:
            return <size_t>most
        if not _csrc.wsf_parser_fin(&self._state):
            return <size_t>(whole + whole // 2)
        return <size_t>whole

    cdef int _reserve(self, size_t more) except -1:
        cdef size_t room
        if self._have + more <= self._room:
            return 0
        room = self._room_for(more)
        self._room = 0
        if type(<object>self._target) is bytes:
            _PyBytes_Resize(&self._target, room)
            self._dst = <uint8_t *>PyBytes_AS_STRING(<object>self._target)
        else:
            PyUnicode_Resize(&self._target, room)
            self._dst = <uint8_t *>PyUnicode_1BYTE_DATA(self._target)
        self._room = room
        return 0

    cdef int _unmask(self, uint8_t *dst, const uint8_t *src, size_t size,
                     uint64_t offset, bint text) noexcept:
        """Unmask octets into the storage and validate them (RFC 6455 §5.3, §8.1)."""
        cdef size_t bad

        self._have += size
        if not text:
            _csrc.wsf_mask(kernels(), dst, src, size, self._state.frame.key, offset)
            return 0
        if _csrc.wsf_mask_ascii(kernels(), dst, src, size, self._state.frame.key,
                                offset) and self._ascii:
            return 0
        self._ascii = False
        if _csrc.wsf_utf8_feed(kernels(), &self._utf8, dst, size, &bad) != WSF_OK:
            return self._fail(WSF_E_UTF8)
        return 0

    cdef size_t direct_room(self, uint8_t **dst) except? 0:
        """
        Return how many octets may be received straight into the message in progress.

        0 unless a long data frame is being received; ``dst`` is where they go, still
        masked. Tell :meth:`direct_filled` afterwards.
        """
        cdef size_t room
        if self._target is NULL or not self._state.in_frame:
            return 0
        if self._state.remaining < DIRECT_MIN or self._state.frame.first & 0x08:
            return 0
        if self._room - self._have < DIRECT_MIN:
            self._reserve(DIRECT_MIN)
        room = self._room - self._have
        if room > self._state.remaining:
            room = self._state.remaining
        dst[0] = self._dst + self._have
        return room

    cdef int direct_filled(self, size_t n) except -2:
        """Take ``n`` octets that were received at the place of :meth:`direct_room`."""
        cdef uint8_t *dst = self._dst + self._have
        cdef uint64_t offset = self._state.frame.length - self._state.remaining
        cdef bint text = (self._state.opcode == WSF_OP_TEXT
                          and not self._state.compressed)

        _csrc.wsf_parser_skip(&self._state, n)
        return self._unmask(dst, dst, n, offset, text)

    cdef int _deliver(self, bint text, bint fin) except -2:
        """Hand out what the storage holds: the message, or the next fragment of it."""
        cdef bint whole = fin and not self._streamed
        cdef size_t tail = 0
        cdef uint8_t tail_octets[3]

        self.fin = fin
        self.compressed = self._state.compressed
        self._streamed = not fin
        if text and not fin and not self._ascii and not self._text_as_bytes:
            tail = _tail_size(self._dst, self._have)
            memcpy(tail_octets, self._dst + self._have - tail, tail)
        self.payload = self._finish(self._have - tail)
        if fin:
            memset(&self._utf8, 0, sizeof(wsf_utf8))
        if tail != 0:
            self._begin(True, tail)
            memcpy(self._dst, tail_octets, tail)
            self._have = tail
            self._ascii = False
        if not whole:
            return EV_FRAGMENT
        if self.compressed:
            return EV_COMPRESSED
        return EV_TEXT if self.opcode == WSF_OP_TEXT else EV_BINARY

    cdef object _finish(self, size_t size):
        """Turn the first ``size`` octets of the storage into the payload."""
        cdef object payload
        cdef bint as_str = type(<object>self._target) is str

        if as_str and not self._ascii:
            payload = decode_wide(self._dst, size)
            keep_storage(self._target, self._room)
            self._drop_target()
            return payload
        if size == 0:
            self._drop_target()
            return "" if as_str else b""
        if size > self._room // 2 and self._room >= KEEP_MIN:
            cut_storage(self._target, size)
            keep_storage(self._target, self._room)
        elif size != self._room:
            if as_str:
                PyUnicode_Resize(&self._target, size)
            else:
                _PyBytes_Resize(&self._target, size)
        payload = <object>self._target
        self._drop_target()
        return payload

    cdef void _drop_target(self) noexcept:
        cdef PyObject *target = self._target
        self._target = NULL
        self._dst = NULL
        self._have = self._room = 0
        Py_XDECREF(target)

    # ---- control frames ----

    cdef int _control(self, const wsf_piece *piece) except -2:
        """Deliver a control frame once all of it is there (RFC 6455 §5.5)."""
        cdef uint8_t here[CONTROL_MAX]
        cdef uint8_t *octets = here
        cdef size_t size = self._state.frame.length
        cdef wsf_status status
        cdef uint16_t code = 0

        if piece.offset != 0 or not piece.frame_end:
            if self._control_part is NULL:
                self._control_part = <uint8_t *>malloc(CONTROL_MAX)
                if self._control_part is NULL:
                    raise MemoryError
            octets = self._control_part
        _csrc.wsf_mask(kernels(), octets + piece.offset, piece.data, piece.len,
                       self._state.frame.key, piece.offset)
        if not piece.frame_end:
            return EV_NEED_DATA
        self.opcode = piece.opcode
        if piece.opcode == WSF_OP_CLOSE:
            status = _csrc.wsf_close_check(kernels(), octets, size, &code)
            if status != WSF_OK:
                return self._fail(status)
        self.code = code
        self.payload = PyBytes_FromStringAndSize(<char *>octets, size)
        if self._control_part is not NULL:
            free(self._control_part)
            self._control_part = NULL
        return piece.opcode

    # ---- many at a time ----

    def receive(self, data):
        """Parse ``data``; see ``wsfast._pure_frames.MessageParser.receive``."""
        cdef list found = []
        cdef int event

        self.feed(data)
        while True:
            event = self.next()
            if event == EV_NEED_DATA:
                return found
            if event == EV_ERROR:
                raise _error(self._state.error, found)
            if event >= EV_CLOSE:
                found.append(Control(event, self.payload, self.code))
            else:
                found.append(self.payload)
            self.payload = None

    def __dealloc__(self):
        free(self._control_part)
        Py_XDECREF(self._target)


cdef size_t _tail_size(const uint8_t *data, size_t size) noexcept:
    """Count the octets at the end that begin a code point and do not complete it."""
    cdef size_t back
    cdef uint8_t octet
    for back in range(1, min(<size_t>3, size) + 1):
        octet = data[size - back]
        if octet >= 0xC0:
            return back if back < <size_t>(2 + (octet >= 0xE0) + (octet >= 0xF0)) else 0
        if octet < 0x80:
            return 0
    return 0


cdef class FrameParser:
    """Octets to frames; see ``wsfast._pure_frames.FrameParser``."""

    cdef wsf_parser _state
    cdef bytearray _part
    cdef bint _rsv1

    def __init__(self, *, bint client, max_size=1 << 20, bint rsv1=False):
        _csrc.wsf_parser_init(&self._state, not client)
        self._state.max_size = self._state.max_wire_size = _limit(max_size, "max_size")
        self._state.allow_rsv1 = rsv1

    def feed(self, data):
        """Parse ``data``; see ``wsfast._pure_frames.FrameParser.feed``."""
        cdef Py_buffer view
        cdef list frames = []
        cdef const uint8_t *pos
        cdef wsf_piece piece
        cdef wsf_status status

        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            pos = <const uint8_t *>view.buf
            while True:
                if not self._state.in_frame:
                    self._state.message_size = self._state.fragments = 0
                status = _csrc.wsf_parser_next(
                    &self._state, &pos, <const uint8_t *>view.buf + view.len, &piece)
                if status == WSF_NEED_MORE:
                    return frames
                if status != WSF_OK:
                    self._part = None
                    raise _error(status, frames)
                self._piece(frames, &piece)
        finally:
            PyBuffer_Release(&view)

    cdef int _piece(self, list frames, const wsf_piece *piece) except -1:
        cdef bytes octets = PyBytes_FromStringAndSize(NULL, piece.len)
        cdef uint8_t first = self._state.frame.first

        _csrc.wsf_mask(kernels(), <uint8_t *>PyBytes_AS_STRING(octets), piece.data,
                       piece.len, self._state.frame.key, piece.offset)
        if piece.frame_end and piece.offset == 0:
            frames.append(Frame(first & 0x0F, octets, first & WSF_FIN != 0,
                                first & WSF_RSV1 != 0))
            return 0
        if self._part is None:
            self._part = bytearray()
        self._part += octets
        if piece.frame_end:
            frames.append(Frame(first & 0x0F, bytes(self._part), first & WSF_FIN != 0,
                                first & WSF_RSV1 != 0))
            self._part = None
        return 0
