# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
The engine's primitives over the C core; what each does stands in `wsfast._pure`.

This module marshals: it takes the buffer, calls C, releases the buffer and turns a
status into an exception. Every rule about octets lives in ``csrc/``.
"""

import os

from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from wsfast cimport _csrc
from wsfast._csrc cimport WSF_OK, wsf_kernels, wsf_utf8


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void *PyUnicode_DATA(object text)


# --- kernels -------------------------------------------------------------------

cdef const wsf_kernels *_kernels = NULL


cdef const wsf_kernels *kernels() noexcept:
    return _kernels


def _choose_kernels():
    """Take the kernels that WSFAST_KERNEL names, or the best; list all that run."""
    global _kernels
    cdef uint32_t cpu = _csrc.wsf_cpu_detect()
    cdef const wsf_kernels *k
    cdef size_t i = 0

    runnable = []
    while True:
        k = _csrc.wsf_kernels_built(i)
        if k == NULL:
            break
        if k.needs & ~cpu == 0:
            runnable.append(k.name.decode())
        i += 1
    asked = os.environ.get("WSFAST_KERNEL", "")
    if asked:
        if asked not in runnable:
            raise ImportError(
                f"WSFAST_KERNEL={asked}: no such kernel runs on this processor;"
                f" it can run: {', '.join(runnable)}"
            )
        _kernels = _csrc.wsf_kernels_named(asked.encode(), cpu)
    else:
        _kernels = _csrc.wsf_kernels_best(cpu)
    return _kernels.name.decode(), tuple(runnable)


KERNEL, KERNELS = _choose_kernels()

# --- buffers -------------------------------------------------------------------


# The octets of an argument. Those of bytes, which cannot move or change, are read
# where they lie; anything else is held by the buffer protocol until span_close.
cdef struct Span:
    const uint8_t *data
    Py_ssize_t len
    Py_buffer view
    bint held


cdef inline int span_open(Span *s, object data) except -1:
    if PyBytes_CheckExact(data):
        s.data = <const uint8_t *>PyBytes_AS_STRING(data)
        s.len = PyBytes_GET_SIZE(data)
        s.held = False
        return 0
    PyObject_GetBuffer(data, &s.view, PyBUF_SIMPLE)
    s.held = True
    s.data = <const uint8_t *>s.view.buf
    s.len = s.view.len
    return 0


cdef inline void span_close(Span *s) noexcept:
    if s.held:
        PyBuffer_Release(&s.view)


cdef bytes octets_of(object data):
    cdef Span span
    cdef bytes octets

    if PyBytes_CheckExact(data):
        return <bytes>data
    span_open(&span, data)
    try:
        octets = PyBytes_FromStringAndSize(<const char *>span.data, span.len)
    finally:
        span_close(&span)
    return octets


cdef int read_key(uint8_t *octets, object key) except -1:
    """Copy a masking-key, or refuse it."""
    cdef Span span

    span_open(&span, key)
    try:
        if span.len != 4:
            raise ValueError(f"masking-key must be 4 octets, got {span.len}")
        memcpy(octets, span.data, 4)
    finally:
        span_close(&span)
    return 0


# --- masking -------------------------------------------------------------------


def mask(data, key, uint64_t offset=0):
    """Mask or unmask payload data (RFC 6455 §5.3); see ``wsfast._pure.mask``."""
    cdef uint8_t octets[4]
    cdef Span src
    cdef bytes out

    read_key(octets, key)
    span_open(&src, data)
    try:
        out = PyBytes_FromStringAndSize(NULL, src.len)
        _csrc.wsf_mask(_kernels, <uint8_t *>PyBytes_AS_STRING(out), src.data,
                       <size_t>src.len, octets, offset)
    finally:
        span_close(&src)
    return out


def mask_into(src, key, dst, Py_ssize_t dst_offset=0, n=None, uint64_t offset=0):
    """Mask into another buffer (RFC 6455 §5.3); see ``wsfast._pure.mask_into``."""
    cdef uint8_t octets[4]
    cdef Span source
    cdef Py_buffer target
    cdef Py_ssize_t count = 0
    cdef bint everything = n is None
    cdef uint8_t *out
    cdef const uint8_t *data

    if not everything:
        count = n
    read_key(octets, key)
    PyObject_GetBuffer(dst, &target, PyBUF_WRITABLE)
    try:
        span_open(&source, src)
        try:
            if everything:
                count = source.len
            elif count < 0 or count > source.len:
                raise ValueError(f"n must be 0 to {source.len} octets, got {count}")
            if dst_offset < 0 or dst_offset > target.len - count:
                raise ValueError(
                    f"{count} octets at {dst_offset} do not fit into"
                    f" {target.len} octets"
                )
            out = <uint8_t *>target.buf + dst_offset
            data = source.data
            if data < out + count and out < data + count and data != out:
                memmove(out, data, <size_t>count)  # they overlap: mask in place
                data = out
            _csrc.wsf_mask(_kernels, out, data, <size_t>count, octets, offset)
        finally:
            span_close(&source)
    finally:
        PyBuffer_Release(&target)


def unmask_inplace(buffer, key, uint64_t offset=0):
    """Mask a buffer where it lies; see ``wsfast._pure.unmask_inplace``."""
    cdef uint8_t octets[4]
    cdef Py_buffer target

    read_key(octets, key)
    PyObject_GetBuffer(buffer, &target, PyBUF_WRITABLE)
    try:
        _csrc.wsf_mask(_kernels, <uint8_t *>target.buf, <const uint8_t *>target.buf,
                       <size_t>target.len, octets, offset)
    finally:
        PyBuffer_Release(&target)


# --- UTF-8 ---------------------------------------------------------------------


def is_valid_utf8(data):
    """Tell whether octets are valid UTF-8; see ``wsfast._pure.is_valid_utf8``."""
    cdef Span src

    span_open(&src, data)
    try:
        return _csrc.wsf_utf8_valid(_kernels, src.data, <size_t>src.len)
    finally:
        span_close(&src)


cdef class Utf8Validator:
    """Incremental UTF-8 validation; see ``wsfast._pure.Utf8Validator``."""

    cdef wsf_utf8 _state
    cdef uint64_t _total
    cdef bint _failed

    def reset(self):
        """Begin a new text: forget all octets seen and any failure."""
        memset(&self._state, 0, sizeof(self._state))
        self._total = 0
        self._failed = False

    def validate(self, data):
        """Validate the next piece; see ``wsfast._pure.Utf8Validator.validate``."""
        cdef Span src
        cdef Py_ssize_t length
        cdef size_t bad = 0

        span_open(&src, data)
        try:
            length = src.len
            if not self._failed:
                self._failed = WSF_OK != _csrc.wsf_utf8_feed(
                    _kernels, &self._state, src.data, <size_t>length, &bad
                )
                self._total += bad if self._failed else <size_t>length
        finally:
            span_close(&src)
        if self._failed:
            return False, False, bad, self._total
        return True, <bint>_csrc.wsf_utf8_complete(&self._state), length, self._total


def decode_utf8(data):
    """Decode whole, valid UTF-8; see ``wsfast._pure.decode_utf8``."""
    cdef Span src
    cdef object text

    span_open(&src, data)
    try:
        text = decode_text(src.data, <size_t>src.len)
        if text is None:  # let CPython say what is wrong, and where
            text = PyUnicode_DecodeUTF8(<const char *>src.data, src.len, "strict")
        return text
    finally:
        span_close(&src)


cdef object decode_text(const uint8_t *data, size_t len):
    """Make a str, trying ASCII first: one sweep that copies and looks."""
    cdef uint8_t[4] zeros = [0, 0, 0, 0]
    cdef object text

    if len == 0:
        return ""
    if data[0] < 0x80:
        text = PyUnicode_New(<Py_ssize_t>len, 0x7F)
        if _csrc.wsf_mask_ascii(_kernels, <uint8_t *>PyUnicode_DATA(text), data, len,
                                zeros, 0):
            return text
    return decode_wide(data, len)


cdef object decode_wide(const uint8_t *data, size_t len):
    """Make a str of octets that are hardly ASCII."""
    cdef object text
    cdef size_t chars
    cdef unsigned int width

    if len == 0:
        return ""
    if not _csrc.wsf_utf8_valid(_kernels, data, len):
        return None
    width = _csrc.wsf_utf8_measure(_kernels, data, len, &chars)
    if width <= 2:
        text = PyUnicode_New(<Py_ssize_t>chars, 0xFF if width == 2 else 0x7F)
        _csrc.wsf_utf8_to_latin1(_kernels, <uint8_t *>PyUnicode_DATA(text), data, len)
    elif width == 3:
        text = PyUnicode_New(<Py_ssize_t>chars, 0xFFFF)
        _csrc.wsf_utf8_to_ucs2(_kernels, <uint16_t *>PyUnicode_DATA(text), data, len)
    else:
        text = PyUnicode_New(<Py_ssize_t>chars, 0x10FFFF)
        _csrc.wsf_utf8_to_ucs4(_kernels, <uint32_t *>PyUnicode_DATA(text), data, len)
    return text


cdef size_t utf8_tail_size(const uint8_t *data, size_t size) noexcept:
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


# --- frames --------------------------------------------------------------------


cdef int header_first_octet(int opcode, int64_t length, bint fin,
                            bint rsv1) except -1:
    if not 0 <= opcode <= 2 and not 8 <= opcode <= 10:
        raise ValueError(f"opcode must be 0 to 2 or 8 to 10, got {opcode}")
    if length < 0:
        raise ValueError(f"payload length must not be negative, got {length}")
    if opcode >= 8:
        if length > _csrc.WSF_CONTROL_MAX:
            raise ValueError(
                f"control frame payload must be at most 125 octets, got {length}"
            )
        if not fin or rsv1:
            raise ValueError("control frame must have FIN and no RSV1")
    return opcode | (_csrc.WSF_FIN if fin else 0) | (_csrc.WSF_RSV1 if rsv1 else 0)


def encode_header(int opcode, length, *, bint fin=True, bint rsv1=False, key=None):
    """Encode a frame header (RFC 6455 §5.2); see ``wsfast._pure.encode_header``."""
    cdef uint8_t header[_csrc.WSF_HEADER_MAX]
    cdef uint8_t octets[4]
    cdef int64_t octets_of_payload = length
    cdef int first
    cdef size_t size

    first = header_first_octet(opcode, octets_of_payload, fin, rsv1)
    if key is not None:
        read_key(octets, key)
    size = _csrc.wsf_header_encode(header, <uint8_t>first, <uint64_t>octets_of_payload,
                                   NULL if key is None else octets)
    return PyBytes_FromStringAndSize(<const char *>header, <Py_ssize_t>size)


def encode_frame(int opcode, payload, *, bint fin=True, bint rsv1=False, mask=False):
    """Encode a whole frame (RFC 6455 §5.2); see ``wsfast._pure.encode_frame``."""
    cdef uint8_t header[_csrc.WSF_HEADER_MAX]
    cdef uint8_t octets[4]
    cdef uint8_t *key = NULL
    cdef uint8_t *to
    cdef Span src
    cdef Py_ssize_t size
    cdef bytes out

    if mask is not False:
        key = octets
        if mask is True:
            fill_masking_key(octets)
        else:
            read_key(octets, mask)
    if PyUnicode_Check(payload):
        src.data = <const uint8_t *>PyUnicode_AsUTF8AndSize(payload, &src.len)
        src.held = False
    else:
        span_open(&src, payload)
    try:
        size = <Py_ssize_t>_csrc.wsf_header_encode(
            header,
            <uint8_t>header_first_octet(opcode, src.len, fin, rsv1),
            <uint64_t>src.len,
            key,
        )
        out = PyBytes_FromStringAndSize(NULL, size + src.len)
        to = <uint8_t *>PyBytes_AS_STRING(out)
        memcpy(to, header, <size_t>size)
        if key == NULL:
            memcpy(to + size, src.data, <size_t>src.len)
        else:
            _csrc.wsf_mask(_kernels, to + size, src.data, <size_t>src.len, key, 0)
    finally:
        span_close(&src)
    return out


# --- masking-keys --------------------------------------------------------------

cdef enum:
    POOL_SIZE = 4096


# One pool, which the GIL guards, or where there is none a pool for each thread.
cdef extern from *:
    """
    #if !defined(Py_GIL_DISABLED) && !defined(WSF_NO_GIL)
    #define WSF_GUARDED
    #elif defined(_MSC_VER)
    #define WSF_GUARDED __declspec(thread)
    #else
    #define WSF_GUARDED _Thread_local
    #endif
    static WSF_GUARDED unsigned char wsf_pool[4096];
    static WSF_GUARDED size_t wsf_pool_used = 4096;
    """
    uint8_t *_pool "wsf_pool"
    size_t _pool_used "wsf_pool_used"


cdef int fill_pool() except -1:
    """Fill the pool with fresh randomness of the system."""
    global _pool_used
    cdef bytes fresh = os.urandom(POOL_SIZE)

    memcpy(_pool, PyBytes_AS_STRING(fresh), POOL_SIZE)
    _pool_used = 0
    return 0


cdef int fill_masking_key(uint8_t *key) except -1:
    global _pool_used

    if _pool_used == POOL_SIZE:
        fill_pool()
    memcpy(key, _pool + _pool_used, 4)
    _pool_used += 4
    return 0


def masking_key():
    """Return a fresh masking-key; see ``wsfast._pure.masking_key``."""
    cdef uint8_t octets[4]

    fill_masking_key(octets)
    return PyBytes_FromStringAndSize(<const char *>octets, 4)


def _drop_keys():
    """Forget the pool, so that a forked child shares no key with its parent."""
    global _pool_used

    _pool_used = POOL_SIZE


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_keys)
