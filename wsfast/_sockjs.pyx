# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
What SockJS sends, in C: messages to octets, and octets to messages.

What the functions promise is written down once, in ``wsfast._pure_sockjs``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from . cimport _csrc
from ._csrc cimport (
    WSF_SOCKJS_OTHER,
    WSF_SOCKJS_STRING,
    wsf_sockjs_item,
    wsf_sockjs_reader,
    wsf_sockjs_string,
)
from ._engine cimport decode_text, kernels


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


cdef object with_octets(object text):
    """Return what holds the octets of a message: itself, unless it has surrogates."""
    cdef Py_ssize_t size

    if not PyUnicode_Check(text):
        raise TypeError(f"a message must be a str, not {type(text).__name__}")
    try:
        PyUnicode_AsUTF8AndSize(text, &size)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


cdef const uint8_t *octets_in(object holder, Py_ssize_t *size) except NULL:
    """Give the octets of what `with_octets` returned; they live as long as it does."""
    if PyUnicode_Check(holder):
        return <const uint8_t *>PyUnicode_AsUTF8AndSize(holder, size)
    size[0] = PyBytes_GET_SIZE(holder)
    return <const uint8_t *>PyBytes_AS_STRING(holder)


def quote_sockjs(text):
    """Write text as a JSON string; see ``wsfast._pure_sockjs.quote_sockjs``."""
    cdef Py_ssize_t size
    cdef object holder = with_octets(text)
    cdef const uint8_t *octets = octets_in(holder, &size)
    cdef size_t quoted = _csrc.wsf_sockjs_quoted_size(octets, <size_t>size)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>quoted)

    _csrc.wsf_sockjs_quote(<uint8_t *>PyBytes_AS_STRING(out), octets, <size_t>size)
    return out


def encode_sockjs(messages, bytes mark=b"a"):
    """Write messages as one array; see ``wsfast._pure_sockjs.encode_sockjs``."""
    cdef list holders
    cdef Py_ssize_t i, size
    cdef Py_ssize_t count
    cdef Py_ssize_t before = PyBytes_GET_SIZE(mark)
    cdef size_t total
    cdef const uint8_t *octets
    cdef uint8_t *to
    cdef bytes out

    if PyUnicode_Check(messages):
        raise TypeError("messages must be several, not one str")
    holders = [with_octets(text) for text in messages]
    count = PyList_GET_SIZE(holders)
    total = <size_t>before + 2 + <size_t>(count - 1 if count else 0)
    for i in range(count):
        octets = octets_in(<object>PyList_GET_ITEM(holders, i), &size)
        total += _csrc.wsf_sockjs_quoted_size(octets, <size_t>size)
    out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>total)
    to = <uint8_t *>PyBytes_AS_STRING(out)
    memcpy(to, PyBytes_AS_STRING(mark), <size_t>before)
    to += before
    to[0] = b"["
    to += 1
    for i in range(count):
        if i:
            to[0] = b","
            to += 1
        octets = octets_in(<object>PyList_GET_ITEM(holders, i), &size)
        to = _csrc.wsf_sockjs_quote(to, octets, <size_t>size)
    to[0] = b"]"
    return out


def decode_sockjs(data, *, bint single=False):
    """Read an array of messages; see ``wsfast._pure_sockjs.decode_sockjs``."""
    cdef Py_buffer view
    cdef Py_ssize_t size
    cdef const char *octets

    if PyUnicode_Check(data):
        try:
            octets = PyUnicode_AsUTF8AndSize(data, &size)
        except UnicodeEncodeError:
            raise ValueError("Broken JSON encoding.") from None
        return messages_of(<const uint8_t *>octets, size, single)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not _csrc.wsf_utf8_valid(kernels(), <const uint8_t *>view.buf,
                                    <size_t>view.len):
            raise ValueError("Broken JSON encoding.")
        return messages_of(<const uint8_t *>view.buf, view.len, single)
    finally:
        PyBuffer_Release(&view)


cdef list messages_of(const uint8_t *data, Py_ssize_t size, bint single):
    """Read all messages of an array that is UTF-8."""
    cdef wsf_sockjs_reader reader
    cdef wsf_sockjs_string found
    cdef wsf_sockjs_item item
    cdef list messages = []

    reader.pos = data
    reader.end = data + size
    reader.single = single
    reader.state = 0
    while (item := _csrc.wsf_sockjs_next(&reader, &found)) == WSF_SOCKJS_STRING:
        messages.append(text_of(&found))
    if item == WSF_SOCKJS_OTHER:
        raise ValueError("Payload expected.")
    if item != _csrc.WSF_SOCKJS_END:
        raise ValueError("Broken JSON encoding.")
    return messages


cdef object text_of(wsf_sockjs_string *found):
    """Return the text of a string, which is known to be UTF-8."""
    cdef bytes whole
    cdef uint8_t *to
    cdef const uint8_t *end
    cdef size_t surrogates

    if not found.escaped:
        return decode_text(found.data, found.len)
    whole = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>found.len)
    to = <uint8_t *>PyBytes_AS_STRING(whole)
    end = _csrc.wsf_sockjs_unescape(to, found.data, found.len, &surrogates)
    if surrogates != 0:
        return PyUnicode_DecodeUTF8(<const char *>to, end - to, "surrogatepass")
    return decode_text(to, <size_t>(end - to))
