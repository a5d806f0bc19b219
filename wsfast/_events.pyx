# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
Event streams in C: octets to events, and events to octets.

What class and function promise is written down once, in ``wsfast._pure_events``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport (
    PyByteArray_AS_STRING,
    PyByteArray_GET_SIZE,
    PyByteArray_Resize,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from . cimport _csrc
from ._csrc cimport (
    WSF_FIELD_DATA,
    WSF_FIELD_EVENT,
    WSF_FIELD_ID,
    WSF_FIELD_NONE,
    WSF_FIELD_RETRY,
    wsf_field,
    wsf_line,
    wsf_lines,
)
from ._engine cimport decode_text, kernels

from ._event_types import Event, EventError


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef uint64_t limit_of(object value, str name) except? 0:
    if value is None:
        return UINT64_MAX
    if value < 0:
        raise ValueError(f"{name} must be >= 0 or None, got {value}")
    return value


cdef str text_of(const uint8_t *data, Py_ssize_t size):
    """Decode as the standard says: what is not UTF-8 becomes U+FFFD."""
    cdef object text = decode_text(data, <size_t>size)
    if text is None:
        text = PyUnicode_DecodeUTF8(<const char *>data, size, "replace")
    return text


cdef int append(bytearray to, const uint8_t *data, Py_ssize_t size) except -1:
    cdef Py_ssize_t old = PyByteArray_GET_SIZE(to)
    PyByteArray_Resize(to, old + size)
    memcpy(PyByteArray_AS_STRING(to) + old, data, <size_t>size)
    return 0


cdef class EventParser:
    """Octets to events; see ``wsfast._pure_events.EventParser``."""

    cdef public str last_event_id
    cdef public object retry
    cdef wsf_lines _state
    cdef uint64_t _max_line
    cdef uint64_t _max_size
    cdef str _id
    cdef str _event
    cdef bytearray _data        # of the event, each line with LF behind it
    cdef bytearray _line        # the first pieces of a line
    cdef object _error

    def __init__(self, *, max_line=1 << 20, max_size=1 << 20, str last_event_id=""):
        if last_event_id is None:
            raise TypeError("last_event_id must be a str")
        self._max_line = limit_of(max_line, "max_line")
        self._max_size = limit_of(max_size, "max_size")
        self.last_event_id = self._id = last_event_id
        self._data = bytearray()
        self._line = bytearray()

    def feed(self, data):
        """Take ``data``; see ``wsfast._pure_events.EventParser.feed``."""
        cdef Py_buffer view
        cdef list events = []

        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if self._error is not None:
                raise EventError(str(self._error), self._error.reason_code)
            self._take(<const uint8_t *>view.buf, view.len, events)
        finally:
            PyBuffer_Release(&view)
        return events

    cdef int _take(self, const uint8_t *pos, Py_ssize_t size, list events) except -1:
        cdef const uint8_t *end = pos + size
        cdef Py_ssize_t before
        cdef bytearray whole
        cdef wsf_line piece

        while _csrc.wsf_lines_next(&self._state, &pos, end, &piece):
            before = PyByteArray_GET_SIZE(self._line)
            if <uint64_t>before + piece.len > self._max_line:
                self._fail(f"line of more than {self._max_line} octets",
                           "line_too_long", events)
            if before == 0 and piece.end:
                self._field(piece.data, <Py_ssize_t>piece.len, events)
                continue
            append(self._line, piece.data, <Py_ssize_t>piece.len)
            if piece.end:
                whole, self._line = self._line, bytearray()
                self._field(<const uint8_t *>PyByteArray_AS_STRING(whole),
                            PyByteArray_GET_SIZE(whole), events)
        return 0

    cdef int _fail(self, str text, str reason_code, list events) except -1:
        self._error = EventError(text, reason_code, events)
        self._line = bytearray()
        self._data = bytearray()
        raise self._error

    cdef int _field(self, const uint8_t *line, Py_ssize_t size,
                    list events) except -1:
        """Take one line."""
        cdef size_t at
        cdef uint32_t ms
        cdef wsf_field field = _csrc.wsf_event_field(line, <size_t>size, &at)
        cdef const uint8_t *value = line + at
        cdef Py_ssize_t left = size - <Py_ssize_t>at

        if field == WSF_FIELD_DATA:
            append(self._data, value, left)
            append(self._data, b"\n", 1)
            if <uint64_t>PyByteArray_GET_SIZE(self._data) - 1 > self._max_size:
                self._fail(f"event with more than {self._max_size} octets of data",
                           "event_too_big", events)
        elif field == WSF_FIELD_NONE:
            self._dispatch(events)
        elif field == WSF_FIELD_EVENT:
            self._event = text_of(value, left)
        elif field == WSF_FIELD_ID:
            if memchr(value, 0, <size_t>left) == NULL:
                self._id = text_of(value, left)
        elif field == WSF_FIELD_RETRY:
            if _csrc.wsf_event_retry(value, <size_t>left, &ms):
                self.retry = ms
        return 0

    cdef int _dispatch(self, list events) except -1:
        """Make an event of what was collected."""
        cdef Py_ssize_t size = PyByteArray_GET_SIZE(self._data)
        cdef str text
        cdef tuple event

        self.last_event_id = self._id
        if size != 0:
            text = text_of(<const uint8_t *>PyByteArray_AS_STRING(self._data),
                           size - 1)
            # Its own constructor is a function of Python: twice the time.
            event = (self._event or "message", text, self._id)
            events.append(tuple.__new__(Event, event))
            if size > 65536:  # one long event need not be held room for
                self._data = bytearray()
            else:
                PyByteArray_Resize(self._data, 0)
        self._event = None
        return 0


cdef bytes line_of(str name, object value):
    """Return the octets of a value that has to be one line."""
    cdef Py_ssize_t size
    cdef const char *octets

    if not PyUnicode_Check(value):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    octets = PyUnicode_AsUTF8AndSize(value, &size)
    if not _csrc.wsf_event_is_line(<const uint8_t *>octets, <size_t>size):
        raise ValueError(f"{name} must not contain line ends")
    return PyBytes_FromStringAndSize(octets, size)


cdef bytes data_of(bytes head, const uint8_t *data, Py_ssize_t size):
    """Return a whole event: what comes before its data, the data, the empty line."""
    cdef Py_ssize_t before = len(head)
    cdef size_t length = _csrc.wsf_event_data_size(data, <size_t>size)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, before + <Py_ssize_t>length + 1)
    cdef uint8_t *to = <uint8_t *>PyBytes_AS_STRING(out)

    memcpy(to, PyBytes_AS_STRING(head), <size_t>before)
    to = _csrc.wsf_event_data_encode(to + before, data, <size_t>size)
    to[0] = b"\n"
    return out


def encode_event(data, event=None, id=None, retry=None):
    """Encode an event; see ``wsfast._pure_events.encode_event``."""
    cdef bytes head = b""
    cdef bytes value
    cdef Py_buffer view
    cdef Py_ssize_t size
    cdef const char *octets

    if event:
        head = b"event: %b\n" % line_of("event", event)
    if id is not None:
        value = line_of("id", id)
        if b"\0" in value:
            raise ValueError("id must not contain NUL")
        head += b"id: %b\n" % value
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry must be >= 0, got {retry}")
        head += b"retry: %d\n" % retry
    if data is None:
        return head + b"\n"
    if PyUnicode_Check(data):
        octets = PyUnicode_AsUTF8AndSize(data, &size)
        return data_of(head, <const uint8_t *>octets, size)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not _csrc.wsf_utf8_valid(kernels(), <const uint8_t *>view.buf,
                                    <size_t>view.len):
            raise ValueError("data is not valid UTF-8")
        return data_of(head, <const uint8_t *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
