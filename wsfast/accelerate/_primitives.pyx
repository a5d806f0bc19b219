"""
Maskers and a UTF-8 validator with the interface of wsaccel, over the C core.

The twin of `wsfast.accelerate._pure_primitives`, whose docstrings hold for both.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from wsfast cimport _csrc
from wsfast._csrc cimport WSF_OK, wsf_utf8
from wsfast._engine cimport decode_wide, fill_masking_key, kernels


cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)


cdef int hold(Py_buffer *view, object data) except -1:
    """Take the octets of a buffer, by a copy if they do not lie together."""
    try:
        PyObject_GetBuffer(data, view, PyBUF_SIMPLE)
    except BufferError:
        PyObject_GetBuffer(bytes(data), view, PyBUF_SIMPLE)
    return 0


cdef class XorMaskerSimple:
    """Masks a payload that comes in pieces; see the twin."""

    cdef uint8_t key[4]
    cdef uint64_t done

    def __init__(self, mask):
        cdef Py_buffer view

        hold(&view, mask)
        try:
            if view.len != 4:
                raise ValueError(f"mask should be 4byte, got {view.len}")
            memcpy(self.key, view.buf, 4)
        finally:
            PyBuffer_Release(&view)
        self.done = 0

    def pointer(self):
        """Return how many octets went through since the start."""
        return self.done

    def reset(self):
        """Begin a new payload with the same masking-key."""
        self.done = 0

    def process(self, data):
        """Mask the next octets of the payload."""
        cdef Py_buffer view
        cdef bytes out

        hold(&view, data)
        try:
            out = PyBytes_FromStringAndSize(NULL, view.len)
            self.run(<uint8_t *>PyBytes_AS_STRING(out), &view)
        finally:
            PyBuffer_Release(&view)
        return out

    cdef void run(self, uint8_t *out, Py_buffer *view) noexcept:
        _csrc.wsf_mask(kernels(), out, <const uint8_t *>view.buf, <size_t>view.len,
                       self.key, self.done)
        self.done += <uint64_t>view.len


cdef class ByteArrayMasker(XorMaskerSimple):
    """The same, whose results are bytearrays."""

    def process(self, data):
        """Mask the next octets of the payload."""
        cdef Py_buffer view
        cdef bytearray out

        hold(&view, data)
        try:
            out = PyByteArray_FromStringAndSize(NULL, view.len)
            self.run(<uint8_t *>PyByteArray_AS_STRING(out), &view)
        finally:
            PyBuffer_Release(&view)
        return out


cdef class Utf8Validator:
    """Validates a text that comes in pieces; see the twin."""

    UTF8_ACCEPT = 0
    UTF8_REJECT = 1

    cdef wsf_utf8 text
    cdef uint64_t total
    cdef bint failed

    def __init__(self):
        pass  # takes no argument

    def reset(self):
        """Begin a new text."""
        memset(&self.text, 0, sizeof(self.text))
        self.total = 0
        self.failed = False

    def validate(self, data):
        """Validate the next octets of the text."""
        cdef Py_buffer view
        cdef Py_ssize_t length
        cdef size_t bad = 0

        hold(&view, data)
        try:
            length = view.len
            if not self.failed:
                self.failed = WSF_OK != _csrc.wsf_utf8_feed(
                    kernels(), &self.text, <const uint8_t *>view.buf,
                    <size_t>view.len, &bad
                )
                self.total += bad if self.failed else <size_t>length
        finally:
            PyBuffer_Release(&view)
        if self.failed:
            return False, False, bad, self.total
        return True, <bint>(self.text.count == 0), length, self.total

    def decode(self, octet):
        """Validate one octet; return the state of wsaccel's automaton behind it."""
        cdef uint8_t value = PyNumber_Index(octet)
        cdef size_t bad = 0
        cdef uint8_t first

        if not self.failed:
            self.failed = WSF_OK != _csrc.wsf_utf8_feed(
                kernels(), &self.text, &value, 1, &bad
            )
        if self.failed:
            return self.UTF8_REJECT
        if self.text.count == 0:
            return self.UTF8_ACCEPT
        first = self.text.tail[0]
        if self.text.count == 3 or first < 0xE0:
            return 2
        if self.text.count == 2:
            return 2 if first < 0xF0 else 3
        if first == 0xE0:
            return 4
        if first == 0xED:
            return 5
        if first < 0xF0:
            return 3
        return 6 if first == 0xF0 else 8 if first == 0xF4 else 7


cdef int check_part(bytes data, Py_ssize_t start, Py_ssize_t size,
                    bytes key) except -1:
    if start < 0 or size < 0 or size > PyBytes_GET_SIZE(data) - start:
        raise ValueError(f"no {size} octets at {start}")
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"masking-key must be 4 octets, got {len(key)}")
    return 0


def unmask_part(bytes data not None, Py_ssize_t start, Py_ssize_t size,
                bytes key not None, uint64_t offset):
    """Unmask octets out of the middle; see the twin."""
    cdef bytes out

    check_part(data, start, size, key)
    out = PyBytes_FromStringAndSize(NULL, size)
    _csrc.wsf_mask(kernels(), <uint8_t *>PyBytes_AS_STRING(out),
                   <const uint8_t *>PyBytes_AS_STRING(data) + start, <size_t>size,
                   <const uint8_t *>PyBytes_AS_STRING(key), offset)
    return out


def unmask_text(bytes data not None, Py_ssize_t start, Py_ssize_t size,
                bytes key not None):
    """Unmask and decode octets out of the middle; see the twin."""
    cdef object text
    cdef uint8_t *to

    check_part(data, start, size, key)
    if size == 0:
        return ""
    text = PyUnicode_New(size, 0x7F)
    to = <uint8_t *>PyUnicode_DATA(text)
    if _csrc.wsf_mask_ascii(kernels(), to,
                            <const uint8_t *>PyBytes_AS_STRING(data) + start,
                            <size_t>size, <const uint8_t *>PyBytes_AS_STRING(key), 0):
        return text
    return decode_wide(to, <size_t>size)


def frame_array(int first, payload, bint masked):
    """Make a frame; see the twin."""
    cdef uint8_t header[_csrc.WSF_HEADER_MAX]
    cdef uint8_t key[4]
    cdef uint8_t *to
    cdef Py_buffer view
    cdef Py_ssize_t size
    cdef bytearray out

    hold(&view, payload)
    try:
        if masked:
            fill_masking_key(key)
        size = <Py_ssize_t>_csrc.wsf_header_encode(
            header, <uint8_t>first, <uint64_t>view.len, key if masked else NULL
        )
        out = PyByteArray_FromStringAndSize(NULL, size + view.len)
        to = <uint8_t *>PyByteArray_AS_STRING(out)
        memcpy(to, header, <size_t>size)
        if masked:
            _csrc.wsf_mask(kernels(), to + size, <const uint8_t *>view.buf,
                           <size_t>view.len, key, 0)
        else:
            memcpy(to + size, view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return out
