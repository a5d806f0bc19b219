# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
Frames in C: octets to messages (RFC 6455 §5).

What each class promises is written down once, in ``wsfast._pure_frames``; this module
does the same faster. Payload octets are touched once on the way in: unmasked from the
read buffer into the storage of the ``str`` or ``bytes`` that is delivered.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport UINT64_MAX, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from . cimport _csrc
from ._csrc cimport (
    WSF_E_UTF8,
    WSF_NEED_MORE,
    WSF_OK,
    WSF_OP_CLOSE,
    WSF_OP_TEXT,
)
from ._engine cimport decode_wide, kernels, octets_of, utf8_tail_size
from ._frame_parser cimport limit_of, parse_error
from ._storage cimport (
    KEEP_MIN,
    cut_storage,
    keep_storage,
    storage_octets,
    take_storage,
)

from ._frame_types import Control


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


cdef uint8_t[4] NO_KEY = [0, 0, 0, 0]


cdef object _none_or(uint64_t value):
    return None if value == UINT64_MAX else value


@cython.no_gc  # it holds text and octets, which refer to nothing
cdef class MessageParser:
    """Frames to messages; see ``wsfast._pure_frames.MessageParser``."""

    def __init__(self, *, bint client, max_size=1 << 20, max_fragments=4096,
                 bint rsv1=False, bint text_as_bytes=False, bint validate_utf8=True):
        self._masked = not client
        self.max_size = max_size
        self.max_fragments = max_fragments
        self._rsv1 = rsv1
        if not (validate_utf8 or text_as_bytes):
            raise ValueError(
                "text that is not validated can only be delivered as bytes")
        self._text_as_bytes = text_as_bytes + (not validate_utf8)

    @property
    def max_size(self):
        return _none_or(self._max_size)

    @max_size.setter
    def max_size(self, value):
        self._max_size = limit_of(value, "max_size")
        if self._progress is not NULL:
            self._begin_parser(&self._progress.state)

    @property
    def max_fragments(self):
        return _none_or(self._max_fragments)

    @max_fragments.setter
    def max_fragments(self, value):
        self._max_fragments = limit_of(value, "max_fragments")
        if self._progress is not NULL:
            self._begin_parser(&self._progress.state)

    @property
    def rsv1(self):
        return self._rsv1 != 0

    @property
    def fin(self):
        return self._fin != 0

    @property
    def compressed(self):
        return self._compressed != 0

    @property
    def pending(self):
        """Octets of the window that were not consumed yet."""
        return self._end - self._pos

    cpdef size_t held(self):
        """Return how many octets are kept; see ``wsfast._pure_frames``."""
        cdef size_t size = self._end - self._pos

        if self._progress is not NULL:
            size += self._progress.have
        return size

    cdef void _begin_parser(self, wsf_parser *state) noexcept:
        """Give the parser its settings."""
        cdef uint64_t limit = self._max_size

        state.expect_masked = self._masked
        state.allow_rsv1 = self._rsv1
        state.max_size = limit
        if limit < UINT64_MAX // 2:
            limit += (limit >> 8) + 1024  # deflate can make a message longer
        state.max_wire_size = limit
        state.max_fragments = self._max_fragments

    # ---- errors ----

    @property
    def error(self):
        return <int>self._error

    @property
    def error_code(self):
        return _csrc.wsf_status_close_code(<wsf_status>self._error)

    @property
    def error_reason_code(self):
        return _csrc.wsf_status_reason_code(<wsf_status>self._error).decode()

    @property
    def error_text(self):
        return _csrc.wsf_status_text(<wsf_status>self._error).decode()

    cdef int _fail(self, wsf_status status) noexcept:
        self._error = <unsigned char>status
        self._pos = self._end = NULL
        self._window = None
        if self._progress is not NULL:
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
        self._window = None  # of one that was used up, or stash() took these for ours
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

    def take_window(self, size_t n):
        """Take octets off the window; see ``wsfast._pure_frames.MessageParser``."""
        cdef bytes taken

        n = min(n, <size_t>(self._end - self._pos))
        taken = PyBytes_FromStringAndSize(<const char *>self._pos, n)
        self._pos += n
        if self._pos == self._end:
            self.discard()
        return taken

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
        cdef wsf_parser state
        cdef wsf_piece piece

        if self._progress is NULL and self._error == WSF_OK:
            if self._pos == self._end:
                self._window = None
                return EV_NEED_DATA
            # All that wsf_parser_short() looks at, with nothing in progress.
            state.in_frame = False
            state.opcode = state.head_len = 0
            state.error = WSF_OK
            state.expect_masked = self._masked
            state.max_size = self._max_size
            state.max_fragments = self._max_fragments
            if _csrc.wsf_parser_short(&state, &self._pos, self._end, &piece):
                # The key precedes what it masks; so the compiler can spare the struct.
                return self._whole(&piece, piece.data - 4 if self._masked else NO_KEY)
        return self._advance()

    cdef int _advance(self) except -2:
        """Parse up to the next event, and keep what is in progress then."""
        cdef wsf_progress here

        if self._error != WSF_OK:
            return self._fail(<wsf_status>self._error)
        if self._progress is NULL:
            memset(&here, 0, sizeof(here))
            self._begin_parser(&here.state)
            self._progress = &here
        try:
            return self._parse()
        finally:
            self._settle(&here)

    cdef int _settle(self, wsf_progress *here) except -1:
        """Forget the progress if there is none; let it outlast ``here`` otherwise."""
        cdef wsf_progress *p = self._progress

        if self._error != WSF_OK or not (
                p.state.in_frame or p.state.opcode | p.state.head_len):
            self._progress = NULL
            free(p.control_part)
            Py_XDECREF(p.target)
            if p is not here:
                free(p)
        elif p is here:
            self._progress = <wsf_progress *>malloc(sizeof(wsf_progress))
            if self._progress is NULL:
                free(p.control_part)
                Py_XDECREF(p.target)
                raise MemoryError
            self._progress[0] = p[0]
        return 0

    cdef int _parse(self) except -2:
        cdef wsf_progress *p = self._progress
        cdef wsf_piece piece
        cdef wsf_status status
        cdef int event

        while True:
            status = _csrc.wsf_parser_next(&p.state, &self._pos, self._end, &piece)
            if status != WSF_OK:
                if status == WSF_NEED_MORE:
                    self._window = None
                    return EV_NEED_DATA
                return self._fail(status)
            if piece.opcode >= WSF_OP_CLOSE:
                event = self._control(&piece)
            elif (piece.frame_end and piece.offset == 0 and p.target is NULL
                    and _csrc.wsf_parser_fin(&p.state)
                    and p.state.fragments == 1 and not p.state.compressed):
                return self._whole(&piece, p.state.frame.key)
            else:
                event = self._part(&piece)
            if event != EV_NEED_DATA:
                return event

    cdef int _whole(self, const wsf_piece *piece, const uint8_t *key) except -2:
        """Deliver a message that is one frame and has arrived in one go."""
        cdef uint8_t *dst = NULL
        cdef object message

        self.opcode = piece.opcode
        if piece.opcode == WSF_OP_TEXT and not self._text_as_bytes:
            message = wsf_new_ascii(piece.len, &dst)
            if piece.len != 0 and not _csrc.wsf_mask_ascii(
                    kernels(), dst, piece.data, piece.len, key, 0):
                message = decode_wide(dst, piece.len)
                if message is None:
                    return self._fail(WSF_E_UTF8)
            self.payload = message
            return EV_TEXT
        message = PyBytes_FromStringAndSize(NULL, piece.len)
        if piece.len != 0:
            dst = <uint8_t *>PyBytes_AS_STRING(message)
            _csrc.wsf_mask(kernels(), dst, piece.data, piece.len,
                           key, 0)
        if piece.opcode == WSF_OP_TEXT and self._text_as_bytes < 2 and (
                not _csrc.wsf_utf8_valid(kernels(), dst, piece.len)):
            return self._fail(WSF_E_UTF8)
        self.payload = message
        return EV_TEXT if piece.opcode == WSF_OP_TEXT else EV_BINARY

    # ---- messages that come in parts ----

    cdef int _part(self, const wsf_piece *piece) except -2:
        """Add a piece to the message in progress; deliver it if that completes it."""
        cdef wsf_progress *p = self._progress
        cdef bint text = (piece.opcode == WSF_OP_TEXT and not p.state.compressed
                          and self._text_as_bytes < 2)
        cdef bint fin

        if p.target is NULL:
            self.opcode = piece.opcode
            self._begin(text and not self._text_as_bytes, piece.len)
        if piece.len != 0:
            self._reserve(piece.len)
            if self._unmask(p.dst + p.have, piece.data, piece.len,
                            piece.offset, text) < 0:
                return EV_ERROR
        if not piece.frame_end:
            return EV_NEED_DATA
        fin = _csrc.wsf_parser_fin(&p.state)
        if not fin and not self.streaming:
            return EV_NEED_DATA
        if fin and text and not _csrc.wsf_utf8_complete(&p.utf8):
            return self._fail(WSF_E_UTF8)
        self.opcode = piece.opcode
        return self._deliver(text, fin)

    cdef int _begin(self, bint as_str, size_t first) except -1:
        """Make storage for a message whose first piece has ``first`` octets."""
        cdef wsf_progress *p = self._progress
        cdef object target
        cdef size_t room

        p.have = 0
        p.ascii = _csrc.wsf_utf8_complete(&p.utf8)
        p.target = take_storage(as_str, first + p.state.remaining, &room)
        if p.target is not NULL:
            cut_storage(p.target, room)
            p.dst = storage_octets(p.target)
            p.room = room
            return 0
        room = self._room_for(first)
        if as_str:
            target = wsf_new_ascii(room, &p.dst)
        else:
            target = PyBytes_FromStringAndSize(NULL, room)
            p.dst = <uint8_t *>PyBytes_AS_STRING(target)
        p.room = room
        Py_INCREF(target)
        p.target = <PyObject *>target
        return 0

    cdef size_t _room_for(self, size_t more) noexcept:
        """
        Say how much room to have once ``more`` octets have been added.

        What has arrived decides, not what a header declares: no more than a few times
        as much, and never more than the frame in progress and a step for later ones.
        """
        cdef wsf_progress *p = self._progress
        cdef uint64_t have = p.have + more
        cdef uint64_t whole = have + p.state.remaining
        cdef uint64_t most = max(have * GROWTH, <uint64_t>FIRST_ROOM)

        if whole > most:
            return <size_t>most
        if not _csrc.wsf_parser_fin(&p.state):
            return <size_t>(whole + whole // 2)
        return <size_t>whole

    cdef int _reserve(self, size_t more) except -1:
        cdef wsf_progress *p = self._progress
        cdef size_t room
        if p.have + more <= p.room:
            return 0
        room = self._room_for(more)
        p.room = 0
        if type(<object>p.target) is bytes:
            _PyBytes_Resize(&p.target, room)
            p.dst = <uint8_t *>PyBytes_AS_STRING(<object>p.target)
        else:
            PyUnicode_Resize(&p.target, room)
            p.dst = <uint8_t *>PyUnicode_1BYTE_DATA(p.target)
        p.room = room
        return 0

    cdef int _unmask(self, uint8_t *dst, const uint8_t *src, size_t size,
                     uint64_t offset, bint text) noexcept:
        """Unmask octets into the storage and validate them (RFC 6455 §5.3, §8.1)."""
        cdef wsf_progress *p = self._progress
        cdef const uint8_t *key = p.state.frame.key
        cdef size_t bad

        p.have += size
        if not text:
            _csrc.wsf_mask(kernels(), dst, src, size, key, offset)
            return 0
        if _csrc.wsf_mask_ascii(kernels(), dst, src, size, key, offset) and p.ascii:
            return 0
        p.ascii = False
        if _csrc.wsf_utf8_feed(kernels(), &p.utf8, dst, size, &bad) != WSF_OK:
            return self._fail(WSF_E_UTF8)
        return 0

    cdef size_t direct_room(self, uint8_t **dst) except? 0:
        """
        Return how many octets may be received straight into the message in progress.

        0 unless a long data frame is being received; ``dst`` is where they go, still
        masked. Tell :meth:`direct_filled` afterwards.
        """
        cdef wsf_progress *p = self._progress
        cdef size_t room
        if p.target is NULL or not p.state.in_frame:
            return 0
        if p.state.remaining < DIRECT_MIN or p.state.frame.first & 0x08:
            return 0
        if p.room - p.have < DIRECT_MIN:
            self._reserve(DIRECT_MIN)
        room = p.room - p.have
        if room > p.state.remaining:
            room = p.state.remaining
        dst[0] = p.dst + p.have
        return room

    cdef int direct_filled(self, size_t n) except -2:
        """Take ``n`` octets that were received at the place of :meth:`direct_room`."""
        cdef wsf_progress *p = self._progress
        cdef uint8_t *dst = p.dst + p.have
        cdef uint64_t offset = p.state.frame.length - p.state.remaining
        cdef bint text = (p.state.opcode == WSF_OP_TEXT and not p.state.compressed
                          and self._text_as_bytes < 2)

        _csrc.wsf_parser_skip(&p.state, n)
        return self._unmask(dst, dst, n, offset, text)

    cdef int _deliver(self, bint text, bint fin) except -2:
        """Hand out what the storage holds: the message, or the next fragment of it."""
        cdef wsf_progress *p = self._progress
        cdef bint whole = fin and not p.streamed
        cdef size_t tail = 0
        cdef uint8_t tail_octets[3]

        self._fin = fin
        self._compressed = p.state.compressed
        p.streamed = not fin
        if text and not fin and not p.ascii and not self._text_as_bytes:
            tail = utf8_tail_size(p.dst, p.have)
            memcpy(tail_octets, p.dst + p.have - tail, tail)
        self.payload = self._finish(p.have - tail)
        if fin:
            memset(&p.utf8, 0, sizeof(wsf_utf8))
        if tail != 0:
            self._begin(True, tail)
            memcpy(p.dst, tail_octets, tail)
            p.have = tail
            p.ascii = False
        if not whole:
            return EV_FRAGMENT
        if self._compressed:
            return EV_COMPRESSED
        return EV_TEXT if self.opcode == WSF_OP_TEXT else EV_BINARY

    cdef object _finish(self, size_t size):
        """Turn the first ``size`` octets of the storage into the payload."""
        cdef wsf_progress *p = self._progress
        cdef object payload
        cdef bint as_str = type(<object>p.target) is str

        if as_str and not p.ascii:
            payload = decode_wide(p.dst, size)
            keep_storage(p.target, p.room)
            self._drop_target()
            return payload
        if size == 0:
            self._drop_target()
            return "" if as_str else b""
        if size > p.room // 2 and p.room >= KEEP_MIN:
            cut_storage(p.target, size)
            keep_storage(p.target, p.room)
        elif size != p.room:
            if as_str:
                PyUnicode_Resize(&p.target, size)
            else:
                _PyBytes_Resize(&p.target, size)
        payload = <object>p.target
        self._drop_target()
        return payload

    cdef void _drop_target(self) noexcept:
        cdef wsf_progress *p = self._progress
        cdef PyObject *target = p.target
        p.target = NULL
        p.have = p.room = 0
        Py_XDECREF(target)

    # ---- control frames ----

    cdef int _control(self, const wsf_piece *piece) except -2:
        """Deliver a control frame once all of it is there (RFC 6455 §5.5)."""
        cdef wsf_progress *p = self._progress
        cdef uint8_t here[CONTROL_MAX]
        cdef uint8_t *octets = here
        cdef size_t size = p.state.frame.length
        cdef wsf_status status
        cdef uint16_t code = 0

        if piece.offset != 0 or not piece.frame_end:
            if p.control_part is NULL:
                p.control_part = <uint8_t *>malloc(CONTROL_MAX)
                if p.control_part is NULL:
                    raise MemoryError
            octets = p.control_part
        _csrc.wsf_mask(kernels(), octets + piece.offset, piece.data, piece.len,
                       p.state.frame.key, piece.offset)
        if not piece.frame_end:
            return EV_NEED_DATA
        self.opcode = piece.opcode
        if piece.opcode == WSF_OP_CLOSE:
            status = _csrc.wsf_close_check(kernels(), octets, size, &code)
            if status != WSF_OK:
                return self._fail(status)
        self.code = code
        self.payload = PyBytes_FromStringAndSize(<char *>octets, size)
        if p.control_part is not NULL:
            free(p.control_part)
            p.control_part = NULL
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
                raise parse_error(<wsf_status>self._error, found)
            if event >= EV_CLOSE:
                found.append(Control(event, self.payload, self.code))
            else:
                found.append(self.payload)
            self.payload = None

    def __dealloc__(self):
        if self._progress is not NULL:
            free(self._progress.control_part)
            Py_XDECREF(self._progress.target)
            free(self._progress)
